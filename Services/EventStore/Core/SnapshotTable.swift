internal import Archive
internal import Bytes
internal import SQLite
internal import Wire

/// Where a kept snapshot is, and what its bytes must sum up to. The bytes are read apart.
struct SnapshotRow: Equatable {
  var id: Int64 = 0
  /// The stream whose own event is at `offset`, so that forks find it.
  var stream: Int64
  var fold: FoldName
  var offset: Offset
  /// The stream's chain at `offset`.
  var chain: StreamChain
  /// When it was kept, in milliseconds since 1970.
  var time: Int64
  /// CRC-32C of its bytes.
  var sum: UInt32
  /// How many they are.
  var bytes: Int

  /// Of all but the bytes, whose own sum is in it.
  var checksum: UInt32 {
    var writer = ByteWriter(reserving: 160)
    writer.i64(stream)
    writer.text16(fold.name)
    writer.u32(fold.version)
    writer.u64(offset.value)
    writer.raw(chain.bytes)
    writer.i64(time)
    writer.u32(sum)
    writer.u64(UInt64(clamping: bytes))
    return crc32c(writer.bytes)
  }
}

/// The table `snapshots`: what folds have made of streams. Readers and the writer have one each.
struct SnapshotTable {
  private let latest: Statement
  private let state: Statement
  private let all: Statement
  private let list: Statement

  init(_ connection: Connection) throws(SQLiteError) {
    latest = try connection.prepare(
      """
      SELECT id, stream, fold, version, offset, chain, time, sum, bytes, crc FROM snapshots \
      WHERE stream = ?1 AND fold = ?2 AND version = ?3 AND offset <= ?4 \
      ORDER BY offset DESC LIMIT ?5
      """)
    state = try connection.prepare("SELECT state FROM snapshots WHERE id = ?1")
    list = try connection.prepare(
      """
      SELECT id, stream, fold, version, offset, chain, time, sum, bytes, crc FROM snapshots \
      WHERE stream = ?1 AND fold = ?2 ORDER BY version DESC, offset DESC
      """)
    all = try connection.prepare(
      """
      SELECT id, stream, fold, version, offset, chain, time, sum, bytes, crc FROM snapshots \
      WHERE id > ?1 ORDER BY id LIMIT 64
      """)
  }

  /// The newest of a stream's own up to an offset, the newest first. Rows that don't fit their
  /// checksum are passed over.
  func latest(
    of stream: Int64, _ fold: FoldName, through offset: Offset, limit: Int
  ) throws(SQLiteError) -> [SnapshotRow] {
    latest.bind(1, stream)
    latest.bind(2, text: fold.name)
    latest.bind(3, Int64(fold.version))
    // Offsets are stored as they are signed; none is that large.
    latest.bind(4, Int64(clamping: offset.value))
    latest.bind(5, Int64(limit))
    var rows: [SnapshotRow] = []
    while try latest.step() { if let row = Self.row(latest) { rows.append(row) } }
    return rows
  }

  /// All of a stream's own of one fold, whatever its version.
  func list(of stream: Int64, _ fold: String) throws(SQLiteError) -> [SnapshotRow] {
    list.bind(1, stream)
    list.bind(2, text: fold)
    var rows: [SnapshotRow] = []
    while try list.step() { if let row = Self.row(list) { rows.append(row) } }
    return rows
  }

  /// The next of all snapshots after one, by number; nil for a row that is damaged. Empty at the end.
  func some(after id: Int64) throws(SQLiteError) -> [SnapshotRow?] {
    all.bind(1, id)
    var rows: [SnapshotRow?] = []
    while try all.step() { rows.append(Self.row(all)) }
    return rows
  }

  /// The bytes of a snapshot; nil where they are gone or don't fit their sum.
  func state(of row: SnapshotRow) throws(SQLiteError) -> [UInt8]? {
    state.bind(1, row.id)
    guard try state.step() else { return nil }
    defer { state.reset() }
    let bytes = state.bytes(0)
    return bytes.count == row.bytes && crc32c(bytes) == row.sum ? bytes : nil
  }

  private static func row(_ found: Statement) -> SnapshotRow? {
    guard let version = UInt32(exactly: found.integer(3)), let chain = StreamChain(found.bytes(5)),
      let sum = UInt32(exactly: found.integer(7)), let bytes = Int(exactly: found.integer(8))
    else { return nil }
    let row = SnapshotRow(
      id: found.integer(0), stream: found.integer(1),
      fold: FoldName(found.text(2), version: version), offset: Offset(found.bits(4)), chain: chain,
      time: found.integer(6), sum: sum, bytes: bytes)
    return Int64(row.checksum) == found.integer(9) ? row : nil
  }
}

/// The writer's side of it.
struct SnapshotWriter {
  let table: SnapshotTable
  private let insert: Statement
  private let removeOne: Statement
  private let removeBelow: Statement
  private let removeSome: Statement
  private let connection: Connection

  init(_ connection: Connection) throws(SQLiteError) {
    self.connection = connection
    table = try SnapshotTable(connection)
    insert = try connection.prepare(
      """
      INSERT OR REPLACE INTO snapshots(stream, fold, version, offset, chain, time, sum, bytes, crc, \
      state) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
      """)
    removeOne = try connection.prepare("DELETE FROM snapshots WHERE id = ?1")
    removeBelow = try connection.prepare(
      "DELETE FROM snapshots WHERE stream = ?1 AND offset < ?2")
    removeSome = try connection.prepare(
      "DELETE FROM snapshots WHERE id IN (SELECT id FROM snapshots WHERE stream = ?1 LIMIT ?2)")
  }

  func keep(_ row: SnapshotRow, _ state: [UInt8]) throws(SQLiteError) {
    insert.bind(1, row.stream)
    insert.bind(2, text: row.fold.name)
    insert.bind(3, Int64(row.fold.version))
    insert.bind(4, bits: row.offset.value)
    insert.bind(5, copying: row.chain.bytes)
    insert.bind(6, row.time)
    insert.bind(7, Int64(row.sum))
    insert.bind(8, Int64(row.bytes))
    insert.bind(9, Int64(row.checksum))
    try insert.run(lending: state, to: 10)
  }

  func remove(_ id: Int64) throws(SQLiteError) {
    removeOne.bind(1, id)
    try removeOne.run()
  }

  /// Removes those that nobody can go on from; says how many.
  func remove(of stream: Int64, below floor: Offset) throws(SQLiteError) -> Int {
    removeBelow.bind(1, stream)
    removeBelow.bind(2, bits: floor.value)
    try removeBelow.run()
    return connection.changes
  }

  /// Removes some of a stream's, and says how many.
  func remove(of stream: Int64, limit: Int) throws(SQLiteError) -> Int {
    removeSome.bind(1, stream)
    removeSome.bind(2, Int64(limit))
    try removeSome.run()
    return connection.changes
  }
}
