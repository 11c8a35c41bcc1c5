internal import Bytes
internal import SQLite

extension StreamHead {
  init(row: StreamRow, run: CommittedTail.Run?) {
    self.init(
      name: row.name, epoch: row.epoch, floor: row.floor, head: max(row.head, run?.last ?? .zero))
  }
}

extension StoreReader {
  /// Runs `body` on one snapshot, which is let go whatever happens.
  func snapshot<Result>(_ body: () throws(ReadFailure) -> Result) throws(ReadFailure) -> Result {
    _ = try step(begin)
    defer { _ = try? step(end) }
    return try body()
  }

  func step(_ statement: Statement) throws(ReadFailure) -> Bool {
    do throws(SQLiteError) {
      return try statement.step()
    } catch {
      throw .unavailable(error.description)
    }
  }

  /// Steps to the event at `offset`: what SQLite calls corrupt is that event's corruption.
  private func step(_ statement: Statement, _ stream: ChannelName, _ offset: Offset) throws(ReadFailure) -> Bool {
    do throws(SQLiteError) {
      return try statement.step()
    } catch {
      if error.isCorrupt { throw .corrupt(stream: stream, offset: offset) }
      throw .unavailable(error.description)
    }
  }

  /// The number of a stream; nil where there is none. Numbers never change, so they are kept.
  func id(of stream: ChannelName) throws(ReadFailure) -> Int64? {
    if let known = ids[stream] { return known }
    byName.bind(1, text: stream.text)
    guard try step(byName) else { return nil }
    defer { byName.reset() }
    guard let row = StreamRow(reading: byName) else {
      throw .corrupt(stream: stream, offset: .zero)
    }
    if ids.count >= StoreLimits.cachedStreamsMax { ids.removeAll() }
    ids[stream] = row.id
    return row.id
  }

  /// The row of a stream that is known to exist.
  func row(_ id: Int64, _ stream: ChannelName) throws(ReadFailure) -> StreamRow {
    guard let row = try found(id), row.name == stream else {
      throw .corrupt(stream: stream, offset: .zero)
    }
    return row
  }

  /// The row with this number; nil where there is none, or none that fits its checksum.
  func found(_ id: Int64) throws(ReadFailure) -> StreamRow? {
    byID.bind(1, id)
    guard try step(byID) else { return nil }
    defer { byID.reset() }
    return StreamRow(reading: byID)
  }

  /// Appends the events of a range of offsets: what the index has, then what the run has.
  ///
  /// The run was taken before the snapshot, so the index may have it already; then all comes from
  /// the index. An offset that neither has is corruption: offsets are dense.
  func fill(
    _ events: inout [StoredEvent], _ row: StreamRow, _ run: CommittedTail.Run?,
    _ range: ClosedRange<Offset>, _ budget: inout Int
  ) throws(ReadFailure) {
    var next = range.lowerBound
    indexed.bind(1, row.id)
    indexed.bind(2, bits: next.value)
    indexed.bind(3, bits: range.upperBound.value)
    defer { indexed.reset() }
    while budget > 0, next <= range.upperBound, try step(indexed, row.name, next) {
      try take(indexed, row, &next, &events, &budget)
    }
    while budget > 0, next <= range.upperBound {
      guard let run, next >= run.first, next <= run.last else {
        throw .corrupt(stream: row.name, offset: next)
      }
      single.bind(1, run.positions[Int(next.value - run.first.value)])
      defer { single.reset() }
      guard try step(single, row.name, next) else { throw .corrupt(stream: row.name, offset: next) }
      try take(single, row, &next, &events, &budget)
    }
  }

  private func take(
    _ statement: Statement, _ row: StreamRow, _ next: inout Offset, _ events: inout [StoredEvent],
    _ budget: inout Int
  ) throws(ReadFailure) {
    guard let found = EventRow(reading: statement, &checksum), found.stream == row.id,
      found.offset == next
    else { throw .corrupt(stream: row.name, offset: next) }
    events.append(found.stored)
    budget -= found.event.byteCount
    next = next.next
  }
}
