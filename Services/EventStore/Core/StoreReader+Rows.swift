internal import Archive
internal import Bytes
internal import SQLite
internal import Wire

extension StoreReader {
  /// A stream as of one moment: its row, and of every stream it is made of what the tail has.
  struct View {
    let lineage: Lineage
    let row: StreamRow
    let head: Offset
    let runs: [Int64: CommittedTail.Run]
  }

  /// What a page is filled with.
  struct Filling {
    let stream: ChannelName
    let direction: Direction
    /// Bytes left, as appends count them.
    var budget: Int
    var events = EncodedEvents()
    var isFull = false

    init(stream: ChannelName, direction: Direction, budget: Int) {
      self.stream = stream
      self.direction = direction
      self.budget = budget
    }
  }

  /// Runs `body` on one snapshot of a stream; nil for one that does not exist.
  func withStream<Result>(
    _ stream: ChannelName, _ body: (View?) throws(ReadFailure) -> Result
  ) throws(ReadFailure) -> Result {
    for _ in 0..<3 {
      guard let lineage = try lineage(of: stream) else { return try body(nil) }
      // Before the snapshot: what is missing from a run by then is in a segment of the snapshot.
      var runs: [Int64: CommittedTail.Run] = [:]
      for part in lineage.parts { runs[part.stream] = tail.run(of: part.stream) }
      let result: Result? = try snapshot { () throws(ReadFailure) in
        guard let row = try row(lineage.stream, stream) else { return nil }
        let head = max(row.head, runs[row.id]?.last ?? .zero)
        return try body(View(lineage: lineage, row: row, head: head, runs: runs))
      }
      if let result { return result }
      // Another stream has the name now.
      known[stream] = nil
    }
    throw .unavailable("the stream is being replaced; try again")
  }

  /// The epoch that a stream begins with which does not exist.
  ///
  /// - Errors: `noSuchFork` for a fork's name: forks don't begin by themselves.
  func firstEpoch(of stream: ChannelName) throws(ReadFailure) -> Epoch {
    guard !stream.root.isFork else { throw .noSuchFork(stream) }
    do throws(SQLiteError) {
      return try successors.epoch(of: stream) ?? FirstEpoch.of(stream, in: store)
    } catch {
      throw .unavailable(error.description)
    }
  }

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

  /// Steps to what has the event at `offset`: what SQLite calls corrupt is that event's corruption.
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

  /// What a stream is made of; nil where there is none of that name. Kept until the name is another's.
  private func lineage(of stream: ChannelName) throws(ReadFailure) -> Lineage? {
    if let found = known[stream] { return found }
    let lineage: Lineage? = try snapshot { () throws(ReadFailure) in
      byName.bind(1, text: stream.text)
      guard try step(byName) else { return nil }
      defer { byName.reset() }
      guard var row = StreamRow(reading: byName) else {
        throw .corrupt(stream: stream, offset: .zero)
      }
      var lineage = Lineage(of: row.id)
      while row.parent != 0 {
        guard lineage.depth < Lineage.depthMax, let parent = try found(row.parent) else {
          throw .corrupt(stream: stream, offset: .zero)
        }
        lineage.prepend(parent.id, through: row.fork)
        row = parent
      }
      return lineage
    }
    if known.count >= StoreLimits.cachedStreamsMax { known.removeAll() }
    known[stream] = lineage
    return lineage
  }

