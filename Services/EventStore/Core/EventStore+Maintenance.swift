internal import SQLite

extension EventStore {
  /// How much a store holds.
  public struct Holdings: Sendable, Equatable {
    /// Events in all streams together, since there is the store.
    public var events: UInt64
    /// What the database and its log take on the disk, in bytes.
    public var bytes: UInt64
  }

  /// What the store holds as of the last commit. Cost: asks for the size of two files.
  public func holdings() -> Holdings {
    let files = [StoreSchema.path(in: directory), StoreSchema.path(in: directory) + "-wal"]
    let bytes = files.reduce(into: UInt64(0)) { bytes, path in
      // A file that isn't there takes nothing.
      bytes += options.disk.bytes(of: path) ?? 0
    }
    return Holdings(events: UInt64(clamping: position), bytes: bytes)
  }

  /// Whether the store can write now, tried with a real commit. False: the disk is full.
  ///
  /// A commit of one row still fits where an event no longer does: after a refusal for want of space
  /// there has to be room for what was refused, too.
  public func probe(at now: StoreInstant) throws(StoreFailure) -> Bool {
    if let refused = refusedBytes {
      guard hasRoom(for: refused) else { return false }
      refusedBytes = nil
    }
    return try transact(at: now) { draft throws(SQLiteError) in draft.hasChanges = true }
      == .committed
  }

  /// Whether the disk has room for an append of so many bytes, with its pages and indexes. A file
  /// system that does not say is taken to have it: the next append finds out.
  private func hasRoom(for bytes: Int) -> Bool {
    guard let free = options.disk.freeBytes(under: directory) else { return true }
    return free > UInt64(clamping: bytes) * 2 + StoreLimits.probeRoomBytes
  }

  /// A commit and a synced mark, before anyone is told that the store is there: a disk that refuses
  /// them refuses the store. A full one does not, since what is stored can be read.
  public func proveWriting(at now: StoreInstant) throws(StoreFailure) {
    _ = try probe(at: now)
    try syncMark()
  }

  /// What may be done when no append waits: syncs the head mark if it is due, stores the outbox
  /// position if it moved, removes expired keys and producers and what nobody can read, checkpoints when that is due. Call it after each
  /// commit and now and then; `maintenanceDue` says when at the latest.
  ///
  /// - Cost: nothing most times; a checkpoint writes and syncs up to 16 MiB.
  public func maintain(at now: StoreInstant) throws(StoreFailure) {
    try syncMark(at: now)
    if let due = announceDue, now.monotonic >= due { try persistAnnounced(at: now) }
    if now.monotonic >= sweepDue { try sweep(at: now) }
    if now.monotonic >= retentionDue { try retain(at: now) }
    if now.monotonic >= imports.due { dropAbandonedImports(at: now) }
    if now.monotonic >= reclaimDue { try reclaim(at: now) }
    if connection.walFrames >= checkpointDue { try checkpoint() }
  }

  /// Leaves nothing undone that a restart would have to do: before a store is closed.
  public func settle(at now: StoreInstant) throws(StoreFailure) {
    try persistAnnounced(at: now)
    try checkpoint()
    try syncMark()
  }

  /// Stores the position that the hub has confirmed, if it moved since the last commit. On a full
  /// disk it is tried again in a second: due at once it would keep the writer turning.
  private func persistAnnounced(at now: StoreInstant) throws(StoreFailure) {
    let outcome = try transact(at: now) { _ throws(SQLiteError) in }
    switch outcome {
    case .outOfSpace: announceDue = now.monotonic &+ Self.fullDiskPauseMs
    case .unchanged: expectAnnouncements(at: now)
    case .committed: break
    }
  }

  /// Removes some expired keys and producers; the next turn is in a minute, or at once where there may be more.
  private func sweep(at now: StoreInstant) throws(StoreFailure) {
    var removed = 0
    let outcome = try transact(at: now) { draft throws(SQLiteError) in
      let gone = try (keys.removeExpired(now: draft.time), producers.removeExpired(now: draft.time))
      removed = max(gone.0, gone.1)
      if removed > 0 { draft.hasChanges = true }
    }
    if outcome == .outOfSpace {
      sweepDue = now.monotonic &+ Self.fullDiskPauseMs
    } else if removed < StoreLimits.sweepKeysMax {
      sweepDue = now.monotonic &+ 60_000
    }
  }

  /// How long housekeeping that found the disk full lets it be.
  static let fullDiskPauseMs: Int64 = 1_000

  /// Whether the write-ahead log may grow. At its bound a checkpoint is tried first.
  func hasRoomInLog() throws(StoreFailure) -> Bool {
    let frames = connection.walFrames
    if frames < options.checkpointPages { checkpointDue = options.checkpointPages }
    guard frames >= StoreLimits.walPagesMax else { return true }
    return try checkpoint()
  }

  /// Brings the log that was found at opening into the database, and learns how long it is.
  ///
  /// A store that ended because a sync failed may have left in the kernel's cache what is not on the disk,
  /// and counts as written there: no later sync brings it. Moved, it is written again. Where the disk is
  /// full the log has to stay, and its frames are counted: behind them begins what a refused transaction
  /// leaves (`AbandonedFrames`).
  func recheckLog() throws(StoreFailure) {
    guard try !checkpoint(), connection.walFrames == 0 else { return }
    connection.note(
      walFrames: try AbandonedFrames.validCount(
        log: StoreSchema.path(in: directory) + "-wal", pageBytes: pageBytes, on: options.disk))
  }

  /// Moves the log into the database. True where all of it was moved, so that the next commit
  /// starts the log over. A full disk is no reason to stop: the log still has everything.
  @discardableResult
  func checkpoint() throws(StoreFailure) -> Bool {
    checkpointDue = connection.walFrames + max(1, options.checkpointPages / 4)
    do throws(SQLiteError) {
      let (frames, moved) = try connection.checkpoint()
      return moved == frames
    } catch {
      guard error.isFull else { throw poison(.stop(error)) }
      return false
    }
  }
}
