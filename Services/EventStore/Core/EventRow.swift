internal import Bytes
internal import SQLite
internal import Wire

/// One row of the table `events`, with the checksum that goes with it.
struct EventRow {
  var position: Int64
  var stream: Int64
  var offset: Offset
  var time: Int64
  var publisher: Publisher
  var event: NewEvent
}

/// Computes the CRC-32C of rows, with one buffer for all.
///
/// Covers, little-endian: `i64 position · i64 stream · u64 offset · i64 time · u64 client ·
/// u8 kind · u32 counts of user, type, meta, payload · those bytes`. So a row that was moved, cut or
/// given to another stream fails as surely as one whose payload changed.
struct EventChecksum {
  private var head = ByteWriter(reserving: 256)

  mutating func sum(_ row: borrowing EventRow) -> UInt32 {
    head.bytes.removeAll(keepingCapacity: true)
    head.i64(row.position)
    head.i64(row.stream)
    head.u64(row.offset.value)
    head.i64(row.time)
    head.u64(row.publisher.client)
    head.u8(row.event.payload.kind.rawValue)
    head.u32(UInt32(clamping: row.publisher.user.utf8.count))
    head.u32(UInt32(clamping: row.event.eventType.utf8.count))
    head.u32(UInt32(clamping: row.event.meta.count))
    head.u32(UInt32(clamping: row.event.payload.bytes.count))
    head.bytes.append(contentsOf: row.publisher.user.utf8)
    head.bytes.append(contentsOf: row.event.eventType.utf8)
    head.raw(row.event.meta)
    return crc32c(row.event.payload.bytes, continuing: crc32c(head.bytes))
  }
}

extension EventRow {
  /// Reads columns 0 to 10: position, stream, offset, time, client, user, kind, type, meta, crc,
  /// payload. Nil where the checksum does not match what was read.
  init?(reading row: Statement, _ checksum: inout EventChecksum) {
    guard let kind = UInt8(exactly: row.integer(6)).flatMap(PayloadKind.init(rawValue:)),
      let stored = UInt32(exactly: row.integer(9))
    else { return nil }
    self.init(
      position: row.integer(0), stream: row.integer(1), offset: Offset(row.bits(2)),
      time: row.integer(3),
      publisher: Publisher(client: row.bits(4), user: row.isNull(5) ? "" : row.text(5)),
      event: NewEvent(
        payload: Payload(kind, row.bytes(10)), eventType: row.isNull(7) ? "" : row.text(7),
        meta: row.bytes(8)))
    guard checksum.sum(self) == stored else { return nil }
  }

  var stored: StoredEvent {
    StoredEvent(
      offset: offset, timeMs: time, publisher: publisher, eventType: event.eventType,
      meta: event.meta, payload: event.payload)
  }
}

/// Writes rows of the table `events`.
struct EventTable {
  private let insert: Statement
  private var checksum = EventChecksum()

  init(_ connection: Connection) throws(SQLiteError) {
    insert = try connection.prepare(
      """
      INSERT INTO events(position, stream, offset, time, client, user, kind, type, meta, crc, \
      payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
      """)
  }

  /// Inserts one row and gives its checksum. The payload is lent, not copied.
  mutating func append(_ row: borrowing EventRow) throws(SQLiteError) -> UInt32 {
    let sum = checksum.sum(row)
    let event = row.event
    insert.bind(1, row.position)
    insert.bind(2, row.stream)
    insert.bind(3, bits: row.offset.value)
    insert.bind(4, row.time)
    insert.bind(5, bits: row.publisher.client)
    if row.publisher.user.isEmpty {
      insert.bindNull(6)
    } else {
      insert.bind(6, text: row.publisher.user)
    }
    insert.bind(7, Int64(event.payload.kind.rawValue))
    if event.eventType.isEmpty { insert.bindNull(8) } else { insert.bind(8, text: event.eventType) }
    if event.meta.isEmpty { insert.bindNull(9) } else { insert.bind(9, copying: event.meta) }
    insert.bind(10, Int64(sum))
    try insert.run(lending: event.payload.bytes, to: 11)
    return sum
  }
}
