import Bytes
import SQLite
import Testing
import Wire

@testable import EventStoreCore

struct AppendTests {
  @Test func offsetsAreDensePerStreamAndPositionsOverAll() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    let outcomes = try store.commit(
      [request("a", "1", "2"), request("b", "3"), request("a", "4")], at: temporary.now)
    let receipts = outcomes.compactMap(\.receipt)
    #expect(receipts.map(\.first.value) == [1, 1, 3])
    #expect(receipts.map(\.last.value) == [2, 1, 3])
    // The events of one stream come together.
    #expect(receipts.map(\.position) == [1, 4, 3])
    #expect(receipts[0].epoch == receipts[2].epoch)
    #expect(receipts[0].epoch != receipts[1].epoch)
  }

  @Test func expectedOffsetIsCompareAndAppend() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    #expect(
      try store.append(request("a", "x", expected: 3), temporary)
        == .conflict(epoch: nil, head: .zero))
    let first = try store.append(request("a", "1", expected: 0), temporary).receipt
    #expect(first?.last == Offset(1))
    #expect(
      try store.append(request("a", "x", expected: 0), temporary)
        == .conflict(epoch: first?.epoch, head: Offset(1)))
    #expect(try store.append(request("a", "2", expected: 1), temporary).receipt != nil)
  }

  @Test func refusedRequestLeavesItsNeighboursAlone() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    let outcomes = try store.commit(
      [
        request("a", "1"), request("a", "lost", expected: 9), request("new"),
        request("a", "2", expected: 1),
      ], at: temporary.now)
    #expect(outcomes[1] == .conflict(epoch: outcomes[0].receipt?.epoch, head: Offset(1)))
    #expect(outcomes[2] == .refused(.noEvents))
    #expect(outcomes[3].receipt?.last == Offset(2))
    let reader = try StoreReader(of: store)
    #expect(try reader.read(name("a"), from: .zero).texts == ["1", "2"])
    #expect(try reader.head(of: name("new")).head == .zero)
  }

  @Test func sameKeyAndPayloadGivesTheFirstPosition() throws {
    let temporary = try TemporaryStore()
    var store: EventStore? = try temporary.open()
    let first = try store?.append(request("a", "1", "2", key: "k"), temporary).receipt
    let again = try store?.append(request("a", "1", "2", key: "k"), temporary).receipt
    #expect(again?.origin == .duplicate)
    #expect(again?.first == first?.first && again?.last == first?.last)
    #expect(again?.epoch == first?.epoch)
    #expect(again?.time == first?.time)
    store = nil
    store = try temporary.open()
    #expect(
      try store?.append(request("a", "1", "2", key: "k"), temporary).receipt?.origin == .duplicate)
    #expect(store?.position == 2)
  }

  @Test func sameKeyWithOtherPayloadIsAConflict() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    let first = try #require(try store.append(request("a", "1", key: "k"), temporary).receipt)
    #expect(
      try store.append(request("a", "other", key: "k"), temporary)
        == .idempotencyConflict(epoch: first.epoch, first: Offset(1)))
    #expect(
      try store.append(request("a", "1", "more", key: "k"), temporary)
        == .idempotencyConflict(epoch: first.epoch, first: Offset(1)))
  }

  @Test func hashGivenWithAKeyStandsForTheEvents() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    var first = request("a", "rewritten at 1", key: "k")
    first.keyHash = [UInt8](repeating: 1, count: 32)
    var again = request("a", "rewritten at 2", key: "k")
    again.keyHash = first.keyHash
    var other = again
    other.keyHash = [UInt8](repeating: 2, count: 32)
    let receipt = try #require(try store.append(first, temporary).receipt)
    #expect(try store.append(again, temporary).receipt?.origin == .duplicate)
    #expect(
      try store.append(other, temporary)
        == .idempotencyConflict(epoch: receipt.epoch, first: Offset(1)))
  }

  @Test func keysAreScopedToTheirStream() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    _ = try store.append(request("a", "1", key: "k"), temporary)
    #expect(
      try store.append(request("b", "other", key: "k"), temporary).receipt?.origin == .appended)
  }

  @Test func keyUsedTwiceInOneBatchAppendsOnce() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    let outcomes = try store.commit(
      [request("a", "1", key: "k"), request("a", "1", key: "k")], at: temporary.now)
    #expect(outcomes.compactMap { $0.receipt?.origin } == [.appended, .duplicate])
    #expect(store.position == 1)
  }

  @Test func retryWithItsKeyIsADuplicateEvenWhereTheExpectedOffsetHasPassed() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    _ = try store.append(request("a", "1", expected: 0, key: "k"), temporary)
    let again = try store.append(request("a", "1", expected: 0, key: "k"), temporary)
    #expect(again.receipt?.origin == .duplicate)
  }

  @Test func keyIsForgottenAfterItsTimeAndItsRowSwept() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    _ = try store.append(request("a", "1", key: "k"), temporary)
    temporary.pass(milliseconds: 24 * 3_600_000 - 1)
    #expect(try store.append(request("a", "1", key: "k"), temporary).receipt?.origin == .duplicate)
    temporary.pass(milliseconds: 1)
    #expect(try store.append(request("a", "1", key: "k"), temporary).receipt?.origin == .appended)
    #expect(try store.connection.integer("SELECT count(*) FROM keys") == 1)
    temporary.pass(milliseconds: 25 * 3_600_000)
    try store.maintain(at: temporary.now)
    #expect(try store.connection.integer("SELECT count(*) FROM keys") == 0)
  }

  @Test func wallClockJumpsForgetNoKey() throws {
    let temporary = try TemporaryStore()
    var store: EventStore? = try temporary.open()
    _ = try store?.append(request("a", "1", key: "k"), temporary)
    temporary.wall += 315_360_000_000
    try store?.maintain(at: temporary.now)
    #expect(try store?.append(request("a", "1", key: "k"), temporary).receipt?.origin == .duplicate)
    _ = try store?.append(request("a", "2"), temporary)
    store = nil
    temporary.wall += 315_360_000_000
    temporary.monotonic = 3
    store = try temporary.open()
    #expect(try store?.append(request("a", "1", key: "k"), temporary).receipt?.origin == .duplicate)
  }

  @Test func requestsOutsideTheLimitsAreRefused() throws {
    let long = String(repeating: "x", count: 256)
    var wide = request("a", "1")
    wide.events[0].eventType = long
    var keyed = request("a", "1")
    keyed.idempotencyKey = ""
    var keyedLong = request("a", "1")
    keyedLong.idempotencyKey = long
    var user = request("a", "1")
    user.publisher.user = long
    var many = request("a", "1")
    many.events = [NewEvent](repeating: many.events[0], count: StoreLimits.appendEventsMax + 1)
    var large = request("a", "1")
    large.events[0].payload.bytes = [UInt8](repeating: 0, count: StoreLimits.appendBytesMax)
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    let outcomes = try store.commit([wide, keyed, keyedLong, user, many, large], at: temporary.now)
    #expect(
      outcomes == [
        .refused(.typeTooLong), .refused(.keyOutOfRange), .refused(.keyOutOfRange),
        .refused(.userTooLong), .refused(.tooManyEvents), .refused(.tooManyBytes),
      ])
    #expect(store.commits == 0)
  }

  @Test func everyFieldComesBackAsItWasGiven() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    let events = PayloadKind.allCases.map { kind in
      NewEvent(
        payload: Payload(kind, [0, 255, 39, kind.rawValue]), eventType: "typé'; DROP TABLE events",
        meta: [1, 0, 2])
    }
    let sent = AppendRequest(
      to: name("a"), events, publisher: Publisher(client: .max, user: "zoë"), time: -5)
    _ = try store.append(sent, temporary)
    _ = try store.append(
      AppendRequest(to: name("a"), [NewEvent(payload: Payload(.binary, []))], time: .max), temporary
    )
    let page = try StoreReader(of: store).read(name("a"), from: .zero)
    #expect(page.events.dropLast().map(\.payload) == events.map(\.payload))
    #expect(page.events.dropLast().allSatisfy { $0.eventType == events[0].eventType })
    #expect(page.events.dropLast().allSatisfy { $0.meta == [1, 0, 2] && $0.timeMs == -5 })
    #expect(page.events.dropLast().allSatisfy { $0.publisher == sent.publisher })
    #expect(page.events[events.count].payload == Payload(.binary, []))
    #expect(
      page.events[events.count].publisher == Publisher() && page.events[events.count].timeMs == .max
    )
  }
}
