import Platform
import Testing

@testable import EventStoreCore

struct ReadGateTests {
  private func at(_ ms: UInt64) -> Instant { Instant(nanoseconds: ms * 1_000_000) }

  /// Whether each was taken.
  private func add(
    _ reads: some Sequence<Int>, to gate: inout ReadGate<Int>, bytes: Int, until ms: UInt64 = 1000
  ) -> Bool {
    reads.allSatisfy { gate.add($0, bytes: bytes, until: at(ms)) }
  }

  private func started(_ gate: inout ReadGate<Int>, queued: Int = 0, at ms: UInt64 = 0) -> [Int] {
    var list: [Int] = []
    while let step = gate.next(queued: queued, at(ms)) {
      if case .start(let read, _) = step { list.append(read) } else { list.append(-1) }
    }
    return list
  }

  @Test func pagesThatThePeerHasNotTakenHoldBackThoseBehind() {
    var gate = ReadGate<Int>()
    let page = ReadGate<Int>.bytesMax / 4
    #expect(add(1...10, to: &gate, bytes: page))
    #expect(started(&gate) == [1, 2, 3, 4])
    gate.answered(bytes: page)
    // What is answered stands in the queue until the peer has taken it.
    #expect(started(&gate, queued: page) == [])
    #expect(started(&gate, queued: 0) == [5])
    for _ in 0..<4 { gate.answered(bytes: page) }
    #expect(started(&gate, queued: 100 << 20) == [])
    #expect(!gate.isEmpty)
    #expect(started(&gate) == [6, 7, 8, 9])
  }

  @Test func onePageIsReadHoweverLargeOnceNothingElseIsOnItsWay() {
    var gate = ReadGate<Int>()
    #expect(add([1], to: &gate, bytes: ReadGate<Int>.bytesMax * 2))
    #expect(started(&gate, queued: 1) == [])
    #expect(started(&gate) == [1])
    gate.answered(bytes: ReadGate<Int>.bytesMax * 2)
    #expect(gate.isUnused)
  }

  @Test func aReadThatNobodyWaitsForAnyMoreIsNotMade() {
    var late = ReadGate<Int>()
    #expect(add([1], to: &late, bytes: 10, until: 100))
    #expect(add([2], to: &late, bytes: 10, until: 300))
    #expect(started(&late, at: 200) == [-1, 2])
  }

  @Test func moreReadsThanMayWaitAreRefused() {
    var gate = ReadGate<Int>()
    #expect(add(0..<ReadGate<Int>.waitingMax, to: &gate, bytes: 1))
    #expect(!add([0], to: &gate, bytes: 1))
  }
}
