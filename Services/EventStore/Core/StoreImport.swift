internal import Archive
internal import Bytes
internal import SQLite
internal import Wire

/// Fills a new database of today's format from what another one holds: streams first, then events in
/// the order of their positions, then keys.
///
/// Events gather by stream as they do in a store that serves (`CommittedTail`), so that segments are the
/// same; but no event is written to the log, since all are in segments at the end. Commits as it goes;
/// nothing is good before `finish`. Holds what the tail may hold, and `migrationBytesPerCommit`.
final class StoreImport {
  private let connection: Connection
  private let tail = CommittedTail()
  private var streams: StreamTable
  private let segments: SegmentTable
  private let log: LogTable
  private let keys: KeyTable
  private let table: StateTable
  private var chains = StreamChain.Maker()
  private var order = CommitOrder(position: 1)
  /// Events of one stream that follow one another.
  private var run: EventStore.Draft.Run?
  /// The offset of the event that would go on with it.
  private var next = Offset.zero
  private var lastStream: Int64 = 0
  private var uncommittedBytes = 0
  private let state: StoreState
  private let tailBytes: Int
  private let bytesPerCommit: Int
  private let copied: (Int64) -> Void
  /// That of the last event.
  private(set) var position: Int64 = 0

  /// - Parameter connection: to a database with empty tables.
  /// - Parameter state: where the store stands.
  /// - Parameter copied: is told after each commit how many events there are.
  init(
    _ connection: Connection, _ state: StoreState, _ options: EventStore.Options,
    copied: @escaping (Int64) -> Void
  ) throws(SQLiteError) {
    self.connection = connection
    self.state = state
    tailBytes = options.tailBytes
    bytesPerCommit = options.migrationBytes
    self.copied = copied
    streams = try StreamTable(connection, tail)
    segments = try SegmentTable(connection)
    log = try LogTable(connection)
    keys = try KeyTable(connection)
    table = try StateTable(connection)
    try connection.execute("BEGIN IMMEDIATE")
  }

  /// Adds a stream, without its events: head, chain, bytes and moment come with them.
  func add(_ row: StreamRow) throws(SQLiteError) {
    _ = try streams.create(row)
    lastStream = max(lastStream, row.id)
    try wrote(bytes: 128)
  }

  /// Adds the event at the next position. False, and not added, where its stream is not there or it does
  /// not follow the one before it in that.
  func add(_ event: StoredEvent, of stream: Int64) throws(SQLiteError) -> Bool {
    if run?.blocks[0].stream != stream {
      try endRun()
      guard let slot = try streams.find(id: stream) else { return false }
      let live = streams[slot]
      let block = EventBlock(stream: stream, first: live.head.next, chain: live.chain)
      run = EventStore.Draft.Run(
        slot: slot, blocks: [block], chain: live.chain, position: position + 1)
      next = live.head.next
    }
    guard event.offset == next else { return false }
    let bytes = event.weight
    run?.append(event, bytes, &chains)
    next = next.next
    position += 1
    try wrote(bytes: bytes)
    return true
  }

  /// Adds a key, after those that came before it.
  func add(_ key: KeyRow) throws(SQLiteError) {
    try keys.keep(key)
    try wrote(bytes: 256)
  }

  /// The offset of a stream's last event; nil where there is no such stream.
  func head(of stream: Int64) throws(SQLiteError) -> Offset? {
    try endRun()
    return try streams.find(id: stream).map { streams[$0].head }
  }

  func name(of stream: Int64) throws(SQLiteError) -> ChannelName? {
    try streams.find(id: stream).flatMap { streams[$0].row.name }
  }

  /// Says that there are no more events, of which there must be as many as the store had.
  func endEvents() throws(SQLiteError) {
    guard position == state.position else {
      throw SQLiteError(
        extendedCode: 11, call: "read",
        message: "events end at \(position), not at \(state.position)")
    }
    try endRun()
  }

  /// Completes the database, with all events in segments and nothing in the write-ahead log. Nothing is
  /// synced.
  func finish() throws(SQLiteError) {
    try endEvents()
    try makeSegments(keeping: 0)
    if !order.entries.isEmpty { try log.keep(order) }
    var state = state
    state.swept = position
    state.lastStream = lastStream
    try table.insert(state)
    try connection.execute("COMMIT")
    copied(position)
    let (frames, moved) = try connection.checkpoint()
    guard frames == moved else {
      throw SQLiteError(extendedCode: 5, call: "checkpoint", message: "the log could not be moved")
    }
  }

  private func wrote(bytes: Int) throws(SQLiteError) {
    uncommittedBytes += bytes
    guard uncommittedBytes >= bytesPerCommit else { return }
    uncommittedBytes = 0
    try endRun()
    try makeSegments(keeping: tailBytes)
    try connection.execute("COMMIT")
    if connection.walFrames >= StoreLimits.walPagesDue { try connection.checkpoint() }
    if streams.count > StoreLimits.cachedStreamsMax { streams.forget() }
    copied(position)
    try connection.execute("BEGIN IMMEDIATE")
  }

  /// Gives the run to the tail, and notes where it stands among all events.
  private func endRun() throws(SQLiteError) {
    guard let run = run.take(), run.blocks[0].count > 0 else { return }
    tail.append(run, clock: state.clock)
    streams[run.slot].head = run.blocks[run.blocks.count - 1].last
    streams[run.slot].chain = run.chain
    for block in run.blocks {
      order.append(CommitOrder.Entry(stream: block.stream, first: block.first, count: block.count))
      guard order.entries.count == CommitOrder.blocksMax else { continue }
      try log.keep(order)
      order = CommitOrder(position: order.last + 1)
    }
  }

  private func makeSegments(keeping bytes: Int) throws(SQLiteError) {
    let due = tail.due(target: bytes, budget: .max)
    for due in due {
      try segments.append(due.block, clock: due.clock)
      if due.block.first == Offset(1) { try note(firstBlock: due.block) }
      _ = try streams.settle(due)
    }
    tail.drop(due.count)
  }

  /// A stream is as old as its first event.
  private func note(firstBlock block: EventBlock) throws(SQLiteError) {
    let bytes = block.events.bytes.span
    var cursor = ByteCursor(bytes)
    guard let slot = try streams.find(id: block.stream),
      let event = try? EncodedEvent(&cursor, bytes)
    else { return }
    streams[slot].row.created = event.timeMs
  }
}

extension StoredEvent {
  /// What it counts for, as `NewEvent.byteCount`.
  var weight: Int {
    payload.bytes.count + meta.count + eventType.utf8.count + StoreLimits.eventOverheadBytes
  }
}
