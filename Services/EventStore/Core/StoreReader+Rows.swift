internal import Bytes
internal import SQLite
internal import Wire

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
  private func step(_ statement: Statement, _ stream: ChannelName, _ offset: Offset)
    throws(ReadFailure) -> Bool
  {
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

  /// Appends the events of a range of offsets in their direction, until the next is too large for
  /// the bytes that are left.
  ///
  /// What the run knows comes from its positions, the rest from the index: before the run, or after
  /// it where the run was taken before its places were indexed. An offset that neither has is
  /// corruption: offsets are dense.
  func fill(
    _ events: inout [StoredEvent], _ row: StreamRow, _ run: CommittedTail.Run?,
    _ range: ClosedRange<Offset>, _ direction: Direction, _ budget: inout Int
  ) throws(ReadFailure) {
    var next: Offset? = direction.first(of: range)
    while budget > 0, let offset = next {
      guard let position = run?.position(of: offset) else {
        let rest = direction.rest(of: range, from: offset)
        guard let after = try fillIndexed(&events, row, rest, direction, &budget) else { return }
        next = after
        continue
      }
      single.bind(1, position)
      defer { single.reset() }
      guard try step(single, row.name, offset) else {
        throw .corrupt(stream: row.name, offset: offset)
      }
      guard try take(single, row, offset, &events, &budget) else { return }
      next = direction.after(offset, in: range)
    }
  }

  /// Appends what the index has of a range, at least one event, and gives the offset that is next;
  /// nil where the page is done.
  private func fillIndexed(
    _ events: inout [StoredEvent], _ row: StreamRow, _ range: ClosedRange<Offset>,
    _ direction: Direction, _ budget: inout Int
  ) throws(ReadFailure) -> Offset? {
    let statement = direction == .forwards ? indexed : indexedBackwards
    statement.bind(1, row.id)
    statement.bind(2, bits: range.lowerBound.value)
    statement.bind(3, bits: range.upperBound.value)
    defer { statement.reset() }
    var next: Offset? = direction.first(of: range)
    let before = events.count
    while budget > 0, let offset = next, try step(statement, row.name, offset) {
      guard try take(statement, row, offset, &events, &budget) else { return nil }
      next = direction.after(offset, in: range)
    }
    if events.count == before, let offset = next {
      throw .corrupt(stream: row.name, offset: offset)
    }
    return next
  }

  /// False where the event has no room in the page; the page's first always has.
  private func take(
    _ statement: Statement, _ row: StreamRow, _ offset: Offset, _ events: inout [StoredEvent],
    _ budget: inout Int
  ) throws(ReadFailure) -> Bool {
    guard let found = EventRow(reading: statement, &checksum), found.stream == row.id,
      found.offset == offset
    else { throw .corrupt(stream: row.name, offset: offset) }
    let bytes = found.event.byteCount
    guard events.isEmpty || bytes <= budget else { return false }
    events.append(found.stored)
    budget -= bytes
    return true
  }
}

extension StoreReader.Direction {
  /// The offsets that a read from `from` may give; nil for none.
  func range(_ from: Offset, floor: Offset, head: Offset) -> ClosedRange<Offset>? {
    switch self {
    case .forwards:
      guard from < head, floor < head else { return nil }
      return max(from.next, floor.next)...head
    case .backwards:
      let upper = from == .zero || from > head ? head : Offset(from.value - 1)
      guard floor < upper else { return nil }
      return floor.next...upper
    }
  }

  /// The first `count` of a range; `count` is at least 1.
  func cut(_ range: ClosedRange<Offset>, to count: Int) -> ClosedRange<Offset> {
    let more = UInt64(clamping: count - 1)
    guard range.upperBound.value - range.lowerBound.value > more else { return range }
    switch self {
    case .forwards: return range.lowerBound...Offset(range.lowerBound.value + more)
    case .backwards: return Offset(range.upperBound.value - more)...range.upperBound
    }
  }

  func first(of range: ClosedRange<Offset>) -> Offset {
    self == .forwards ? range.lowerBound : range.upperBound
  }

  func rest(of range: ClosedRange<Offset>, from offset: Offset) -> ClosedRange<Offset> {
    self == .forwards ? offset...range.upperBound : range.lowerBound...offset
  }

  func after(_ offset: Offset, in range: ClosedRange<Offset>) -> Offset? {
    switch self {
    case .forwards: offset < range.upperBound ? offset.next : nil
    case .backwards: offset > range.lowerBound ? Offset(offset.value - 1) : nil
    }
  }
}
