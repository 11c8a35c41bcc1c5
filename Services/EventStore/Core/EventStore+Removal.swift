public import Bytes
internal import SQLite
public import Wire

extension EventStore {
  /// Raises a stream's floor: no reader is given what is up to `offset` any more. One commit.
  ///
  /// Keys are known as before; what the hub has not been told yet is announced while it is there. What
  /// neither the stream nor a fork of it needs is removed from the disk later (`maintain`).
  ///
  /// - Parameter offset: nil for the head. Beyond the head it is the head; a floor is never lowered.
  /// - Errors: nil where the disk is full; nothing was changed then. `mustExit` as of `commit`.
  public func trim(_ stream: ChannelName, through offset: Offset? = nil, at now: StoreInstant)
    throws(StoreFailure) -> StreamHead?
  {
    var head = StreamHead(name: stream, epoch: nil, floor: .zero, head: .zero)
    let done = try transact(at: now) { draft throws(SQLiteError) in
      guard let slot = try streams.find(stream) else {
        head.epoch = try firstEpoch(of: stream)
        return
      }
      let live = streams[slot]
      let floor = max(live.row.floor, min(offset ?? live.head, live.head))
      (head.epoch, head.floor, head.head) = (live.row.epoch, floor, live.head)
      guard live.row.floor < floor else { return }
      streams[slot].row.floor = floor
      try streams.write(streams[slot].row)
      draft.trimmed.append(live.row.id)
      draft.hasChanges = true
    }
    return done == .outOfSpace ? nil : head
  }

  /// Has a stream's history end with its head; see `trim`.
  public func removeHistory(of stream: ChannelName, at now: StoreInstant) throws(StoreFailure)
    -> StreamHead?
  {
    try trim(stream, at: now)
  }

  /// What became of a deletion.
  public enum Deletion: Sendable, Equatable {
    /// The name is free; a stream that begins under it again does so in another epoch. Its forks stay.
    case deleted(forks: Int)
    case unknownStream
    case outOfSpace
  }

  /// Deletes a stream. Events that its forks have in common with it are kept for them.
  public func delete(_ stream: ChannelName, at now: StoreInstant) throws(StoreFailure) -> Deletion {
    var deletion = Deletion.unknownStream
    let done = try transact(at: now) { draft throws(SQLiteError) in
      guard let slot = try streams.find(stream) else { return }
      streams[slot].row.name = nil
      try streams.write(streams[slot].row)
      if !stream.root.isFork {
        try successors.keep(stream, Epoch(random: options.entropy.bits128))
      }
      deletion = .deleted(forks: try reclaims.forks(of: streams[slot].row.id).count)
      draft.trimmed.append(streams[slot].row.id)
      draft.forgetsStreams = true
      draft.hasChanges = true
    }
    return done == .outOfSpace ? .outOfSpace : deletion
  }

  /// The epoch that a stream begins with which does not exist.
  func firstEpoch(of stream: ChannelName) throws(SQLiteError) -> Epoch {
    try successors.epoch(of: stream) ?? FirstEpoch.of(stream, in: state.store)
  }
}
