internal import Bytes
internal import SQLite
internal import Wire

/// What an append is of its producer, by the one before it. Pure.
///
///     epoch older      → fenced
///     epoch newer      → next at 0, else a gap
///     the same epoch   → next at last + 1, a duplicate before, else a gap
enum ProducerTurn: Equatable {
  case next
  case duplicate
  case fenced(epoch: UInt64)
  case gap(expected: UInt64)

  /// - Parameter last: nil for a producer that is not known.
  init(of mark: ProducerMark, after last: ProducerMark?) {
    guard let last, mark.epoch <= last.epoch else {
      self = mark.sequence == 0 ? .next : .gap(expected: 0)
      return
    }
    if mark.epoch < last.epoch {
      self = .fenced(epoch: last.epoch)
    } else if mark.sequence <= last.sequence {
      self = .duplicate
    } else {
      // Larger than the last one, so there is a next one.
      let next = last.sequence + 1
      self = mark.sequence == next ? .next : .gap(expected: next)
    }
  }
}

/// A producer's last append to a stream.
struct ProducerRow: Equatable {
  var stream: Int64
  var mark: ProducerMark
  var first: Offset
  var count: UInt64
  /// The events' time.
  var time: Int64
  /// In the store's own time.
  var expires: Int64

  var checksum: UInt32 {
    var writer = ByteWriter(reserving: 128)
    writer.i64(stream)
    writer.text16(mark.id)
    writer.u64(mark.epoch)
    writer.u64(mark.sequence)
    writer.u64(first.value)
    writer.u64(count)
    writer.i64(time)
    writer.i64(expires)
    return crc32c(writer.bytes)
  }
}

/// Reads and writes the table `producers`, always in the transaction of the append.
struct ProducerTable {
  private let select: Statement
  private let insert: Statement
  private let remove: Statement
  private let count: Statement
  private let removeOld: Statement
  private let removeAll: Statement
  private let sweep: Statement
  private let all: Statement
  private let connection: Connection

  init(_ connection: Connection) throws(SQLiteError) {
    self.connection = connection
    select = try connection.prepare(
      """
      SELECT stream, producer, epoch, sequence, first, count, time, expires, crc FROM producers \
      WHERE stream = ?1 AND producer = ?2
      """)
    insert = try connection.prepare(
      """
      INSERT INTO producers(stream, producer, epoch, sequence, first, count, time, expires, crc) \
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
      """)
    remove = try connection.prepare("DELETE FROM producers WHERE stream = ?1 AND producer = ?2")
    count = try connection.prepare("SELECT count(*) FROM producers WHERE stream = ?1")
    removeOld = try connection.prepare("DELETE FROM producers WHERE stream = ?1 AND expires <= ?2")
    removeAll = try connection.prepare(
      "DELETE FROM producers WHERE id IN (SELECT id FROM producers WHERE stream = ?1 LIMIT ?2)")
    // Each append makes the row anew, so they expire in the order of their ids.
    sweep = try connection.prepare(
      """
      DELETE FROM producers WHERE expires <= ?1 \
      AND id IN (SELECT id FROM producers ORDER BY id LIMIT ?2)
      """)
    all = try connection.prepare(
      """
      SELECT stream, producer, epoch, sequence, first, count, time, expires, crc FROM producers
      """)
  }

  private static func read(_ row: Statement) throws(SQLiteError) -> ProducerRow {
    let mark = ProducerMark(id: row.text(1), epoch: row.bits(2), sequence: row.bits(3))
    let found = ProducerRow(
      stream: row.integer(0), mark: mark, first: Offset(row.bits(4)), count: row.bits(5),
      time: row.integer(6), expires: row.integer(7))
    guard Int64(found.checksum) == row.integer(8) else {
      throw SQLiteError(extendedCode: 11, call: "read", message: "a producer's row is damaged")
    }
    return found
  }

  /// The last append of a producer; nil where there was none or it has expired by `now`.
  func find(_ producer: String, in stream: Int64, now: Int64) throws(SQLiteError) -> ProducerRow? {
    select.bind(1, stream)
    select.bind(2, text: producer)
    guard try select.step() else { return nil }
    defer { select.reset() }
    let row = try Self.read(select)
    return row.expires > now ? row : nil
  }

  /// Whether a stream may have one producer more. Cost: `StoreLimits.producersMax` rows.
  func hasRoom(in stream: Int64, now: Int64) throws(SQLiteError) -> Bool {
    if try count(of: stream) < StoreLimits.producersMax { return true }
    removeOld.bind(1, stream)
    removeOld.bind(2, now)
    try removeOld.run()
    return try count(of: stream) < StoreLimits.producersMax
  }

  private func count(of stream: Int64) throws(SQLiteError) -> Int {
    count.bind(1, stream)
    defer { count.reset() }
    return try count.step() ? Int(clamping: count.integer(0)) : 0
  }

  /// Keeps a producer's append in place of the one before it.
  func keep(_ row: ProducerRow) throws(SQLiteError) {
    remove.bind(1, row.stream)
    remove.bind(2, text: row.mark.id)
    try remove.run()
    insert.bind(1, row.stream)
    insert.bind(2, text: row.mark.id)
    insert.bind(3, bits: row.mark.epoch)
    insert.bind(4, bits: row.mark.sequence)
    insert.bind(5, bits: row.first.value)
    insert.bind(6, bits: row.count)
    insert.bind(7, row.time)
    insert.bind(8, row.expires)
    insert.bind(9, Int64(row.checksum))
    try insert.run()
  }

  /// Removes some of those that expired by `now`, and says how many.
  func removeExpired(now: Int64) throws(SQLiteError) -> Int {
    sweep.bind(1, now)
    sweep.bind(2, Int64(StoreLimits.sweepKeysMax))
    try sweep.run()
    return connection.changes
  }

  /// Removes some of a stream's, and says how many.
  func remove(of stream: Int64, limit: Int) throws(SQLiteError) -> Int {
    removeAll.bind(1, stream)
    removeAll.bind(2, Int64(limit))
    try removeAll.run()
    return connection.changes
  }

  /// Reads all of them with their checksums.
  func check() throws(SQLiteError) {
    defer { all.reset() }
    while try all.step() { _ = try Self.read(all) }
  }
}
