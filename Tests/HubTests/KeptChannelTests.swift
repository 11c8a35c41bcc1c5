import Bytes
import TestKit
import Testing
import Wire

@testable import HubCore

/// A channel's ring beside the list it stands for.
@Suite struct KeptChannelTests {
  private struct Model {
    var events: [(offset: UInt64, addedMs: Int64)] = []
    var head: UInt64 = 0

    mutating func add(_ policy: HistoryPolicy, _ nowMs: Int64) {
      head += 1
      events.append((head, nowMs))
      trim(policy, nowMs)
    }

    mutating func trim(_ policy: HistoryPolicy, _ nowMs: Int64) {
      events.removeAll { nowMs - $0.addedMs > policy.ageMs }
      events.removeFirst(max(0, events.count - policy.count))
    }
  }

  private func compare(_ kept: KeptChannel, _ model: Model, _ seed: UInt64) {
    let offsets = (0..<kept.count).compactMap { kept[$0]?.event.offset.value }
    #expect(offsets == model.events.map(\.offset), "seed \(seed)")
    #expect(kept.head.value == model.head, "seed \(seed)")
    #expect(kept.floor.value == model.head - UInt64(model.events.count), "seed \(seed)")
    #expect((kept.bytes == 0) == model.events.isEmpty, "seed \(seed)")
    #expect(kept[kept.count] == nil, "seed \(seed)")
    for offset in [0, kept.floor.value, model.head / 2, model.head, model.head + 3] {
      let expected = model.events.firstIndex { $0.offset > offset } ?? model.events.count
      #expect(kept.index(after: Offset(offset)) == expected, "seed \(seed), offset \(offset)")
    }
  }

  /// A list by number may hold it for long.
  @Test func whoIsForgottenHoldsNoEvents() throws {
    let kept = KeptChannel(
      channel("a"), epoch: Epoch(random: (1, 2)), policy: HistoryPolicy(count: 5, ageMs: 100))
    for number in 0..<3 { _ = kept.add(event("\(number)"), 0) }
    kept.discard()
    #expect(kept.isForgotten && kept.count == 0 && kept.bytes == 0 && kept[0] == nil)
    kept.trim(1_000)
    #expect(kept.dropFirst() == 0)
  }

  @Test(arguments: 1...40 as ClosedRange<UInt64>)
  func theRingHoldsWhatAListWould(_ seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    var policy = HistoryPolicy(count: 5, ageMs: 100)
    let epoch = Epoch(random: (seed, seed))
    let kept = KeptChannel(channel("a"), epoch: epoch, policy: policy)
    var model = Model()
    var nowMs: Int64 = 0
    for _ in 0..<400 {
      switch Int.random(in: 0..<20, using: &generator) {
      case 0:
        let wider = HistoryPolicy(
          count: .random(in: 1...40, using: &generator),
          ageMs: .random(in: 10...500, using: &generator))
        model.trim(policy, nowMs)
        policy = wider
        kept.set(policy, nowMs)
        model.trim(policy, nowMs)
      case 1...3: nowMs += .random(in: 0...60, using: &generator)
      case 4:
        kept.trim(nowMs)
        model.trim(policy, nowMs)
      case 5:
        if !model.events.isEmpty { model.events.removeFirst() }
        kept.dropFirst()
      case 6 where Int.random(in: 0..<8, using: &generator) == 0:
        model.events = []
        kept.clear()
      default:
        let position = kept.add(event(), nowMs)
        model.add(policy, nowMs)
        #expect(position.offset.value == model.head, "seed \(seed)")
      }
      // What is too old may stay until it is looked at; both sides look now.
      kept.trim(nowMs)
      model.trim(policy, nowMs)
      compare(kept, model, seed)
    }
  }

  @Test func readingBackwardsFromBeyondTheHeadBeginsWithTheNewest() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    for number in 1...5 {
      _ = history.append(event("\(number)"), to: channel("a"), policy: .keeping(3))
    }
    #expect(history.page(read("a", isReverse: true)).offsets == [5, 4, 3])
    #expect(history.page(read("a", after: 99, isReverse: true)).offsets == [5, 4, 3])
    #expect(history.page(read("a", after: 5, isReverse: true)).offsets == [4, 3])
    #expect(history.page(read("a", after: 3, isReverse: true)).offsets == [])
    #expect(history.page(read("a", after: 1, isReverse: true)).offsets == [])
  }

  @Test func aNumberThatStandsForAnotherChannelNowFindsThatOne() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    // Both names have the same number in these tests.
    for number in 1...4 {
      let name = number.isMultiple(of: 2) ? "even" : "zero"
      let appended = history.append(event("\(number)"), to: channel(name), policy: .keeping(9))
      #expect(try appended.get().position.offset.value == UInt64((number + 1) / 2))
    }
    #expect(history.page(read("even")).texts == ["2", "4"])
    #expect(history.page(read("zero")).texts == ["1", "3"])
  }
}
