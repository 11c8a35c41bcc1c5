import Bytes
import Glibc
import Platform
import SQLite
import Synchronization
import TestKit
import Testing
import Wire

@testable import EventStoreCore

/// What goes wrong while a store is migrated.
struct MigrationFaultTests {
  private let older: OlderStore

  init() throws { older = try OlderStore(format: 1) }

  private func expectContents(_ temporary: TemporaryStore, _ comment: Comment) throws {
    let wanted = older.contents
    do {
      let store = try temporary.open()
      let found = try OlderStore.Contents(of: store, keys: wanted.keys, wall: wanted.store.wall)
      #expect(found == wanted, comment)
    }
    #expect(!(try snapshot(temporary)).keys.contains { $0.contains("migrating") }, comment)
    let report = StoreVerifier.verify(temporary.directory, scratch: "/tmp", now: temporary.now)
    #expect(report.problem == nil, comment)
  }

  /// All files of a directory as they are, in another.
  private static func image(_ directory: String, wall: Int64) throws -> TemporaryStore {
    let image = try TemporaryStore()
    image.wall = wall
    for bytes in try Files.list(FilePath(directory)) {
      let file = String(decoding: bytes, as: UTF8.self)
      _ = try StoreFiles.copy("\(directory)/\(file)", to: image.path(file))
    }
    return image
  }

  private final class Images: Sendable {
    let taken = Mutex<[String]>([])
  }

  @Test func powerLostAfterAnyStepLosesNothing() throws {
    let temporary = try older.copy()
    let wall = temporary.wall
    let directory = temporary.directory
    let images = Images()
    let take: @Sendable () -> Void = {
      guard let target = try? StoreFiles.makeTemporaryDirectory(under: "/tmp"),
        let names = try? Files.list(FilePath(directory))
      else { return }
      for bytes in names {
        let file = String(decoding: bytes, as: UTF8.self)
        _ = try? StoreFiles.copy("\(directory)/\(file)", to: "\(target)/\(file)")
      }
      images.taken.withLock { $0.append(target) }
    }
    temporary.options.migrating = { _ in take() }
    temporary.options.migrationProbe.reached = { _ in take() }
    _ = try temporary.open()
    let taken = images.taken.withLock { $0 }
    // What is told comes before, between and after the steps.
    #expect(taken.count >= StoreMigration.Step.allCases.count + 3)
    for (number, path) in taken.enumerated() {
      let image = try Self.image(path, wall: wall)
      try expectContents(image, "image \(number)")
      for bytes in try Files.list(FilePath(path)) {
        try StoreFiles.remove("\(path)/\(String(decoding: bytes, as: UTF8.self))")
      }
      StoreFiles.removeDirectory(path)
    }
  }

