import Bytes
import SQLite
import Testing
import Wire

@testable import EventStoreCore

struct ReadTests {
  /// A store with events "1" to "count" in stream a, some of them in no segment.
  private func filled(_ count: Int, tail: Int) throws -> (TemporaryStore, EventStore, StoreReader) {
    let temporary = try TemporaryStore()
    temporary.options.keepInTail(tail)
    let store = try temporary.open()
    for number in 1...count {
      _ = try store.commit([request("other", "x"), request("a", "\(number)")], at: temporary.now)
    }
    return (temporary, store, try StoreReader(of: store))
  }

  @Test(arguments: [0, 300, 1 << 20]) func pagesJoinWithoutGapAcrossSegmentsAndTail(tail: Int) throws {
    let (_, store, reader) = try filled(50, tail: tail)
    var read: [String] = []
    var offset = Offset.zero
    repeat {
      let page = try reader.read(name("a"), from: offset, count: 7)
      #expect(page.head == Offset(50) && page.floor == .zero && page.events.count <= 7)
      #expect(page.hasMore == ((page.events.last?.offset ?? page.head) < page.head))
      read += page.texts
      offset = page.events.last?.offset ?? page.head
    } while offset < Offset(50)
    #expect(read == (1...50).map(String.init))
    withExtendedLifetime(store) {}
  }

  @Test(arguments: [0, 300, 1 << 20]) func backwardsPagesGiveTheNewestFirst(tail: Int) throws {
    let (_, store, reader) = try filled(50, tail: tail)
    let last = try reader.read(name("a"), from: .zero, .backwards, count: 20)
    #expect(last.offsets == (31...50).reversed().map { UInt64($0) } && last.hasMore)
    let before = try reader.read(name("a"), from: Offset(31), .backwards, count: 20)
    #expect(before.offsets == (11...30).reversed().map { UInt64($0) } && before.hasMore)
    let first = try reader.read(name("a"), from: Offset(11), .backwards, count: 20)
    #expect(first.offsets == (1...10).reversed().map { UInt64($0) } && !first.hasMore)
    #expect(try reader.read(name("a"), from: Offset(1), .backwards).events.isEmpty)
    withExtendedLifetime(store) {}
  }

  @Test func positionAtOrBeyondTheHeadGivesAnEmptyPage() throws {
    let (_, store, reader) = try filled(3, tail: 70)
    for from in [UInt64(3), 4, .max] {
      let page = try reader.read(name("a"), from: Offset(from))
      #expect(page.events.isEmpty && !page.hasMore && page.head == Offset(3))
      #expect(page.epoch != nil)
    }
    withExtendedLifetime(store) {}
  }

  @Test func countZeroAsksForThePositionAlone() throws {
    let (_, store, reader) = try filled(3, tail: 70)
    let page = try reader.read(name("a"), from: .zero, count: 0)
    #expect(page.events.isEmpty && page.head == Offset(3) && page.epoch != nil)
    withExtendedLifetime(store) {}
  }

