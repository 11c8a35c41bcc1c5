import Bytes
import Platform
import Testing

@Suite struct SocketTests {
  @Test(arguments: [
    ("unix:/run/x.sock", SocketAddress.unix(path: "/run/x.sock")),
    ("tcp:127.0.0.1:80", .tcp(host: "127.0.0.1", port: 80)),
    ("localhost:0", .tcp(host: "localhost", port: 0)),
    ("tcp:[::1]:9", .tcp(host: "::1", port: 9)),
  ])
  func parsesAddresses(text: String, address: SocketAddress) {
    #expect(SocketAddress(text) == address)
  }

  @Test(arguments: ["", "unix:", "tcp:host", "host:port", "host:70000", "::1:80", ":80"])
  func refusesWhatIsNoAddress(text: String) {
    #expect(SocketAddress(text) == nil)
  }

  @Test func aSecondListenerOnAPortIsRefused() throws {
    let first = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0))
    let address = try Sockets.localAddress(first)
    #expect(throws: SystemError.self) { _ = try Sockets.listen(on: address) }
  }

  @Test func aSocketPathThatIsTooLongIsRefused() {
    let path = "/tmp/" + String(repeating: "x", count: 120)
    #expect(throws: SystemError.self) { _ = try Sockets.listen(on: .unix(path: path)) }
  }
}
