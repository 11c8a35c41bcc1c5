internal import Archive
public import Bytes
internal import SQLite
public import Wire

/// What became of a snapshot that was to be kept. Nothing was written but by the first.
public enum SnapshotOutcome: Sendable, Equatable {
  case kept(Offset)
  /// One that reaches as far is there already.
  case found(Offset)
  case unknownStream
  case otherEpoch
  /// What is up to the offset was removed, so that nothing could be told from it.
  case trimmed
  case ahead
  /// It was not made of these events.
  case otherChain
  case tooLarge
  /// The bytes are not those that were sent.
  case damaged
  case outOfSpace
}

extension EventStore {
  /// Keeps what a fold made of a stream's events, beside the stream whose own event is the last of
  /// them; removes those that it takes the place of (`SnapshotChoice`). One commit.
  ///
  /// - Cost: writes and syncs the bytes; reads at most one segment.
  /// - Errors: `mustExit` as of `commit`.
  public func keep(_ request: PutSnapshot, time: Int64, at now: StoreInstant) throws(StoreFailure)
    -> SnapshotOutcome
  {
    guard request.state.count <= Limits.snapshotBytesMax else { return .tooLarge }
    guard crc32c(request.state) == request.crc else { return .damaged }
    var outcome = SnapshotOutcome.unknownStream
    let done = try transact(at: now) { draft throws(SQLiteError) in
      outcome = try stage(request, time, &draft)
    }
    return done == .outOfSpace ? .outOfSpace : outcome
  }

  private func stage(
    _ request: PutSnapshot, _ time: Int64, _ draft: inout Draft
  ) throws(SQLiteError) -> SnapshotOutcome {
    guard let slot = try streams.find(request.stream) else { return .unknownStream }
    guard streams[slot].row.epoch == request.epoch else { return .otherEpoch }
    guard request.offset <= streams[slot].head else { return .ahead }
    guard request.offset >= streams[slot].row.floor, request.offset > .zero else { return .trimmed }
    let chain = try chain(of: slot, at: request.offset)
    guard request.sha256.isEmpty || request.sha256 == chain.bytes else { return .otherChain }
    let owner = try owner(of: request.offset, in: slot)
    let table = snapshots.table
    // What a source has beyond the fork point says nothing here, and may be gone.
    let newest = try table.latest(
      of: streams[owner].row.id, request.fold,
      through: owner == slot ? Offset(.max) : request.offset, limit: 1)
    if let newest = newest.first, newest.offset >= request.offset {
      let isKnown = newest.offset <= streams[slot].head
      if isKnown, try self.chain(of: slot, at: newest.offset) == newest.chain {
        return .found(newest.offset)
      }
      // One that is not of these events is in nobody's way.
      try snapshots.remove(newest.id)
    }
    let row = SnapshotRow(
      stream: streams[owner].row.id, fold: request.fold, offset: request.offset, chain: chain,
      time: time, sum: request.crc, bytes: request.state.count)
    try snapshots.keep(row, request.state)
    let rows = try table.list(of: row.stream, request.fold.name)
    for id in SnapshotChoice.leaving(rows, for: request.fold.version) { try snapshots.remove(id) }
    draft.hasChanges = true
    return .kept(request.offset)
  }

  /// Whether every snapshot is whole and of the events that are there, as far as those are.
  func checkSnapshots() throws(SQLiteError) {
    func damaged(_ what: String) -> SQLiteError {
      SQLiteError(extendedCode: 11, call: "check", message: what)
    }
    var after: Int64 = 0
    while case let rows = try snapshots.table.some(after: after), !rows.isEmpty {
      for found in rows {
        guard let row = found else { throw damaged("a snapshot's row is damaged") }
        after = row.id
        guard try snapshots.table.state(of: row) != nil else {
          throw damaged("the snapshot at \(row.offset) of stream \(row.stream) is damaged")
        }
        guard let slot = try streams.find(id: row.stream) else {
          throw damaged("a snapshot without its stream")
        }
        let live = streams[slot]
        guard row.offset <= live.head else { throw damaged("a snapshot beyond its stream") }
        guard live.row.name != nil, row.offset >= live.row.floor else { continue }
        guard try chain(of: slot, at: row.offset) == row.chain else {
          throw damaged("the snapshot at \(row.offset) of stream \(row.stream) is of other events")
        }
      }
    }
  }
}
