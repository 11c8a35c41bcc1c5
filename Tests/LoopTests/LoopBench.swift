import Loop
import Platform
import Testing

/// Turns `loop` until `isDone` says so; an issue is recorded when that takes over ten seconds.
func turn(
  _ loop: EventLoop, _ what: Comment, within: Duration = .seconds(10),
  sourceLocation: SourceLocation = #_sourceLocation, until isDone: () -> Bool
) {
  let deadline = SystemClock.monotonic() + within
  while !isDone() {
    guard SystemClock.monotonic() < deadline else {
      Issue.record("not within \(within): \(what)", sourceLocation: sourceLocation)
      return
    }
    loop.turn(waiting: .milliseconds(20))
  }
}

/// Turns `loop` a few times without waiting, for what must *not* happen.
func settle(_ loop: EventLoop, turns: Int = 5) {
  for _ in 0..<turns { loop.turn(waiting: .zero) }
}

/// A stream owner that keeps what it is told.
final class Recorder: StreamOwner {
  var received: [UInt8] = []
  var calls = 0
  var drained = 0
  var end: StreamEnd?
  var ends = 0
  /// How many of the bytes offered are taken; all by default.
  var takes: (Int) -> Int = { $0 }
  var onReceived: (Stream) -> Void = { _ in }
  var onDrained: (Stream) -> Void = { _ in }
  var onEnded: (Stream) -> Void = { _ in }

  func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    #expect(end == nil, "bytes after the end")
    calls += 1
    let taken = takes(bytes.count)
    for index in 0..<taken { received.append(bytes[index]) }
    onReceived(stream)
    return taken
  }

  func streamDrained(_ stream: Stream) {
    #expect(end == nil, "drained after the end")
    drained += 1
    onDrained(stream)
  }

  func streamEnded(_ stream: Stream, _ end: StreamEnd) {
    self.end = end
    ends += 1
    onEnded(stream)
  }
}

/// A stream on a loop and the other end of its connection as a bare descriptor.
final class Wired {
  let loop: EventLoop
  let stream: Stream
  let owner = Recorder()
  var peer: Descriptor

  init(sendBuffer: Int32? = nil, start: Bool = true) throws {
    var pair = try Sockets.pair()
    var first = Descriptor(owning: -1)
    swap(&first, &pair.first)
    var second = Descriptor(owning: -1)
    swap(&second, &pair.second)
    if let sendBuffer { Sockets.setSendBuffer(first, bytes: sendBuffer) }
    loop = try EventLoop()
    stream = Stream(first, on: loop)
    peer = second
    if start { try stream.start(owner) }
  }

  /// Writes all of `bytes` at the peer's end; they must fit the socket.
  func peerSends(_ bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) {
    let outcome = Syscalls.send(peer, bytes, from: 0)
    #expect(outcome == .count(bytes.count), sourceLocation: sourceLocation)
  }

  /// Reads at the peer's end what is there now, at most `limit` bytes; nil at the end of stream.
  func peerReads(limit: Int = .max) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: min(limit, 65_536))
    switch Syscalls.receive(peer, into: &buffer, at: 0) {
    case .count(let count): return Array(buffer[..<count])
    case .wouldBlock: return []
    case .endOfStream, .failed: return nil
    }
  }

  /// Turns the loop and reads at the peer until `count` bytes are there or the stream has ended.
  func peerReceives(
    _ count: Int, chunk: Int = .max, sourceLocation: SourceLocation = #_sourceLocation
  ) -> [UInt8] {
    var received: [UInt8] = []
    let deadline = SystemClock.monotonic() + .seconds(20)
    while received.count < count {
      loop.turn(waiting: .zero)
      guard let bytes = peerReads(limit: min(chunk, count - received.count)) else { break }
      received += bytes
      guard SystemClock.monotonic() < deadline else {
        Issue.record("\(received.count) of \(count) bytes came", sourceLocation: sourceLocation)
        break
      }
    }
    return received
  }
}

/// Compares long byte strings, naming the first difference: a whole diff would take minutes.
func expectSame(
  _ found: [UInt8], _ expected: [UInt8], _ comment: Comment = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard found != expected else { return }
  let index = zip(found, expected).prefix { $0 == $1 }.reduce(0) { count, _ in count + 1 }
  Issue.record(
    "\(found.count) of \(expected.count) bytes, the same up to \(index) \(comment)",
    sourceLocation: sourceLocation)
}