  /// The row of a stream; nil where its name is no longer this one.
  private func row(_ id: Int64, _ stream: ChannelName) throws(ReadFailure) -> StreamRow? {
    byID.bind(1, id)
    guard try step(byID) else { return nil }
    defer { byID.reset() }
    guard let row = StreamRow(reading: byID) else { throw .corrupt(stream: stream, offset: .zero) }
    return row.name == stream ? row : nil
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
  /// What a run has comes from memory, the rest from segments. An offset that neither has is
  /// corruption: offsets are dense.
  func fill(
    _ filling: inout Filling, _ view: View, _ range: ClosedRange<Offset>
  ) throws(ReadFailure) {
    let direction = filling.direction
    var next: Offset? = direction.first(of: range)
    while !filling.isFull, let offset = next {
      let (part, after) = view.lineage.part(of: offset)
      if let block = view.runs[part.stream]?.block(of: offset) {
        // What the tail's blocks have beyond the part is not this stream's.
        let most = min(block.last, part.through)
        let piece = direction.piece(of: range, from: offset, within: block.first...most)
        next = try take(
          block.events.bytes.span, block.first, block.count, piece, &filling, range)
        continue
      }
      let above = view.runs[part.stream].map { Offset($0.first.value &- 1) } ?? Offset(.max)
      let within = after.next...max(min(part.through, above), after.next)
      guard within.contains(offset) else { throw .corrupt(stream: filling.stream, offset: offset) }
      next = try fillStored(
        &filling, part.stream, direction.piece(of: range, from: offset, within: within), range)
    }
  }

  /// Appends what segments have of `piece`, at least one event unless the page is full, and gives the
  /// offset that is next.
  private func fillStored(
    _ filling: inout Filling, _ stream: Int64, _ piece: ClosedRange<Offset>,
    _ range: ClosedRange<Offset>
  ) throws(ReadFailure) -> Offset? {
    let direction = filling.direction
    let statement = direction == .forwards ? forwards : backwards
    statement.bind(1, stream)
    statement.bind(2, bits: piece.lowerBound.value)
    statement.bind(3, bits: piece.upperBound.value)
    defer { statement.reset() }
    var next: Offset? = direction.first(of: piece)
    while !filling.isFull, let offset = next, piece.contains(offset) {
      guard try step(statement, filling.stream, offset) else {
        throw .corrupt(stream: filling.stream, offset: offset)
      }
      next = try takeSegment(statement, stream, piece, offset, &filling, range)
    }
    return next
  }

  /// Reads the segments of a stream's own events that have one of `range`, in order of their offsets.
  func eachSegment(
    of stream: Int64, _ name: ChannelName, within range: ClosedRange<Offset> = Offset(1)...Offset(UInt64(Int64.max)),
    _ body: (EventBlock) throws(ReadFailure) -> Void
  ) throws(ReadFailure) {
    forwards.bind(1, stream)
    forwards.bind(2, bits: range.lowerBound.value)
    forwards.bind(3, bits: range.upperBound.value)
    defer { forwards.reset() }
    while try step(forwards, name, .zero) { try body(try segment(of: stream, name)) }
  }

  /// The segment that has an offset of a stream's own; nil where none has.
  func segment(of stream: Int64, _ name: ChannelName, at offset: Offset) throws(ReadFailure)
    -> EventBlock?
  {
    forwards.bind(1, stream)
    forwards.bind(2, bits: offset.value)
    forwards.bind(3, bits: offset.value)
    defer { forwards.reset() }
    guard try step(forwards, name, offset) else { return nil }
    let block = try segment(of: stream, name)
    return block.contains(offset) ? block : nil
  }

  private func segment(of stream: Int64, _ name: ChannelName) throws(ReadFailure) -> EventBlock {
    let first = Offset(forwards.bits(0))
    guard let count = Int(exactly: forwards.integer(1)), count > 0,
      let chain = StreamChain(forwards.bytes(2))
    else { throw .corrupt(stream: name, offset: first) }
    let block = EventBlock(
      stream: stream, first: first, chain: chain,
      events: EncodedEvents(trusting: forwards.bytes(4), count: count))
    guard Int64(block.checksum(at: 0)) == forwards.integer(3) else {
      throw .corrupt(stream: name, offset: first)
    }
    return block
  }

  /// BUDGET: streams whose chain at an offset one question asks for.
  static let chainsMax = 16

  /// The chain behind one of a stream's offsets; nil for one that it has not, or not any more.
  func chain(at offset: Offset, in view: View) throws(ReadFailure) -> StreamChain? {
    if offset == view.head { return view.runs[view.row.id]?.chain ?? view.row.chain }
    guard offset >= view.row.floor, offset < view.head, let name = view.row.name else { return nil }
    // Known before each block: the rest of one is all that has to be followed.
    let next = offset.next
    let stream = view.lineage.part(of: next).part.stream
    var found = view.runs[stream]?.block(of: next)
    if found == nil {
      try eachSegment(of: stream, name, within: next...next) { block throws(ReadFailure) in found = block }
    }
    guard let block = found, block.contains(next) else { throw .corrupt(stream: name, offset: next) }
    if block.first == next { return block.chain }
    var maker = StreamChain.Maker()
    return maker.chain(
      block.chain, addingAll: block.events.bytes.span, count: block.count, from: block.first,
      through: offset)
  }

  private func takeSegment(
    _ row: Statement, _ stream: Int64, _ piece: ClosedRange<Offset>, _ offset: Offset,
    _ filling: inout Filling, _ range: ClosedRange<Offset>
  ) throws(ReadFailure) -> Offset? {
    let first = Offset(row.bits(0))
    guard let count = Int(exactly: row.integer(1)), count > 0, let chain = StreamChain(row.bytes(2)),
      first <= offset, offset.value - first.value < UInt64(count)
    else { throw .corrupt(stream: filling.stream, offset: offset) }
    let last = Offset(first.value + UInt64(count) - 1)
    let crc = row.integer(3)
    let wanted = filling.direction.piece(of: piece, from: offset, within: first...last)
    return try row.withBytes(4) { (bytes) throws(ReadFailure) -> Offset? in
      let sum = EventBlock.checksum(
        at: 0, stream: stream, first: first, count: count, chain: chain, bytes)
      guard Int64(sum) == crc else { throw .corrupt(stream: filling.stream, offset: offset) }
      return try take(bytes, first, count, wanted, &filling, range)
    }
  }

  /// Appends the events of `piece` out of a block's bytes, in the direction asked, and gives the offset
  /// that is next; nil where `range` is done.
  private func take(
    _ bytes: borrowing Span<UInt8>, _ first: Offset, _ count: Int, _ piece: ClosedRange<Offset>,
    _ filling: inout Filling, _ range: ClosedRange<Offset>
  ) throws(ReadFailure) -> Offset? {
    var found: [EncodedEvent] = []
    var cursor = ByteCursor(bytes)
    var next = first
    do throws(ByteError) {
      for _ in 0..<count where next <= piece.upperBound {
        let event = try EncodedEvent(&cursor, bytes)
        guard event.offset == next else { throw .invalidValue }
        if next >= piece.lowerBound { found.append(event) }
        next = next.next
      }
    } catch {
      throw .corrupt(stream: filling.stream, offset: filling.direction.first(of: piece))
    }
    if filling.direction == .backwards { found.reverse() }
    for event in found {
      let weight = event.weight
      guard filling.events.count == 0 || weight <= filling.budget else {
        filling.isFull = true
        return event.offset
      }
      filling.events.append(copying: bytes.extracting(event.range), count: 1)
      filling.budget -= weight
      if filling.budget <= 0 { filling.isFull = true }
    }
    let last = filling.direction == .forwards ? piece.upperBound : piece.lowerBound
    return filling.direction.after(last, in: range)
  }
}

extension EncodedEvent {
  /// What it counts for, as `NewEvent.byteCount`.
  var weight: Int {
    payload.count + meta.count + type.count + StoreLimits.eventOverheadBytes
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

  /// What is left of `range` from `offset` on, as far as it is within another, which has `offset`.
  func piece(
    of range: ClosedRange<Offset>, from offset: Offset, within: ClosedRange<Offset>
  ) -> ClosedRange<Offset> {
    switch self {
    case .forwards: offset...max(offset, min(range.upperBound, within.upperBound))
    case .backwards: min(offset, max(range.lowerBound, within.lowerBound))...offset
    }
  }

  func after(_ offset: Offset, in range: ClosedRange<Offset>) -> Offset? {
    switch self {
    case .forwards: offset < range.upperBound ? offset.next : nil
    case .backwards: offset > range.lowerBound ? Offset(offset.value - 1) : nil
    }
  }
}
