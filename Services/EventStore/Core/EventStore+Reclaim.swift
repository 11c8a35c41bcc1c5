internal import Bytes
internal import SQLite

/// Streams in which something may be removed, each once, in the order they were named.
struct ReclaimQueue {
  private var streams: [Int64] = []
  private var known: Set<Int64> = []
  /// How far the first one was looked through.
  var after = Offset.zero
  /// A place of the first one was left standing.
  var hasKept = false

  /// Deleted streams of which the log has something yet.
  private var logged: [Int64] = []

  var first: Int64? { streams.first }
  var isEmpty: Bool { streams.isEmpty }

  mutating func add(_ stream: Int64) {
    if known.insert(stream).inserted {
      streams.append(stream)
    } else if streams.first == stream {
      // What was looked through may be free by now.
      (after, hasKept) = (.zero, false)
    }
  }

  /// Puts the first one aside until the log was swept.
  mutating func putAside() {
    if let first { logged.append(first) }
    removeFirst()
  }

  mutating func logWasSwept() {
    for stream in logged { add(stream) }
    logged = []
  }

  mutating func removeFirst() {
    guard !streams.isEmpty else { return }
    known.remove(streams.removeFirst())
    (after, hasKept) = (.zero, false)
  }
}

extension EventStore {
  /// Removes a bounded part of what nobody can read any more, in a commit of its own.
  ///
  /// - Cost: at most `StoreLimits.reclaimPlacesMax` segments; one commit, if there is something.
  func reclaim(at now: StoreInstant) throws(StoreFailure) {
    guard let stream = reclaimQueue.first else { return }
    var queue = reclaimQueue
    let done = try transact(at: now) { draft throws(SQLiteError) in
      queue = reclaimQueue
      try reclaim(stream, &queue, &draft)
      draft.reclaimQueue = queue
    }
    switch done {
    case .outOfSpace: reclaimDue = now.monotonic &+ Self.fullDiskPauseMs
    case .unchanged:
      reclaimQueue = queue
      reclaimDue = 0
    case .committed: reclaimDue = now.monotonic &+ StoreLimits.reclaimPauseMs
    }
  }

  private func reclaim(
    _ id: Int64, _ queue: inout ReclaimQueue, _ draft: inout Draft
  ) throws(SQLiteError) {
    guard let slot = try streams.find(id: id) else { return queue.removeFirst() }
    let live = streams[slot]
    let isDeleted = live.row.name == nil
    let pass = try reclaims.remove(
      id, through: isDeleted ? Offset(.max) : live.row.floor, needs: try reclaims.needs(of: id),
      after: queue.after, limit: StoreLimits.reclaimPlacesMax)
    if pass.removed > 0 { draft.hasChanges = true }
    queue.hasKept = queue.hasKept || pass.hasKept
    if let next = pass.next {
      queue.after = next
      return
    }
    // What a snapshot below the floor would go on with is gone, if not for a fork.
    if !isDeleted, try reclaims.forks(of: id).isEmpty,
      try snapshots.remove(of: id, below: live.row.floor) > 0
    {
      draft.hasChanges = true
    }
    let isEmpty = !queue.hasKept
    guard isDeleted, isEmpty, tail.run(of: id) == nil else {
      // What waits in the tail is looked at again once it is in segments.
      return queue.removeFirst()
    }
    guard try reclaims.forks(of: id).isEmpty else { return queue.removeFirst() }
    if try reclaims.isLogged(id) { return queue.putAside() }
    draft.hasChanges = true
    if try reclaims.removeKeys(of: id, limit: StoreLimits.sweepKeysMax) > 0 { return }
    if try producers.remove(of: id, limit: StoreLimits.sweepKeysMax) > 0 { return }
    if try snapshots.remove(of: id, limit: StoreLimits.snapshotsRemovedMax) > 0 { return }
    try reclaims.removeStream(id)
    draft.forgetsStreams = true
    queue.removeFirst()
    // What was kept for it alone.
    if live.row.parent != 0 { queue.add(live.row.parent) }
  }
}
