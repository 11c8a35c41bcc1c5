internal import Bytes
internal import Crypto
internal import SQLite

/// The steps from a directory to a store that may be served: lock, head mark, database, judgement,
/// tail. Owns what it opened until the store takes it over.
struct OpenedStore {
  let connection: Connection
  var streams: StreamTable
  let table: StateTable
  private(set) var state: StoreState
  let clock: StoreClock
  /// Places of events that the index does not have yet, in order of position.
  private(set) var places: [Place] = []
  let lock: StoreLock

  init(directory: String, options: EventStore.Options, now: StoreInstant) throws(StoreFailure) {
    try StoreFiles.makeDirectory(directory)
    lock = try StoreLock(directory: directory)
    let reading = try HeadMarkFile.read(in: directory)
    try Self.refuseMissingDatabase(directory, reading, options.loss)
    // Made here so that nobody else may read it; SQLite gives its other files the same mode.
    _ = try StoreFile(path: StoreSchema.path(in: directory))
    do throws(SQLiteError) {
      connection = try Connection(path: StoreSchema.path(in: directory), mode: .writer)
    } catch {
      throw StoreSchema.opening(error)
    }
    try StoreSchema.prepareWriter(connection, options.durability)
    try StoreSchema.create(connection, store: SystemRandom.uint64())
    do throws(SQLiteError) {
      table = try StateTable(connection)
      streams = try StreamTable(connection)
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
    if refusal != nil { try renewEpochs(reading) }
    try settleMark(reading, directory, isAccepted: refusal != nil)
  }

  /// SQLite throws away a log without its database: with a mark that promises commits, nothing is
  /// touched before an operator has looked.
  private static func refuseMissingDatabase(
    _ directory: String, _ reading: HeadMarkReading, _ loss: EventStore.LossPolicy
  ) throws(StoreFailure) {
    guard loss == .refuse, case .mark(let mark) = reading, mark.commit > 0,
      !StoreFiles.exists(StoreSchema.path(in: directory))
    else { return }
    throw .behindHeadMark(.behind(database: 0, mark: mark.commit))
  }

  /// Reads the events after the indexed ones: their places, and with them the heads.
  private mutating func loadTail() throws(StoreFailure) {
    do throws(SQLiteError) {
      let scan = try connection.prepare(
        """
        SELECT position, stream, offset, time, client, user, kind, type, meta, crc, payload \
        FROM events WHERE position > ?1 ORDER BY position
        """)
      scan.bind(1, state.indexed)
      var checksum = EventChecksum()
      var position = state.indexed
      while try scan.step() {
        position += 1
        guard let row = EventRow(reading: scan, &checksum), row.position == position,
          let slot = try streams.find(id: row.stream), row.offset == streams[slot].head.next
        else {
          scan.reset()
          throw SQLiteError(
            extendedCode: 11, call: "read", message: "event \(position) is damaged")
        }
        streams[slot].head = row.offset
        places.append(Place(stream: row.stream, offset: row.offset, position: position))
      }
      guard position == state.position else {
        throw SQLiteError(
          extendedCode: 11, call: "read",
          message: "events end at \(position), not at \(state.position)")
      }
    } catch {
      throw StoreSchema.opening(error)
    }
  }

  /// Gives every stream a new epoch, and the store a commit number past the lost ones. It is another
  /// store from then on, so that streams whose first events were lost begin in another epoch, too. A
  /// crash before the mark says so is refused as a mark of another store's, until the loss is accepted
  /// once more.
  private mutating func renewEpochs(_ reading: HeadMarkReading) throws(StoreFailure) {
    do throws(SQLiteError) {
      try connection.execute("BEGIN IMMEDIATE")
      let list = try connection.prepare("SELECT id FROM streams ORDER BY id")
      var ids: [Int64] = []
      while try list.step() { ids.append(list.integer(0)) }
      let stored = try connection.prepare("SELECT head FROM streams WHERE id = ?1")
      for id in ids {
        guard let slot = try streams.find(id: id) else { continue }
        streams[slot].epoch = Epoch(random: SystemRandom.bits128())
        var row = streams[slot]
        stored.bind(1, id)
        if try stored.step() { row.head = Offset(stored.bits(0)) }
        stored.reset()
        try streams.write(row)
      }
      state.store = SystemRandom.uint64()
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
    _ reading: HeadMarkReading, _ directory: String, isAccepted: Bool
  ) throws(StoreFailure) {
    if case .mark(let mark) = reading, !isAccepted, mark.store == state.store { return }
    try HeadMarkFile.create(in: directory, state.mark)
  }
}
