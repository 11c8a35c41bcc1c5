internal import Archive
internal import Bytes
internal import SQLite
internal import Wire

/// One row of the table `streams`: where the stream's segments end, and what it came from.
struct StreamRow: Equatable {
  var id: Int64
  /// Nil once it was deleted and its events are kept for its forks alone.
  var name: ChannelName?
  var epoch: Epoch
  /// Nobody is given events up to here.
  var floor: Offset
  /// The last offset that is in a segment; of a fork without events of its own its beginning.
  var head: Offset
  /// The chain behind `head`.
  var chain: StreamChain
  /// Bytes of its own events, up to `head`.
  var bytes: UInt64 = 0
  /// The stream it was forked from, and the last offset they have in common; 0 for none.
  var parent: Int64 = 0
  var fork = Offset.zero
  /// Milliseconds since 1970.
  var created: Int64
  /// Who forked it; empty for none.
  var author = ""

  var checksum: UInt32 {
    var writer = ByteWriter(reserving: 128)
    writer.i64(id)
    writer.u64(floor.value)
    writer.u64(head.value)
    writer.raw(chain.bytes)
    writer.u64(bytes)
    writer.i64(parent)
    writer.u64(fork.value)
    writer.i64(created)
    writer.text16(name?.text ?? "")
    writer.text16(epoch.text)
    writer.text16(author)
    return crc32c(writer.bytes)
  }

  /// Reads the columns in the order of the schema; nil where they don't fit their checksum.
  init?(reading row: Statement) {
    let name = ChannelName(row.text(1))
    guard name != nil || row.isNull(1), let epoch = Epoch(row.text(2)),
      let chain = StreamChain(row.bytes(5))
    else { return nil }
    self.init(
      id: row.integer(0), name: name, epoch: epoch, floor: Offset(row.bits(3)),
      head: Offset(row.bits(4)), chain: chain, created: row.integer(9))
    bytes = row.bits(6)
    parent = row.integer(7)
    fork = Offset(row.bits(8))
    author = row.text(10)
    guard Int64(checksum) == row.integer(11) else { return nil }
  }

  init(
    id: Int64, name: ChannelName?, epoch: Epoch, floor: Offset = .zero, head: Offset = .zero,
    chain: StreamChain = StreamChain(), created: Int64
  ) {
    self.id = id
    self.name = name
    self.epoch = epoch
    self.floor = floor
    self.head = head
    self.chain = chain
    self.created = created
  }

  func bind(to statement: Statement) {
    statement.bind(1, id)
    if let name { statement.bind(2, text: name.text) } else { statement.bindNull(2) }
    statement.bind(3, text: epoch.text)
    statement.bind(4, bits: floor.value)
    statement.bind(5, bits: head.value)
    statement.bind(6, copying: chain.bytes)
    statement.bind(7, bits: bytes)
    statement.bind(8, parent)
    statement.bind(9, bits: fork.value)
    statement.bind(10, created)
    statement.bind(11, text: author)
    statement.bind(12, Int64(checksum))
  }
}

/// A stream as the writer sees it: its row as it is on the disk, and where it stands with what is in no
/// segment yet.
struct LiveStream: Equatable {
  var row: StreamRow
  var head: Offset
  var chain: StreamChain
}

/// The streams as the writer sees them.
///
/// Memory is bounded by `StoreLimits.cachedStreamsMax`; `forget` empties it, which is allowed between
/// transactions: what is ahead of the database is found in the tail.
struct StreamTable {
  /// Where a stream is in memory; good until `forget`.
  struct Slot: Hashable { fileprivate let index: Int }

  private var streams: ContiguousArray<LiveStream> = []
  private var slots: [ChannelName: Slot] = [:]
  private var slotsByID: [Int64: Slot] = [:]
  private let tail: CommittedTail
  private let select: Statement
  private let selectID: Statement
  private let insert: Statement
  private let update: Statement

  init(_ connection: Connection, _ tail: CommittedTail) throws(SQLiteError) {
    self.tail = tail
    select = try connection.prepare(
      """
      SELECT id, name, epoch, floor, head, chain, bytes, parent, fork, created, author, crc \
      FROM streams WHERE name = ?1
      """)
    selectID = try connection.prepare(
      """
      SELECT id, name, epoch, floor, head, chain, bytes, parent, fork, created, author, crc \
      FROM streams WHERE id = ?1
      """)
    insert = try connection.prepare(
      """
      INSERT INTO streams(id, name, epoch, floor, head, chain, bytes, parent, fork, created, \
      author, crc) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
      """)
    update = try connection.prepare(
      """
      UPDATE streams SET name = ?2, epoch = ?3, floor = ?4, head = ?5, chain = ?6, bytes = ?7, \
      parent = ?8, fork = ?9, created = ?10, author = ?11, crc = ?12 WHERE id = ?1
      """)
  }

  var count: Int { streams.count }

  subscript(slot: Slot) -> LiveStream {
    get { streams[slot.index] }
    set { streams[slot.index] = newValue }
  }

  mutating func forget() {
    streams.removeAll()
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
    return keep(try Self.row(selectID))
  }

  /// Adds a stream to the database.
  mutating func create(_ row: StreamRow) throws(SQLiteError) -> Slot {
    row.bind(to: insert)
    try insert.run()
    return keep(row)
  }

  /// Brings the database's row up to the one in memory.
  func write(_ row: StreamRow) throws(SQLiteError) {
    row.bind(to: update)
    try update.run()
  }

  /// Brings a stream's row up to a block of the tail that is in a segment now, and gives the stream.
  mutating func settle(_ due: CommittedTail.Due) throws(SQLiteError) -> LiveStream {
    guard let slot = try find(id: due.block.stream) else {
      throw SQLiteError(extendedCode: 11, call: "read", message: "events without their stream")
    }
    self[slot].row.head = due.block.last
    self[slot].row.chain = due.chain
    self[slot].row.bytes += UInt64(due.block.events.bytes.count)
    try write(self[slot].row)
    return self[slot]
  }

  private mutating func keep(_ row: StreamRow) -> Slot {
    let slot = Slot(index: streams.count)
    let run = tail.run(of: row.id)
    streams.append(
      LiveStream(row: row, head: run?.last ?? row.head, chain: run?.chain ?? row.chain))
    if let name = row.name { slots[name] = slot }
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
