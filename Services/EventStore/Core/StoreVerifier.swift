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
  /// - Shape: `scratch` is a directory with room for a copy of the store.
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
    for file in files + [StoreLock.name, StoreSchema.fileName + "-shm"] {
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
    var events: Int64 = 0
    var after: Bytes.ChannelName?
    do throws(ReadFailure) {
      while case let heads = try reader.streams(after: after, limit: 1_024), let last = heads.last {
        for head in heads {
          report.streams.append(
            StoreReport.Stream(head: head, chain: try chain(of: head, reader, &events)))
        }
        after = last.name
      }
    } catch {
      throw .damaged(error.description)
    }
    try compare(store, events)
  }

  private static func chain(
    of head: StreamHead, _ reader: StoreReader, _ events: inout Int64
  ) throws(ReadFailure) -> StreamChain {
    var chain = StreamChain()
    var offset = Offset.zero
    while offset < head.head {
      let page = try reader.read(head.name, from: offset, reach: .everything)
      guard let last = page.events.last else {
        throw .corrupt(stream: head.name, offset: offset.next)
      }
      for event in page.events { chain.add(event) }
      events += Int64(page.events.count)
      offset = last.offset
    }
    return chain
  }

  /// No event may belong to no stream, and SQLite must find its own structure sound.
  private static func compare(_ store: EventStore, _ events: Int64) throws(StoreFailure) {
    do throws(SQLiteError) {
      let rows = try store.connection.integer("SELECT count(*) FROM events") ?? 0
      guard rows == events else {
        throw SQLiteError(
          extendedCode: 11, call: "count", message: "\(rows) events, \(events) of them in streams")
      }
      // A key is written with its events or not at all.
      let loose = try store.connection.integer(
        """
        SELECT count(*) FROM keys k LEFT JOIN events e ON e.position = k.position \
        WHERE e.stream IS NOT k.stream OR e.offset IS NOT k.first
        """)
      guard loose == 0 else {
        throw SQLiteError(extendedCode: 11, call: "check", message: "keys without their events")
      }
      let answer = try store.connection.text("PRAGMA integrity_check(1)") ?? ""
      guard answer == "ok" else {
        throw SQLiteError(extendedCode: 11, call: "check", message: answer)
      }
    } catch {
      throw .damaged(error.description)
    }
  }
}
