@testable import SQLite

extension Connection {
  /// Prepares SQL that is not a literal, which the store never does.
  func prepareForTest(_ sql: String) throws(SQLiteError) -> Statement { try prepare(text: sql) }
}
