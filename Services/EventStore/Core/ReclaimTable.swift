internal import Bytes
internal import SQLite

/// What nobody can read any more, and how it is removed.
///
/// A stream's own events are needed by the stream itself above its floor, and by each of its forks
/// from the fork's floor up to the fork point: what a fork in turn was forked for, counted in.
struct ReclaimTable {
  private let children: Statement
  private let trimmed: Statement
  private let places: Statement
  private let removePlace: Statement
  private let removeSegment: Statement
  private let removeKeys: Statement
  private let logged: Statement
  private let removeStream: Statement
  private let connection: Connection

  init(_ connection: Connection) throws(SQLiteError) {
    self.connection = connection
    children = try connection.prepare(
      "SELECT id, name IS NULL, floor, fork FROM streams WHERE parent = ?1 AND parent > 0")
    trimmed = try connection.prepare(
      "SELECT id FROM streams WHERE floor > fork OR name IS NULL ORDER BY id")
    places = try connection.prepare(
      """
      SELECT first, count, segment FROM places WHERE stream = ?1 AND first > ?2 ORDER BY first \
      LIMIT ?3
      """)
    removePlace = try connection.prepare("DELETE FROM places WHERE stream = ?1 AND first = ?2")
    removeSegment = try connection.prepare("DELETE FROM segments WHERE id = ?1")
    logged = try connection.prepare("SELECT 1 FROM log WHERE stream = ?1 LIMIT 1")
    removeKeys = try connection.prepare(
      "DELETE FROM keys WHERE id IN (SELECT id FROM keys WHERE stream = ?1 LIMIT ?2)")
    removeStream = try connection.prepare("DELETE FROM streams WHERE id = ?1")
  }

  /// A fork, as the stream it came from knows it.
  struct Fork: Equatable {
    var stream: Int64
    var isDeleted: Bool
    var floor: Offset
    var fork: Offset
  }

  func forks(of stream: Int64) throws(SQLiteError) -> [Fork] {
    var forks: [Fork] = []
    children.bind(1, stream)
    while try children.step() {
      forks.append(
        Fork(
          stream: children.integer(0), isDeleted: children.integer(1) != 0,
          floor: Offset(children.bits(2)), fork: Offset(children.bits(3))))
    }
    return forks
  }

  /// Streams that may have something to remove.
  func candidates() throws(SQLiteError) -> [Int64] {
    var streams: [Int64] = []
    while try trimmed.step() { streams.append(trimmed.integer(0)) }
    return streams
  }

  /// The offsets of a stream's own events that its forks need: after `after`, up to `through`.
  struct Need: Equatable {
    var after: Offset
    var through: Offset
  }

  func needs(of stream: Int64) throws(SQLiteError) -> [Need] {
    var needs: [Need] = []
    for fork in try forks(of: stream) {
      guard let after = try lowest(of: fork), after < fork.fork else { continue }
      needs.append(Need(after: after, through: fork.fork))
    }
    return needs
  }

  /// The lowest floor among a fork and what was forked from it; nil where all are deleted.
  private func lowest(of fork: Fork) throws(SQLiteError) -> Offset? {
    var lowest = fork.isDeleted ? nil : fork.floor
    var rest = try forks(of: fork.stream)
    while let next = rest.popLast() {
      if !next.isDeleted { lowest = min(lowest ?? next.floor, next.floor) }
      rest += try forks(of: next.stream)
    }
    return lowest
  }

  /// What looking through some of a stream's places found.
  struct Pass: Equatable {
    var removed = 0
    /// Where to go on; nil at the end.
    var next: Offset?
    /// The pass left a place standing.
    var hasKept = false
  }

  /// Removes what of `stream` nobody needs, of at most `limit` places after `after`.
  func remove(
    _ stream: Int64, through floor: Offset, needs: [Need], after: Offset, limit: Int
  ) throws(SQLiteError) -> Pass {
    places.bind(1, stream)
    places.bind(2, bits: after.value)
    places.bind(3, Int64(limit))
    var pass = Pass()
    var found = 0
    var gone: [(first: Offset, segment: Int64)] = []
    while try places.step() {
      found += 1
      let first = Offset(places.bits(0))
      let last = Offset(first.value &+ places.bits(1) &- 1)
      pass.next = first
      guard last <= floor else {
        pass.hasKept = true
        pass.next = nil
        places.reset()
        break
      }
      let isNeeded = needs.contains { $0.after < last && first <= $0.through }
      if isNeeded { pass.hasKept = true } else { gone.append((first, places.integer(2))) }
    }
    for (first, segment) in gone {
      removePlace.bind(1, stream)
      removePlace.bind(2, bits: first.value)
      try removePlace.run()
      removeSegment.bind(1, segment)
      try removeSegment.run()
    }
    pass.removed = gone.count
    if found < limit { pass.next = nil }
    return pass
  }

  /// Whether the log has events of a stream. Cost: looks through the log.
  func isLogged(_ stream: Int64) throws(SQLiteError) -> Bool {
    logged.bind(1, stream)
    defer { logged.reset() }
    return try logged.step()
  }

  /// Removes some of a stream's keys, and says how many.
  func removeKeys(of stream: Int64, limit: Int) throws(SQLiteError) -> Int {
    removeKeys.bind(1, stream)
    removeKeys.bind(2, Int64(limit))
    try removeKeys.run()
    return connection.changes
  }

  func removeStream(_ stream: Int64) throws(SQLiteError) {
    removeStream.bind(1, stream)
    try removeStream.run()
  }
}
