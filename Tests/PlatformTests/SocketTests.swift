import Foundation
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

  @Test func aStaleSocketFileIsReplacedAndALiveOneIsNot() throws {
    let folder = FileManager.default.temporaryDirectory.path
    let path =
      "\(folder)/sapphire-sockets-\(Syscalls.processID)-\(UInt32.random(in: .min ... .max))"
    let address = SocketAddress.unix(path: path)
    do {
      let first = try Sockets.listen(on: address)
      #expect(throws: SystemError.self) { _ = try Sockets.listen(on: address) }
      _ = consume first
    }
    let second = try Sockets.listen(on: address)
    let attempt = try Sockets.connect(to: address)
    var identity: PeerIdentity?
    while identity == nil {
      guard let accepted = try Sockets.accept(second) else { break }
      identity = accepted.peer
    }
    #expect(identity == .local(pid: Syscalls.processID, uid: Syscalls.userID))
    _ = consume attempt
    #expect(throws: Never.self) { try removeSocketFile(path) }
  }

  private func removeSocketFile(_ path: String) throws {
    try FileManager.default.removeItem(atPath: path)
  }

  @Test func nobodyWaitingIsNoConnection() throws {
    let listener = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0))
    let nobody = try Sockets.accept(listener) == nil
    #expect(nobody)
  }

  /// It is set on the listener alone.
  @Test func acceptedConnectionsSendWithoutDelay() throws {
    let listener = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0))
    let client = try Sockets.connect(to: try Sockets.localAddress(listener))
    var accepted: Sockets.Accepted?
    let deadline = ContinuousClock.now + .seconds(10)
    while accepted == nil, ContinuousClock.now < deadline { accepted = try Sockets.accept(listener) }
    guard let connection = accepted.take() else {
      Issue.record("nobody was accepted")
      return
    }
    var value: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    let result = unsafe getsockopt(
      connection.descriptor.number, Int32(IPPROTO_TCP), TCP_NODELAY, &value, &size)
    #expect(result == 0 && value != 0)
    _ = consume client
  }

  @Test func loopsMayShareAPort() throws {
    let first = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0), sharing: .betweenLoops)
    let address = try Sockets.localAddress(first)
    #expect(throws: Never.self) { _ = try Sockets.listen(on: address, sharing: .betweenLoops) }
  }

  @Test(arguments: [
    (SocketAddress.unix(path: "/x"), "unix:/x", "/x", true),
    (.tcp(host: "::1", port: 9), "tcp:[::1]:9", "[::1]:9", true),
    (.tcp(host: "127.3.2.1", port: 80), "tcp:127.3.2.1:80", "127.3.2.1:80", true),
    (.tcp(host: "0.0.0.0", port: 80), "tcp:0.0.0.0:80", "0.0.0.0:80", false),
  ])
  func addressesAreWrittenAsTheyAreRead(
    address: SocketAddress, text: String, authority: String, isLoopback: Bool
  ) {
    #expect(address.description == text)
    #expect(SocketAddress(text) == address)
    #expect(address.authority == authority)
    #expect(address.isLoopback == isLoopback)
  }

  /// Sharing a port is for the loops of one process: of two processes one gets it, at any moment.
  @Test func theFirstOfLoopsKeepsOthersOutAndLetsItsOwnJoin() throws {
    let first = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0), sharing: .firstOfLoops)
    let address = try Sockets.localAddress(first)
    func isRefused(_ sharing: Sockets.PortSharing) -> Bool {
      do throws(SystemError) {
        _ = try Sockets.listen(on: address, sharing: sharing)
        return false
      } catch {
        return error.isAddressInUse
      }
    }
    #expect(isRefused(.firstOfLoops) && isRefused(.exclusive))
    let joined = try Sockets.listen(on: address, sharing: .betweenLoops)
    #expect(isRefused(.firstOfLoops) && isRefused(.exclusive))
    let isOpen = joined.isOpen
    #expect(isOpen)
  }

  @Test func aHostThatIsNotThereIsNamedAsSuch() {
    let error = #expect(throws: SystemError.self) {
      _ = try Sockets.listen(on: .tcp(host: "nohost.invalid", port: 1))
    }
    #expect(error?.description.contains("Cannot assign") == false)
    #expect(error?.description.contains("nohost.invalid") == true)
  }
}
