import Loop
import Platform
import TestKit
import Testing

@Suite struct StreamWritingTests {
  @Test func whatIsSentInOneTurnLeavesInOrder() throws {
    let wired = try Wired()
    wired.stream.send([1, 2])
    wired.stream.send([])
    wired.stream.send { $0 += [3, 4] }
    wired.stream.send([5, 6].span)
    #expect(wired.stream.queuedBytes == 6)
    #expect(wired.peerReads() == [])
    #expect(wired.peerReceives(6) == [1, 2, 3, 4, 5, 6])
    #expect(wired.stream.queuedBytes == 0)
    #expect(wired.owner.drained == 0, "nothing was blocked")
  }

  @Test func aSlowReaderWithATinyBufferGetsEveryByte() throws {
    let wired = try Wired(sendBuffer: 4_096)
    let bytes = (0..<600_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    wired.stream.send(bytes)
    settle(wired.loop)
    #expect(wired.stream.isBlocked)
    #expect(wired.owner.drained == 0)
    expectSame(wired.peerReceives(bytes.count, chunk: 7_001), bytes)
    settle(wired.loop)
    #expect(wired.owner.drained == 1)
    #expect(!wired.stream.isBlocked)
    #expect(wired.stream.queuedBytes == 0)
  }

  @Test func aSharedChunkGoesOutAtOnceWhenNothingIsBeforeIt() throws {
    let wired = try Wired()
    wired.stream.sendShared([1, 2, 3])
    #expect(wired.peerReads() == [1, 2, 3])
    #expect(wired.stream.queuedBytes == 0)
  }

  @Test func aSharedChunkWaitsForWhatWasSentBefore() throws {
    let wired = try Wired()
    wired.stream.send([1])
    wired.stream.sendShared([2])
    wired.stream.send([3])
    #expect(wired.peerReads() == [])
    #expect(wired.peerReceives(3) == [1, 2, 3])
  }

  @Test func sharedAndOwnBytesKeepTheirOrderWithASlowReader() throws {
    let seed = UInt64.random(in: .min ... .max)
    var random = SeededGenerator(seed: seed)
    let wired = try Wired(sendBuffer: 4_096)
    var expected: [UInt8] = []
    var received: [UInt8] = []
    for _ in 0..<200 {
      let bytes = random.bytes(
        [0, 1, 100, 512, 513, 5_000, 70_000].randomElement(using: &random) ?? 1)
      expected += bytes
      switch Int.random(in: 0..<3, using: &random) {
      case 0: wired.stream.send(bytes)
      case 1: wired.stream.send { $0 += bytes }
      default: wired.stream.sendShared(bytes)
      }
      if Bool.random(using: &random) { wired.loop.turn(waiting: .zero) }
      if Bool.random(using: &random) {
        received += wired.peerReads(limit: Int.random(in: 1...30_000, using: &random)) ?? []
      }
      #expect(wired.stream.queuedBytes <= expected.count - received.count)
    }
    received += wired.peerReceives(expected.count - received.count)
    expectSame(received, expected, "seed \(seed)")
    #expect(wired.stream.queuedBytes == 0)
  }

  @Test func closingAfterWritingDeliversEverythingFirst() throws {
    let wired = try Wired(sendBuffer: 4_096)
    let bytes = [UInt8](repeating: 9, count: 400_000)
    wired.stream.send(bytes)
    wired.stream.closeAfterWriting()
    wired.stream.send([1])
    wired.stream.sendShared([2])
    #expect(!wired.stream.isOpen)
    expectSame(wired.peerReceives(bytes.count + 1), bytes)
    turn(wired.loop, "the end") { wired.owner.end != nil }
    #expect(wired.owner.end == .closedHere)
    #expect(wired.owner.drained == 0)
  }

  @Test func closingAfterWritingDeliversToAPeerThatSendsNoMore() throws {
    let wired = try Wired(sendBuffer: 4_096)
    let bytes = [UInt8](repeating: 9, count: 400_000)
    wired.stream.send(bytes)
    wired.stream.closeAfterWriting()
    wired.peerSends([1, 2, 3])
    Sockets.shutdownWriting(wired.peer)
    expectSame(wired.peerReceives(bytes.count + 1), bytes)
    turn(wired.loop, "the end") { wired.owner.end != nil }
    #expect(wired.owner.end == .closedHere)
    #expect(wired.owner.received == [])
  }

  @Test func closingAfterWritingEndsOurSideAndWaitsForThePeers() throws {
    let wired = try Wired()
    wired.stream.closeAfterWriting()
    #expect(wired.owner.end == nil)
    wired.loop.turn(waiting: .zero)
    #expect(wired.peerReads() == nil, "our side is over at the end of the turn")
    #expect(wired.owner.end == nil)
    Sockets.shutdownWriting(wired.peer)
    turn(wired.loop, "the end") { wired.owner.end != nil }
    #expect(wired.owner.end == .closedHere)
  }

  @Test func aPeerThatNeverClosesIsWaitedForOnlySoLong() throws {
    let wired = try Wired()
    wired.stream.closeAfterWriting()
    turn(wired.loop, "the end") { wired.owner.end != nil }
    #expect(wired.owner.end == .closedHere)
  }

  @Test func closingDropsWhatIsQueued() throws {
    let wired = try Wired()
    wired.stream.send([1, 2, 3])
    wired.stream.close()
    #expect(wired.stream.queuedBytes == 0)
    settle(wired.loop)
    #expect(wired.peerReads() == nil)
    #expect(wired.owner.ends == 1)
  }

  @Test func writingToAPeerThatIsGoneEndsTheStreamOnce() throws {
    let wired = try Wired(sendBuffer: 4_096)
    wired.stream.pauseReading()
    wired.stream.send([UInt8](repeating: 1, count: 400_000))
    settle(wired.loop)
    wired.peer.close()
    turn(wired.loop, "the end") { wired.owner.end != nil }
    settle(wired.loop)
    #expect(wired.owner.ends == 1)
    #expect(!wired.stream.isOpen)
    wired.stream.sendShared([1])
    wired.stream.send([1])
    #expect(wired.stream.queuedBytes == 0)
  }

  @Test func whatWasSentBeforeTheStartArrivesAfterIt() throws {
    let wired = try Wired(sendBuffer: 4_096, start: false)
    let bytes = [UInt8](repeating: 5, count: 300_000)
    wired.stream.send(bytes)
    settle(wired.loop)
    try wired.stream.start(wired.owner)
    expectSame(wired.peerReceives(bytes.count), bytes)
  }

  @Test func aDrainedOwnerMaySendAgain() throws {
    let wired = try Wired(sendBuffer: 4_096)
    var left = 3
    wired.owner.onDrained = { stream in
      left -= 1
      if left > 0 { stream.send([UInt8](repeating: 1, count: 200_000)) }
    }
    wired.stream.send([UInt8](repeating: 1, count: 200_000))
    #expect(wired.peerReceives(600_000).count == 600_000)
    settle(wired.loop)
    #expect(wired.owner.drained == 3)
  }
}
