internal import SQLite

/// The database's tables and the settings a connection must have.
///
/// An event is written twice. A commit adds it to `log`, a row for each stream of the commit, by
/// position: appending to the end is what SQLite does fastest. In memory it joins its stream's others
/// (`CommittedTail`), and some megabytes later they go together into a row of `segments`, which
/// `places` leads to: a stream is read in few large pieces, however many streams were written in
/// between. Rows of the log whose events are all in segments go, and `orders` keeps in which order
/// they were. ADR 33 has what was measured.
///
/// INVARIANT: of a stream, events up to `streams.head` are in segments, and those behind it in the
/// log. Events up to `store.swept` are not in the log.
enum StoreSchema {
  static let fileName = "events.sqlite"
  static let format: Int64 = 2
  /// "SPHR", so that `file` and we can tell whose database it is.
  static let applicationID: Int64 = 0x5350_4852

  static func path(in directory: String) -> String { "\(directory)/\(fileName)" }

  /// How a connection's commits reach the disk.
  enum Durability {
    /// The log is synced before a commit returns: the only one a store may serve with.
    case full
    /// Commits are not synced. For copies that are thrown away, and to show that tests can fail.
    case unsynced
    /// Synced at checkpoints only. To show that tests can fail.
    case atCheckpoints
  }

  /// Sets a writing connection up, and reads back what it was told.
  static func prepareWriter(_ connection: Connection, _ durability: Durability) throws(StoreFailure)
  {
    do {
      // Of a new database. A segment goes over several pages, and twice as large ones are read and
      // written in half the calls; a commit of one event costs the same.
      try connection.execute("PRAGMA page_size = 8192")
      try connection.execute("PRAGMA journal_mode = WAL")
      switch durability {
      case .full: try connection.execute("PRAGMA synchronous = FULL")
      case .unsynced: try connection.execute("PRAGMA synchronous = OFF")
      case .atCheckpoints: try connection.execute("PRAGMA synchronous = NORMAL")
      }
      try connection.execute("PRAGMA wal_autocheckpoint = 0")
      try connection.execute("PRAGMA mmap_size = 0")
      try connection.execute("PRAGMA temp_store = MEMORY")
      try connection.execute("PRAGMA cache_size = -32768")
      try connection.execute("PRAGMA trusted_schema = OFF")
      try connection.execute("PRAGMA cell_size_check = ON")
      try connection.execute("PRAGMA journal_size_limit = 67108864")
      connection.countWALFrames()
      let synchronous: Int64 =
        switch durability {
        case .unsynced: 0
        case .atCheckpoints: 1
        case .full: 2
        }
      try expect(try connection.text("PRAGMA journal_mode") == "wal", "journal_mode")
      try expect(try connection.integer("PRAGMA synchronous") == synchronous, "synchronous")
      try expect(try connection.integer("PRAGMA mmap_size") ?? 0 == 0, "mmap_size")
      try expect(try connection.integer("PRAGMA trusted_schema") == 0, "trusted_schema")
    } catch let error as SQLiteError {
      throw opening(error)
    } catch let failure as StoreFailure {
      throw failure
    } catch {
      throw .files("\(error)")
    }
  }

  /// Sets a reading connection up: it can't write, checkpoint or map the file.
  static func prepareReader(_ connection: Connection) throws(SQLiteError) {
    try connection.execute("PRAGMA query_only = ON")
    try connection.execute("PRAGMA wal_autocheckpoint = 0")
    try connection.execute("PRAGMA mmap_size = 0")
    try connection.execute("PRAGMA temp_store = MEMORY")
    try connection.execute("PRAGMA cache_size = -8192")
    try connection.execute("PRAGMA trusted_schema = OFF")
    try connection.execute("PRAGMA cell_size_check = ON")
  }

  private static func expect(_ holds: Bool, _ setting: String) throws(StoreFailure) {
    guard holds else { throw .files("SQLite did not take the setting \(setting)") }
  }

  /// What a failure while opening means to an operator.
  static func opening(_ error: SQLiteError) -> StoreFailure {
    error.isCorrupt ? .damaged(error.description) : .files("can't open the database: \(error)")
  }

