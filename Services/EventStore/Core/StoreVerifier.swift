public import Archive
internal import Bytes
internal import JSON
internal import SQLite
public import Wire

/// What checking one store found.
public struct StoreReport: Sendable, Equatable {
  public var directory: String
  /// Why the store is not good; nil where it is.
  public var problem: StoreFailure?
  public var commit: UInt64 = 0
  public var position: Int64 = 0
  /// The position up to which the hub has confirmed events.
  public var announced: Int64 = 0
  /// Every stream in order of name, with the chain over its events.
  public var streams: [Stream] = []

  public struct Stream: Sendable, Equatable {
    public var head: StreamHead
    /// Over all events that were ever appended, whatever the floor.
    public var chain: StreamChain
  }

  /// One JSON object a line: each stream, then the store.
  public var lines: [String] { streams.map(Self.line) + [summary] }

  private static func line(_ stream: Stream) -> String {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("stream")
    writer.string(stream.head.name.text)
    writer.key("epoch")
    writer.string(stream.head.epoch?.text ?? "")
    writer.key("floor")
    writer.uint(stream.head.floor.value)
    writer.key("head")
    writer.uint(stream.head.head.value)
    writer.key("sha256")
    writer.string(stream.chain.hexadecimal)
    writer.endObject()
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  private var summary: String {
    var writer = JSONWriter()
    writer.beginObject()
    writer.key("directory")
    writer.string(directory)
    writer.key("ok")
    writer.bool(problem == nil)
    if let problem {
      writer.key("problem")
      writer.string(problem.description)
    }
    writer.key("commit")
    writer.uint(commit)
    writer.key("events")
    writer.int(position)
    writer.key("announced")
    writer.int(announced)
    writer.key("streams")
    writer.int(Int64(streams.count))
    writer.endObject()
    return String(decoding: writer.bytes, as: UTF8.self)
  }
}

/// Checks a store that nobody has open, and changes nothing in it.
///
/// Opening a database after a crash changes it, so the files are copied first and the copy is
/// opened, by the code that serves. Then every event of every stream is read, each with its
/// checksum, and the chains are followed through them: also what is kept of a deleted stream for its
/// forks, and below a floor. What a stream or a fork of it can be asked for must be there, and each
/// fork must begin with the chain that its source has there. The head mark is compared; SQLite's own
/// check is run, indexes included, which no checksum of ours covers.
public enum StoreVerifier {
  /// - Shape: `scratch` is a directory with room for a copy of the store; for four of one that has an
  ///   older format, of which the copy is migrated.
  /// - Cost: reads everything, most of it twice; memory is bounded by a page and the list of streams.
  public static func verify(_ directory: String, scratch: String, now: StoreInstant) -> StoreReport
  {
    var report = StoreReport(directory: directory)
    do throws(StoreFailure) {
      let copy = try copied(directory, scratch)
      defer { remove(copy) }
      try check(copy, now, &report)
    } catch {
      report.problem = error
    }
    return report
  }

  private static let files = [
    StoreSchema.fileName, StoreSchema.fileName + "-wal", StoreSchema.fileName + "-journal",
    HeadMarkFile.name,
  ]

  private static func copied(_ directory: String, _ scratch: String) throws(StoreFailure) -> String
  {
    guard StoreFiles.isDirectory(directory) else {
      throw .files("\(directory) is no directory")
    }
    try StoreLock.refuseWhileHeld(directory)
    let copy = try StoreFiles.makeTemporaryDirectory(under: scratch)
    do throws(StoreFailure) {
      for file in files {
        _ = try StoreFiles.copy("\(directory)/\(file)", to: "\(copy)/\(file)")
      }
    } catch {
      remove(copy)
      throw error
    }
    return copy
  }

  private static func remove(_ copy: String) {
    try? StoreMigration.removeLeftovers(in: copy)
    let made = [StoreLock.name, StoreSchema.fileName + "-shm"]
    for file in files + made + OlderFormats.all.map({ StoreMigration.keptName($0.number) }) {
      try? StoreFiles.remove("\(copy)/\(file)")
    }
    StoreFiles.removeDirectory(copy)
  }