  @Test func streamThatDoesNotExistIsAnEmptyOne() throws {
    let (_, store, reader) = try filled(1, tail: 0)
    let page = try reader.read(name("nowhere"), from: .zero)
    let epoch = try #require(page.epoch)
    #expect(
      page == EventPage(epoch: epoch, floor: .zero, head: .zero, hasMore: false, events: []))
    #expect(try reader.head(of: name("nowhere")).epoch == epoch)
    #expect(try reader.head(of: name("nobody")).epoch != epoch)
    #expect(try !reader.streams().map(\.name).contains(name("nowhere")))
    withExtendedLifetime(store) {}
  }

  @Test func pageEndsAtItsBytesAndHoldsAtLeastOneEvent() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    let large = NewEvent(payload: Payload(.binary, [UInt8](repeating: 1, count: 2 << 20)))
    _ = try store.append(AppendRequest(to: name("a"), [large, large], time: 0), temporary)
    let reader = try StoreReader(of: store)
    let page = try reader.read(name("a"), from: .zero, bytes: 10)
    #expect(page.offsets == [1] && page.hasMore)
    #expect(try reader.read(name("a"), from: .zero).offsets == [1])
  }

  /// An event counts its payload, type, meta and 64 bytes.
  @Test(arguments: [0, 1 << 20], [StoreReader.Direction.forwards, .backwards])
  func pageEndsBeforeTheEventThatWouldExceedItsBytes(
    tail: Int, direction: StoreReader.Direction
  ) throws {
    let temporary = try TemporaryStore()
    temporary.options.keepInTail(tail)
    let store = try temporary.open()
    let event = NewEvent(
      payload: Payload(.binary, [UInt8](repeating: 1, count: 30)), eventType: "type", meta: [1, 2])
    for _ in 0..<5 {
      _ = try store.append(AppendRequest(to: name("a"), [event], time: 0), temporary)
    }
    let reader = try StoreReader(of: store)
    for (bytes, count) in [(1, 1), (199, 1), (200, 2), (299, 2), (300, 3), (499, 4), (500, 5)] {
      let page = try reader.read(name("a"), from: .zero, direction, bytes: bytes)
      #expect(page.events.count == count, "\(bytes) bytes")
      #expect(page.hasMore == (count < 5))
    }
  }

  /// A frame of a page or an announcement is refused by the other end beyond its limit, and the
  /// link with it: so nothing may be stored that can't be read.
  @Test func largestEventAndFullestPageFitTheirFrames() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    let longest = String(repeating: "n", count: 255)
    let count = StoreLimits.appendBytesMax - StoreLimits.eventOverheadBytes - 255
    let large = NewEvent(
      payload: Payload(.binary, [UInt8](repeating: 1, count: count)), eventType: longest)
    let request = AppendRequest(
      to: name(longest), [large], publisher: Publisher(user: longest), time: 0)
    #expect(request.refusal == nil)
    var larger = request
    larger.events[0].payload.bytes.append(1)
    #expect(larger.refusal == .tooManyBytes)
    // Small ones before it, up to a byte below what a page may have.
    let small = NewEvent(payload: Payload(.binary, [UInt8](repeating: 1, count: 960)))
    _ = try store.append(
      AppendRequest(to: name(longest), .init(repeating: small, count: 1_023), time: 0), temporary)
    _ = try store.append(request, temporary)
    let reader = try StoreReader(of: store)
    for offset in [Offset.zero, Offset(1_023)] {
      let page = try reader.read(name(longest), from: offset)
      var writer = ByteWriter()
      StreamPage(page).encode(into: &writer)
      #expect(writer.count <= Kind.streamPage.bodyBytesMax)
    }
    let event = try #require(try reader.read(name(longest), from: Offset(1_023)).events.first)
    var writer = ByteWriter()
    Publish(
      remainingMs: 0, handle: .none, name: longest, timeMs: 0, publisher: event.publisher,
      eventType: event.eventType,
      position: Position(epoch: Epoch(longest.prefix(32).description)!, offset: Offset(.max)),
      payload: event.payload
    ).encode(into: &writer)
    #expect(writer.count <= Kind.publish.bodyBytesMax)
  }

  @Test func streamsAreListedByPrefixInOrderOfName() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    for text in ["log:b", "log:a", "log", "map:x", "log:c", "Log:z"] {
      _ = try store.append(request(text, "1"), temporary)
    }
    let reader = try StoreReader(of: store)
    #expect(
      try reader.streams().map(\.name.text) == ["Log:z", "log", "log:a", "log:b", "log:c", "map:x"])
    #expect(try reader.streams(prefix: "log:").map(\.name.text) == ["log:a", "log:b", "log:c"])
    let page = try reader.streams(prefix: "log:", after: name("log:a"), limit: 1)
    #expect(page.map(\.name.text) == ["log:b"] && page[0].head == Offset(1))
  }

  @Test func readerSeesACommitAtOnceAndNeverHoldsOneUp() throws {
    let (temporary, store, reader) = try filled(1, tail: 200)
    for number in 2...30 {
      _ = try store.append(request("a", "\(number)"), temporary)
      let page = try reader.read(name("a"), from: Offset(UInt64(number - 1)))
      #expect(page.texts == ["\(number)"])
    }
  }

  @Test func changedBlockIsNeverServedAndTheOthersAre() throws {
    let (temporary, store, reader) = try filled(10, tail: 0)
    // Each commit puts what the one before it brought into a segment of its own.
    try store.connection.execute(
      """
      UPDATE segments SET events = zeroblob(length(events)) WHERE id = (SELECT segment FROM places \
      WHERE stream = (SELECT id FROM streams WHERE name = 'a') AND first = 5)
      """)
    #expect(try reader.read(name("a"), from: .zero).offsets == [1, 2, 3, 4])
    #expect(throws: ReadFailure.corrupt(stream: name("a"), offset: Offset(5))) {
      try reader.read(name("a"), from: Offset(4))
    }
    #expect(try reader.read(name("a"), from: Offset(5)).offsets == [6, 7, 8, 9, 10])
    #expect(try reader.read(name("a"), from: .zero, .backwards).offsets == [10, 9, 8, 7, 6])
    #expect(try reader.unannounced(after: 0).corruptCount == 1)
    withExtendedLifetime(temporary) {}
  }

  @Test(arguments: [
    "UPDATE segments SET stream = 1 WHERE id = 10", "UPDATE segments SET crc = crc + 1 WHERE id = 10",
    "UPDATE segments SET chain = zeroblob(32) WHERE id = 10",
    "UPDATE segments SET events = x'00' WHERE id = 10", "DELETE FROM segments WHERE id = 10",
    "DELETE FROM places WHERE segment = 10", "UPDATE places SET segment = 8 WHERE segment = 10",
    "UPDATE places SET count = 2 WHERE segment = 10", "UPDATE places SET count = 0 WHERE segment = 10",
    "UPDATE places SET first = 50 WHERE segment = 10",
  ]) func anyDamageToASegmentOrItsPlaceIsNoticed(sql: String) throws {
    let (temporary, store, reader) = try filled(10, tail: 0)
    let statement = try store.connection.prepareForTest(sql)
    // What a segment says of its stream is not asked by a read, but by the check of a whole store.
    guard !sql.contains("SET stream") else {
      try statement.run()
      try store.settle(at: temporary.now)
      let image = try temporary.image()
      let report = StoreVerifier.verify(image.directory, scratch: "/tmp", now: image.now)
      #expect(report.problem?.exitCode == 65)
      return
    }
    try statement.run()
    #expect(throws: ReadFailure.corrupt(stream: name("a"), offset: Offset(5))) {
      try reader.read(name("a"), from: Offset(4))
    }
  }

  @Test func damagedStreamRowIsNoticed() throws {
    let (_, store, reader) = try filled(10, tail: 0)
    try store.connection.execute("UPDATE streams SET head = 4 WHERE name = 'a'")
    #expect(throws: ReadFailure.corrupt(stream: name("a"), offset: .zero)) {
      try reader.read(name("a"), from: .zero)
    }
  }
}

