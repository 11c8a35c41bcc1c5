internal import Platform
internal import SQLite

/// What a migration tells while a store is opened.
public enum MigrationNews: Sendable, Equatable {
  case began(from: Int64, to: Int64, events: Int64)
  /// Events that are in the new database, of all there are.
  case copied(Int64, of: Int64)
  /// The new database is in place, and the old one is the file `kept`.
  case finished(kept: String)
}

/// Brings a store of an older format to today's before it is opened.
///
/// ```
///                events.sqlite   -wal    …migrating   …format-1
///   found        old             some
///   copied       old             some    new, synced
///   checkpointed old, all of it  some    new
///   alone        old             –       new
///   kept         old             –       new          old, the same file
///   replaced     new             –       –            old
/// ```
///
/// INVARIANT: whatever is behind a row of the table is on the disk before the next one begins. So a crash
/// leaves the old database with all that it had, which is migrated again from the beginning, or the
/// new one. The old log is gone for good before the new database gets its name: SQLite would take it for the
/// new one's.
///
/// The head mark is not touched: the new database has the same commit, position and chain.
struct StoreMigration {
  /// What is done, in this order.
  enum Step: CaseIterable, Sendable {
    case copied
    case checkpointed
    case alone
    case kept
    case replaced
  }

  /// For tests: looks on, and says how much room there is.
  struct Probe: Sendable {
    var reached: @Sendable (Step) throws(StoreFailure) -> Void = { (_) throws(StoreFailure) in }
    var freeBytes: @Sendable (String) -> UInt64? = { directory in
      try? Files.room(at: FilePath(directory)).freeBytes
    }
  }

  private let path: String
  private let directory: String
  private let format: any OlderFormat
  private let options: EventStore.Options
  private var old: Connection?

  /// Takes over the connection to the old database.
  init(
    in directory: String, _ old: consuming Connection, _ format: any OlderFormat,
    _ options: EventStore.Options
  ) {
    self.directory = directory
    path = StoreSchema.path(in: directory)
    self.format = format
    self.options = options
    self.old = old
  }

  private static func unfinished(_ directory: String) -> String {
    StoreSchema.path(in: directory) + ".migrating"
  }

  /// The file name of an old database that was kept.
  static func keptName(_ format: Int64) -> String { "\(StoreSchema.fileName).format-\(format)" }

  /// Removes what a migration left that did not come to its end.
  static func removeLeftovers(
    in directory: String, on disk: any StoreDisk = SystemDisk()
  ) throws(StoreFailure) {
    for end in ["", "-wal", "-shm", "-journal"] {
      try disk.remove(unfinished(directory) + end)
    }
  }

  /// Migrates the store, and closes the old database.
  ///
  /// - Cost: reads everything and writes it anew; memory as of `StoreImport`.
  /// - Errors: `behindHeadMark` as for a store of today's format, `damaged`, `files`: all before anything
  ///   of the old database was changed. After that only what the file system refuses.
  mutating func run(_ reading: HeadMarkReading) throws(StoreFailure) {
    old?.keepLogWhenClosed()
    do throws(StoreFailure) {
      let state = try judged(reading)
      try expectRoom()
      options.migrating(
        .began(from: format.number, to: StoreSchema.format, events: state.position))
      try copy(state)
      try checkpoint()
    } catch {
      old = nil
      removeTraces()
      throw Self.unchanged(error)
    }
    try replace()
    options.migrating(.finished(kept: "\(directory)/\(Self.keptName(format.number))"))
  }

  /// Judges the old database as a new one will be, before it costs anything.
  private func judged(_ reading: HeadMarkReading) throws(StoreFailure) -> StoreState {
    var found: StoreState?
    do throws(SQLiteError) {
      if let old { found = try format.state(in: old) }
    } catch {
      throw Self.failure(error)
    }
    guard let state = found else { throw .damaged("the store's row is damaged") }
    if options.loss == .refuse, let refusal = reading.refusal(of: state.mark) {
      throw .behindHeadMark(refusal)
    }
    return state
  }

