import Bytes
import Wire

enum SamplesOfLinks {
  static let all: [Sample] = [
    Sample(label: "on TCP", message: helloOnTCP),
    Sample(label: "on a Unix socket", message: Hello(role: .gateway, instance: 0, incarnation: 0)),
    Sample(label: "rich", message: Proof(mac: digest(0xe0))),
    Sample(label: "rich", message: Heartbeat(sent: .max, dropped: 1, frames: 0x0807_0605_0403_0201), flags: .mayIgnore),
    Sample(label: "largest", message: Credit(bytes: .max)),
    Sample(label: "none", message: Credit(bytes: 0)),
    Sample(
      label: "with a time to wait",
      message: Failure(.overloaded, "the queue is full — später", retryAfterMs: .max),
      correlation: 7, flags: .reply),
    Sample(
      label: "a plugin's code", message: Failure(ErrorCode(rawValue: .max), ""), correlation: 8,
      flags: .reply),
    Sample(
      label: "the number that is next", message: Failure(.sequenceGap, number: .max - 1), correlation: 9,
      flags: .reply),
    Sample(label: "rich", message: Goodbye(.draining)),
    Sample(
      label: "a user with an expiry",
      message: OpenPrincipal(
        number: .max, user: "ada@example.org", rights: digest(1), expiresMs: .max,
        signature: digest(0x40))),
    Sample(label: "anonymous", message: OpenPrincipal(number: 1, user: "")),
    Sample(label: "rich", message: ClosePrincipal(number: 0xfedc_ba98)),
    Sample(label: "rich", message: ReadMetrics(remainingMs: 1_000), correlation: 21),
    Sample(
      label: "rich", message: MetricsText(text: [UInt8]("sapphire_hub_links{service=\"hub\"} 2\n".utf8)),
      correlation: 21, flags: .reply),
  ]

  private static var helloOnTCP: Hello {
    var hello = Hello(role: .operations, instance: 0x0123_4567_89ab_cdef, incarnation: .max)
    hello.versionMin = 1
    hello.versionMax = .max
    hello.features = 0x8000_0000_0000_0001
    hello.nonce = digest(0)
    hello.software = "sapphire 0.1 ✓"
    return hello
  }
}
