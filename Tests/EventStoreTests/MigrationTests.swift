import Bytes
import Platform
import SQLite
import Synchronization
import Testing
import Wire

@testable import EventStoreCore

struct MigrationTests {
  private let older: OlderStore

  init() throws { older = try OlderStore(format: 1) }

  private func expectContents(
    _ store: EventStore, _ comment: Comment? = nil, location: SourceLocation = #_sourceLocation
  ) throws {
    let wanted = older.contents
    let found = try OlderStore.Contents(of: store, keys: wanted.keys, wall: wanted.store.wall)
    #expect(found.events.count == wanted.events.count, comment, sourceLocation: location)
    #expect(found == wanted, comment, sourceLocation: location)
  }

  @Test func oldStoreHasEverythingItHad() throws {
    let temporary = try older.copy()
    let mark = try HeadMarkFile.read(in: temporary.directory)
    var store: EventStore? = try temporary.open()
    try expectContents(store!)
    #expect(store?.state.mark == { if case .mark(let mark) = mark { mark } else { nil } }())
    #expect(try store?.connection.integer("PRAGMA user_version") == StoreSchema.format)
    #expect(try store?.connection.integer("PRAGMA page_size") == 8_192)
    #expect(try store?.connection.integer("SELECT count(*) FROM log") == 0)
    // A second time there is nothing to do.
    store = nil
    temporary.options.migrating = { Issue.record("migrated again: \($0)") }
    try expectContents(try temporary.open())
  }

  @Test func pagesBeginAtTheFloors() throws {
    let temporary = try older.copy()
    let store = try temporary.open()
    let reader = try StoreReader(of: store)
    for stream in older.contents.streams {
      var found: [OlderStore.Contents.Event] = []
      var from = Offset.zero
      while true {
        let page = try reader.read(name(stream.stream), from: from)
        guard let last = page.events.last else { break }
        from = last.offset
        found += page.events.map { .init($0, at: 0, of: name(stream.stream)) }
      }
      var wanted = older.contents.events.filter { $0.stream == stream.stream }
      for index in wanted.indices { wanted[index].position = 0 }
      #expect(found == wanted.filter { $0.offset > stream.floor })
    }
  }

  @Test func streamsAreAsOldAsTheirFirstEvents() throws {
    let temporary = try older.copy()
    let store = try temporary.open()
    for stream in older.contents.streams {
      let slot = try #require(try store.streams.find(name(stream.stream)))
      let first = older.contents.events.first { $0.stream == stream.stream }
      #expect(store.streams[slot].row.created == first?.time)
    }
  }

  @Test func whatWasNotAnnouncedFollowsInOrder() throws {
    let temporary = try older.copy()
    let store = try temporary.open()
    let last = older.contents.store
    #expect(store.announced == last.announced && last.announced < last.events)
    let rest = try OlderStore.Contents.events(
      of: StoreReader(of: store), after: store.announced, through: store.position)
    #expect(rest == older.contents.events.filter { $0.position > last.announced })
  }

