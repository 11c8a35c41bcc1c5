import Bytes
import SQLite
import Testing
import Wire

@testable import EventStoreCore

struct RetentionTests {
  /// A store that keeps of streams called `kept…` what `rule` says, each commit's events in a segment by
  /// the next.
  private func store(_ rule: Retention) throws -> (TemporaryStore, EventStore) {
    let temporary = try TemporaryStore()
    temporary.options.keepInTail(0)
    temporary.options.retention = { $0.text.hasPrefix("kept") ? rule : nil }
    temporary.options.shortestAge = rule.age
    return (temporary, try temporary.open())
  }

  private func append(_ count: Int, to stream: String, _ store: EventStore, _ temporary: TemporaryStore)
    throws
  {
    for number in 1...count { _ = try store.append(request(stream, "\(number)"), temporary) }
  }

  private func look(_ store: EventStore, _ temporary: TemporaryStore) throws {
    for _ in 0..<20 {
      temporary.pass(milliseconds: 1_000)
      try store.maintain(at: temporary.now)
    }
  }

  @Test func soManyEventsAreKeptAndOthersStreamsStayWhole() throws {
    let (temporary, store) = try store(Retention(events: 7))
    try append(20, to: "kept", store, temporary)
    try append(20, to: "other", store, temporary)
    try look(store, temporary)
    let reader = try StoreReader(of: store)
    let page = try reader.read(name("kept"), from: .zero)
    #expect(page.floor == Offset(13) && page.offsets == (14...20).map { UInt64($0) })
    #expect(try reader.read(name("other"), from: .zero).floor == .zero)
    // And the space is given back.
    #expect(
      try store.connection.integer(
        "SELECT count(*) FROM places WHERE stream = (SELECT id FROM streams WHERE name = 'kept')")! <= 7)
    #expect(try store.connection.text("PRAGMA integrity_check") == "ok")
  }

  @Test func soManyBytesAreKeptByWholeSegments() throws {
    let (temporary, store) = try store(Retention(bytes: 10_000))
    let event = NewEvent(payload: Payload(.binary, [UInt8](repeating: 1, count: 963)))
    for _ in 0..<40 {
      _ = try store.append(AppendRequest(to: name("kept"), [event], time: 0), temporary)
    }
    try look(store, temporary)
    let page = try StoreReader(of: store).read(name("kept"), from: .zero)
    #expect(page.head == Offset(40) && page.floor == Offset(30))
  }

  @Test func whatIsOldGoesBeQuietAsItMay() throws {
    let (temporary, store) = try store(Retention(age: 3_600_000))
    try append(5, to: "kept", store, temporary)
    temporary.pass(milliseconds: 1_800_000)
    try append(2, to: "kept", store, temporary)
    temporary.pass(milliseconds: 1_900_000)
    try look(store, temporary)
    let page = try StoreReader(of: store).read(name("kept"), from: .zero)
    #expect(page.offsets == [6, 7])
    temporary.pass(milliseconds: 3_700_000)
    try look(store, temporary)
    try look(store, temporary)
    #expect(try StoreReader(of: store).read(name("kept"), from: .zero).floor == Offset(7))
  }

  /// With a tail of its usual size nothing but the age makes a segment of what a quiet stream holds.
  @Test func whatWaitsInAQuietStoreGrowsOldAsWell() throws {
    let (temporary, _) = try store(Retention(age: 3_600_000))
    let quiet = try TemporaryStore()
    quiet.options.retention = temporary.options.retention
    quiet.options.shortestAge = 3_600_000
    let store = try quiet.open()
    try append(5, to: "kept", store, quiet)
    // Segments are made of it after half its age, and count from when it was committed.
    for _ in 0..<2 {
      quiet.pass(milliseconds: 2_000_000)
      try look(store, quiet)
    }
    #expect(try StoreReader(of: store).read(name("kept"), from: .zero).floor == Offset(5))
  }

  /// Row 23: years that a wall clock jumps by are no age.
  @Test func aClockThatJumpsMakesNothingOld() throws {
    let (temporary, before) = try store(Retention(age: 7_200_000))
    var store: EventStore? = before
    try append(5, to: "kept", before, temporary)
    temporary.wall += 315_360_000_000
    try look(before, temporary)
    #expect(try StoreReader(of: before).read(name("kept"), from: .zero).floor == .zero)
    try before.settle(at: temporary.now)
    _ = consume before
    store = nil
    // Over a restart an hour may pass at most.
    temporary.wall += 315_360_000_000
    temporary.monotonic = 3
    store = try temporary.open()
    try look(store!, temporary)
    #expect(try StoreReader(of: store!).read(name("kept"), from: .zero).floor == .zero)
  }

  @Test func whatAForkSharesIsKeptForIt() throws {
    let (temporary, store) = try store(Retention(events: 2))
    try append(6, to: "kept", store, temporary)
    _ = try store.fork(
      ForkRequest(of: name("kept"), as: name("kept@f"), at: Offset(5), time: 0), at: temporary.now)
    try look(store, temporary)
    let reader = try StoreReader(of: store)
    #expect(try reader.read(name("kept"), from: .zero).offsets == [5, 6])
    // The rule holds of the fork, too, by its name.
    #expect(try reader.read(name("kept@f"), from: .zero).offsets == [4, 5])
  }
}