  /// Entries of a directory that were not synced may be there or not: the log must be gone for good
  /// before the new database has its name.
  @Test func removalsReachTheDiskBeforeTheNewName() throws {
    let temporary = try older.copy()
    let directory = temporary.directory
    let logs = Mutex<[StoreMigration.Step: Bool]>([:])
    temporary.options.migrationProbe.reached = { step in
      logs.withLock { $0[step] = StoreFiles.exists(StoreSchema.path(in: directory) + "-wal") }
    }
    _ = try temporary.open()
    #expect(
      logs.withLock { $0 } == [
        .copied: true, .checkpointed: true, .alone: false, .kept: false, .replaced: false,
      ])
  }

  @Test func failureAtAnyStepLeavesAStoreThatCanBeOpened() throws {
    for step in StoreMigration.Step.allCases {
      let temporary = try older.copy()
      temporary.options.migrationProbe.reached = { (reached) throws(StoreFailure) in
        if reached == step { throw .files("stopped at \(reached)") }
      }
      let failure = #expect(throws: StoreFailure.self) { try temporary.open() }
      #expect(failure?.description.hasPrefix("stopped at \(step)") == true)
      temporary.options.migrationProbe = StoreMigration.Probe()
      try expectContents(temporary, "after \(step)")
    }
  }

  @Test func leftoversAreRemovedAtTheStart() throws {
    let temporary = try older.copy()
    for end in ["", "-wal", "-shm", "-journal"] {
      let file = try StoreFile(path: temporary.database + ".migrating" + end)
      try file.write([UInt8](repeating: 3, count: 5_000), at: 0)
    }
    // A link of a migration that ended before it took the old name away.
    try StoreFiles.link(temporary.database, to: temporary.path(StoreMigration.keptName(1)))
    try expectContents(temporary, "with leftovers")
    // Also beside a store that needs no migration.
    try StoreFile(path: temporary.database + ".migrating").write([1], at: 0)
    _ = try temporary.open()
    #expect(!StoreFiles.exists(temporary.database + ".migrating"))
  }

  /// The failure of an open that has to change nothing.
  private func refusal(_ temporary: TemporaryStore, _ comment: Comment? = nil) throws
    -> StoreFailure?
  {
    let before = try snapshot(temporary)
    let failure = #expect(throws: StoreFailure.self, comment) { try temporary.open() }
    let after = try snapshot(temporary)
    #expect(after.keys.sorted() == before.keys.sorted(), comment)
    #expect(after == before, comment)
    return failure
  }

  @Test func tooLittleSpaceIsSaidBeforeAnythingIsWritten() throws {
    let temporary = try older.copy()
    temporary.options.migrationProbe.freeBytes = { _ in 1_000_000 }
    let failure = try refusal(temporary)
    #expect(failure?.exitCode == 73)
    #expect(failure?.description.contains("MiB are free; nothing was changed") == true)
    temporary.options.migrationProbe.freeBytes = { _ in 2 << 20 }
    #expect(try temporary.open().position == older.contents.store.events)
  }

  /// A database of the old format, with no log beside it, and one row of it changed.
  private func damaged(_ sql: StaticString) throws -> TemporaryStore {
    let temporary = try older.copy()
    do {
      let connection = try Connection(path: temporary.database, mode: .writer)
      try connection.execute(sql)
    }
    return temporary
  }

  @Test func damagedEventIsNamedAndNothingIsChanged() throws {
    let third = try #require(older.contents.events.first { $0.stream == "large" && $0.offset == 2 })
    let event = try damaged(
      """
      UPDATE events SET payload = zeroblob(100000) WHERE offset = 2 AND stream = \
      (SELECT id FROM streams WHERE name = 'large')
      """)
    let failure = try refusal(event)
    #expect(failure?.exitCode == 65)
    let text = failure?.description ?? ""
    #expect(text.contains("event 2 of large is damaged") && text.contains("nothing was changed"))
    #expect(text.contains("position \(third.position)"))
    #expect(
      StoreVerifier.verify(event.directory, scratch: "/tmp", now: event.now).problem?.description
        == text)
  }

  @Test func whateverIsDamagedIsFound() throws {
    let cases: [(StaticString, String)] = [
      ("UPDATE events SET time = time + 1 WHERE position = 700", "(position 700)"),
      ("UPDATE events SET user = 'eve' WHERE position = 700", "(position 700)"),
      ("UPDATE events SET client = 1 WHERE position = 1", "(position 1)"),
      ("UPDATE events SET kind = 9 WHERE position = 700", "(position 700)"),
      ("UPDATE events SET stream = 77 WHERE position = 700", "of stream 77 is damaged"),
      ("DELETE FROM events WHERE position = 700", "(position 700)"),
      ("DELETE FROM events WHERE position = 1192", "events end at 1191, not at 1192"),
      ("UPDATE streams SET floor = 1 WHERE id = 3", "stream 3 is damaged"),
      ("DELETE FROM streams WHERE id = 3", "is damaged"),
      ("DELETE FROM events WHERE position > 1000", "events end at 1000, not at 1192"),
      ("UPDATE keys SET expires = expires + 1 WHERE key = 'loss'", "a key's row is damaged"),
      ("UPDATE store SET announced = 5", "the store's row is damaged"),
    ]
    for (sql, text) in cases {
      let failure = try refusal(try damaged(sql), "\(sql)")
      #expect(failure?.exitCode == 65, "\(sql)")
      #expect(failure?.description.contains(text) == true, "\(sql): \(String(describing: failure))")
    }
  }

  @Test func storeBehindItsMarkIsRefusedUntilTheLossIsAccepted() throws {
    let temporary = try older.copy()
    let last = older.contents.store
    guard case .mark(var mark) = try HeadMarkFile.read(in: temporary.directory) else {
      Issue.record("no mark")
      return
    }
    mark.commit += 3
    try HeadMarkFile.create(in: temporary.directory, mark)
    #expect(
      try refusal(temporary)
        == .behindHeadMark(.behind(database: last.commits, mark: last.commits + 3)))
    temporary.options.loss = .acceptWithNewEpochs
    let store = try temporary.open()
    let heads = try StoreReader(of: store).streams(limit: 1_024)
    #expect(heads.map(\.head.value) == older.contents.streams.map(\.head))
    let epochs = Set(heads.compactMap { $0.epoch?.text })
    #expect(
      epochs.count == heads.count && epochs.isDisjoint(with: older.contents.streams.map(\.epoch)))
    #expect(store.commits > last.commits + 3)
  }

  @Test func missingLogUnderTheMarkIsRefused() throws {
    let temporary = try older.copy()
    try StoreFiles.remove(temporary.log)
    guard case .behindHeadMark(.behind) = try refusal(temporary) else {
      Issue.record("a store without its log was taken")
      return
    }
  }

  @Test func anotherProgramsDatabaseWithTheSameNumberIsRefused() throws {
    let temporary = try TemporaryStore()
    do {
      let connection = try Connection(path: temporary.database, mode: .writer)
      try connection.execute("CREATE TABLE events(x)")
      try connection.execute("PRAGMA user_version = 1")
    }
    #expect(throws: StoreFailure.damaged("it is another program's")) { try temporary.open() }
  }

  @Test(.enabled(if: SmallDisk.isPossible, "mounting a tmpfs is not permitted here"))
  func diskThatFillsUpUnderwayIsSaidAndNothingIsChanged() throws {
    for kilobytes in [100, 300, 600] {
      let disk = try #require(SmallDisk(megabytes: 3))
      let temporary = try older.copy(under: disk.path)
      let ballast = try StoreFile(path: temporary.path("ballast"))
      let free = try Files.room(at: FilePath(disk.path)).freeBytes
      try ballast.write([UInt8](repeating: 0, count: Int(free) - kilobytes << 10), at: 0)
      temporary.options.migrationProbe.freeBytes = { _ in .max }
      let failure = try refusal(temporary, "\(kilobytes) KiB")
      #expect(failure?.exitCode == 73, "\(kilobytes) KiB: \(String(describing: failure))")
      #expect(failure?.description.contains("nothing was changed") == true)
      try ballast.truncate(to: 0)
      #expect(try temporary.open().position == older.contents.store.events)
    }
  }
}
