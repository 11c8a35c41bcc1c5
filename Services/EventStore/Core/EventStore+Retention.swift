internal import Bytes
internal import SQLite
internal import Wire

/// How much of a stream is kept. What is beyond is trimmed, whole segments at a time, the oldest first.
public struct Retention: Sendable, Hashable {
  /// At most so many events, counted exactly.
  public var events: UInt64?
  /// At most so many bytes of events; what waits for its segment is counted and stays.
  public var bytes: UInt64?
  /// Milliseconds of the store's own time that an event is kept at least; `StoreClock` says what a
  /// clock that jumps does to it: nothing.
  public var age: Int64?

  public init(events: UInt64? = nil, bytes: UInt64? = nil, age: Int64? = nil) {
    self.events = events
    self.bytes = bytes
    self.age = age
  }
}

/// Which stream's retention is looked at next: all in turn, and those that grew before them. Pure.
struct RetentionTurns {
  private var grown: [Int64] = []
  private var known: Set<Int64> = []
  /// The stream that was looked at last.
  private(set) var last: Int64 = 0

  mutating func add(_ stream: Int64) {
    if known.insert(stream).inserted { grown.append(stream) }
  }

  /// Takes some of those that grew.
  mutating func takeGrown(_ most: Int) -> [Int64] {
    let taken = Array(grown.prefix(most))
    grown.removeFirst(taken.count)
    for stream in taken { known.remove(stream) }
    return taken
  }

  /// Notes how far all streams were gone through; 0 begins anew.
  mutating func went(to stream: Int64) { last = stream }
}

extension EventStore {
  /// Trims streams that hold more than they may, some at a time, in one commit.
  ///
  /// - Cost: nothing without a rule that keeps less than all; else a look at some streams' places once a
  ///   second.
  func retain(at now: StoreInstant) throws(StoreFailure) {
    guard options.retention != nil else {
      retentionDue = .max
      return
    }
    retentionDue = now.monotonic &+ StoreLimits.retentionPauseMs
    var turns = retentionTurns
    let done = try transact(at: now) { draft throws(SQLiteError) in
      turns = retentionTurns
      let most = StoreLimits.retentionStreamsMax
      for stream in turns.takeGrown(most) { try retain(stream, &draft) }
      let others = try retentions.streams(after: turns.last, limit: most)
      for stream in others { try retain(stream, &draft) }
      turns.went(to: others.count < most ? 0 : others.last ?? 0)
      draft.sealBefore = oldest(draft.time)
      // A quiet store commits nothing else that would bring what waits into segments.
      if let moment = draft.sealBefore, tail.hasWaited(since: moment) { draft.hasChanges = true }
    }
    if done != .outOfSpace { retentionTurns = turns }
  }

  /// What waits for its segment longer than this may be too old for some stream.
  private func oldest(_ time: Int64) -> Int64? {
    options.shortestAge.map { time &- $0 / 2 }
  }

  private func retain(_ id: Int64, _ draft: inout Draft) throws(SQLiteError) {
    guard let slot = try streams.find(id: id), let name = streams[slot].row.name,
      let rule = options.retention?(name)
    else { return }
    let live = streams[slot]
    var floor = live.row.floor
    if let most = rule.events, live.head.value > most {
      floor = max(floor, Offset(live.head.value - most))
    }
    if rule.bytes != nil || rule.age != nil {
      let waiting = tail.run(of: id)?.blocks.reduce(0) { $0 + UInt64($1.events.bytes.count) } ?? 0
      floor = try retentions.floor(of: id, above: floor, rule, waiting: waiting, now: draft.time)
    }
    guard floor > live.row.floor else { return }
    streams[slot].row.floor = floor
    try streams.write(streams[slot].row)
    draft.trimmed.append(id)
    draft.hasChanges = true
  }
}

/// Reads how old and how large a stream's segments are.
struct RetentionTable {
  private let list: Statement
  private let places: Statement
  private let sum: Statement

  init(_ connection: Connection) throws(SQLiteError) {
    list = try connection.prepare(
      "SELECT id FROM streams WHERE id > ?1 AND name IS NOT NULL ORDER BY id LIMIT ?2")
    places = try connection.prepare(
      """
      SELECT first, count, bytes, clock FROM places WHERE stream = ?1 AND first + count - 1 > ?2 \
      ORDER BY first LIMIT ?3
      """)
    sum = try connection.prepare(
      "SELECT sum(bytes) FROM places WHERE stream = ?1 AND first + count - 1 > ?2")
  }

  func streams(after stream: Int64, limit: Int) throws(SQLiteError) -> [Int64] {
    list.bind(1, stream)
    list.bind(2, Int64(limit))
    var found: [Int64] = []
    while try list.step() { found.append(list.integer(0)) }
    return found
  }

  /// The floor that leaves no more than a rule allows: above `floor`, or that.
  func floor(
    of stream: Int64, above floor: Offset, _ rule: Retention, waiting: UInt64, now: Int64
  ) throws(SQLiteError) -> Offset {
    sum.bind(1, stream)
    sum.bind(2, bits: floor.value)
    var bytes = waiting &+ (try sum.step() ? sum.bits(0) : 0)
    sum.reset()
    places.bind(1, stream)
    places.bind(2, bits: floor.value)
    places.bind(3, Int64(StoreLimits.retentionPlacesMax))
    defer { places.reset() }
    var result = floor
    while try places.step() {
      let isTooMuch = rule.bytes.map { bytes > $0 } ?? false
      let isTooOld = rule.age.map { places.integer(3) < now &- $0 } ?? false
      guard isTooMuch || isTooOld else { break }
      result = Offset(places.bits(0) &+ places.bits(1) &- 1)
      bytes = bytes >= places.bits(2) ? bytes - places.bits(2) : 0
    }
    return result
  }
}