  private static func check(_ copy: String, _ now: StoreInstant, _ report: inout StoreReport)
    throws(StoreFailure)
  {
    var options = EventStore.Options()
    options.durability = .unsynced
    let store = try EventStore(directory: copy, options: options, now: now)
    report.commit = store.commits
    report.position = store.position
    report.announced = store.announced
    let reader = try StoreReader(of: store)
    var check = ChainCheck(try rows(of: store))
    do throws(ReadFailure) {
      let chains = try check.follow(reader)
      var after: Bytes.ChannelName?
      while case let heads = try reader.streams(after: after, limit: 1_024), let last = heads.last {
        for head in heads {
          guard let chain = chains[head.name] else { throw .corrupt(stream: head.name, offset: .zero) }
          report.streams.append(StoreReport.Stream(head: head, chain: chain))
        }
        after = last.name
      }
      try check.order(reader, through: store.position)
    } catch {
      throw .damaged(error.description)
    }
    try compare(store)
  }

  /// Every stream's row, deleted ones as well, in the order they were made.
  private static func rows(of store: EventStore) throws(StoreFailure) -> [StreamRow] {
    do throws(SQLiteError) {
      let list = try store.connection.prepare(
        """
        SELECT id, name, epoch, floor, head, chain, bytes, parent, fork, created, author, crc \
        FROM streams ORDER BY id
        """)
      var rows: [StreamRow] = []
      while try list.step() {
        guard let row = StreamRow(reading: list) else {
          throw SQLiteError(extendedCode: 11, call: "check", message: "a stream's row is damaged")
        }
        rows.append(row)
      }
      return rows
    } catch {
      throw .damaged(error.description)
    }
  }

  /// No event may belong to no stream, and SQLite must find its own structure sound.
  private static func compare(_ store: EventStore) throws(StoreFailure) {
    do throws(SQLiteError) {
      try store.checkSnapshots()
      let connection = store.connection
      func expectNone(_ sql: StaticString, _ what: String) throws(SQLiteError) {
        guard try connection.integer(sql) == 0 else {
          throw SQLiteError(extendedCode: 11, call: "check", message: what)
        }
      }
      try expectNone(
        """
        SELECT count(*) FROM segments s LEFT JOIN places p ON p.segment = s.id \
        AND p.stream = s.stream WHERE p.segment IS NULL
        """, "segments that no place leads to")
      try expectNone(
        """
        SELECT count(*) FROM places p LEFT JOIN streams s ON s.id = p.stream \
        WHERE s.id IS NULL OR p.first + p.count - 1 > s.head
        """, "places beyond their stream")
      // A key is written with its events or not at all. What is in no segment yet is not asked for.
      try expectNone(
        """
        SELECT count(*) FROM keys k LEFT JOIN streams s ON s.id = k.stream \
        LEFT JOIN (SELECT stream, max(first + count - 1) AS last FROM log GROUP BY stream) l \
        ON l.stream = k.stream \
        WHERE s.id IS NULL OR k.first + k.count - 1 > max(s.head, coalesce(l.last, 0))
        """, "keys without their events")
      try expectNone(
        """
        SELECT count(*) FROM producers k LEFT JOIN streams s ON s.id = k.stream \
        LEFT JOIN (SELECT stream, max(first + count - 1) AS last FROM log GROUP BY stream) l \
        ON l.stream = k.stream \
        WHERE s.id IS NULL OR k.first + k.count - 1 > max(s.head, coalesce(l.last, 0))
        """, "producers without their events")
      try store.producers.check()
      let answer = try connection.text("PRAGMA integrity_check(1)") ?? ""
      guard answer == "ok" else {
        throw SQLiteError(extendedCode: 11, call: "check", message: answer)
      }
    } catch {
      throw .damaged(error.description)
    }
  }
}

/// Reads every block of every stream once, and follows the chains through them.
private struct ChainCheck: ~Copyable {
  /// What one stream's own events are followed by.
  private struct Walk {
    let row: StreamRow
    let name: ChannelName
    /// In the order of their fork points, and how many of them were gone by.
    let forks: [StreamRow]
    var passed = 0
    /// The offset that is next, and the chain before it; nil where what is before was removed.
    var next: Offset
    var chain: StreamChain?
  }

  private var chains = StreamChain.Maker()
  private let rows: [StreamRow]
  /// What was forked from each stream.
  private var forks: [Int64: [StreamRow]] = [:]
  /// The lowest floor of each fork and all that was forked from it; none where all are deleted.
  private var lowest: [Int64: Offset] = [:]
  /// The chains at fork points, as the source has them.
  private var origins: [Int64: StreamChain] = [:]