  @Test func keysStillNameTheirAppendsUntilTheyExpire() throws {
    let temporary = try older.copy()
    let store = try temporary.open()
    #expect(older.contents.keys.contains { $0.kept } && older.contents.keys.contains { !$0.kept })
    for key in older.contents.keys where key.kept {
      var again = request(key.stream, key: key.key)
      again.events = key.texts.map { NewEvent(payload: Payload(text: $0)) }
      let receipt = try #require(try store.append(again, temporary).receipt)
      #expect(receipt.origin == .duplicate && receipt.first.value == key.first)
      #expect(
        receipt.time == key.time && receipt.last.value == key.first + UInt64(key.texts.count) - 1)
      guard
        case .idempotencyConflict = try store.append(
          request(key.stream, "other", key: key.key), temporary)
      else {
        Issue.record("\(key.key) took other events")
        continue
      }
    }
    for key in older.contents.keys where !key.kept {
      let receipt = try store.append(request(key.stream, key.texts[0], key: key.key), temporary)
        .receipt
      #expect(receipt?.origin == .appended)
    }
    temporary.pass(milliseconds: 25 * 3_600_000)
    let key = try #require(older.contents.keys.first { $0.kept })
    let receipt = try store.append(request(key.stream, key.texts[0], key: key.key), temporary)
      .receipt
    #expect(receipt?.origin == .appended)
  }

  @Test func appendsGoOnWhereTheOldStoreEnded() throws {
    let temporary = try older.copy()
    var store: EventStore? = try temporary.open()
    var position = older.contents.store.events
    for stream in older.contents.streams {
      let receipt = try store?.append(request(stream.stream, "next"), temporary).receipt
      position += 1
      #expect(receipt?.last.value == stream.head + 1 && receipt?.position == position)
      #expect(receipt?.epoch.text == stream.epoch)
    }
    let receipt = try store?.append(request("never.begun", "first"), temporary).receipt
    #expect(receipt?.epoch.text == older.contents.store.empty && receipt?.position == position + 1)
    // No stream got the number of another.
    try store?.settle(at: temporary.now)
    store = nil
    store = try temporary.open()
    #expect(store?.position == position + 1)
    let report = StoreVerifier.verify(temporary.directory, scratch: "/tmp", now: temporary.now)
    #expect(report.problem != nil, "it is open")
    store = nil
    #expect(
      StoreVerifier.verify(temporary.directory, scratch: "/tmp", now: temporary.now).problem == nil)
  }

  @Test func whatIsUnderTheFloorsIsRemovedAsEver() throws {
    let temporary = try older.copy()
    let store = try temporary.open()
    for _ in 0..<200 {
      temporary.pass(milliseconds: 1_000)
      try store.maintain(at: temporary.now)
    }
    let heads = try StoreReader(of: store).streams(limit: 1_024)
    #expect(heads.map(\.floor.value) == older.contents.streams.map(\.floor))
    #expect(heads.map(\.head.value) == older.contents.streams.map(\.head))
    let gone = try #require(try store.streams.find(name("gone")).map { store.streams[$0].row.id })
    #expect(try store.connection.integer("SELECT count(*) FROM places") ?? 0 > 0)
    #expect(try store.segments.block(of: gone, at: Offset(1)) == nil)
  }

  @Test func oldDatabaseIsKeptAndCanBePutBack() throws {
    let temporary = try older.copy()
    var store: EventStore? = try temporary.open()
    let kept = temporary.path(StoreMigration.keptName(1))
    #expect(StoreFiles.exists(kept))
    _ = try store?.append(request("after", "1"), temporary)
    store = nil
    // As docs/OPERATIONS.md says.
    for end in ["-wal", "-shm"] { try StoreFiles.remove(temporary.database + end) }
    try StoreFiles.rename(kept, to: temporary.database)
    #expect(throws: StoreFailure.self) { try temporary.open() }
    temporary.options.loss = .acceptWithNewEpochs
    let again = try temporary.open()
    #expect(again.position == older.contents.store.events)
    let events = try OlderStore.Contents.events(
      of: StoreReader(of: again), after: 0, through: again.position)
    #expect(events == older.contents.events)
  }

  @Test func verifyingAnOldStoreChangesNothingInIt() throws {
    let temporary = try older.copy()
    let before = try snapshot(temporary)
    let scratch = try StoreFiles.makeTemporaryDirectory(under: "/tmp")
    let report = StoreVerifier.verify(temporary.directory, scratch: scratch, now: temporary.now)
    #expect(report.problem == nil)
    #expect(report.streams.map(\.head.head.value) == older.contents.streams.map(\.head))
    #expect(report.position == older.contents.store.events)
    #expect(try Files.list(FilePath(scratch)).isEmpty)
    StoreFiles.removeDirectory(scratch)
    #expect(try snapshot(temporary) == before)
    // The migrated store has the same chains.
    _ = try temporary.open()
    let after = StoreVerifier.verify(temporary.directory, scratch: "/tmp", now: temporary.now)
    #expect(after.problem == nil && after.streams == report.streams)
  }

  @Test func storeThatIsCopiedInManyCommitsIsTheSame() throws {
    let temporary = try older.copy()
    temporary.options.tailBytes = 2_000
    temporary.options.migrationBytes = 500
    let commits = Mutex(0)
    temporary.options.migrating = { _ in commits.withLock { $0 += 1 } }
    var store: EventStore? = try temporary.open()
    try expectContents(store!)
    #expect(commits.withLock { $0 } > 100)
    store = nil
    #expect(
      StoreVerifier.verify(temporary.directory, scratch: "/tmp", now: temporary.now).problem == nil)
  }

  @Test func progressIsToldUpToTheEnd() throws {
    let temporary = try older.copy()
    let told = Mutex<[MigrationNews]>([])
    temporary.options.migrating = { news in told.withLock { $0.append(news) } }
    _ = try temporary.open()
    let news = told.withLock { $0 }
    let events = older.contents.store.events
    #expect(news.first == .began(from: 1, to: StoreSchema.format, events: events))
    #expect(news.dropFirst().contains(.copied(events, of: events)))
    #expect(news.last == .finished(kept: temporary.path("events.sqlite.format-1")))
  }

  @Test func linesOfProgressAreASecondApart() {
    var pace = MigrationPace(at: Instant(nanoseconds: 0))
    func at(_ milliseconds: UInt64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }
    #expect(pace.progress(100, of: 1_000, at: at(500)) == nil)
    #expect(
      pace.progress(400, of: 1_000, at: at(1_000)) == .init(percent: 40, eventsPerSecond: 400))
    #expect(pace.progress(500, of: 1_000, at: at(1_999)) == nil)
    #expect(
      pace.progress(1_000, of: 1_000, at: at(2_000)) == .init(percent: 100, eventsPerSecond: 500))
    #expect(pace.progress(0, of: 0, at: at(3_000)) == .init(percent: 100, eventsPerSecond: 0))
  }
}

/// Every file of a store's directory but that of the lock.
func snapshot(_ temporary: TemporaryStore) throws -> [String: [UInt8]] {
  var files: [String: [UInt8]] = [:]
  for bytes in try Files.list(FilePath(temporary.directory)) {
    let name = String(decoding: bytes, as: UTF8.self)
    if name != StoreLock.name { files[name] = try temporary.bytes(temporary.path(name)) }
  }
  return files
}
