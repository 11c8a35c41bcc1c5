import Bytes
import TestKit
import Testing
import Wire

@testable import HubCore

struct MemoryHistoryTests {
  @Test func offsetsAreDenseFromOneAndAnEpochIsGiven() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    let first = try history.append(event(), to: channel("a"), policy: .keeping(10)).get()
    let second = try history.append(event(), to: channel("a"), policy: .keeping(10)).get()
    let other = try history.append(event(), to: channel("b"), policy: .keeping(10)).get()
    #expect(first.position.offset == Offset(1))
    #expect(second.position == Position(epoch: first.position.epoch, offset: Offset(2)))
    #expect(other.position.offset == Offset(1))
    #expect(other.position.epoch != first.position.epoch)
  }

  @Test func openingGivesAnEmptyChannelTheEpochThatItsEventsWillHave() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    let head = history.open(channel("a"), policy: .keeping(10))
    #expect(head.head == .zero && head.floor == .zero)
    let appended = try history.append(event(), to: channel("a"), policy: .keeping(10)).get()
    #expect(appended.position.epoch == head.epoch)
    #expect(history.head(of: channel("b")) == nil)
  }

  @Test func aRemovedHistoryLeavesItsOffsetsAndTheRoomItTook() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    func remove(_ name: ChannelName) throws -> StreamHead? {
      var found: StreamHead?
      history.remove(name) { found = try? $0.get() }
      return found
    }
    for number in 1...9 {
      _ = history.append(event("\(number)"), to: channel("a"), policy: .keeping(8))
    }
    let before = history.page(read("a"))
    let removed = try remove(channel("a"))
    #expect(removed?.floor == Offset(9) && removed?.head == Offset(9))
    #expect(removed?.epoch == before.epoch && history.holdingCount == 0)
    #expect(history.page(read("a")).offsets == [])
    let next = try history.append(event("10"), to: channel("a"), policy: .keeping(8)).get()
    #expect(next.position == Position(epoch: try #require(before.epoch), offset: Offset(10)))
    #expect(history.page(read("a")).texts == ["10"])
    #expect(try remove(channel("none"))?.epoch == nil && history.channelCount == 1)
  }

  @Test func theOldestLeaveAtTheCountAndTheFloorSaysSo() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    for number in 1...5 {
      _ = history.append(event("\(number)"), to: channel("a"), policy: .keeping(3))
    }
    let page = history.page(read("a"))
    #expect(page.offsets == [3, 4, 5])
    #expect(page.texts == ["3", "4", "5"])
    #expect(page.floor == Offset(2) && page.head == Offset(5) && !page.hasMore)
  }

  /// SIGHUP: what is over the new bounds goes with what comes next.
  @Test func otherBoundsHoldFromTheNextPublicationOn() {
    let history = MemoryHistory(bytesMax: 1 << 20)
    for number in 0..<100 {
      _ = history.append(event("\(number)"), to: channel("c\(number)"), policy: .keeping(10))
    }
    history.adopt(
      HubLimits(linkChannels: 16, channels: 50, historyBytes: 1, keys: 1, keyWindowMs: 1_000))
    #expect(history.channelCount == 100 && history.page(read("c0")).texts == ["0"])
    _ = history.append(event("new"), to: channel("new"), policy: .keeping(10))
    #expect(history.page(read("c0")).texts.isEmpty && history.page(read("c99")).texts.isEmpty)
    #expect(history.channelCount <= 100)
  }

  @Test func theOldLeaveWithTheirAgeAndHeadAndEpochStay() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    let policy = HistoryPolicy.keeping(10, ageMs: 1000)
    let first = try history.append(event("1"), to: channel("a"), policy: policy).get()
    history.expire(nowMs: 900)
    _ = history.append(event("2"), to: channel("a"), policy: policy)
    history.expire(nowMs: 1001)
    #expect(history.page(read("a")).texts == ["2"])
    history.expire(nowMs: 5000)
    let page = history.page(read("a"))
    #expect(page.events.isEmpty && page.floor == Offset(2) && page.head == Offset(2))
    #expect(page.epoch == first.position.epoch)
  }

  @Test func whatIsPastItsAgeIsNeverGivenOutHoweverManyChannelsThereAre() throws {
    let history = MemoryHistory(bytesMax: 1 << 30)
    let policy = HistoryPolicy.keeping(10, ageMs: 1000)
    let count = MemoryHistory.sliceMax + 10
    for number in 0..<count {
      _ = history.append(event(), to: channel("c\(number)"), policy: policy)
    }
    history.expire(nowMs: 2000)
    // One call left ten; whoever asks for one of them finds its event gone.
    #expect(history.holdingCount == 10)
    for number in [0, 1, 5, count - 1] {
      #expect(history.page(read("c\(number)")).events.isEmpty)
      #expect(history.head(of: channel("c\(number)"))?.floor == Offset(1))
    }
    history.expire(nowMs: 3000)
    #expect(history.holdingCount == 0 && history.channelCount == count)
  }

  @Test func quietHistoriesAreForgottenWithTheirEpochAfterThirtyDays() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    let policy = HistoryPolicy.keeping(10, ageMs: 1000)
    let first = try history.append(event(), to: channel("a"), policy: policy).get()
    history.expire(nowMs: 2000)
    _ = history.open(channel("b"), policy: policy)
    history.expire(nowMs: 2000 + MemoryHistory.metadataMs)
    #expect(history.head(of: channel("a"))?.epoch == first.position.epoch)
    _ = history.open(channel("b"), policy: policy)
    history.expire(nowMs: 2001 + MemoryHistory.metadataMs)
    #expect(history.head(of: channel("a")) == nil)
    #expect(history.head(of: channel("b")) != nil, "it was opened again meanwhile")
  }

  @Test func pastTheBoundTheQuietestWithoutEventsIsForgottenFirst() {
    let history = MemoryHistory(bytesMax: 1 << 20, channelsMax: 3)
    _ = history.append(event(), to: channel("full"), policy: .keeping(10))
    _ = history.open(channel("a"), policy: .keeping(10))
    _ = history.open(channel("b"), policy: .keeping(10))
    _ = history.open(channel("a"), policy: .keeping(10))
    _ = history.open(channel("c"), policy: .keeping(10))
    #expect(history.channelCount == 3 && history.head(of: channel("b")) == nil)
    _ = history.append(event(), to: channel("a"), policy: .keeping(10))
    _ = history.append(event(), to: channel("c"), policy: .keeping(10))
    _ = history.append(event(), to: channel("d"), policy: .keeping(10))
    #expect(history.head(of: channel("full")) == nil && history.channelCount == 3)
    #expect(history.holdingCount == 3)
  }

  @Test func aChannelThatNeverHadAnEventIsForgottenWhenNobodyHasItOpen() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    let empty = history.open(channel("empty"), policy: .keeping(10))
    let used = try history.append(event(), to: channel("used"), policy: .keeping(10)).get()
    for name in ["empty", "used", "unknown"] { history.forgetUnused(channel(name)) }
    #expect(history.channelCount == 1)
    #expect(history.head(of: channel("used"))?.epoch == used.position.epoch)
    #expect(history.open(channel("empty"), policy: .keeping(10)).epoch != empty.epoch)
  }

  @Test func theClockNeverRunsBackwards() {
    let history = MemoryHistory(bytesMax: 1 << 20)
    history.expire(nowMs: 10_000)
    _ = history.append(event(), to: channel("a"), policy: .keeping(10, ageMs: 1000))
    history.expire(nowMs: 0)
    history.expire(nowMs: 10_900)
    #expect(history.page(read("a")).events.count == 1)
  }

  @Test func pastTheBytesTheQuietestChannelLosesItsOldest() {
    let history = MemoryHistory(bytesMax: 20_000)
    history.expire(nowMs: 1)
    for _ in 0..<8 {
      _ = history.append(
        event(String(repeating: "q", count: 1000)), to: channel("quiet"), policy: .keeping(100))
    }
    history.expire(nowMs: 2)
    for _ in 0..<12 {
      _ = history.append(
        event(String(repeating: "b", count: 1000)), to: channel("busy"), policy: .keeping(100))
    }
    let quiet = history.page(read("quiet"))
    #expect(quiet.events.count < 8)
    #expect(quiet.head == Offset(8))
    #expect(quiet.floor.value + UInt64(quiet.events.count) == 8)
    #expect(history.page(read("busy")).events.count == 12)
  }

  @Test func theSameKeyAndPayloadPublishesNothingAndAnswersTheFirstPosition() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    let first = try history.append(event("x", key: "k"), to: channel("a"), policy: .keeping(10))
      .get()
    let again = try history.append(event("x", key: "k"), to: channel("a"), policy: .keeping(10))
      .get()
    #expect(again.isDuplicate && again.position == first.position && !first.isDuplicate)
    #expect(history.head(of: channel("a"))?.head == Offset(1))
  }

  @Test func theSameKeyWithAnotherPayloadIsRefused() {
    let history = MemoryHistory(bytesMax: 1 << 20)
    _ = history.append(event("x", key: "k"), to: channel("a"), policy: .keeping(10))
    let second = history.append(event("y", key: "k"), to: channel("a"), policy: .keeping(10))
    #expect(failure(second) == .idempotencyConflict)
    #expect(history.head(of: channel("a"))?.head == Offset(1))
  }

  @Test func aKeyIsForgottenAfterItsWindow() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    _ = history.append(event("x", key: "k"), to: channel("a"), policy: .keeping(10))
    history.expire(nowMs: IdempotencyKeys.windowMs)
    let again = try history.append(event("x", key: "k"), to: channel("a"), policy: .keeping(10))
      .get()
    #expect(!again.isDuplicate && again.position.offset == Offset(2))
  }

  @Test func anExpectedOffsetThatDoesNotHoldAppendsNothing() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    #expect(
      failure(history.append(event(expected: 1), to: channel("a"), policy: .keeping(10)))
        == .offsetConflict)
    _ = try history.append(event(expected: 0), to: channel("a"), policy: .keeping(10)).get()
    #expect(
      failure(history.append(event(expected: 0), to: channel("a"), policy: .keeping(10)))
        == .offsetConflict)
    _ = try history.append(event(expected: 1), to: channel("a"), policy: .keeping(10)).get()
    #expect(history.head(of: channel("a"))?.head == Offset(2))
  }

  @Test func aRefusedExpectationDoesNotRememberTheKey() throws {
    let history = MemoryHistory(bytesMax: 1 << 20)
    _ = history.append(event("x", key: "k", expected: 5), to: channel("a"), policy: .keeping(10))
    let second = try history.append(event("x", key: "k"), to: channel("a"), policy: .keeping(10))
      .get()
    #expect(!second.isDuplicate)
  }

  @Test func pagesAreCutByCountAndByBytesAndSaySo() {
    let history = MemoryHistory(bytesMax: 1 << 20)
    for _ in 0..<6 {
      _ = history.append(event("1234567890"), to: channel("a"), policy: .keeping(10))
    }
    let byCount = history.page(read("a", after: 1, count: 2))
    #expect(byCount.offsets == [2, 3] && byCount.hasMore)
    let byBytes = history.page(read("a", bytes: 35))
    #expect(byBytes.offsets == [1, 2, 3] && byBytes.hasMore)
    let atLeastOne = history.page(read("a", bytes: 0))
    #expect(atLeastOne.offsets == [1] && atLeastOne.hasMore)
    #expect(history.page(read("a", after: 4)).offsets == [5, 6])
    #expect(!history.page(read("a", after: 4, count: 2)).hasMore)
    let headOnly = history.page(read("a", count: 0))
    #expect(headOnly.events.isEmpty && headOnly.head == Offset(6))
    #expect(history.page(read("a", after: .max)).events.isEmpty)
  }

  @Test func reverseReadsComeNewestFirst() {
    let history = MemoryHistory(bytesMax: 1 << 20)
    for _ in 0..<5 { _ = history.append(event(), to: channel("a"), policy: .keeping(4)) }
    #expect(history.page(read("a", isReverse: true)).offsets == [5, 4, 3, 2])
    let page = history.page(read("a", after: 4, count: 1, isReverse: true))
    #expect(page.offsets == [3] && page.hasMore)
    #expect(history.page(read("a", after: 3, isReverse: true)).offsets == [2])
  }

  @Test func anUnknownChannelHasAnEmptyPageWithoutAnEpoch() {
    let page = MemoryHistory(bytesMax: 1).page(read("a"))
    #expect(page.epoch == nil && page.events.isEmpty && page.head == .zero)
  }

  /// A page that a peer asks to be of any size still fits a frame.
  @Test func aPageNeverOutgrowsTheFrameThatCarriesIt() {
    let history = MemoryHistory(bytesMax: 1 << 30)
    let large = String(repeating: "x", count: 1 << 20)
    for _ in 0..<20 { _ = history.append(event(large), to: channel("a"), policy: .keeping(100)) }
    let page = history.page(read("a", count: .max, bytes: .max))
    #expect(page.hasMore)
    var writer = ByteWriter()
    HistoryPage(page).encode(into: &writer)
    #expect(writer.bytes.count <= Kind.historyPage.bodyBytesMax)
  }

  @Test(arguments: [1, 2, 3, 4, 379_483_849_931_870_895] + [UInt64.random(in: 100...(.max))])
  func agreesWithAModelUnderRandomUse(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let history = MemoryHistory(bytesMax: 1 << 30)
    var model = HistoryModel()
    var nowMs: Int64 = 0
    for step in 0..<2_000 {
      let name = "c\(Int.random(in: 0..<3, using: &random))"
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<6:
        let policy = HistoryPolicy.keeping(
          Int.random(in: 1...12, using: &random),
          ageMs: Int64.random(in: 500...5000, using: &random))
        let text = String(Int.random(in: 0..<100_000, using: &random))
        let expected =
          Int.random(in: 0..<8, using: &random) == 0
          ? UInt64.random(in: 0...40, using: &random) : nil
        let result = history.append(
          event(text, expected: expected), to: channel(name), policy: policy)
        let offset = (try? result.get())?.position.offset.value
        #expect(
          offset == model.append(text, expected, to: name, policy, nowMs),
          "seed \(seed) step \(step)")
      case 6..<7:
        nowMs += Int64.random(in: 0...800, using: &random)
        history.expire(nowMs: nowMs)
        model.expire(nowMs)
      default:
        let after = UInt64.random(in: 0...60, using: &random)
        let count = UInt32.random(in: 0...8, using: &random)
        let isReverse = Bool.random(using: &random)
        let page = history.page(read(name, after: after, count: count, isReverse: isReverse))
        let wanted = model.page(name, after: after, count: Int(count), isReverse: isReverse)
        #expect(page.texts == wanted.texts, "seed \(seed) step \(step)")
        #expect(page.hasMore == wanted.hasMore, "seed \(seed) step \(step)")
        #expect(
          page.floor.value == wanted.floor && page.head.value == wanted.head,
          "seed \(seed) step \(step)")
      }
    }
  }
}

