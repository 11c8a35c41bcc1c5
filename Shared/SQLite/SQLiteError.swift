internal import CSQLite

/// A refused SQLite call: its result code and SQLite's own sentence; never SQL arguments.
public struct SQLiteError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The extended result code (`sqlite3_extended_errcode`).
  public let extendedCode: Int32
  /// What was being done, in our words: `open`, `step`, `checkpoint` …
  public let call: String
  public let message: String

  public init(extendedCode: Int32, call: String, message: String) {
    self.extendedCode = extendedCode
    self.call = call
    self.message = message
  }

  /// The primary result code: the low eight bits.
  public var code: Int32 { extendedCode & 0xff }

  /// SQLITE_FULL: the disk, or a limit of the database, is full. A write that did not happen.
  public var isFull: Bool { code == SQLITE_FULL }
  /// SQLITE_IOERR_SHMSIZE: the disk is full too, but what was to be written to the log may be there:
  /// it is the log's index in shared memory that can't grow.
  static func isFullSharedMemory(_ extendedCode: Int32) -> Bool {
    extendedCode == SQLITE_IOERR | 19 << 8
  }
  /// SQLITE_CORRUPT or SQLITE_NOTADB: the file is damaged or is no database.
  public var isCorrupt: Bool { code == SQLITE_CORRUPT || code == SQLITE_NOTADB }
  /// SQLITE_CONSTRAINT: a row broke a rule of the schema.
  public var isConstraint: Bool { code == SQLITE_CONSTRAINT }
  /// SQLITE_BUSY or SQLITE_LOCKED: another connection holds what is needed.
  public var isBusy: Bool { code == SQLITE_BUSY || code == SQLITE_LOCKED }

  public var description: String { "SQLite \(call): \(message) (\(extendedCode))" }
}
