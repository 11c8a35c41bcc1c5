internal import Bytes
internal import Crypto
internal import SQLite
internal import Wire

/// What an idempotency key stands for.
struct KeyRow: Equatable {
  var stream: Int64
  var key: String
  /// SHA-256 of what was appended under it.
  var hash: [UInt8]
  var first: Offset
  var count: UInt64
  /// The events' time.
  var time: Int64
  /// In the store's own time.
  var expires: Int64

  var checksum: UInt32 {
    var writer = ByteWriter(reserving: 128)
    writer.i64(stream)
    writer.text16(key)
    writer.raw(hash)
    writer.u64(first.value)
    writer.u64(count)
    writer.i64(time)
    writer.i64(expires)
    return crc32c(writer.bytes)
  }

  /// The hash by which a repeated append is told from another with the same key: of the events,
  /// not of their time or sender.
  static func hash(of events: [NewEvent]) -> [UInt8] {
    var writer = ByteWriter()
    for event in events {
      writer.u8(event.payload.kind.rawValue)
      writer.text16(event.eventType)
      writer.bytes32(event.meta)
      writer.bytes32(event.payload.bytes)
    }
    return SHA256.digest(writer.bytes)
  }
}

/// Reads and writes the table `keys`, always in the transaction of the append.
struct KeyTable {
  private let select: Statement
  private let insert: Statement
  private let remove: Statement
  private let sweep: Statement
  private let connection: Connection

  init(_ connection: Connection) throws(SQLiteError) {
    self.connection = connection
    select = try connection.prepare(
      """
      SELECT hash, first, count, time, expires, crc FROM keys \
      WHERE stream = ?1 AND key = ?2
      """)
    insert = try connection.prepare(
      """
      INSERT INTO keys(stream, key, hash, first, count, time, expires, crc) \
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
      """)
    remove = try connection.prepare("DELETE FROM keys WHERE stream = ?1 AND key = ?2")
    // Keys expire in the order they came, so the lowest ids are the ones to look at.
    sweep = try connection.prepare(
      """
      DELETE FROM keys WHERE expires <= ?1 AND id IN (SELECT id FROM keys ORDER BY id LIMIT ?2)
      """)
  }

  /// The row of a key; nil where there is none or it has expired by `now`.
  func find(_ key: String, in stream: Int64, now: Int64) throws(SQLiteError) -> KeyRow? {
    select.bind(1, stream)
    select.bind(2, text: key)
    guard try select.step() else { return nil }
    defer { select.reset() }
    let row = KeyRow(
      stream: stream, key: key, hash: select.bytes(0), first: Offset(select.bits(1)),
      count: select.bits(2), time: select.integer(3), expires: select.integer(4))
    guard Int64(row.checksum) == select.integer(5) else {
      throw SQLiteError(extendedCode: 11, call: "read", message: "a key's row is damaged")
    }
    return row.expires > now ? row : nil
  }

  /// Keeps a key, in place of an expired one of the same name.
  func keep(_ row: KeyRow) throws(SQLiteError) {
    remove.bind(1, row.stream)
    remove.bind(2, text: row.key)
    try remove.run()
    insert.bind(1, row.stream)
    insert.bind(2, text: row.key)
    insert.bind(3, copying: row.hash)
    insert.bind(4, bits: row.first.value)
    insert.bind(5, bits: row.count)
    insert.bind(6, row.time)
    insert.bind(7, row.expires)
    insert.bind(8, Int64(row.checksum))
    try insert.run()
  }

  /// Removes some of the keys that expired by `now`, and says how many.
  func removeExpired(now: Int64) throws(SQLiteError) -> Int {
    sweep.bind(1, now)
    sweep.bind(2, Int64(StoreLimits.sweepKeysMax))
    try sweep.run()
    return connection.changes
  }
}
