import Config
import HTTPCodec
import Platform
import Testing

@testable import GatewayCore

/// Row 101: who a client is said to be counts from proxies of ours alone.
@Suite struct TrustedProxiesTests {
  private func proxies(
    _ ranges: [String] = ["10.0.0.0/8", "::1"], _ field: ForwardedField = .xForwardedFor
  ) -> TrustedProxies {
    TrustedProxies(ranges: ranges.compactMap { AddressRange($0) }, field: field)
  }

  private func client(
    _ fields: [String], from peer: String = "10.0.0.1", _ proxies: TrustedProxies? = nil
  ) throws -> String {
    let lines = fields.map { "\($0)\r\n" }.joined()
    let head = try requestHead("GET / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n")
    let found = (proxies ?? self.proxies()).client(of: .remote(address: peer), head.headers)
    if case .remote(let address) = found { return address } else { return "unix" }
  }

  private func scheme(
    _ fields: [String], from peer: String = "10.0.0.1", isSecure: Bool = false,
    _ field: ForwardedField = .xForwardedFor
  ) throws -> WebScheme? {
    let lines = fields.map { "\($0)\r\n" }.joined()
    let head = try requestHead("GET / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n")
    return proxies(["10.0.0.0/8"], field).scheme(
      of: .remote(address: peer), isSecure: isSecure, head.headers)
  }

  @Test(arguments: [
    ([], nil), (["X-Forwarded-Proto: https"], .https), (["X-Forwarded-Proto: HTTP"], .http),
    (["X-Forwarded-Proto: wss"], .https), (["X-Forwarded-Proto: ws"], .http),
    (["X-Forwarded-Proto: https, https"], .https),
    (["X-Forwarded-Proto: http, https"], nil), (["X-Forwarded-Proto: https", "X-Forwarded-Proto: http"], nil),
    (["X-Forwarded-Proto: "], nil), (["X-Forwarded-Proto: ftp"], nil), (["X-Forwarded-Proto: ftp, https"], nil),
    (["Forwarded: proto=https"], nil),
  ] as [([String], WebScheme?)])
  func aProxySaysByWhichSchemeAPageCame(fields: [String], expected: WebScheme?) throws {
    #expect(try scheme(fields) == expected)
    // However the proxy itself reaches us.
    #expect(try scheme(fields, isSecure: true) == expected)
    // From anybody else it means nothing.
    #expect(try scheme(fields, from: "203.0.113.9") == .http)
    #expect(try scheme(fields, from: "203.0.113.9", isSecure: true) == .https)
  }

  @Test(arguments: [
    (["Forwarded: for=1.2.3.4;proto=https"], .https), (["Forwarded: proto=\"http\";for=1.2.3.4"], .http),
    (["Forwarded: proto=http, proto=https"], nil), (["Forwarded: for=1.2.3.4"], nil),
    (["Forwarded: proto=https;proto=https"], nil), (["X-Forwarded-Proto: https"], nil), ([], nil),
  ] as [([String], WebScheme?)])
  func soDoesTheForwardedField(fields: [String], expected: WebScheme?) throws {
    #expect(try scheme(fields, .forwarded) == expected)
  }

  @Test(arguments: [
    (["X-Forwarded-For: 203.0.113.9"], "203.0.113.9"),
    (["X-Forwarded-For: 203.0.113.9:1234"], "203.0.113.9"),
    (["X-Forwarded-For: 2001:db8::7"], "2001:db8::7"),
    (["X-Forwarded-For: [2001:db8::7]:443"], "2001:db8::7"),
    // What the client wrote stands left of what the proxy added.
    (["X-Forwarded-For: 127.0.0.1, 203.0.113.9"], "203.0.113.9"),
    (["X-Forwarded-For: 127.0.0.1", "X-Forwarded-For: 203.0.113.9"], "203.0.113.9"),
    (["X-Forwarded-For: 198.51.100.1, 10.3.3.3, 203.0.113.9, 10.2.2.2"], "203.0.113.9"),
    (["X-Forwarded-For: 10.3.3.3, 10.2.2.2"], "10.3.3.3"),
    // From what can't be understood on, nothing is believed.
    (["X-Forwarded-For: 203.0.113.9, unknown"], "10.0.0.1"),
    (["X-Forwarded-For: 203.0.113.9, evil.example, 10.2.2.2"], "10.2.2.2"),
    (["X-Forwarded-For: "], "10.0.0.1"), (["X-Forwarded-For: ,,,"], "10.0.0.1"),
    (["X-Forwarded-For: 203.0.113.9:"], "10.0.0.1"), (["X-Forwarded-For: 203.0.113.9:99999999"], "10.0.0.1"),
    (["X-Forwarded-For: [203.0.113.9"], "10.0.0.1"), (["X-Forwarded-For: 203.0.113.9 x"], "10.0.0.1"),
    // The other field is anybody's.
    (["Forwarded: for=203.0.113.9"], "10.0.0.1"),
    (["Forwarded: for=198.51.100.1", "X-Forwarded-For: 203.0.113.9"], "203.0.113.9"),
    (["X-Real-IP: 203.0.113.9"], "10.0.0.1"), ([], "10.0.0.1"),
  ])
  func theLastAddressThatIsNoProxyAsks(fields: [String], expected: String) throws {
    #expect(try client(fields) == expected)
  }

