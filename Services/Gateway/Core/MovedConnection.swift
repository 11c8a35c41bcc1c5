internal import HTTPCodec
internal import Loop
internal import Platform
internal import Synchronization

/// A client's connection on its way from one loop to the one that holds its Engine.IO session, with the
/// request that showed it. Any thread; the descriptor is taken once.
final class MovedConnection: Sendable {
  private let descriptor: Mutex<Descriptor?>
  let peer: PeerIdentity
  /// The peer, or for whom it speaks.
  let client: PeerIdentity
  let head: HTTPRequestHead
  /// What came behind the head.
  let rest: [UInt8]
  /// The loop it comes from keeps the client's own connection, which speaks TLS, and counts it.
  let isRelayed: Bool

  init(
    _ descriptor: consuming Descriptor, _ peer: PeerIdentity, _ client: PeerIdentity,
    _ head: HTTPRequestHead, _ rest: [UInt8], isRelayed: Bool
  ) {
    self.descriptor = Mutex(descriptor)
    self.peer = peer
    self.client = client
    self.head = head
    self.rest = rest
    self.isRelayed = isRelayed
  }

  func takeDescriptor() -> Descriptor? { descriptor.withLock { $0.take() } }
}

/// A TLS connection whose session another loop holds: its plaintext goes on over a pair of sockets, to
/// which that loop speaks as to any client. A TLS connection itself stays on its thread.
///
/// Each side is read only as far as the other takes it. Loop-confined.
final class ConnectionRelay: StreamOwner, Conversation {
  private let outer: Stream
  private let inner: Stream

  /// BUDGET: what one side may be ahead of the other, in each direction.
  private static let aheadMax = 128 * 1024

  init(_ outer: Stream, _ descriptor: consuming Descriptor, on loop: EventLoop) {
    self.outer = outer
    inner = Stream(descriptor, on: loop)
  }

  func start() throws(SystemError) { try inner.start(self) }

  // MARK: the client's side

  func received(_ bytes: borrowing Span<UInt8>) -> Int {
    inner.send(bytes)
    if inner.queuedBytes > Self.aheadMax {
      outer.pauseReading()
      inner.tellWhenEmpty()
    }
    return bytes.count
  }

  var heldBytes: Int { inner.heldBytes }
  func drained() { inner.resumeReading() }
  func letGoForMemory() { outer.abort() }
  func ended() { inner.close() }

  // MARK: the other loop's side

  func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    outer.send(bytes)
    if outer.queuedBytes > Self.aheadMax {
      inner.pauseReading()
      outer.tellWhenEmpty()
    }
    return bytes.count
  }

  func streamDrained(_ stream: Stream) { outer.resumeReading() }
  func streamEnded(_ stream: Stream, _ end: StreamEnd) { outer.closeAfterWriting() }
}
