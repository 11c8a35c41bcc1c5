internal import Archive
internal import Bytes
internal import Crypto
internal import SQLite
internal import Wire

extension EventStore {
  /// Checks one request and gathers its events; all checks come before the first change, so that a
  /// request that is refused leaves nothing behind in its neighbours' transaction.
  ///
  /// - Parameter index: that of its outcome.
  func stage(
    _ request: AppendRequest, at index: Int, _ draft: inout Draft
  ) throws(SQLiteError) -> AppendOutcome {
    if let refusal = request.refusal { return .refused(refusal) }
    let found = try streams.find(request.stream)
    if found == nil, request.stream.root.isFork { return .refused(.noSuchFork) }
    let hash =
      request.idempotencyKey == nil ? [] : request.keyHash ?? KeyRow.hash(of: request.events)
    if let key = request.idempotencyKey, let slot = found,
      let earlier = try keys.find(key, in: streams[slot].row.id, now: draft.time)
    {
      return outcome(of: earlier, hash, streams[slot].row.epoch)
    }
    if let producer = request.producer,
      let outcome = try outcome(
        of: producer, in: found.map { streams[$0].row }, now: draft.time)
    {
      return outcome
    }
    let head = found.map { streams[$0].head } ?? .zero
    if let expected = request.expected, expected != head {
      return .conflict(epoch: found.map { streams[$0].row.epoch }, head: head)
    }
    let slot = if let found { found } else { try begin(request.stream, request.time, &draft) }
    let receipt = gather(request, into: slot, at: index, &draft)
    if let key = request.idempotencyKey {
      try keys.keep(
        KeyRow(
          stream: streams[slot].row.id, key: key, hash: hash, first: receipt.first,
          count: UInt64(request.events.count), time: request.time, expires: draft.time &+ options.keysKept))
    }
    if let producer = request.producer {
      try producers.keep(
        ProducerRow(
          stream: streams[slot].row.id, mark: producer, first: receipt.first,
          count: UInt64(request.events.count), time: request.time,
          expires: draft.time &+ options.keysKept))
    }
    return .committed(receipt)
  }

  private func begin(
    _ stream: ChannelName, _ time: Int64, _ draft: inout Draft
  ) throws(SQLiteError) -> StreamTable.Slot {
    let epoch = try firstEpoch(of: stream)
    try successors.forget(stream)
    return try streams.create(
      StreamRow(id: draft.nextStream(), name: stream, epoch: epoch, created: time))
  }

  /// What a request with a key that was used before gets.
  private func outcome(of earlier: KeyRow, _ hash: [UInt8], _ epoch: Epoch) -> AppendOutcome {
    guard earlier.hash == hash else {
      return .idempotencyConflict(epoch: epoch, first: earlier.first)
    }
    return .committed(
      AppendReceipt(
        epoch: epoch, first: earlier.first,
        last: Offset(earlier.first.value &+ earlier.count &- 1), position: 0,
        time: earlier.time, origin: .duplicate))
  }

  /// What a producer's append gets that is not its next one; nil for the next.
  private func outcome(
    of producer: ProducerMark, in stream: StreamRow?, now: Int64
  ) throws(SQLiteError) -> AppendOutcome? {
    let last = try stream.flatMap { row throws(SQLiteError) in
      try producers.find(producer.id, in: row.id, now: now)
    }
    switch ProducerTurn(of: producer, after: last?.mark) {
    case .fenced(let epoch): return .fenced(epoch: epoch)
    case .gap(let expected): return .sequenceGap(expected: expected)
    case .next:
      guard last == nil, let stream else { return nil }
      return try producers.hasRoom(in: stream.id, now: now) ? nil : .refused(.tooManyProducers)
    case .duplicate:
      guard let last, let stream else { return nil }
      return .committed(
        AppendReceipt(
          epoch: stream.epoch, first: last.first, last: Offset(last.first.value &+ last.count &- 1),
          position: 0, time: last.time, origin: .duplicate))
    }
  }

  private func gather(
    _ request: AppendRequest, into slot: StreamTable.Slot, at index: Int, _ draft: inout Draft
  ) -> AppendReceipt {
    let stream = streams[slot]
    let place = draft.run(of: slot, stream)
    var offset = stream.head
    for event in request.events {
      offset = offset.next
      let stored = StoredEvent(
        offset: offset, timeMs: request.time, publisher: request.publisher,
        eventType: event.eventType, meta: event.meta, payload: event.payload)
      draft.runs[place].append(stored, event.byteCount, &chains)
    }
    streams[slot].head = offset
    streams[slot].chain = draft.runs[place].chain
    draft.note(outcome: index, run: place)
    draft.hasChanges = true
    return AppendReceipt(
      epoch: stream.row.epoch, first: stream.head.next, last: offset, position: 0,
      time: request.time, origin: .appended)
  }
}

extension EventStore.Draft.Run {
  /// Adds the event that follows, to a new block where the last has no room for `bytes` more.
  mutating func append(_ event: StoredEvent, _ bytes: Int, _ chains: inout StreamChain.Maker) {
    var end = blocks.count - 1
    if blocks[end].isFull(for: bytes) {
      blocks.append(EventBlock(stream: blocks[end].stream, first: event.offset, chain: chain))
      end += 1
    }
    let range = blocks[end].events.append(event)
    let bytes = blocks[end].events.bytes
    chain = chains.chain(chain, adding: bytes.span.extracting(range))
  }
}
