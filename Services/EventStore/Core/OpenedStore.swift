internal import Archive
internal import Bytes
internal import SQLite
internal import Wire

/// The steps from a directory to a store that may be served: lock, head mark, database, migration,
/// judgement, tail. Owns what it opened until the store takes it over.
struct OpenedStore {
  let connection: Connection
  var streams: StreamTable
  let table: StateTable
  private(set) var state: StoreState
  let clock: StoreClock
  /// What stands in no segment yet.
  let tail = CommittedTail()
  let lock: StoreLock

  init(directory: String, options: EventStore.Options, now: StoreInstant) throws(StoreFailure) {
    let disk = options.disk
    try disk.makeDirectory(directory)
    lock = try StoreLock(directory: directory, on: disk)
    let reading = try HeadMarkFile.read(in: directory, on: disk)
    try Self.refuseMissingDatabase(directory, reading, options)
    try StoreMigration.removeLeftovers(in: directory, on: disk)
    // Made here so that nobody else may read it; SQLite gives its other files the same mode.
    _ = try StoreFile(path: StoreSchema.path(in: directory), on: disk)
    connection = try Self.connection(directory, reading, options)
    try StoreSchema.create(connection, store: options.entropy.word())
    do throws(SQLiteError) {
      table = try StateTable(connection)
      streams = try StreamTable(connection, tail)
      guard let found = try table.read() else {
        throw SQLiteError(extendedCode: 11, call: "read", message: "the store's row is damaged")
      }
      state = found
    } catch {
      throw StoreSchema.opening(error)
    }
    clock = StoreClock(stored: state.clock, storedWall: state.wall, now: now)
    let refusal = reading.refusal(of: state.mark)
    if let refusal, options.loss == .refuse { throw .behindHeadMark(refusal) }
    try loadTail()
    if refusal != nil { try renewEpochs(reading, options.entropy) }
    try settleMark(reading, directory, disk, isAccepted: refusal != nil)
  }

  /// SQLite throws away a log without its database: with a mark that promises commits, nothing is
  /// touched before an operator has looked.
  private static func refuseMissingDatabase(
    _ directory: String, _ reading: HeadMarkReading, _ options: EventStore.Options
  ) throws(StoreFailure) {
    guard options.loss == .refuse, case .mark(let mark) = reading, mark.commit > 0,
      !options.disk.exists(StoreSchema.path(in: directory))
    else { return }
    throw .behindHeadMark(.behind(database: 0, mark: mark.commit))
  }

  /// Connects to the database, which is migrated first where its format is an older one.
  private static func connection(
    _ directory: String, _ reading: HeadMarkReading, _ options: EventStore.Options
  ) throws(StoreFailure) -> Connection {
    let found = try connect(directory, options)
    let older: (any OlderFormat)?
    do throws(SQLiteError) {
      older = try OlderFormats.format(of: found)
    } catch {
      throw StoreSchema.opening(error)
    }
    guard let older else { return found }
    var migration = StoreMigration(in: directory, consume found, older, options)
    try migration.run(reading)
    return try connect(directory, options)
  }

  private static func connect(
    _ directory: String, _ options: EventStore.Options
  ) throws(StoreFailure) -> Connection {
    let connection: Connection
    do throws(SQLiteError) {
      connection = try Connection(
        path: StoreSchema.path(in: directory), mode: .writer, vfs: options.disk.sqliteName)
    } catch {
      throw StoreSchema.opening(error)
    }
    try StoreSchema.prepareWriter(connection, options.durability)
    return connection
  }

  /// Reads the log: of each stream, what is behind its segments.
  private mutating func loadTail() throws(StoreFailure) {
    do throws(SQLiteError) {
      let scan = try connection.prepare(
        """
        SELECT position, stream, first, count, chain, crc, events FROM log WHERE position > ?1 \
        ORDER BY position
        """)
      scan.bind(1, state.swept)
      var chains = StreamChain.Maker()
      var position = state.swept + 1
      while try scan.step() {
        guard let block = Self.block(scan, at: position), let slot = try streams.find(id: block.stream)
        else { throw Self.damage(at: position, scan) }
        if block.last > streams[slot].row.head {
          let live = streams[slot]
          guard block.first == live.head.next, block.chain == live.chain,
            let chain = chains.chain(
              live.chain, addingAll: block.events.bytes.span, count: block.count, from: block.first)
          else { throw Self.damage(at: position, scan) }
          tail.append(block, at: position, chain, clock: state.clock)
          streams[slot].head = block.last
          streams[slot].chain = chain
        }
        position += Int64(block.count)
      }
      guard position == state.position + 1 else {
        throw SQLiteError(
          extendedCode: 11, call: "read",
          message: "events end at \(position - 1), not at \(state.position)")
      }
    } catch {
      throw StoreSchema.opening(error)
    }
  }

  /// The block of a row of the log; nil where it does not fit its checksum.
  private static func block(_ row: Statement, at position: Int64) -> EventBlock? {
    guard row.integer(0) == position, let chain = StreamChain(row.bytes(4)),
      let count = Int(exactly: row.integer(3)), count > 0
    else { return nil }
    let block = EventBlock(
      stream: row.integer(1), first: Offset(row.bits(2)), chain: chain,
      events: EncodedEvents(trusting: row.bytes(6), count: count))
    return Int64(block.checksum(at: position)) == row.integer(5) ? block : nil
  }

  private static func damage(at position: Int64, _ scan: Statement) -> SQLiteError {
    scan.reset()
    return SQLiteError(extendedCode: 11, call: "read", message: "event \(position) is damaged")
  }

  /// Gives every stream a new epoch, and the store a commit number past the lost ones. It is another
  /// store from then on, so that streams whose first events were lost begin in another epoch, too. A
  /// crash before the mark says so is refused as a mark of another store's, until the loss is accepted
  /// once more.
  private mutating func renewEpochs(
    _ reading: HeadMarkReading, _ entropy: StoreEntropy
  ) throws(StoreFailure) {
    do throws(SQLiteError) {
      try connection.execute("BEGIN IMMEDIATE")
      let list = try connection.prepare("SELECT id FROM streams ORDER BY id")
      var ids: [Int64] = []
      while try list.step() { ids.append(list.integer(0)) }
      for id in ids {
        guard let slot = try streams.find(id: id) else { continue }
        streams[slot].row.epoch = Epoch(random: entropy.bits128)
        try streams.write(streams[slot].row)
      }
      // Streams that began by them are perhaps among what was lost; the new store's are nobody's yet.
      try connection.execute("DELETE FROM successors")
      // They may be of what was lost.
      try connection.execute("DELETE FROM snapshots")
      state.store = entropy.word()
      if case .mark(let mark) = reading { state.commit = max(state.commit, mark.commit) }
      state.commit += 1
      state.chain = mixed(state.chain, state.commit)
      try table.insert(state)
      try connection.execute("COMMIT")
    } catch {
      throw StoreSchema.opening(error)
    }
  }

  /// Makes the head mark's file anew where there is none that fits.
  private func settleMark(
    _ reading: HeadMarkReading, _ directory: String, _ disk: any StoreDisk, isAccepted: Bool
  ) throws(StoreFailure) {
    if case .mark(let mark) = reading, !isAccepted, mark.store == state.store { return }
    try HeadMarkFile.create(in: directory, state.mark, on: disk)
  }
}
