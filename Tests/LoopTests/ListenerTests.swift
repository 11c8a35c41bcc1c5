import Glibc
import Loop
import Platform
import Testing

@Suite struct ListenerTests {
  private final class Accepted {
    var descriptors: [Held] = []
    var peers: [PeerIdentity] = []
  }

  private final class Held {
    var descriptor: Descriptor
    init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
  }

  private final class Answer {
    var descriptor = Descriptor(owning: -1)
    var error: SystemError?
    var calls = 0

    func take(_ found: consuming Descriptor?, _ error: SystemError?) {
      calls += 1
      self.error = error
      descriptor = found ?? Descriptor(owning: -1)
    }
  }

  private let loop: EventLoop
  private let listener: Listener
  private let accepted: Accepted

  init() throws {
    let kept = Accepted()
    loop = try EventLoop()
    let descriptor = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0))
    let address = try Sockets.localAddress(descriptor)
    listener = try Listener(descriptor, address: address, on: loop) { connection, peer in
      kept.descriptors.append(Held(connection))
      kept.peers.append(peer)
    }
    accepted = kept
  }

  @Test func aConnectionIsAcceptedAndCarriesBytes() throws {
    let answer = Answer()
    let connector = Connector(
      to: listener.address, on: loop, within: .seconds(5), finished: answer.take)
    #expect(answer.calls == 0, "never from within the call")
    turn(loop, "both ends") { answer.calls == 1 && accepted.descriptors.count == 1 }
    #expect(answer.error == nil)
    #expect(accepted.peers == [.remote(address: "127.0.0.1")])
    #expect(Syscalls.send(answer.descriptor, [7], from: 0) == .count(1))
    var buffer: [UInt8] = [0]
    turn(loop, "a byte") {
      Syscalls.receive(accepted.descriptors[0].descriptor, into: &buffer, at: 0) == .count(1)
    }
    #expect(buffer == [7])
    _ = connector
  }

  @Test func moreConnectionsThanOneTurnTakesAreAllAccepted() throws {
    let count = Listener.acceptsPerTurn * 2 + 3
    var clients: [Held] = []
    for _ in 0..<count { clients.append(Held(try Sockets.connect(to: listener.address).release())) }
    loop.turn(waiting: .seconds(5))
    #expect(accepted.descriptors.count <= Listener.acceptsPerTurn)
    turn(loop, "all connections") { accepted.descriptors.count == count }
    _ = clients
  }

  @Test func closingTakesWhatWaitsInTheQueueFirst() throws {
    let count = Listener.acceptsPerTurn * 2 + 3
    var clients: [Held] = []
    for _ in 0..<count { clients.append(Held(try Sockets.connect(to: listener.address).release())) }
    listener.close()
    #expect(accepted.descriptors.count == count)
    listener.close()
    let answer = Answer()
    let connector = Connector(
      to: listener.address, on: loop, within: .seconds(5), finished: answer.take)
    turn(loop, "the refusal") { answer.calls == 1 }
    #expect(answer.error?.isConnectionRefused == true)
    _ = (clients, connector)
  }

  @Test func aRefusedConnectionIsAnsweredOnce() throws {
    let closed = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0))
    let address = try Sockets.localAddress(closed)
    var gone = closed
    gone.close()
    let answer = Answer()
    let connector = Connector(to: address, on: loop, within: .seconds(5), finished: answer.take)
    turn(loop, "the refusal") { answer.calls == 1 }
    settle(loop)
    #expect(answer.calls == 1)
    #expect(answer.error?.isConnectionRefused == true)
    let isOpen = answer.descriptor.isOpen
    #expect(!isOpen)
    _ = connector
  }

  @Test func aUnixSocketThatIsNotThereIsAnError() throws {
    let answer = Answer()
    let connector = Connector(
      to: .unix(path: "/nowhere/at/all.sock"), on: loop, within: .seconds(5),
      finished: answer.take)
    #expect(answer.calls == 0)
    // One turn without a limit to its sleep: the answer must not wait for something else.
    loop.turn(waiting: .seconds(20))
    #expect(answer.error?.isNotFound == true)
    _ = connector
  }

  @Test func aConnectionThatIsNotAnsweredTimesOut() throws {
    // A listener whose queue is full leaves further attempts without an answer.
    let full = try FullListener()
    let answer = Answer()
    let start = SystemClock.monotonic()
    let connector = Connector(
      to: full.address, on: loop, within: .milliseconds(100), finished: answer.take)
    turn(loop, "the deadline") { answer.calls == 1 }
    #expect(answer.error?.code == 110, "ETIMEDOUT")
    #expect(SystemClock.monotonic().since(start) >= .milliseconds(100))
    settle(loop)
    #expect(answer.calls == 1)
    _ = connector
  }

  @Test func aCancelledAttemptIsNotAnswered() throws {
    let full = try FullListener()
    let answer = Answer()
    let connector = Connector(
      to: full.address, on: loop, within: .milliseconds(20), finished: answer.take)
    connector.cancel()
    connector.cancel()
    let passed = SystemClock.monotonic() + .milliseconds(60)
    turn(loop, "the time") { SystemClock.monotonic() > passed }
    #expect(answer.calls == 0)
  }

  @Test func aListenerMayBeClosedFromItsOwnCallback() throws {
    let descriptor = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0))
    let address = try Sockets.localAddress(descriptor)
    let held = Box()
    var count = 0
    held.listener = try Listener(descriptor, address: address, on: loop) { connection, _ in
      count += 1
      _ = Held(connection)
      held.listener?.close()
    }
    let clients = try (0..<5).map { _ in Held(try Sockets.connect(to: address).release()) }
    turn(loop, "the connections") { count == 5 }
    settle(loop)
    #expect(count == 5)
    _ = clients
  }

  private final class Box {
    var listener: Listener?
  }

  /// A listening address whose queue has been filled, so that it answers nobody any more.
  private final class FullListener {
    let address: SocketAddress
    private let descriptor: Descriptor
    private var clients: [Held] = []

    init() throws {
      descriptor = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0))
      address = try Sockets.localAddress(descriptor)
      // Listening again lowers the queue's length; one connection then fills it.
      try #require(listen(descriptor.number, 0) == 0)
      clients = [Held(try Sockets.connect(to: address).release())]
      clients.append(Held(try Sockets.connect(to: address).release()))
    }
  }
}
