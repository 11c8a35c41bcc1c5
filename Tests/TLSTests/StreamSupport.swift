import Loop
import Platform
import TLS
import TLSStream
import Testing

/// Remembers what a stream told.
final class Owner: StreamOwner {
  var received: [UInt8] = []
  var opened = 0
  var drained = 0
  var end: StreamEnd?
  /// Whether the peer's end is waited for.
  var answersEnd = false
  var isFinished = false
  var onReceive: (Stream, borrowing Span<UInt8>) -> Int? = { _, _ in nil }

  func streamOpened(_ stream: Stream) { opened += 1 }
  func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    let taken = onReceive(stream, bytes) ?? bytes.count
    for index in 0..<taken { received.append(bytes[index]) }
    return taken
  }
  func streamDrained(_ stream: Stream) { drained += 1 }
  func streamPeerFinished(_ stream: Stream) -> Bool {
    isFinished = true
    return answersEnd
  }
  func streamEnded(_ stream: Stream, _ end: StreamEnd) { self.end = end }
}

/// Both ends of a connection on one loop, with TLS between them.
final class SecureEnds {
  let loop: EventLoop
  let client: Stream
  let server: Stream
  let atClient = Owner()
  let atServer = Owner()

  init(_ ends: Ends, on shared: EventLoop? = nil, sendBuffer: Int32? = nil, opens: Bool = true)
    throws
  {
    loop = try shared ?? EventLoop()
    var pair = try Sockets.pair()
    var first = Descriptor(owning: -1)
    swap(&first, &pair.first)
    var second = Descriptor(owning: -1)
    swap(&second, &pair.second)
    if let sendBuffer {
      Sockets.setSendBuffer(first, bytes: sendBuffer)
      Sockets.setSendBuffer(second, bytes: sendBuffer)
    }
    client = Stream(first, on: loop, transform: TLSTransform(ends.client))
    server = Stream(second, on: loop, transform: TLSTransform(ends.server))
    try client.start(atClient)
    try server.start(atServer)
    if opens { turn(loop, "both are open") { atClient.opened == 1 && atServer.opened == 1 } }
  }
}

/// A stream with TLS, and the bare socket at its other end.
final class HalfSecure {
  let loop: EventLoop
  let stream: Stream
  let owner = Owner()
  var peer: Descriptor

  init(_ context: TLSContext, on shared: EventLoop? = nil) throws {
    loop = try shared ?? EventLoop()
    var pair = try Sockets.pair()
    var first = Descriptor(owning: -1)
    swap(&first, &pair.first)
    peer = Descriptor(owning: -1)
    swap(&peer, &pair.second)
    stream = Stream(first, on: loop, transform: TLSTransform(context))
    try stream.start(owner)
  }

  func send(_ bytes: [UInt8]) { _ = Syscalls.send(peer, bytes, from: 0) }

  /// What is there now; nil at the end of the stream.
  func read() -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    switch Syscalls.receive(peer, into: &buffer, at: 0) {
    case .count(let count): return Array(buffer[..<count])
    case .wouldBlock: return []
    case .endOfStream, .failed: return nil
    }
  }

  /// Carries bytes between the stream and a client's machine until both are still.
  func shakeHands(_ client: TLSConnection) throws {
    var output: [UInt8] = []
    try client.start(into: &output)
    turn(loop, "the handshake is over") {
      send(output)
      output = []
      guard let bytes = read() else { return false }
      var plaintext: [UInt8] = []
      try? client.receive(bytes.span, plaintext: &plaintext, output: &output)
      return output.isEmpty && client.state == .open && owner.opened == 1
    }
  }
}

/// Turns until `isDone`, or fails after ten seconds.
func turn(
  _ loop: EventLoop, _ what: Comment, sourceLocation: SourceLocation = #_sourceLocation,
  until isDone: () -> Bool
) {
  let deadline = SystemClock.monotonic() + .seconds(10)
  while !isDone() {
    guard SystemClock.monotonic() < deadline else {
      Issue.record(what, sourceLocation: sourceLocation)
      return
    }
    loop.turn(waiting: .milliseconds(5))
  }
}
