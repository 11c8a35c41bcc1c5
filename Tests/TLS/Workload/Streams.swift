import Loop
import Platform
import TLS
import TLSStream
import TestKit

/// `count` connections over sockets on one loop, sixteen at a time: reset at any moment, closed with
/// or without a word, or used to their end. The exit code.
func streams(count: Int, seed: UInt64) throws -> Int32 {
  var random = SeededGenerator(seed: seed)
  let loop = try EventLoop()
  let certificate = try TLSCertificate.selfSigned(names: ["localhost"])
  let server = try TLSContext(server: certificate, resumption: .tickets)
  let client = try TLSContext(clientOf: "localhost", roots: certificate.chain)
  var running: [StreamPair] = []
  var tally = Tally()
  var begun = 0
  while begun < count || !running.isEmpty {
    while begun < count, running.count < 16 {
      running.append(try StreamPair(loop, client, server, ending: begun % 5))
      begun += 1
    }
    for pair in running { pair.act(&random) }
    loop.turn(waiting: .milliseconds(1))
    running.removeAll { pair in
      guard pair.isOver else { return false }
      tally.add(pair)
      return true
    }
  }
  // Timers of closed streams hold them: a checker of leaks is to see what nobody will ever let go.
  if count >= 10_000 { settle(loop, for: Stream.closingMax + .seconds(1)) }
  print("\(count) streams: \(tally.opened) opened, \(tally.whole) whole, the others were cut; seed \(seed)")
  let isSound = tally.whole >= count / 6 && tally.opened < count && tally.wrong == 0
  print(isSound ? "1 passed, 0 failed" : "0 passed, 1 failed")
  return isSound ? 0 : 1
}

private func settle(_ loop: EventLoop, for time: Duration) {
  let deadline = SystemClock.monotonic() + time
  while SystemClock.monotonic() < deadline { loop.turn(waiting: .milliseconds(50)) }
}

private struct Tally {
  var opened = 0
  var whole = 0
  var wrong = 0

  mutating func add(_ pair: StreamPair) {
    if pair.server.opened { opened += 1 }
    if pair.client.received == StreamPair.answerBytes { whole += 1 }
    if pair.client.received > StreamPair.answerBytes { wrong += 1 }
  }
}

private final class End: StreamOwner {
  var opened = false
  var received = 0
  var isOver = false
  var finished: (Stream) -> Void = { _ in }

  func streamOpened(_ stream: Stream) { opened = true }
  func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    received += bytes.count
    finished(stream)
    return bytes.count
  }
  func streamDrained(_ stream: Stream) {}
  func streamEnded(_ stream: Stream, _ end: StreamEnd) {
    isOver = true
    finished = { _ in }
  }
}

/// A client that asks and a server that answers and closes; or one of them is in a hurry.
private final class StreamPair {
  static let answerBytes = 50_000

  let client = End()
  let server = End()
  private let ends: [Stream]
  private let ending: Int

  init(_ loop: EventLoop, _ clientContext: TLSContext, _ serverContext: TLSContext, ending: Int)
    throws
  {
    var pair = try Sockets.pair()
    var first = Descriptor(owning: -1)
    swap(&first, &pair.first)
    var second = Descriptor(owning: -1)
    swap(&second, &pair.second)
    ends = [
      Stream(first, on: loop, transform: TLSTransform(clientContext)),
      Stream(second, on: loop, transform: TLSTransform(serverContext)),
    ]
    self.ending = ending
    try ends[0].start(client)
    try ends[1].start(server)
    ends[0].send([1])
    server.finished = { stream in
      stream.send([UInt8](repeating: 2, count: Self.answerBytes))
      stream.closeAfterWriting()
    }
  }

  var isOver: Bool { client.isOver && server.isOver }

  /// Two of five are left alone.
  func act(_ random: inout SeededGenerator) {
    guard ending >= 2, Int.random(in: 0..<3, using: &random) == 0 else { return }
    let end = ends[Int.random(in: 0...1, using: &random)]
    if ending == 2 { end.close() } else { end.abort() }
  }
}
