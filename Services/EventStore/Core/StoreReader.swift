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
  let list: Statement
  let indexed: Statement
  let indexedBackwards: Statement
  let single: Statement
  let following: Statement
  let byID: Statement
  var checksum = EventChecksum()
  var ids: [ChannelName: Int64] = [:]

  /// What a reader is opened from; may be taken to another thread.
  struct Source: Sendable {
    let directory: String
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
      connection = try Connection(path: StoreSchema.path(in: source.directory), mode: .reader)
      try StoreSchema.prepareReader(connection)
      begin = try connection.prepare("BEGIN")
      end = try connection.prepare("COMMIT")
      byName = try connection.prepare(
        "SELECT id, name, epoch, floor, head, crc FROM streams WHERE name = ?1")
      byID = try connection.prepare(
        "SELECT id, name, epoch, floor, head, crc FROM streams WHERE id = ?1")
      list = try connection.prepare(
        """
        SELECT id, name, epoch, floor, head, crc FROM streams \
        WHERE name > ?1 AND name >= ?2 AND name < ?3 ORDER BY name LIMIT ?4
        """)
      indexed = try connection.prepare(
        """
        SELECT e.position, e.stream, e.offset, e.time, e.client, e.user, e.kind, e.type, \
        e.meta, e.crc, e.payload FROM places p LEFT JOIN events e ON e.position = p.position \
        WHERE p.stream = ?1 AND p.offset BETWEEN ?2 AND ?3 ORDER BY p.offset
        """)
      indexedBackwards = try connection.prepare(
        """
        SELECT e.position, e.stream, e.offset, e.time, e.client, e.user, e.kind, e.type, \
        e.meta, e.crc, e.payload FROM places p LEFT JOIN events e ON e.position = p.position \
        WHERE p.stream = ?1 AND p.offset BETWEEN ?2 AND ?3 ORDER BY p.offset DESC
        """)
      single = try connection.prepare(
        """
        SELECT position, stream, offset, time, client, user, kind, type, meta, crc, payload \
        FROM events WHERE position = ?1
        """)
      following = try connection.prepare(
        """
        SELECT position, stream, offset, time, client, user, kind, type, meta, crc, payload \
        FROM events WHERE position > ?1 ORDER BY position LIMIT ?2
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
  /// - Errors: `corrupt` for the first event of the page; a later one ends the page before it.
  public func read(
    _ stream: ChannelName, from: Offset, _ direction: Direction = .forwards,
    count: Int = StoreLimits.pageEventsMax, bytes: Int = StoreLimits.pageBytesMax
  ) throws(ReadFailure) -> EventPage {
    try read(stream, from: from, direction, count: count, bytes: bytes, reach: .history)
  }

  /// What a page may hold.
  enum Reach {
    /// What is behind the floor, which is all that anybody is given.
    case history
    /// What was removed as well: for checking.
    case everything
  }

  func read(
    _ stream: ChannelName, from: Offset, _ direction: Direction = .forwards,
    count: Int = StoreLimits.pageEventsMax, bytes: Int = StoreLimits.pageBytesMax, reach: Reach
  ) throws(ReadFailure) -> EventPage {
    guard let id = try id(of: stream) else {
      let epoch = FirstEpoch.of(stream, in: store)
      return EventPage(epoch: epoch, floor: .zero, head: .zero, hasMore: false, events: [])
    }
    let run = tail.run(of: id)
    return try snapshot { () throws(ReadFailure) in
      let row = try self.row(id, stream)
      let head = max(row.head, run?.last ?? .zero)
      var page = EventPage(
        epoch: row.epoch, floor: row.floor, head: head, hasMore: false, events: [])
      let floor = reach == .history ? row.floor : .zero
      guard count > 0, let wanted = direction.range(from, floor: floor, head: head) else {
        return page
      }
      var budget = min(max(bytes, 1), StoreLimits.pageBytesMax)
      let part = direction.cut(wanted, to: min(count, StoreLimits.pageEventsMax))
      do throws(ReadFailure) {
        try fill(&page.events, row, run, part, direction, &budget)
      } catch {
        guard !page.events.isEmpty else { throw error }
      }
      page.hasMore =
        page.events.count < Int(clamping: wanted.upperBound.value - wanted.lowerBound.value) + 1
      return page
    }
  }

  /// Which way a page goes through its stream.
  public enum Direction: Sendable {
    case forwards
    /// The newest first.
    case backwards
  }

  /// Where a stream stands; one that does not exist has the epoch that it will begin with.
  public func head(of stream: ChannelName) throws(ReadFailure) -> StreamHead {
    guard let id = try id(of: stream) else {
      let epoch = FirstEpoch.of(stream, in: store)
      return StreamHead(name: stream, epoch: epoch, floor: .zero, head: .zero)
    }
    let run = tail.run(of: id)
    return StreamHead(row: try row(id, stream), run: run)
  }

  /// Streams in order of name: those that begin with `prefix` and come after `after`, at most
  /// `limit` (capped at 1,024).
  public func streams(
    prefix: String = "", after: ChannelName? = nil, limit: Int = 256
  ) throws(ReadFailure) -> [StreamHead] {
    list.bind(1, text: after?.text ?? "")
    list.bind(2, text: prefix)
    // Names are ASCII, and no name has a byte as high as this one.
    list.bind(3, text: prefix + "\u{7f}")
    list.bind(4, Int64(min(max(limit, 1), 1_024)))
    var rows: [StreamRow] = []
    while try step(list) {
      guard let row = StreamRow(reading: list) else {
        list.reset()
        throw .unavailable("a stream's row is damaged")
      }
      rows.append(row)
    }
    // The list was read before the tail, so what left the tail in between is read again.
    return try rows.map { row throws(ReadFailure) in
      try StreamHead(row: self.row(row.id, row.name), run: tail.run(of: row.id))
    }
  }

  /// Committed events after a position, in order of commit: what the hub has not confirmed.
  public func unannounced(after position: Int64, limit: Int = 256) throws(ReadFailure)
    -> AnnouncementPage
  {
    try snapshot { () throws(ReadFailure) in
      var page = AnnouncementPage(
        announcements: [], corruptCount: 0, through: position, hasMore: false)
      let most = min(max(limit, 1), StoreLimits.pageEventsMax)
      following.bind(1, position)
      following.bind(2, Int64(most))
      defer { following.reset() }
      var rows = 0
      var bytes = 0
      while rows < most, bytes < StoreLimits.pageBytesMax, try step(following) {
        rows += 1
        page.through = following.integer(0)
        guard let row = EventRow(reading: following, &checksum), let stream = try found(row.stream)
        else {
          page.corruptCount += 1
          continue
        }
        bytes += row.event.byteCount
        page.announcements.append(
          Announcement(
            position: row.position, stream: stream.name, epoch: stream.epoch, event: row.stored))
      }
      page.hasMore = rows == most || bytes >= StoreLimits.pageBytesMax
      return page
    }
  }
}

@available(*, unavailable)
extension StoreReader: Sendable {}