private func failure(_ result: Result<HistoryAppend, Failure>) -> ErrorCode? {
  if case .failure(let failure) = result { failure.code } else { nil }
}

/// The same promises in the plainest way: lists that are filtered.
private struct HistoryModel {
  struct Item { var offset: UInt64, text: String, addedMs: Int64 }
  struct Channel { var head: UInt64 = 0, items: [Item] = [], policy = HistoryPolicy.keeping(1) }
  var channels: [String: Channel] = [:]

  mutating func append(
    _ text: String, _ expected: UInt64?, to name: String, _ policy: HistoryPolicy, _ nowMs: Int64
  ) -> UInt64? {
    var channel = channels[name] ?? Channel(policy: policy)
    defer { channels[name] = channel }
    if let expected, expected != channel.head { return nil }
    channel.head += 1
    channel.policy = policy
    channel.items.append(Item(offset: channel.head, text: text, addedMs: nowMs))
    trim(&channel, nowMs)
    return channel.head
  }

  private func trim(_ channel: inout Channel, _ nowMs: Int64) {
    let policy = channel.policy
    channel.items.removeAll { nowMs - $0.addedMs > policy.ageMs }
    channel.items = channel.items.suffix(policy.count)
  }

  mutating func expire(_ nowMs: Int64) {
    for name in channels.keys {
      guard var channel = channels[name] else { continue }
      trim(&channel, nowMs)
      channels[name] = channel
    }
  }

  func page(_ name: String, after: UInt64, count: Int, isReverse: Bool)
    -> (texts: [String], hasMore: Bool, floor: UInt64, head: UInt64)
  {
    let channel = channels[name] ?? Channel()
    var items =
      isReverse
      ? channel.items.filter { after == 0 || $0.offset < after }.reversed()
      : channel.items.filter { $0.offset > after }
    let hasMore = count > 0 && items.count > count
    items = Array(items.prefix(count))
    let floor = channel.head - UInt64(channel.items.count)
    return (items.map(\.text), hasMore, floor, channel.head)
  }
}
