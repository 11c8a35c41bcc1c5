internal import SQLite

/// A format that this program can't serve, but read: what is in it is copied into a database of today's
/// (`StoreMigration`).
///
/// One file for each, which knows that format's tables and nothing else. All lead to today's format, and
/// not to the one after: nothing has to write tables that nobody uses any more. Who changes the schema
/// raises `StoreSchema.format`, moves the reading of what was there until then to a file of its own,
/// and adds it to `OlderFormats.all` and a kept store to the tests.
protocol OlderFormat: Sendable {
  /// `PRAGMA user_version` of its databases.
  var number: Int64 { get }

  /// Where the store stands; nil where its row is missing or fails its checksum.
  func state(in old: Connection) throws(SQLiteError) -> StoreState?

  /// Copies streams, then events in the order of their positions (`StoreImport.endEvents`), then keys.
  ///
  /// - Limits: holds a row at a time.
  /// - Errors: `SQLITE_CORRUPT` for what does not fit its checksum, with what it is.
  func copy(_ old: Connection, into new: StoreImport) throws(SQLiteError)
}

enum OlderFormats {
  static let all: [any OlderFormat] = [OlderFormat1()]

  /// The format of a database of ours; nil where it is today's, unknown, or another program's.
  static func format(of connection: Connection) throws(SQLiteError) -> (any OlderFormat)? {
    let number = try connection.integer("PRAGMA user_version") ?? 0
    guard let found = all.first(where: { $0.number == number }),
      try connection.integer("PRAGMA application_id") == StoreSchema.applicationID
    else { return nil }
    return found
  }
}
