internal import Archive
public import Bytes
internal import SQLite
public import Wire

/// The reading side of an open store, with a connection of its own: never waits for an append, and
/// no append waits for it.
///
/// One thread uses it at a time. Every call is one short snapshot of the database; memory is bounded
/// by the page. What it serves has passed its checksum, was asked for by its stream and offset, and
/// is durable.
public final class StoreReader {
  let connection: Connection
  /// Which store it is.
  let store: UInt64
  let tail: CommittedTail
  let begin: Statement
  let end: Statement
  let byName: Statement
  let byID: Statement
  let list: Statement
  let successors: SuccessorTable
  let snapshots: SnapshotTable
  let blocks: BlockTable
  let forwards: Statement
  let backwards: Statement
  let swept: Statement
  let logged: Statement
  let ordered: Statement
  let loggedBackwards: Statement
  let orderedBackwards: Statement
  /// The lineages of streams that were read: bounded by `StoreLimits.cachedStreamsMax`.
  var known: [ChannelName: Lineage] = [:]

  /// What a reader is opened from; may be taken to another thread.
  struct Source: Sendable {
    let directory: String
    /// The VFS of its disk; nil for the system's.
    let sqliteName: String?
    let store: UInt64
    let tail: CommittedTail
    /// Up to where the hub had confirmed events when the store was opened.
    let announced: Int64
  }

  /// Opens a reader beside `store`; any number may be open.
  public convenience init(of store: EventStore) throws(StoreFailure) { try self.init(store.source) }

  init(_ source: Source) throws(StoreFailure) {
    tail = source.tail
    store = source.store
    do throws(SQLiteError) {
      connection = try Connection(
        path: StoreSchema.path(in: source.directory), mode: .reader, vfs: source.sqliteName)
      try StoreSchema.prepareReader(connection)
      begin = try connection.prepare("BEGIN")
      end = try connection.prepare("COMMIT")
      byName = try connection.prepare(
        """
        SELECT id, name, epoch, floor, head, chain, bytes, parent, fork, created, author, crc \
        FROM streams WHERE name = ?1
        """)
      byID = try connection.prepare(
        """
        SELECT id, name, epoch, floor, head, chain, bytes, parent, fork, created, author, crc \
        FROM streams WHERE id = ?1
        """)
      successors = try SuccessorTable(connection)
      snapshots = try SnapshotTable(connection)
      blocks = try BlockTable(connection)
      list = try connection.prepare(
        """
        SELECT id, name, epoch, floor, head, chain, bytes, parent, fork, created, author, crc \
        FROM streams WHERE name > ?1 AND name >= ?2 AND name < ?3 ORDER BY name LIMIT ?4
        """)
      // From the segment on that has the first offset, or would have it.
      forwards = try connection.prepare(
        """
        SELECT p.first, p.count, s.chain, s.crc, s.events FROM places p \
        LEFT JOIN segments s ON s.id = p.segment WHERE p.stream = ?1 AND p.first BETWEEN \
        coalesce((SELECT max(first) FROM places WHERE stream = ?1 AND first <= ?2), ?2) AND ?3 \
        ORDER BY p.first
        """)
      backwards = try connection.prepare(
        """
        SELECT p.first, p.count, s.chain, s.crc, s.events FROM places p \
        LEFT JOIN segments s ON s.id = p.segment WHERE p.stream = ?1 AND p.first BETWEEN \
        coalesce((SELECT max(first) FROM places WHERE stream = ?1 AND first <= ?2), ?2) AND ?3 \
        ORDER BY p.first DESC
        """)
      swept = try connection.prepare("SELECT swept, position FROM store WHERE id = 1")
      logged = try connection.prepare(
        """
        SELECT position, stream, first, count, chain, crc, events FROM log WHERE position >= \
        coalesce((SELECT max(position) FROM log WHERE position <= ?1), ?1) ORDER BY position
        """)
      ordered = try connection.prepare(
        """
        SELECT position, last, crc, list FROM orders WHERE position >= \
        coalesce((SELECT max(position) FROM orders WHERE position <= ?1), ?1) ORDER BY position
        """)
      loggedBackwards = try connection.prepare(
        """
        SELECT position, stream, first, count, chain, crc, events FROM log WHERE position <= ?1 \
        ORDER BY position DESC
        """)
      orderedBackwards = try connection.prepare(
        """
        SELECT position, last, crc, list FROM orders WHERE position <= ?1 ORDER BY position DESC
        """)
    } catch {
      throw StoreSchema.opening(error)
    }
  }

