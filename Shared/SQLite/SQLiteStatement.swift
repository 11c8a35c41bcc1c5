// INVARIANTS:
// - A statement keeps its connection, so the handle it was made from outlives it.
// - Bytes are either copied by SQLite when they are bound, or lent for exactly one `step`: the
//   binding is cleared before the array is let go.
// - A column's pointer is read only between `step` and the next call on the statement, and copied
//   or lent for the length of one closure. Its count is SQLite's own.
// - Column and parameter numbers are the caller's literals; a wrong one is a programmer error.

internal import CSQLite

/// One prepared statement: bind, step, read, reset.
///
/// Parameters count from 1, columns from 0, as in SQLite. Confined with its connection.
@safe public final class Statement {
  private let handle: OpaquePointer
  private let connection: Connection

  init(handle: OpaquePointer, connection: Connection) {
    unsafe self.handle = handle
    self.connection = connection
  }

  deinit { _ = unsafe sqlite3_finalize(handle) }

  public func bind(_ parameter: Int32, _ value: Int64) {
    check(unsafe sqlite3_bind_int64(handle, parameter, value))
  }

  /// Binds the bits of an unsigned integer.
  public func bind(_ parameter: Int32, bits value: UInt64) {
    bind(parameter, Int64(bitPattern: value))
  }

  public func bindNull(_ parameter: Int32) { check(unsafe sqlite3_bind_null(handle, parameter)) }

  /// Binds a copy of `text`.
  public func bind(_ parameter: Int32, text: String) {
    var text = text
    text.withUTF8 { utf8 in
      check(
        unsafe csqlite_bind_text(handle, parameter, utf8.baseAddress, Int32(clamping: utf8.count)))
    }
  }

  /// Binds a copy of `bytes`; an empty array is an empty blob, not NULL.
  public func bind(_ parameter: Int32, copying bytes: [UInt8]) {
    // SAFE BECAUSE SQLite copies before the closure returns.
    unsafe bytes.withUnsafeBytes { raw in
      check(
        unsafe csqlite_bind_copy(handle, parameter, raw.baseAddress, Int32(clamping: raw.count)))
    }
  }

  /// Advances to the next row; false at the end, where the statement is reset.
  ///
  /// Errors: the statement is reset; what a failed write left behind is the transaction's matter.
  public func step() throws(SQLiteError) -> Bool {
    let result = unsafe sqlite3_step(handle)
    if result == SQLITE_ROW { return true }
    _ = unsafe sqlite3_reset(handle)
    guard result == SQLITE_DONE else { throw connection.error(result, "step") }
    return false
  }

  /// Steps to the end and resets.
  public func run() throws(SQLiteError) { while try step() {} }

  /// Binds `bytes` without copying them, then runs to the end.
  public func run(lending bytes: [UInt8], to parameter: Int32) throws(SQLiteError) {
    // SAFE BECAUSE the array is held by the closure until the statement has run and is reset, and
    // the next run binds this parameter again before it is stepped.
    let result = unsafe bytes.withUnsafeBytes { raw -> Int32 in
      check(
        unsafe csqlite_bind_lent(handle, parameter, raw.baseAddress, Int32(clamping: raw.count)))
      var result = unsafe sqlite3_step(handle)
      while result == SQLITE_ROW { result = unsafe sqlite3_step(handle) }
      _ = unsafe sqlite3_reset(handle)
      check(unsafe sqlite3_bind_null(handle, parameter))
      return result
    }
    guard result == SQLITE_DONE else { throw connection.error(result, "step") }
  }

  /// Ends reading before the last row, so that the snapshot can be let go.
  public func reset() { _ = unsafe sqlite3_reset(handle) }

  public func integer(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(handle, column) }

  /// The bits of a column as an unsigned integer.
  public func bits(_ column: Int32) -> UInt64 { UInt64(bitPattern: integer(column)) }

  public func isNull(_ column: Int32) -> Bool {
    unsafe sqlite3_column_type(handle, column) == SQLITE_NULL
  }

  /// A column's text; empty for NULL, and with U+FFFD in place of what is no UTF-8.
  public func text(_ column: Int32) -> String { String(decoding: bytes(column), as: UTF8.self) }

  /// A copy of a column's bytes; empty for NULL.
  public func bytes(_ column: Int32) -> [UInt8] {
    guard let base = unsafe sqlite3_column_blob(handle, column) else { return [] }
    let count = Int(unsafe sqlite3_column_bytes(handle, column))
    // SAFE BECAUSE SQLite lends `count` bytes until the next call on the statement.
    return unsafe [UInt8](UnsafeRawBufferPointer(start: base, count: count))
  }

  /// Lends a column's bytes for the length of `body`; none for NULL.
  public func withBytes<Result, Failure: Error>(
    _ column: Int32, _ body: (borrowing Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let base = unsafe sqlite3_column_blob(handle, column)
    let count = unsafe base == nil ? 0 : Int(sqlite3_column_bytes(handle, column))
    // SAFE BECAUSE SQLite lends `count` bytes until the next call on the statement, and the span
    // ends with the closure.
    let raw = unsafe UnsafeRawBufferPointer(start: base, count: count)
    return try unsafe body(Span<UInt8>(_unsafeBytes: raw))
  }

  /// A bind fails only for a wrong parameter, an over-long value or no memory.
  private func check(_ result: Int32) {
    precondition(result == SQLITE_OK, "a parameter can't be bound")
  }
}

@available(*, unavailable)
extension Statement: Sendable {}
