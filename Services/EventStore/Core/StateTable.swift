internal import Bytes
internal import SQLite

/// The one row of the table `store`: written in the transaction of every commit.
struct StoreState: Equatable {
  /// Which store it is, at random; another one after a loss was accepted.
  var store: UInt64
  var commit: UInt64 = 0
  var position: Int64 = 0
  var chain: UInt64 = 0
  /// Events up to this position are in segments, and not in the log.
  var swept: Int64 = 0
  /// The number that the last new stream got: none is used twice, for the order of commits names them.
  var lastStream: Int64 = 0
  /// Events up to this position were confirmed by the hub.
  var announced: Int64 = 0
  /// The store's own time, and the wall clock, when the row was written.
  var clock: Int64 = 0
  var wall: Int64 = 0

  var mark: HeadMark { HeadMark(store: store, commit: commit, position: position, chain: chain) }

  var checksum: UInt32 {
    var writer = ByteWriter(reserving: 64)
    writer.u64(store)
    writer.u64(commit)
    writer.i64(position)
    writer.u64(chain)
    writer.i64(swept)
    writer.i64(lastStream)
    writer.i64(announced)
    writer.i64(clock)
    writer.i64(wall)
    return crc32c(writer.bytes)
  }
}

/// Reads and writes the table `store`.
struct StateTable {
  private let replace: Statement
  private let select: Statement

  init(_ connection: Connection) throws(SQLiteError) {
    replace = try connection.prepare(
      """
      INSERT INTO store(id, store, commits, position, chain, swept, last_stream, announced, \
      clock, wall, crc) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT(id) DO UPDATE SET \
      store = ?1, commits = ?2, position = ?3, chain = ?4, swept = ?5, \
      last_stream = ?6, announced = ?7, clock = ?8, wall = ?9, crc = ?10
      """)
    select = try connection.prepare(
      """
      SELECT store, commits, position, chain, swept, last_stream, announced, clock, wall, crc \
      FROM store WHERE id = 1
      """)
  }

  func insert(_ state: StoreState) throws(SQLiteError) {
    replace.bind(1, bits: state.store)
    replace.bind(2, bits: state.commit)
    replace.bind(3, state.position)
    replace.bind(4, bits: state.chain)
    replace.bind(5, state.swept)
    replace.bind(6, state.lastStream)
    replace.bind(7, state.announced)
    replace.bind(8, state.clock)
    replace.bind(9, state.wall)
    replace.bind(10, Int64(state.checksum))
    try replace.run()
  }

  /// Nil where the row is missing or fails its checksum.
  func read() throws(SQLiteError) -> StoreState? {
    guard try select.step() else { return nil }
    defer { select.reset() }
    let state = StoreState(
      store: select.bits(0), commit: select.bits(1), position: select.integer(2),
      chain: select.bits(3), swept: select.integer(4), lastStream: select.integer(5),
      announced: select.integer(6), clock: select.integer(7), wall: select.integer(8))
    return Int64(state.checksum) == select.integer(9) ? state : nil
  }
}
