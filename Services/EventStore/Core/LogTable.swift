internal import Archive
internal import Bytes
internal import SQLite
internal import Wire

/// Writes the tables `log` and `orders`.
///
/// `log` has the blocks of the latest commits by the position of their first event. Once all blocks up
/// to a position are in segments their rows go, and `orders` keeps which events they were: so that
/// what is after a position can be told for ever.
struct LogTable {
  private let insert: Statement
  private let select: Statement
  private let remove: Statement
  private let insertOrder: Statement

  init(_ connection: Connection) throws(SQLiteError) {
    insert = try connection.prepare(
      """
      INSERT INTO log(position, stream, first, count, chain, crc, events) \
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
      """)
    select = try connection.prepare(
      """
      SELECT position, stream, first, count FROM log WHERE position > ?1 AND position <= ?2 \
      ORDER BY position LIMIT ?3
      """)
    remove = try connection.prepare("DELETE FROM log WHERE position <= ?1")
    insertOrder = try connection.prepare(
      "INSERT INTO orders(position, last, crc, list) VALUES (?1, ?2, ?3, ?4)")
  }

  /// Adds a commit's block and gives its checksum.
  func append(_ block: EventBlock, at position: Int64) throws(SQLiteError) -> UInt32 {
    let sum = block.checksum(at: position)
    insert.bind(1, position)
    insert.bind(2, block.stream)
    insert.bind(3, bits: block.first.value)
    insert.bind(4, Int64(block.count))
    insert.bind(5, copying: block.chain.bytes)
    insert.bind(6, Int64(sum))
    try insert.run(lending: block.events.bytes, to: 7)
    return sum
  }

  /// Removes blocks after `position` and through `through`, of which the whole of the last must be
  /// meant, and keeps their order. At most `CommitOrder.blocksMax` of them; gives the position of the
  /// last event removed.
  func sweep(after position: Int64, through: Int64) throws(SQLiteError) -> Int64 {
    var order = CommitOrder(position: position + 1)
    select.bind(1, position)
    select.bind(2, through)
    select.bind(3, Int64(CommitOrder.blocksMax))
    while try select.step() {
      order.append(
        CommitOrder.Entry(
          stream: select.integer(1), first: Offset(select.bits(2)), count: Int(select.integer(3))))
    }
    guard !order.entries.isEmpty else { return position }
    remove.bind(1, order.last)
    try remove.run()
    try keep(order)
    return order.last
  }

  /// Keeps the order of events that are in segments, and not in the log.
  func keep(_ order: CommitOrder) throws(SQLiteError) {
    insertOrder.bind(1, order.position)
    insertOrder.bind(2, order.last)
    insertOrder.bind(3, Int64(order.checksum))
    insertOrder.bind(4, copying: order.list)
    try insertOrder.run()
  }
}

/// Which events stand at consecutive positions: one row of the table `orders`.
struct CommitOrder: Equatable {
  struct Entry: Equatable {
    var stream: Int64
    var first: Offset
    var count: Int
  }

  /// BUDGET: blocks of one row; some 6 bytes each, all read where one is asked for.
  static let blocksMax = 2_048

  /// Of the first event of the first entry.
  let position: Int64
  private(set) var entries: [Entry] = []
  /// The position of the last event of the last entry.
  private(set) var last: Int64

  init(position: Int64) {
    self.position = position
    last = position - 1
  }

  mutating func append(_ entry: Entry) {
    entries.append(entry)
    last += Int64(entry.count)
  }

  /// Stream, first offset and count of each entry, in base 128, the low seven bits first (as LEB128).
  var list: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(entries.count * 6)
    for entry in entries {
      for value in [UInt64(bitPattern: entry.stream), entry.first.value, UInt64(entry.count)] {
        var rest = value
        while rest >= 0x80 {
          bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
          rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
      }
    }
    return bytes
  }

  var checksum: UInt32 { Self.checksum(position, last, list) }

  private static func checksum(_ position: Int64, _ last: Int64, _ list: [UInt8]) -> UInt32 {
    var writer = ByteWriter(reserving: 16 + list.count)
    writer.i64(position)
    writer.i64(last)
    writer.raw(list)
    return crc32c(writer.bytes)
  }

  /// Reads columns position, last, crc, list; nil where they don't fit together.
  init?(reading row: Statement) {
    self.init(position: row.integer(0))
    let list = row.bytes(3)
    guard Int64(Self.checksum(position, row.integer(1), list)) == row.integer(2) else { return nil }
    var numbers: [UInt64] = []
    var number: UInt64 = 0
    var shift: UInt64 = 0
    for byte in list {
      guard shift < 64 else { return nil }
      number |= UInt64(byte & 0x7f) << shift
      shift += 7
      if byte & 0x80 == 0 {
        numbers.append(number)
        (number, shift) = (0, 0)
      }
    }
    guard numbers.count % 3 == 0, shift == 0 else { return nil }
    for start in stride(from: 0, to: numbers.count, by: 3) {
      guard let count = Int(exactly: numbers[start + 2]) else { return nil }
      append(
        Entry(
          stream: Int64(bitPattern: numbers[start]), first: Offset(numbers[start + 1]), count: count))
    }
    guard last == row.integer(1) else { return nil }
  }
}
