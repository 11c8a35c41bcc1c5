internal import SQLite

extension EventStore {
  /// Whether the store can write now, tried with a real commit. False: the disk is full.
  public func probe(at now: StoreInstant) throws(StoreFailure) -> Bool {
    try transact(at: now) { draft throws(SQLiteError) in draft.hasChanges = true } == .committed
  }

  /// What may be done when no append waits: stores the outbox position if it moved, removes
  /// expired keys, checkpoints when it is due. Call it after each batch of commits and now and then.
  ///
  /// - Cost: nothing most times; a checkpoint writes and syncs up to 16 MiB.
  public func maintain(at now: StoreInstant) throws(StoreFailure) {
    _ = try transact(at: now) { draft throws(SQLiteError) in
      guard draft.time >= sweepDue else { return }
      let removed = try keys.removeExpired(now: draft.time)
      if removed > 0 { draft.hasChanges = true }
      if removed < StoreLimits.sweepKeysMax { sweepDue = draft.time &+ 60_000 }
    }
    if connection.walFrames >= checkpointDue { try checkpoint() }
  }

  /// Whether the write-ahead log may grow. At its bound a checkpoint is tried first.
  func hasRoomInLog() throws(StoreFailure) -> Bool {
    let frames = connection.walFrames
    if frames < StoreLimits.walPagesDue { checkpointDue = StoreLimits.walPagesDue }
    guard frames >= StoreLimits.walPagesMax else { return true }
    return try checkpoint()
  }

  /// Moves the log into the database. True where all of it was moved, so that the next commit
  /// starts the log over. A full disk is no reason to stop: the log still has everything.
  @discardableResult
  func checkpoint() throws(StoreFailure) -> Bool {
    checkpointDue = connection.walFrames + StoreLimits.walPagesDue / 4
    do throws(SQLiteError) {
      let (frames, moved) = try connection.checkpoint()
      return moved == frames
    } catch {
      guard error.isFull else { throw poison(.stop(error)) }
      return false
    }
  }
}