struct OutboxTests {
  @Test func whatTheHubHasNotConfirmedIsPagedInCommitOrderAfterACrash() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    _ = try store.commit([request("a", "1"), request("b", "2", "3")], at: temporary.now)
    store.confirmAnnounced(through: 2, at: temporary.now)
    _ = try store.append(request("a", "4"), temporary)
    let crashed = try temporary.image()
    let reopened = try crashed.open()
    #expect(reopened.announced == 2)
    let reader = try StoreReader(of: reopened)
    let page = try reader.unannounced(after: reopened.announced, limit: 1)
    #expect(page.announcements.map(\.event.payload.bytes) == [[UInt8]("3".utf8)] && page.hasMore)
    let rest = try reader.unannounced(after: page.through)
    #expect(rest.announcements.map(\.stream.text) == ["a"] && rest.through == 4 && !rest.hasMore)
    #expect(rest.announcements[0].event.offset == Offset(2))
    #expect(rest.announcements[0].epoch == (try reader.head(of: name("a")).epoch))
  }

  @Test func confirmationIsStoredAloneWhenNoCommitComes() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    _ = try store.append(request("a", "1", "2"), temporary)
    try store.maintain(at: temporary.now)
    store.confirmAnnounced(through: 2, at: temporary.now)
    #expect(store.maintenanceDue <= temporary.monotonic + 250)
    try store.maintain(at: temporary.now)
    #expect(store.announced == 0)
    temporary.pass(milliseconds: 250)
    try store.maintain(at: temporary.now)
    #expect(store.announced == 2)
    #expect(try temporary.image().open().announced == 2)
  }

  @Test func confirmationBeyondTheLastEventOrBackwardsMovesNothing() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    _ = try store.append(request("a", "1", "2"), temporary)
    store.confirmAnnounced(through: 900, at: temporary.now)
    store.confirmAnnounced(through: 1, at: temporary.now)
    try store.settle(at: temporary.now)
    #expect(store.announced == 2)
  }
}