  @Test(arguments: [
    ("for=203.0.113.9", "203.0.113.9"), ("For=\"203.0.113.9:80\"", "203.0.113.9"),
    ("for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
    ("for=198.51.100.1, for=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"),
    ("proto=https ; for = 203.0.113.9", "203.0.113.9"), ("for=_hidden", "10.0.0.1"),
    ("for=unknown", "10.0.0.1"), ("for=1.1.1.1;for=2.2.2.2", "10.0.0.1"), ("for=\"1.1.1.1", "10.0.0.1"),
    ("host=a", "10.0.0.1"), ("for", "10.0.0.1"), ("=", "10.0.0.1"), ("\"", "10.0.0.1"),
  ])
  func theFieldOfTheStandardIsReadWhereItIsTheOne(value: String, expected: String) throws {
    let standard = proxies(["10.0.0.0/8"], .forwarded)
    #expect(try client(["Forwarded: \(value)", "X-Forwarded-For: 192.0.2.1"], standard) == expected)
  }

  private func client(_ fields: [String], _ proxies: TrustedProxies) throws -> String {
    try client(fields, from: "10.0.0.1", proxies)
  }

  @Test func nobodyElseIsBelieved() throws {
    let field = ["X-Forwarded-For: 203.0.113.9"]
    #expect(try client(field, from: "192.0.2.1") == "192.0.2.1")
    #expect(try client(field, from: "::2") == "::2")
    #expect(try client(field, from: "::1") == "203.0.113.9")
    #expect(try client(field, from: "10.0.0.1", TrustedProxies()) == "10.0.0.1")
    let head = try requestHead("GET / HTTP/1.1\r\nHost: a\r\n\(field[0])\r\n\r\n")
    let unix = PeerIdentity.local(pid: 1, uid: 1)
    #expect(proxies().client(of: unix, head.headers) == unix)
    #expect(
      TrustedProxies(trustsUnix: true).client(of: unix, head.headers) == .remote(address: "203.0.113.9"))
  }

  @Test func onlySoManyHopsAreLookedAt() throws {
    let hops = Array(repeating: "10.1.1.1", count: 40).joined(separator: ", ")
    #expect(try client(["X-Forwarded-For: 203.0.113.9, \(hops)"]) == "10.1.1.1")
  }
}

@Suite struct ProxyHeaderTests {
  private func read(_ bytes: [UInt8]) -> ProxyHeader.Outcome { ProxyHeader.read(bytes.span) }

