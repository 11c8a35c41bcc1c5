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
/// checksum, and counted, what was removed from its history as well; the head mark is compared; SQLite's own check is run, indexes included,
/// which no checksum of ours covers.
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
    var check = ChainCheck()
    do throws(ReadFailure) {
      var after: Bytes.ChannelName?
      while case let heads = try reader.streams(after: after, limit: 1_024), let last = heads.last {
        for head in heads {
          let chain = try check.chain(of: head, reader)
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

  /// No event may belong to no stream, and SQLite must find its own structure sound.
  private static func compare(_ store: EventStore) throws(StoreFailure) {
    do throws(SQLiteError) {
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
      let answer = try connection.text("PRAGMA integrity_check(1)") ?? ""
      guard answer == "ok" else {
        throw SQLiteError(extendedCode: 11, call: "check", message: answer)
      }
    } catch {
      throw .damaged(error.description)
    }
  }
}

/// Reads every block of every stream, and follows the chains through them.
private struct ChainCheck: ~Copyable {
  private var chains = StreamChain.Maker()

  /// The chain at a stream's head, found by following all of its own events that are kept.
  mutating func chain(of head: StreamHead, _ reader: StoreReader) throws(ReadFailure) -> StreamChain {
    try reader.withStream(head.name) { (view) throws(ReadFailure) in
      guard let view else { throw .corrupt(stream: head.name, offset: .zero) }
      var next: (offset: Offset, chain: StreamChain)?
      try reader.eachSegment(of: view.row.id, head.name) { (block) throws(ReadFailure) in
        next = try follow(block, next, view.row, head.name)
      }
      let end = (offset: view.row.head.next, chain: view.row.chain)
      if let next, next.offset != end.offset || next.chain != end.chain, view.row.floor < view.row.head {
        throw .corrupt(stream: head.name, offset: next.offset)
      }
      next = end
      for block in view.runs[view.row.id]?.blocks ?? [] {
        next = try follow(block, next, view.row, head.name)
      }
      guard next?.offset ?? view.head.next == view.head.next else {
        throw .corrupt(stream: head.name, offset: view.head)
      }
      return next?.chain ?? view.row.chain
    }
  }

  /// What is behind a block, which must go on from what was before it. Only what nobody needs is missing
  /// in between: what is below the floor, and no fork has in common.
  private mutating func follow(
    _ block: EventBlock, _ before: (offset: Offset, chain: StreamChain)?, _ row: StreamRow,
    _ stream: ChannelName
  ) throws(ReadFailure) -> (offset: Offset, chain: StreamChain) {
    let goesOn = before.map { $0.offset == block.first && $0.chain == block.chain } ?? false
    guard goesOn || block.first <= max(row.floor, row.fork).next,
      let chain = chains.chain(
        block.chain, addingAll: block.events.bytes.span, count: block.count, from: block.first)
    else { throw .corrupt(stream: stream, offset: block.first) }
    return (block.last.next, chain)
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
