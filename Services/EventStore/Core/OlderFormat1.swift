internal import Bytes
internal import SQLite
internal import Wire

/// Format 1: a row for each event, by position, and an index of places that was filled now and then.
///
/// The index is not read: stream and offset stand in each event's row, under its checksum.
struct OlderFormat1: OlderFormat {
  let number: Int64 = 1

  func state(in old: Connection) throws(SQLiteError) -> StoreState? {
    let row = try old.prepare(
      """
      SELECT store, commits, position, chain, indexed, announced, clock, wall, crc FROM store \
      WHERE id = 1
      """)
    guard try row.step() else { return nil }
    defer { row.reset() }
    var writer = ByteWriter(reserving: 64)
    for column in 0..<8 as Range<Int32> { writer.i64(row.integer(column)) }
    guard Int64(crc32c(writer.bytes)) == row.integer(8) else { return nil }
    return StoreState(
      store: row.bits(0), commit: row.bits(1), position: row.integer(2), chain: row.bits(3),
      announced: row.integer(5), clock: row.integer(6), wall: row.integer(7))
  }

  func copy(_ old: Connection, into new: StoreImport) throws(SQLiteError) {
    try eachStream(old) { (row) throws(SQLiteError) in
      // What it holds comes with its events.
      try new.add(
        StreamRow(id: row.id, name: row.name, epoch: row.epoch, floor: row.floor, created: 0))
    }
    try copyEvents(old, into: new)
    try new.endEvents()
    try eachStream(old) { (row) throws(SQLiteError) in
      let head = try new.head(of: row.id)
      // A row's head may be behind its events, and neither it nor the floor beyond them.
      guard let head, row.head <= head, row.floor <= head else {
        throw Self.damage(
          "\(row.name) ends at \(head ?? .zero), not at \(max(row.head, row.floor))")
      }
    }
    try copyKeys(old, into: new)
  }

  private static func damage(_ what: String) -> SQLiteError {
    SQLiteError(extendedCode: 11, call: "read", message: what)
  }

  private struct Stream {
    var id: Int64
    var name: ChannelName
    var epoch: Epoch
    var floor: Offset
    var head: Offset

    /// Reads columns id, name, epoch, floor, head, crc; nil where they don't fit their checksum.
    init?(reading row: Statement) {
      guard let name = ChannelName(row.text(1)), let epoch = Epoch(row.text(2)) else { return nil }
      (id, self.name, self.epoch) = (row.integer(0), name, epoch)
      (floor, head) = (Offset(row.bits(3)), Offset(row.bits(4)))
      var writer = ByteWriter(reserving: 64)
      writer.i64(id)
      writer.u64(floor.value)
      writer.u64(head.value)
      writer.text16(name.text)
      writer.text16(epoch.text)
      guard Int64(crc32c(writer.bytes)) == row.integer(5) else { return nil }
    }
  }

  private func eachStream(
    _ old: Connection, _ body: (Stream) throws(SQLiteError) -> Void
  ) throws(SQLiteError) {
    let rows = try old.prepare("SELECT id, name, epoch, floor, head, crc FROM streams ORDER BY id")
    while try rows.step() {
      guard let row = Stream(reading: rows) else {
        throw Self.damage("the row of stream \(rows.integer(0)) is damaged")
      }
      try body(row)
    }
  }

  private func copyEvents(_ old: Connection, into new: StoreImport) throws(SQLiteError) {
    let rows = try old.prepare(
      """
      SELECT position, stream, offset, time, client, user, kind, type, meta, crc, payload \
      FROM events ORDER BY position
      """)
    var reader = EventReader()
    while try rows.step() {
      guard rows.integer(0) == new.position + 1, let event = reader.event(rows),
        try new.add(event, of: rows.integer(1))
      else {
        let name = try new.name(of: rows.integer(1))?.text ?? "stream \(rows.integer(1))"
        throw Self.damage(
          "event \(rows.bits(2)) of \(name) is damaged, or one before it is missing "
            + "(position \(new.position + 1))")
      }
    }
  }

  /// Reads rows of `events`, with one buffer for all.
  private struct EventReader {
    private var head = ByteWriter(reserving: 256)

    /// Nil where the row does not fit its checksum: CRC-32C over, little-endian, `i64 position ·
    /// i64 stream · u64 offset · i64 time · u64 client · u8 kind · u32 counts of user, type, meta,
    /// payload · those bytes`.
    mutating func event(_ row: Statement) -> StoredEvent? {
      guard let kind = UInt8(exactly: row.integer(6)).flatMap(PayloadKind.init(rawValue:)) else {
        return nil
      }
      let event = StoredEvent(
        offset: Offset(row.bits(2)), timeMs: row.integer(3),
        publisher: Publisher(client: row.bits(4), user: row.text(5)), eventType: row.text(7),
        meta: row.bytes(8), payload: Payload(kind, row.bytes(10)))
      head.bytes.removeAll(keepingCapacity: true)
      for column in 0..<5 as Range<Int32> { head.i64(row.integer(column)) }
      head.u8(kind.rawValue)
      head.u32(UInt32(clamping: event.publisher.user.utf8.count))
      head.u32(UInt32(clamping: event.eventType.utf8.count))
      head.u32(UInt32(clamping: event.meta.count))
      head.u32(UInt32(clamping: event.payload.bytes.count))
      head.bytes.append(contentsOf: event.publisher.user.utf8)
      head.bytes.append(contentsOf: event.eventType.utf8)
      head.raw(event.meta)
      let sum = crc32c(event.payload.bytes, continuing: crc32c(head.bytes))
      return Int64(sum) == row.integer(9) ? event : nil
    }
  }

  private func copyKeys(_ old: Connection, into new: StoreImport) throws(SQLiteError) {
    let rows = try old.prepare(
      """
      SELECT stream, key, hash, first, count, position, time, expires, crc FROM keys ORDER BY id
      """)
    while try rows.step() {
      let row = KeyRow(
        stream: rows.integer(0), key: rows.text(1), hash: rows.bytes(2),
        first: Offset(rows.bits(3)),
        count: rows.bits(4), time: rows.integer(6), expires: rows.integer(7))
      var writer = ByteWriter(reserving: 128)
      writer.i64(row.stream)
      writer.text16(row.key)
      writer.raw(row.hash)
      writer.u64(row.first.value)
      writer.u64(row.count)
      for column in 5..<8 as Range<Int32> { writer.i64(rows.integer(column)) }
      guard Int64(crc32c(writer.bytes)) == rows.integer(8), let head = try new.head(of: row.stream),
        row.first.value &+ row.count &- 1 <= head.value
      else { throw Self.damage("a key's row is damaged") }
      try new.add(row)
    }
  }
}
