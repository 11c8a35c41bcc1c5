internal import Archive
internal import Bytes
internal import SQLite
internal import Wire

/// Writes the tables `segments` and `places`: a stream's events together, and the way to them.
struct SegmentTable {
  private let insert: Statement
  private let place: Statement
  private let blocks: BlockTable
  private let connection: Connection

  init(_ connection: Connection) throws(SQLiteError) {
    self.connection = connection
    insert = try connection.prepare(
      "INSERT INTO segments(stream, chain, crc, events) VALUES (?1, ?2, ?3, ?4)")
    blocks = try BlockTable(connection)
    place = try connection.prepare(
      "INSERT INTO places(stream, first, count, segment, bytes, clock) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
  }

  /// See `BlockTable.block`.
  func block(of stream: Int64, at offset: Offset) throws(SQLiteError) -> EventBlock? {
    try blocks.block(of: stream, at: offset)
  }

  /// Adds a block as a segment, at a moment of the store's own time. A place that is taken is an error: two events with one offset.
  func append(_ block: EventBlock, clock: Int64) throws(SQLiteError) {
    insert.bind(1, block.stream)
    insert.bind(2, copying: block.chain.bytes)
    insert.bind(3, Int64(block.checksum(at: 0)))
    try insert.run(lending: block.events.bytes, to: 4)
    place.bind(1, block.stream)
    place.bind(2, bits: block.first.value)
    place.bind(3, Int64(block.count))
    place.bind(4, connection.lastRow)
    place.bind(5, Int64(block.events.bytes.count))
    place.bind(6, clock)
    try place.run()
  }
}
