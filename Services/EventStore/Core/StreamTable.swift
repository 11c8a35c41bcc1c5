internal import Bytes
internal import SQLite

/// One row of the table `streams`. `head` is as of `StoreState.indexed`, or later in memory.
struct StreamRow: Equatable {
  var id: Int64
  var name: ChannelName
  var epoch: Epoch
  var floor: Offset
  var head: Offset

  var checksum: UInt32 {
    var writer = ByteWriter(reserving: 64)
    writer.i64(id)
    writer.u64(floor.value)
    writer.u64(head.value)
    writer.text16(name.text)
    writer.text16(epoch.text)
    return crc32c(writer.bytes)
  }

  /// Reads columns id, name, epoch, floor, head, crc; nil where they don't fit their checksum.
  init?(reading row: Statement) {
    guard let name = ChannelName(row.text(1)), let epoch = Epoch(row.text(2)) else { return nil }
    self.init(
      id: row.integer(0), name: name, epoch: epoch, floor: Offset(row.bits(3)),
      head: Offset(row.bits(4)))
    guard Int64(checksum) == row.integer(5) else { return nil }
  }

  init(id: Int64, name: ChannelName, epoch: Epoch, floor: Offset, head: Offset) {
    self.id = id
    self.name = name
    self.epoch = epoch
    self.floor = floor
    self.head = head
  }
}

/// The streams as the writer sees them: rows of the database, with heads kept ahead in memory.
///
/// Memory is bounded by `StoreLimits.cachedStreamsMax`; `forget` empties it, which is allowed
/// whenever no head in memory is ahead of the database.
struct StreamTable {
  /// Where a stream's row is in `rows`; good until `forget`.
  struct Slot: Hashable { fileprivate let index: Int }

  private var rows: ContiguousArray<StreamRow> = []
  private var slots: [ChannelName: Slot] = [:]
  private var slotsByID: [Int64: Slot] = [:]
  private let select: Statement
  private let selectID: Statement
  private let insert: Statement
  private let update: Statement
  private let last: Statement

  init(_ connection: Connection) throws(SQLiteError) {
    select = try connection.prepare(
      "SELECT id, name, epoch, floor, head, crc FROM streams WHERE name = ?1")
    selectID = try connection.prepare(
      "SELECT id, name, epoch, floor, head, crc FROM streams WHERE id = ?1")
    insert = try connection.prepare(
      "INSERT INTO streams(id, name, epoch, floor, head, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
    update = try connection.prepare(
      "UPDATE streams SET epoch = ?2, floor = ?3, head = ?4, crc = ?5 WHERE id = ?1")
    last = try connection.prepare("SELECT max(id) FROM streams")
  }

  var count: Int { rows.count }

  subscript(slot: Slot) -> StreamRow {
    get { rows[slot.index] }
    set { rows[slot.index] = newValue }
  }

  mutating func forget() {
    rows.removeAll()
    slots.removeAll()
    slotsByID.removeAll()
  }

  /// The stream of this name; nil where there is none. Reads the database at first mention.
  mutating func find(_ name: ChannelName) throws(SQLiteError) -> Slot? {
    if let known = slots[name] { return known }
    select.bind(1, text: name.text)
    guard try select.step() else { return nil }
    defer { select.reset() }
    return keep(try Self.row(select))
  }

  mutating func find(id: Int64) throws(SQLiteError) -> Slot? {
    if let known = slotsByID[id] { return known }
    selectID.bind(1, id)
    guard try selectID.step() else { return nil }
    defer { selectID.reset() }
    let row = try Self.row(selectID)
    return keep(row)
  }

  /// Adds a stream to the database, with the head it has there: none.
  mutating func create(_ name: ChannelName, _ epoch: Epoch) throws(SQLiteError) -> Slot {
    let next = (try last.step() ? last.integer(0) : 0) + 1
    last.reset()
    let row = StreamRow(id: next, name: name, epoch: epoch, floor: .zero, head: .zero)
    insert.bind(1, row.id)
    insert.bind(2, text: row.name.text)
    insert.bind(3, text: row.epoch.text)
    insert.bind(4, bits: row.floor.value)
    insert.bind(5, bits: row.head.value)
    insert.bind(6, Int64(row.checksum))
    try insert.run()
    return keep(row)
  }

  /// Brings the database's row up to the one in memory.
  func write(_ row: StreamRow) throws(SQLiteError) {
    update.bind(1, row.id)
    update.bind(2, text: row.epoch.text)
    update.bind(3, bits: row.floor.value)
    update.bind(4, bits: row.head.value)
    update.bind(5, Int64(row.checksum))
    try update.run()
  }

  private mutating func keep(_ row: StreamRow) -> Slot {
    let slot = Slot(index: rows.count)
    rows.append(row)
    slots[row.name] = slot
    slotsByID[row.id] = slot
    return slot
  }

  private static func row(_ statement: Statement) throws(SQLiteError) -> StreamRow {
    guard let row = StreamRow(reading: statement) else {
      throw SQLiteError(extendedCode: 11, call: "read", message: "a stream's row is damaged")
    }
    return row
  }
}
