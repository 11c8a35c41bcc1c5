internal import Bytes
internal import Crypto
internal import SQLite
internal import Wire

extension EventStore {
  /// Checks one request and inserts its events; all checks come before the first write, so that a
  /// request that is refused leaves nothing behind in its neighbours' transaction.
  func stage(_ request: AppendRequest, _ draft: inout Draft) throws(SQLiteError) -> AppendOutcome {
    if let refusal = request.refusal { return .refused(refusal) }
    let found = try streams.find(request.stream)
    let hash =
      request.idempotencyKey == nil ? [] : request.keyHash ?? KeyRow.hash(of: request.events)
    if let key = request.idempotencyKey, let slot = found,
      let earlier = try keys.find(key, in: streams[slot].id, now: draft.time)
    {
      return outcome(of: earlier, hash, streams[slot].epoch)
    }
    let head = found.map { streams[$0].head } ?? .zero
    if let expected = request.expected, expected != head {
      return .conflict(epoch: found.map { streams[$0].epoch }, head: head)
    }
    let slot =
      if let found { found } else {
        try streams.create(request.stream, FirstEpoch.of(request.stream, in: draft.state.store))
      }
    let receipt = try insert(request, into: slot, &draft)
    if let key = request.idempotencyKey {
      try keys.keep(
        KeyRow(
          stream: streams[slot].id, key: key, hash: hash, first: receipt.first,
          count: UInt64(request.events.count), position: receipt.position,
          time: request.time, expires: draft.time &+ options.keysKept))
    }
    return .committed(receipt)
  }

  /// What a request with a key that was used before gets.
  private func outcome(of earlier: KeyRow, _ hash: [UInt8], _ epoch: Epoch) -> AppendOutcome {
    guard earlier.hash == hash else {
      return .idempotencyConflict(epoch: epoch, first: earlier.first)
    }
    return .committed(
      AppendReceipt(
        epoch: epoch, first: earlier.first,
        last: Offset(earlier.first.value &+ earlier.count &- 1), position: earlier.position,
        time: earlier.time, origin: .duplicate))
  }

  private func insert(
    _ request: AppendRequest, into slot: StreamTable.Slot, _ draft: inout Draft
  ) throws(SQLiteError) -> AppendReceipt {
    let stream = streams[slot]
    var offset = stream.head
    let position = draft.state.position + 1
    for event in request.events {
      offset = offset.next
      draft.state.position += 1
      let row = EventRow(
        position: draft.state.position, stream: stream.id, offset: offset, time: request.time,
        publisher: request.publisher, event: event)
      let sum = try events.append(row)
      draft.state.chain = mixed(draft.state.chain, UInt64(sum))
      draft.places.append(Place(stream: stream.id, offset: offset, position: row.position))
    }
    streams[slot].head = offset
    draft.hasChanges = true
    return AppendReceipt(
      epoch: stream.epoch, first: stream.head.next, last: offset, position: position,
      time: request.time, origin: .appended)
  }
}
