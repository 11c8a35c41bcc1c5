public import Bytes
internal import SQLite
public import Wire

extension EventStore {
  /// Has a stream's history end with its head: no reader is given what stands before. One commit.
  ///
  /// The events stay on the disk and in the stream's chain, for `--verify` and for who has to account
  /// for them; keys are known as before; what the hub has not been told yet is announced.
  ///
  /// - Errors: nil where the disk is full; nothing was changed then. `mustExit` as of `commit`.
  public func removeHistory(of stream: ChannelName, at now: StoreInstant) throws(StoreFailure)
    -> StreamHead?
  {
    var head = StreamHead(
      name: stream, epoch: FirstEpoch.of(stream, in: state.store), floor: .zero, head: .zero)
    let done = try transact(at: now) { draft throws(SQLiteError) in
      guard let slot = try streams.find(stream) else { return }
      let row = streams[slot]
      (head.epoch, head.floor, head.head) = (row.epoch, row.head, row.head)
      guard row.floor < row.head else { return }
      streams[slot].floor = row.head
      draft.raised.append(slot)
      draft.hasChanges = true
    }
    return done == .outOfSpace ? nil : head
  }
}
