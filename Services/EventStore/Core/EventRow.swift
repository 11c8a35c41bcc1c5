internal import Bytes
internal import SQLite

/// One row of the table `events`, with the checksum that goes with it.
struct EventRow {
  var position: Int64
  var stream: Int64
  var offset: Offset
  var time: Int64
  var event: NewEvent
  var principal: String?

  /// The columns in the order `init(reading:)` expects.
  static let columnCount: Int32 = 11
}

/// Computes the CRC-32C of rows, with one buffer for all.
///
/// Covers, little-endian: `i64 position · i64 stream · u64 offset · i64 time · u8 kind · u16 flags ·
/// u32 counts of type, principal, metadata, payload · those bytes`. So a row that was moved, cut or
/// given to another stream fails as surely as one whose payload changed.
struct EventChecksum {
  private var head = ByteWriter(reserving: 256)

  mutating func sum(_ row: borrowing EventRow) -> UInt32 {
    head.bytes.removeAll(keepingCapacity: true)
    head.i64(row.position)
    head.i64(row.stream)
    head.u64(row.offset.value)
    head.i64(row.time)
    return crc32c(row.event.payload.bytes, continuing: content(row.event, row.principal))
  }

  /// Appends all but the payload to the buffer and gives its checksum.
  private mutating func content(_ event: NewEvent, _ principal: String?) -> UInt32 {
    let who = principal ?? ""
    head.u8(event.payload.kind.rawValue)
    head.u16(event.flags)
    head.u32(UInt32(clamping: event.type.utf8.count))
    head.u32(UInt32(clamping: who.utf8.count))
    head.u32(UInt32(clamping: event.metadata.count))
    head.u32(UInt32(clamping: event.payload.bytes.count))
    head.bytes.append(contentsOf: event.type.utf8)
    head.bytes.append(contentsOf: who.utf8)
    head.raw(event.metadata)
    return crc32c(head.bytes)
  }
}

extension EventRow {
  /// Reads columns 0 to 10: position, stream, offset, time, kind, flags, type, principal,
  /// metadata, crc, payload. Nil where the checksum does not match what was read.
  init?(reading row: Statement, _ checksum: inout EventChecksum) {
    guard let kind = UInt8(exactly: row.integer(4)).flatMap(PayloadKind.init(rawValue:)),
      let flags = UInt16(exactly: row.integer(5)), let stored = UInt32(exactly: row.integer(9))
    else { return nil }
    let event = NewEvent(
      Payload(kind, row.bytes(10)), type: row.isNull(6) ? "" : row.text(6),
      metadata: row.bytes(8), flags: flags)
    self.init(
      position: row.integer(0), stream: row.integer(1), offset: Offset(row.bits(2)),
      time: row.integer(3), event: event, principal: row.isNull(7) ? nil : row.text(7))
    guard checksum.sum(self) == stored else { return nil }
  }

  var stored: StoredEvent {
    StoredEvent(offset: offset, time: time, event: event, principal: principal)
  }
}

/// Writes rows of the table `events`.
struct EventTable {
  private let insert: Statement
  private var checksum = EventChecksum()

  init(_ connection: Connection) throws(SQLiteError) {
    insert = try connection.prepare(
      """
      INSERT INTO events(position, stream, offset, time, kind, flags, type, principal, metadata, \
      crc, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
      """)
  }

  /// Inserts one row and gives its checksum. The payload is lent, not copied.
  mutating func append(_ row: borrowing EventRow) throws(SQLiteError) -> UInt32 {
    let sum = checksum.sum(row)
    insert.bind(1, row.position)
    insert.bind(2, row.stream)
    insert.bind(3, bits: row.offset.value)
    insert.bind(4, row.time)
    insert.bind(5, Int64(row.event.payload.kind.rawValue))
    insert.bind(6, Int64(row.event.flags))
    if row.event.type.isEmpty { insert.bindNull(7) } else { insert.bind(7, text: row.event.type) }
    if let who = row.principal { insert.bind(8, text: who) } else { insert.bindNull(8) }
    if row.event.metadata.isEmpty {
      insert.bindNull(9)
    } else {
      insert.bind(9, copying: row.event.metadata)
    }
    insert.bind(10, Int64(sum))
    try insert.run(lending: row.event.payload.bytes, to: 11)
    return sum
  }
}