  /// A page of a stream, and where the stream stands; a stream that does not exist is an empty one, in
  /// the epoch that it will begin with.
  ///
  /// - Shape: forwards from `from` + 1, or from the floor if that is later; backwards from
  ///   `from` - 1, or from the head for 0; without gaps.
  /// - Limits: `count` and `bytes` are capped at `StoreLimits.pageEventsMax` and `pageBytesMax`. The
  ///   page ends before the event that would exceed `bytes`, counted as an append counts it
  ///   (`NewEvent.byteCount`); the first comes however large. Count 0 asks for where the stream
  ///   stands, and gives no events.
  /// - Errors: `corrupt` for the first event of the page; a later one ends the page before it. A
  ///   damaged block takes all its events with it (`EventBlock`).
  public func page(
    _ stream: ChannelName, from: Offset, _ direction: Direction = .forwards,
    count: Int = StoreLimits.pageEventsMax, bytes: Int = StoreLimits.pageBytesMax
  ) throws(ReadFailure) -> EncodedPage {
    try withStream(stream) { (view) throws(ReadFailure) in
      guard let view else {
        return EncodedPage(epoch: try firstEpoch(of: stream), floor: .zero, head: .zero)
      }
      var page = EncodedPage(epoch: view.row.epoch, floor: view.row.floor, head: view.head)
      guard count > 0, let wanted = direction.range(from, floor: view.row.floor, head: view.head)
      else { return page }
      var filling = Filling(
        stream: stream, direction: direction, budget: min(max(bytes, 1), StoreLimits.pageBytesMax))
      let part = direction.cut(wanted, to: min(count, StoreLimits.pageEventsMax))
      do throws(ReadFailure) {
        try fill(&filling, view, part)
      } catch {
        guard filling.events.count > 0 else { throw error }
      }
      page.events = filling.events
      page.hasMore =
        page.events.count < Int(clamping: wanted.upperBound.value - wanted.lowerBound.value) + 1
      return page
    }
  }

  /// As `page`, with the events read.
  public func read(
    _ stream: ChannelName, from: Offset, _ direction: Direction = .forwards,
    count: Int = StoreLimits.pageEventsMax, bytes: Int = StoreLimits.pageBytesMax
  ) throws(ReadFailure) -> EventPage {
    let page = try page(stream, from: from, direction, count: count, bytes: bytes)
    guard let decoded = page.decoded else { throw .corrupt(stream: stream, offset: from.next) }
    return decoded
  }

  /// Which way a page goes through its stream.
  public enum Direction: Sendable {
    case forwards
    /// The newest first.
    case backwards
  }

  /// Where a stream stands; one that does not exist has the epoch that it will begin with.
  public func head(of stream: ChannelName) throws(ReadFailure) -> StreamHead {
    try withStream(stream) { (view) throws(ReadFailure) in
      guard let view else {
        return StreamHead(
          name: stream, epoch: try firstEpoch(of: stream), floor: .zero, head: .zero)
      }
      return StreamHead(
        name: stream, epoch: view.row.epoch, floor: view.row.floor, head: view.head)
    }
  }

  /// Streams in order of name: those that begin with `prefix` and come after `after`, at most
  /// `limit` (capped at 1,024).
  public func streams(
    prefix: String = "", after: ChannelName? = nil, limit: Int = 256
  ) throws(ReadFailure) -> [StreamHead] {
    // The list was read before the tail, so where each stands is read again.
    var heads: [StreamHead] = []
    for name in try names(prefix, after, limit) {
      try withStream(name) { view in
        guard let view else { return }
        heads.append(
          StreamHead(name: name, epoch: view.row.epoch, floor: view.row.floor, head: view.head))
      }
    }
    return heads
  }

  private func names(
    _ prefix: String, _ after: ChannelName?, _ limit: Int
  ) throws(ReadFailure) -> [ChannelName] {
    list.bind(1, text: after?.text ?? "")
    list.bind(2, text: prefix)
    // Names are ASCII, and no name has a byte as high as this one.
    list.bind(3, text: prefix + "\u{7f}")
    list.bind(4, Int64(min(max(limit, 1), 1_024)))
    var names: [ChannelName] = []
    while try step(list) {
      guard let name = StreamRow(reading: list)?.name else {
        list.reset()
        throw .unavailable("a stream's row is damaged")
      }
      names.append(name)
    }
    return names
  }

  /// What there is to say of streams, as `streams` lists them.
  ///
  /// - Parameter offset: whose chain to tell in place of the head's. Costs reading a block of each stream,
  ///   and gives `chainsMax` of them at most.
  public func descriptions(
    prefix: String = "", after: ChannelName? = nil, limit: Int = 256, at offset: Offset? = nil
  ) throws(ReadFailure) -> [StreamDescription] {
    var found: [StreamDescription] = []
    let limit = offset == nil ? limit : min(limit, Self.chainsMax)
    for name in try names(prefix, after, limit) {
      try withStream(name) { (view) throws(ReadFailure) in
        guard let view else { return }
        let (row, run) = (view.row, view.runs[view.row.id])
        let source = row.parent == 0 ? nil : try self.found(row.parent)?.name
        let waiting = run?.blocks.reduce(0) { $0 + $1.events.bytes.count } ?? 0
        found.append(
          StreamDescription(
            head: StreamHead(name: name, epoch: row.epoch, floor: row.floor, head: view.head),
            bytes: row.bytes + UInt64(waiting), createdMs: row.created, source: source?.text ?? "",
            fork: row.fork, isFork: row.parent != 0, author: row.author,
            sha256: try chain(at: offset ?? view.head, in: view)?.bytes ?? []))
      }
    }
    return found
  }
}

@available(*, unavailable)
extension StoreReader: Sendable {}
