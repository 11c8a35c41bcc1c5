// INVARIANTS:
// - A connection is used by one thread at a time: SQLite is opened NOMUTEX, the owner confines it.
// - The handle lives until the last statement made from it is gone: statements hold the connection.
// - The frame counter is allocated before the hook is set and freed after the handle is closed.
// - No pointer from SQLite outlives the call that gave it; text is copied at once.

internal import CSQLite

/// One open database file.
///
/// Owns the handle, closed with the last reference. Confined: whoever opened it may hand it to
/// another thread as a whole, and two threads never use it or its statements at once.
/// Knows nothing of schemas; settings are the caller's statements.
@safe public final class Connection {
  /// How the file is opened.
  public enum Mode {
    /// Creates the file where there is none.
    case writer
    /// Can't write, and never checkpoints, not even when it is closed.
    case reader
  }

  let handle: OpaquePointer
  private let frames: UnsafeMutablePointer<Int32>

  /// Opens `path` (`sqlite3_open_v2`) through the VFS named `vfs`; nil for the system's. Errors: nothing
  /// is left open.
  public init(path: String, mode: Mode, vfs: String? = nil) throws(SQLiteError) {
    let access =
      mode == .writer ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE
    let flags = access | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE
    var opened: OpaquePointer?
    let result = unsafe sqlite3_open_v2(path, &opened, flags, vfs)
    guard let database = unsafe opened, result == SQLITE_OK else {
      let error = unsafe Self.error(result, "open", opened)
      _ = unsafe sqlite3_close_v2(opened)
      throw error
    }
    unsafe handle = database
    unsafe frames = .allocate(capacity: 1)
    unsafe frames.initialize(to: 0)
    _ = unsafe csqlite_defensive(database)
    if mode == .reader { _ = unsafe csqlite_no_checkpoint_on_close(database) }
  }

  deinit {
    // SAFE BECAUSE no statement is left: each holds this object.
    _ = unsafe sqlite3_close_v2(handle)
    unsafe frames.deallocate()
  }

  /// The version of the library in use, such as `3.40.1`.
  public static var libraryVersion: String { unsafe String(cString: sqlite3_libversion()) }

  /// Whether no transaction is open.
  public var isIdle: Bool { unsafe sqlite3_get_autocommit(handle) != 0 }

  /// Rows changed by the last insert, update or delete.
  public var changes: Int { Int(unsafe sqlite3_changes(handle)) }

  /// The rowid of the last insert (`sqlite3_last_insert_rowid`).
  public var lastRow: Int64 { unsafe sqlite3_last_insert_rowid(handle) }

  /// Prepares one statement, to be kept (`SQLITE_PREPARE_PERSISTENT`).
  public func prepare(_ sql: StaticString) throws(SQLiteError) -> Statement {
    try prepare(text: sql.description)
  }

  func prepare(text: String) throws(SQLiteError) -> Statement {
    var made: OpaquePointer?
    let result = unsafe sqlite3_prepare_v3(
      handle, text, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &made, nil)
    guard result == SQLITE_OK, let statement = unsafe made else { throw error(result, "prepare") }
    return unsafe Statement(handle: statement, connection: self)
  }

  /// Runs one statement that gives no rows, or whose rows don't matter.
  public func execute(_ sql: StaticString) throws(SQLiteError) {
    let statement = try prepare(sql)
    while try statement.step() {}
  }

  /// The first column of the first row as an integer; nil where there is no row.
  public func integer(_ sql: StaticString) throws(SQLiteError) -> Int64? {
    let statement = try prepare(sql)
    return try statement.step() ? statement.integer(0) : nil
  }

  /// The first column of the first row as text; nil where there is no row.
  public func text(_ sql: StaticString) throws(SQLiteError) -> String? {
    let statement = try prepare(sql)
    return try statement.step() ? statement.text(0) : nil
  }

  /// Counts the frames of the write-ahead log from now on, in place of automatic checkpoints.
  public func countWALFrames() { unsafe csqlite_count_wal_frames(handle, frames) }

  /// Frames in the write-ahead log as of the last commit or checkpoint of this connection.
  public var walFrames: Int { Int(unsafe frames.pointee) }

  /// Says how many there are where neither has told yet.
  public func note(walFrames count: Int) { unsafe frames.pointee = Int32(clamping: count) }

  /// Leaves the write-ahead log as it is when the connection is closed, as for `Mode.reader`. For a file
  /// that turns out to be one that must not change.
  public func keepLogWhenClosed() { _ = unsafe csqlite_no_checkpoint_on_close(handle) }

  /// Moves what it can of the write-ahead log into the database without waiting for readers
  /// (`sqlite3_wal_checkpoint_v2`, PASSIVE). Syncs both files. Blocks for the time of the writes.
  /// Gives the frames in the log and how many of them are in the database now.
  @discardableResult
  public func checkpoint() throws(SQLiteError) -> (frames: Int, moved: Int) {
    var log: Int32 = 0
    var moved: Int32 = 0
    let result = unsafe sqlite3_wal_checkpoint_v2(
      handle, nil, SQLITE_CHECKPOINT_PASSIVE, &log, &moved)
    guard result == SQLITE_OK || result & 0xff == SQLITE_BUSY else {
      throw error(result, "checkpoint")
    }
    note(walFrames: Int(log))
    return (Int(log), Int(moved))
  }

  func error(_ result: Int32, _ call: String) -> SQLiteError {
    unsafe Self.error(result, call, handle)
  }

  private static func error(_ result: Int32, _ call: String, _ handle: OpaquePointer?)
    -> SQLiteError
  {
    let extended = unsafe handle.map { unsafe sqlite3_extended_errcode($0) } ?? result
    let code = extended & 0xff == result & 0xff ? extended : result
    let message =
      SQLiteError.isFullSharedMemory(code)
      ? "the disk is full: the index of the log (the file -shm) can't grow"
      : unsafe String(cString: sqlite3_errstr(code))
    return SQLiteError(extendedCode: code, call: call, message: message)
  }
}

@available(*, unavailable)
extension Connection: Sendable {}
