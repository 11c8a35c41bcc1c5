import Bytes
import SQLite
import Testing
import Wire

@testable import EventStoreCore

/// Events of many streams in the order of their commits; `ModelTests` compares at random.
@Suite struct EventsTests {
  private func query(
    after: UInt64 = 0, _ prefix: String = "", count: UInt32 = 100, reverse: Bool = false
  ) -> ReadEvents {
    ReadEvents(
      remainingMs: 0, after: after, prefix: prefix, count: count, bytes: 1 << 20, isReverse: reverse)
  }

  private func places(_ page: EventsPage) -> [String] {
    page.events.map { "\($0.position) \($0.stream.text) \($0.event.offset)" }
  }

  /// Both from the log and from segments.
  @Test(arguments: [1 << 20, 0])
  func theyComeInTheOrderOfCommitsAndAgainstIt(tail: Int) throws {
    let here = try TemporaryStore()
    here.options.keepInTail(tail)
    let store = try here.open()
    for name in ["a:1", "a:2", "b", "a:1"] { _ = try store.append(request(name, "x", "y"), here) }
    for _ in 0..<4 { _ = try store.append(request("c", "z"), here) }
    let reader = try StoreReader(of: store)
    let page = try reader.events(query("a:"))
    #expect(places(page) == ["1 a:1 1", "2 a:1 2", "3 a:2 1", "4 a:2 2", "7 a:1 3", "8 a:1 4"])
    #expect(page.through == 12 && page.head == 12 && !page.hasMore)
    var exact = query("a")
    exact.isExact = true
    #expect(try reader.events(exact).events.isEmpty)
    exact.prefix = "a:2"
    #expect(places(try reader.events(exact)) == ["3 a:2 1", "4 a:2 2"])
    let newest = try reader.events(query("a:", count: 3, reverse: true))
    #expect(places(newest) == ["8 a:1 4", "7 a:1 3", "4 a:2 2"] && newest.hasMore)
    let older = try reader.events(query(after: newest.through, "a:", reverse: true))
    #expect(places(older) == ["3 a:2 1", "2 a:1 2", "1 a:1 1"] && !older.hasMore)
  }

  @Test func aPositionThatIsNoneOfTheStoresIsRefused() throws {
    let here = try TemporaryStore()
    let store = try here.open()
    _ = try store.append(request("a", "x"), here)
    let reader = try StoreReader(of: store)
    let page = try reader.events(query(after: 1))
    #expect(page.events.isEmpty && page.through == 1)
    #expect(throws: ReadFailure.otherPosition) { try reader.events(query(after: 2)) }
    #expect(throws: ReadFailure.otherPosition) { try reader.events(query(after: .max)) }
    var other = query()
    other.store = page.store ^ 1
    #expect(throws: ReadFailure.otherPosition) { try reader.events(other) }
    other.store = page.store
    #expect(try reader.events(other).events.count == 1)
  }

  @Test func anEmptyStoreHasAPositionToWaitAt() throws {
    let here = try TemporaryStore()
    let reader = try StoreReader(of: try here.open())
    for reverse in [false, true] {
      let page = try reader.events(query(reverse: reverse))
      #expect(page.events.isEmpty && page.head == 0 && !page.hasMore)
    }
    #expect(try reader.events(query()).through == 0)
  }

  /// Who asks for what is rare gets on all the same, page by page.
  @Test func aPageLooksAtSoManyPositionsAndNoMore() throws {
    let here = try TemporaryStore()
    let store = try here.open()
    let texts = [String](repeating: "x", count: 4_096).map { NewEvent(payload: Payload(text: $0)) }
    for _ in 0..<9 {
      _ = try store.append(AppendRequest(to: name("a"), texts, time: here.wall), here)
    }
    _ = try store.append(request("b", "rare"), here)
    let reader = try StoreReader(of: store)
    let first = try reader.events(query("b"))
    #expect(first.events.isEmpty && first.hasMore)
    #expect(first.through >= 32_768 && first.through < 36_864)
    #expect(places(try reader.events(query(after: first.through, "b"))) == ["36865 b 1"])
  }

  @Test func whatIsDamagedIsCountedAndNotHidden() throws {
    let here = try TemporaryStore()
    here.options.keepInTail(0)
    let store = try here.open()
    for name in ["a", "b", "a", "c", "c", "c"] { _ = try store.append(request(name, "x"), here) }
    try store.connection.execute(
      "UPDATE segments SET crc = crc + 1 WHERE stream = (SELECT id FROM streams WHERE name = 'b')")
    let reader = try StoreReader(of: store)
    let page = try reader.events(query())
    #expect(page.corruptCount == 1 && page.events.count == 5 && page.through == 6)
    #expect(try reader.events(query("a")).corruptCount == 0)
    try store.connection.execute("UPDATE log SET crc = crc + 1 WHERE position = 6")
    #expect(try reader.events(query("c")).corruptCount == 1)
  }

  @Test func typesAndTimesAreChosenBy() throws {
    let here = try TemporaryStore()
    let store = try here.open()
    for (index, type) in ["x", "y", "x"].enumerated() {
      _ = try store.append(
        AppendRequest(
          to: name("a"), [NewEvent(payload: Payload(text: ""), eventType: type)],
          time: 1_000 * Int64(index + 1)), here)
    }
    let reader = try StoreReader(of: store)
    var asked = query()
    asked.eventType = "x"
    #expect(try reader.events(asked).events.map(\.position) == [1, 3])
    (asked.fromMs, asked.toMs) = (1_001, 3_000)
    #expect(try reader.events(asked).events.map(\.position) == [3])
    (asked.eventType, asked.toMs) = ("", 2_000)
    #expect(try reader.events(asked).events.map(\.position) == [2])
  }
}