  private static let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]

  private func binary(
    _ command: UInt8, _ family: UInt8, _ addresses: [UInt8], length: Int? = nil
  ) -> [UInt8] {
    let count = length ?? addresses.count
    return Self.signature + [command, family, UInt8(count >> 8), UInt8(count & 255)] + addresses
  }

  @Test(arguments: [
    ("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443", "192.0.2.1"),
    ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255"),
    ("PROXY TCP6 2001:db8::7 ::1 0 1", "2001:db8::7"), ("PROXY UNKNOWN", nil),
    ("PROXY UNKNOWN ffff::1 ffff::2 65535 65535", nil),
  ])
  func aLineNamesTheClient(line: String, client: String?) {
    let bytes = [UInt8]("\(line)\r\n".utf8)
    let expected = ProxyHeader.Outcome.found(client: client.flatMap { IPAddress($0) }, end: bytes.count)
    #expect(read(bytes + [UInt8]("GET /".utf8)) == expected)
    for count in 0..<bytes.count { #expect(read(Array(bytes[..<count])) == .incomplete) }
  }

  @Test(arguments: [
    "GET / HTTP/1.1\r\n", "proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n", "PROXY\tTCP4", "PROXYTCP4",
    "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n",
    "PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n", "PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n",
    "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 -1 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.1 65536 2\r\n", "PROXY TCP4 evil 198.51.100.1 1 2\r\n",
    "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n", "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\rx",
    "PROXY UNKNOWN \u{7}\r\n", "PROXY \r\n",
  ])
  func aLineThatIsNoneIsRefused(line: String) { #expect(read([UInt8](line.utf8)) == .malformed) }

  @Test func aLineWithoutAnEndIsRefused() {
    #expect(read([UInt8](("PROXY UNKNOWN " + String(repeating: "x", count: 90)).utf8)) == .incomplete)
    #expect(read([UInt8](("PROXY UNKNOWN " + String(repeating: "x", count: 92)).utf8)) == .malformed)
  }

  @Test func aBinaryHeaderNamesTheClient() {
    let ipv4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 1, 0, 1, 0, 2]
    let ipv6 = [UInt8]([0x20, 1, 0x0D, 0xB8]) + Array(repeating: 0, count: 11) + [7] + Array(repeating: 1, count: 20)
    let extensions: [UInt8] = [4, 0, 2, 9, 9]
    for (bytes, client) in [
      (binary(0x21, 0x11, ipv4), "192.0.2.1"), (binary(0x21, 0x12, ipv4), "192.0.2.1"),
      (binary(0x21, 0x11, ipv4 + extensions), "192.0.2.1"), (binary(0x21, 0x21, ipv6), "2001:db8::7"),
    ] {
      #expect(read(bytes + [71]) == .found(client: IPAddress(client), end: bytes.count))
      for count in 0..<bytes.count { #expect(read(Array(bytes[..<count])) == .incomplete) }
    }
    for bytes in [
      binary(0x20, 0, []), binary(0x20, 0x11, ipv4), binary(0x21, 0, []),
      binary(0x21, 0x31, Array(repeating: 0, count: 216)),
    ] {
      #expect(read(bytes) == .found(client: nil, end: bytes.count))
    }
  }

  /// Whatever comes, it is told without a trap, and the end lies within what came.
  @Test func anyDamageIsToldOrWaitedFor() {
    let ipv6 = [UInt8]([0x20, 1, 0x0D, 0xB8]) + Array(repeating: 7, count: 32)
    let sound = [
      [UInt8]("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".utf8),
      [UInt8]("PROXY TCP6 2001:db8::7 ::1 0 1\r\n".utf8), binary(0x21, 0x21, ipv6),
      binary(0x21, 0x11, Array(repeating: 9, count: 12)), binary(0x20, 0, []),
    ]
    var random = SplitMix(seed: 101)
    for _ in 0..<20_000 {
      guard var bytes = sound.randomElement(using: &random) else { continue }
      for _ in 0...Int.random(in: 0..<4, using: &random) {
        let index = Int.random(in: 0..<bytes.count, using: &random)
        bytes[index] = Bool.random(using: &random) ? .random(in: 0...255, using: &random) : 0xFF
      }
      bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random) / 4)
      if case .found(_, let end) = read(bytes) { #expect(end > 0 && end <= bytes.count) }
    }
  }

  private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
      mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
      return mixed ^ mixed >> 31
    }
  }

  @Test func aBinaryHeaderThatIsNoneIsRefused() {
    let ipv4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 1, 0, 1, 0, 2]
    for bytes in [
      binary(0x11, 0x11, ipv4), binary(0x31, 0x11, ipv4), binary(0x22, 0x11, ipv4), binary(0x21, 0x13, ipv4),
      binary(0x21, 0x41, ipv4), binary(0x21, 0x11, Array(ipv4.dropLast())), binary(0x21, 0x21, ipv4),
      binary(0x21, 0x11, ipv4, length: 65_535), [13, 10, 13, 10, 1], [13, 13],
    ] {
      #expect(read(bytes) == .malformed, "\(bytes)")
    }
  }
}