  /// Makes the tables of a new database; leaves one of ours alone; refuses any other.
  static func create(_ connection: Connection, store: UInt64) throws(StoreFailure) {
    do {
      let found = try connection.integer("PRAGMA user_version") ?? 0
      if found > format { throw StoreFailure.newerFormat(found: found, known: format) }
      let tables = try connection.integer("SELECT count(*) FROM sqlite_schema") ?? 0
      if found == format, tables > 0 { return }
      guard found == 0, tables == 0 else { throw StoreFailure.damaged("it is another program's") }
      try connection.execute("BEGIN IMMEDIATE")
      try makeTables(connection)
      try StateTable(connection).insert(StoreState(store: store))
      try connection.execute("PRAGMA application_id = 1397770322")
      try connection.execute("PRAGMA user_version = 2")
      try connection.execute("COMMIT")
    } catch let error as SQLiteError {
      throw opening(error)
    } catch let failure as StoreFailure {
      throw failure
    } catch {
      throw .files("\(error)")
    }
  }

  private static func makeTables(_ connection: Connection) throws(SQLiteError) {
    try connection.execute(
      """
      CREATE TABLE store(id INTEGER PRIMARY KEY CHECK (id = 1), store INTEGER NOT NULL, \
      commits INTEGER NOT NULL, position INTEGER NOT NULL, chain INTEGER NOT NULL, \
      swept INTEGER NOT NULL, last_stream INTEGER NOT NULL, announced INTEGER NOT NULL, clock INTEGER NOT NULL, \
      wall INTEGER NOT NULL, crc INTEGER NOT NULL) STRICT
      """)
    try connection.execute(
      """
      CREATE TABLE streams(id INTEGER PRIMARY KEY, name TEXT UNIQUE, epoch TEXT NOT NULL, \
      floor INTEGER NOT NULL, head INTEGER NOT NULL, chain BLOB NOT NULL, bytes INTEGER NOT NULL, \
      parent INTEGER NOT NULL, fork INTEGER NOT NULL, created INTEGER NOT NULL, \
      author TEXT NOT NULL, crc INTEGER NOT NULL) STRICT
      """)
    try connection.execute("CREATE INDEX forks ON streams(parent, fork) WHERE parent > 0")
    try connection.execute(
      """
      CREATE TABLE log(position INTEGER PRIMARY KEY, stream INTEGER NOT NULL, \
      first INTEGER NOT NULL, count INTEGER NOT NULL, chain BLOB NOT NULL, crc INTEGER NOT NULL, \
      events BLOB NOT NULL) STRICT
      """)
    try connection.execute(
      """
      CREATE TABLE orders(position INTEGER PRIMARY KEY, last INTEGER NOT NULL, \
      crc INTEGER NOT NULL, list BLOB NOT NULL) STRICT
      """)
    try connection.execute(
      """
      CREATE TABLE segments(id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, chain BLOB NOT NULL, \
      crc INTEGER NOT NULL, events BLOB NOT NULL) STRICT
      """)
    try connection.execute(
      """
      CREATE TABLE places(stream INTEGER NOT NULL, first INTEGER NOT NULL, \
      count INTEGER NOT NULL, segment INTEGER NOT NULL, bytes INTEGER NOT NULL, \
      clock INTEGER NOT NULL, PRIMARY KEY (stream, first)) \
      STRICT, WITHOUT ROWID
      """)
    try connection.execute(
      """
      CREATE TABLE successors(name TEXT PRIMARY KEY, epoch TEXT NOT NULL, crc INTEGER NOT NULL) \
      STRICT, WITHOUT ROWID
      """)
    try connection.execute(
      """
      CREATE TABLE snapshots(id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, fold TEXT NOT NULL, \
      version INTEGER NOT NULL, offset INTEGER NOT NULL, chain BLOB NOT NULL, \
      time INTEGER NOT NULL, sum INTEGER NOT NULL, bytes INTEGER NOT NULL, crc INTEGER NOT NULL, \
      state BLOB NOT NULL, UNIQUE (stream, fold, version, offset)) STRICT
      """)
    try connection.execute(
      """
      CREATE TABLE keys(id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, key TEXT NOT NULL, \
      hash BLOB NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL, time INTEGER NOT NULL, \
      expires INTEGER NOT NULL, crc INTEGER NOT NULL, UNIQUE (stream, key)) STRICT
      """)
    try connection.execute(
      """
      CREATE TABLE producers(id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, \
      producer TEXT NOT NULL, epoch INTEGER NOT NULL, sequence INTEGER NOT NULL, \
      first INTEGER NOT NULL, count INTEGER NOT NULL, time INTEGER NOT NULL, \
      expires INTEGER NOT NULL, crc INTEGER NOT NULL, UNIQUE (stream, producer)) STRICT
      """)
  }
}
