internal import Archive
internal import Bytes
internal import SQLite
internal import Wire

/// Goes through committed events by their positions, in either direction, as far as a page may: what the
/// log has from there, what was swept by `orders` from segments.
///
/// Of one snapshot. Memory and work are bounded by `StoreLimits.scannedEventsMax`, `scannedBytesMax` and
/// `scanKeptBytesMax`.
struct CommitScan {
  /// Consecutive events of one stream at consecutive positions.
  struct Piece {
    let position: Int64
    let stream: Int64
    let first: Offset
    let count: Int
    var last: Int64 { position + Int64(count) - 1 }
  }

  /// What becomes of the events that are looked at.
  protocol Taker {
    /// Whether what was trimmed is taken as long as it is there.
    var takesTrimmed: Bool { get }
    /// Whether events of this stream are wanted at all.
    func wants(_ name: ChannelName) -> Bool
    /// False where there is no room for the event: the page ends before it.
    mutating func take(
      _ event: StoredEvent, at position: Int64, of stream: StreamRow, _ name: ChannelName) -> Bool
    /// An event that fails its checksum; the name where it is known. False where the page is full.
    mutating func damaged(at position: Int64, of name: ChannelName?) -> Bool
  }

  enum Direction { case forwards, backwards }

  let direction: Direction
  /// The position that is next.
  private(set) var next: Int64
  /// The first and last position that there is to look at.
  let range: ClosedRange<Int64>
  private let start: Int64
  private(set) var isFull = false
  private var bytes = 0
  private var rows: [Int64: StoreReader.Standing] = [:]
  /// The segment of each stream that was read last.
  private var segments: [Int64: Events] = [:]
  private var segmentBytes = 0

  /// Consecutive events; none where they can't be read.
  private struct Events {
    var first = Offset.zero
    var list: [StoredEvent] = []

    init() {}

    init(_ block: EventBlock) { (first, list) = (block.first, block.events.events ?? []) }

    subscript(offset: Offset) -> StoredEvent? {
      guard offset >= first, offset.value - first.value < UInt64(list.count) else { return nil }
      let event = list[Int(offset.value - first.value)]
      return event.offset == offset ? event : nil
    }
  }

  init(_ direction: Direction, from next: Int64, within range: ClosedRange<Int64>) {
    self.direction = direction
    self.next = next
    self.range = range
    start = next
  }

  var isDone: Bool { !range.contains(next) }

  /// Whether the page has to end: the taker's, or what may be looked at for one is used up.
  var mustEnd: Bool {
    isFull || isDone || abs(next - start) >= StoreLimits.scannedEventsMax
      || bytes >= StoreLimits.scannedBytesMax
  }

  private mutating func pass(_ position: Int64) {
    next = direction == .forwards ? position + 1 : position - 1
  }

  /// Looks at the events of a piece that has the next position.
  /// - Parameter block: them, where they are read already.
  mutating func look(
    at piece: Piece, _ block: EventBlock?, _ reader: StoreReader, _ taker: inout some Taker
  ) throws(ReadFailure) {
    let row: StreamRow
    switch try standing(of: piece.stream, reader) {
    case .gone: return pass(direction == .forwards ? piece.last : piece.position)
    case .damaged: return lookAtDamaged(piece, &taker)
    case .found(let found): row = found
    }
    // Deleted: nothing of it is anybody's.
    guard let name = row.name, taker.wants(name) else {
      return pass(direction == .forwards ? piece.last : piece.position)
    }
    if let block { bytes += block.events.bytes.count }
    var events = block.map { Events($0) } ?? Events()
    while !isFull, !isDone, piece.position...piece.last ~= next {
      let offset = Offset(piece.first.value &+ UInt64(next - piece.position))
      let isTrimmed = offset <= row.floor
      if isTrimmed, !taker.takesTrimmed {
        pass(next)
        continue
      }
      if events[offset] == nil {
        guard !mustEnd else { return }
        events = try stored(row, name, offset, reader)
      }
      let hasRoom =
        if let event = events[offset] { taker.take(event, at: next, of: row, name) } else {
          isTrimmed || taker.damaged(at: next, of: name)
        }
      if hasRoom { pass(next) } else { isFull = true }
    }
  }

  private mutating func standing(
    of stream: Int64, _ reader: StoreReader
  ) throws(ReadFailure) -> StoreReader.Standing {
    if let known = rows[stream] { return known }
    let found = try reader.standing(of: stream)
    if rows.count >= StoreLimits.pageEventsMax { rows = [:] }
    rows[stream] = found
    return found
  }

  /// Passes over a piece of the log that fails its checksum: whose it is can't be told.
  mutating func lookAtDamaged(_ piece: Piece, _ taker: inout some Taker) {
    while !isFull, !isDone, piece.position...piece.last ~= next {
      guard taker.damaged(at: next, of: nil) else {
        isFull = true
        return
      }
      pass(next)
    }
  }