  private func expectRoom() throws(StoreFailure) {
    let bytes = StoreFiles.byteCount(path) + StoreFiles.byteCount(path + "-wal")
    let needed = bytes / 10 * 22
    guard let free = options.migrationProbe.freeBytes(directory), free < needed else { return }
    throw .files(
      "the store has format \(format.number) and has to be migrated to format \(StoreSchema.format), "
        + "which takes \(needed >> 20) MiB beside it, and \(free >> 20) MiB are free")
  }

  private func copy(_ state: StoreState) throws(StoreFailure) {
    let unfinished = Self.unfinished(directory)
    // Made here so that nobody else may read it.
    _ = try StoreFile(path: unfinished)
    try fill(unfinished, state)
    // Closing it has moved all of its log into it.
    guard !StoreFiles.exists(unfinished + "-wal"), let file = try StoreFile(existing: unfinished)
    else {
      throw .files("the new database could not be closed")
    }
    try file.sync()
    try StoreFiles.syncDirectory(directory)
    try options.migrationProbe.reached(.copied)
  }

  /// The database is closed when this returns.
  private func fill(_ unfinished: String, _ state: StoreState) throws(StoreFailure) {
    let connection: Connection
    do throws(SQLiteError) {
      connection = try Connection(path: unfinished, mode: .writer)
    } catch {
      throw Self.failure(error)
    }
    try StoreSchema.prepareWriter(connection, .unsynced)
    try StoreSchema.create(connection, store: state.store)
    do throws(SQLiteError) {
      let news = options.migrating
      let new = try StoreImport(connection, state, options) { done in
        news(.copied(done, of: state.position))
      }
      guard let old else { return }
      try format.copy(old, into: new)
      try new.finish()
    } catch {
      throw Self.failure(error)
    }
  }

  /// Has the old database hold all of its log.
  private mutating func checkpoint() throws(StoreFailure) {
    do throws(SQLiteError) {
      if let (frames, moved) = try old?.checkpoint(), frames != moved {
        throw SQLiteError(
          extendedCode: 5, call: "checkpoint", message: "the log could not be moved")
      }
    } catch {
      throw Self.failure(error)
    }
    old = nil
    try StoreFile(path: path).sync()
    try options.migrationProbe.reached(.checkpointed)
  }

  private func replace() throws(StoreFailure) {
    for end in ["-wal", "-shm", "-journal"] { try StoreFiles.remove(path + end) }
    try StoreFiles.syncDirectory(directory)
    try options.migrationProbe.reached(.alone)
    try StoreFiles.link(path, to: "\(directory)/\(Self.keptName(format.number))")
    try StoreFiles.syncDirectory(directory)
    try options.migrationProbe.reached(.kept)
    try StoreFiles.rename(Self.unfinished(directory), to: path)
    try StoreFiles.syncDirectory(directory)
    try options.migrationProbe.reached(.replaced)
  }

  /// Leaves the directory as it was: looking at the database has made an index of its log, and a log where
  /// there was none.
  private func removeTraces() {
    try? Self.removeLeftovers(in: directory)
    try? StoreFiles.remove(path + "-shm")
    if StoreFiles.byteCount(path + "-wal") == 0 { try? StoreFiles.remove(path + "-wal") }
  }

  private static func failure(_ error: SQLiteError) -> StoreFailure {
    if error.isCorrupt { return .damaged("\(error)") }
    if error.isFull { return .files("the disk is full, so the store can't be migrated") }
    return .files("can't migrate the database: \(error)")
  }

  /// The failure of a migration that has not touched what the store holds.
  private static func unchanged(_ failure: StoreFailure) -> StoreFailure {
    switch failure {
    case .files(let reason): .files("\(reason); nothing was changed")
    case .damaged(let reason): .damaged("\(reason); nothing was changed")
    default: failure
    }
  }
}