  init(_ rows: [StreamRow]) {
    self.rows = rows
    for row in rows where row.parent != 0 { forks[row.parent, default: []].append(row) }
    // A fork was made after what it was forked from.
    for row in rows.reversed() {
      let floors = (forks[row.id] ?? []).compactMap { lowest[$0.id] }
      lowest[row.id] = (row.name == nil ? floors : floors + [row.floor]).min()
    }
  }

  /// The chains at the heads of all streams that have a name.
  mutating func follow(_ reader: StoreReader) throws(ReadFailure) -> [ChannelName: StreamChain] {
    var heads: [ChannelName: StreamChain] = [:]
    let known = Set(rows.map(\.id))
    for row in rows {
      let chain = try follow(row, reader)
      guard let name = row.name else { continue }
      guard row.parent == 0 || known.contains(row.parent) else {
        throw .corrupt(stream: name, offset: row.fork)
      }
      heads[name] = chain
    }
    return heads
  }

  private mutating func follow(_ row: StreamRow, _ reader: StoreReader) throws(ReadFailure)
    -> StreamChain
  {
    guard let name = row.name ?? ChannelName("deleted:\(row.id)") else {
      throw .unavailable("a stream without a name")
    }
    var walk = Walk(
      row: row, name: name, forks: (forks[row.id] ?? []).sorted { $0.fork < $1.fork },
      next: row.fork.next,
      chain: row.parent == 0 ? StreamChain() : origins[row.id])
    try reader.eachSegment(of: row.id, name) { (block) throws(ReadFailure) in
      try add(block, to: &walk)
    }
    try go(to: row.head.next, row.chain, &walk)
    for block in reader.tail.run(of: row.id)?.blocks ?? [] { try add(block, to: &walk) }
    return walk.chain ?? row.chain
  }

  private mutating func add(_ block: EventBlock, to walk: inout Walk) throws(ReadFailure) {
    try go(to: block.first, block.chain, &walk)
    while walk.passed < walk.forks.count, case let fork = walk.forks[walk.passed],
      fork.fork <= block.last
    {
      walk.passed += 1
      origins[fork.id] = chains.chain(
        block.chain, addingAll: block.events.bytes.span, count: block.count, from: block.first,
        through: fork.fork)
    }
    walk.chain = chains.chain(
      block.chain, addingAll: block.events.bytes.span, count: block.count, from: block.first)
    walk.next = block.last.next
    guard walk.chain != nil else { throw .corrupt(stream: walk.name, offset: block.first) }
  }

  /// Goes on at `offset`, where the chain is said to be `chain`: nothing is missing before it but what
  /// nobody can be given.
  private mutating func go(
    to offset: Offset, _ chain: StreamChain, _ walk: inout Walk
  ) throws(ReadFailure) {
    if offset == walk.next {
      guard walk.chain ?? chain == chain else { throw .corrupt(stream: walk.name, offset: offset) }
    } else {
      guard offset > walk.next, !isNeeded(walk.next, before: offset, walk) else {
        throw .corrupt(stream: walk.name, offset: walk.next)
      }
    }
    (walk.next, walk.chain) = (offset, chain)
    while walk.passed < walk.forks.count, case let fork = walk.forks[walk.passed],
      fork.fork < offset
    {
      walk.passed += 1
      if fork.fork.next == offset { origins[fork.id] = chain }
    }
  }

  /// Whether somebody can be given one of a stream's own events from `first` on and before `end`.
  private func isNeeded(_ first: Offset, before end: Offset, _ walk: Walk) -> Bool {
    if walk.row.name != nil, max(first, walk.row.floor.next) < end { return true }
    return walk.forks.contains { fork in
      lowest[fork.id].map { max(first, $0.next) < min(end, fork.fork.next) } ?? false
    }
  }

  /// Every position must be told by the order of commits, up to the last.
  mutating func order(_ reader: StoreReader, through last: Int64) throws(ReadFailure) {
    var position: Int64 = 0
    while position < last {
      let page = try reader.unannounced(after: position, limit: StoreLimits.pageEventsMax)
      guard page.corruptCount == 0, page.through > position else {
        throw .unavailable("what is behind position \(position) can't be told")
      }
      position = page.through
    }
  }
}