  /// The events of the segment that has an offset; none where it is damaged or missing.
  private mutating func stored(
    _ row: StreamRow, _ name: ChannelName, _ offset: Offset, _ reader: StoreReader
  ) throws(ReadFailure) -> Events {
    if let known = segments[row.id], known[offset] != nil { return known }
    let block: EventBlock?
    do throws(ReadFailure) {
      block = try reader.segment(of: row.id, name, at: offset)
    } catch {
      guard case .corrupt = error else { throw error }
      block = nil
    }
    guard let block else {
      // Looking for it has its price, too.
      bytes += EventBlock.bytesMax
      return Events()
    }
    bytes += block.events.bytes.count
    segmentBytes += block.events.bytes.count
    if segmentBytes >= StoreLimits.scanKeptBytesMax { (segments, segmentBytes) = ([:], 0) }
    let events = Events(block)
    segments[row.id] = events
    return events
  }
}

extension StoreReader {
  /// What is known of a stream by its number.
  enum Standing {
    case found(StreamRow)
    case damaged
    /// Deleted, and nothing of it is left.
    case gone
  }

  func standing(of id: Int64) throws(ReadFailure) -> Standing {
    byID.bind(1, id)
    guard try step(byID) else { return .gone }
    defer { byID.reset() }
    return StreamRow(reading: byID).map { .found($0) } ?? .damaged
  }

  /// The last position that was swept from the log, and the last there is, as of the snapshot.
  func positions() throws(ReadFailure) -> (swept: Int64, last: Int64) {
    guard try step(swept) else { throw .unavailable("the store's row is damaged") }
    defer { swept.reset() }
    return (swept.integer(0), swept.integer(1))
  }

  /// Looks at events from the scan's next position on, until the page has to end. In a snapshot.
  func run(
    _ scan: inout CommitScan, swept: Int64, _ taker: inout some CommitScan.Taker
  ) throws(ReadFailure) {
    switch scan.direction {
    case .forwards:
      try lookAtOrdered(&scan, through: swept, ordered, &taker)
      try lookAtLogged(&scan, after: swept, logged, &taker)
    case .backwards:
      try lookAtLogged(&scan, after: swept, loggedBackwards, &taker)
      try lookAtOrdered(&scan, through: swept, orderedBackwards, &taker)
    }
  }

  /// What is no longer in the log, from segments.
  private func lookAtOrdered(
    _ scan: inout CommitScan, through swept: Int64, _ rows: Statement,
    _ taker: inout some CommitScan.Taker
  ) throws(ReadFailure) {
    guard !scan.mustEnd, scan.next <= swept else { return }
    rows.bind(1, scan.next)
    defer { rows.reset() }
    while !scan.mustEnd, scan.next <= swept {
      guard try step(rows), let order = CommitOrder(reading: rows), order.position <= scan.next,
        order.last >= scan.next
      else { throw .unavailable("the order of commits is damaged at position \(scan.next)") }
      var pieces: [CommitScan.Piece] = []
      var position = order.position
      for entry in order.entries {
        pieces.append(
          CommitScan.Piece(
            position: position, stream: entry.stream, first: entry.first, count: entry.count))
        position += Int64(entry.count)
      }
      if scan.direction == .backwards { pieces.reverse() }
      for piece in pieces where piece.count > 0 && piece.position...piece.last ~= scan.next {
        try scan.look(at: piece, nil, self, &taker)
        if scan.mustEnd { break }
      }
    }
  }

  /// What is still in the log.
  private func lookAtLogged(
    _ scan: inout CommitScan, after swept: Int64, _ rows: Statement,
    _ taker: inout some CommitScan.Taker
  ) throws(ReadFailure) {
    guard !scan.mustEnd, scan.next > swept else { return }
    rows.bind(1, scan.next)
    defer { rows.reset() }
    while !scan.mustEnd, scan.next > swept, try step(rows) {
      let position = rows.integer(0)
      guard let count = Int(exactly: rows.integer(3)), count > 0, count <= Int(Int32.max),
        position...(position + Int64(count) - 1) ~= scan.next
      else { throw .unavailable("the log is damaged at position \(scan.next)") }
      let piece = CommitScan.Piece(
        position: position, stream: rows.integer(1), first: Offset(rows.bits(2)), count: count)
      let block = EventBlock(
        stream: piece.stream, first: piece.first, chain: StreamChain(rows.bytes(4)) ?? StreamChain(),
        events: EncodedEvents(trusting: rows.bytes(6), count: count))
      if Int64(block.checksum(at: position)) == rows.integer(5) {
        try scan.look(at: piece, block, self, &taker)
      } else {
        scan.lookAtDamaged(piece, &taker)
      }
    }
    guard scan.mustEnd || scan.next <= swept else {
      throw .unavailable("the log is damaged at position \(scan.next)")
    }
  }
}
