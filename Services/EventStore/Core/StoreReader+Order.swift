internal import Archive
internal import Bytes
internal import SQLite
public import Wire

extension StoreReader {
  /// Committed events after a position, in order of commit: what the hub has not confirmed.
  ///
  /// - Limits: at most `limit` events and `StoreLimits.pageBytesMax`, one at least.
  public func unannounced(after position: Int64, limit: Int = 256) throws(ReadFailure)
    -> AnnouncementPage
  {
    var taker = AnnouncementTaker(room: PageRoom(events: limit, bytes: StoreLimits.pageBytesMax))
    let (through, last) = try scan(&taker, .forwards, from: position + 1)
    return AnnouncementPage(
      announcements: taker.found, corruptCount: taker.corruptCount, through: through,
      hasMore: through < last)
  }

  /// Committed events in the order of their commits, or against it, of the streams and kinds that are
  /// asked for.
  ///
  /// - Shape: forwards after a position; backwards before it, 0 for the last. What was deleted or trimmed
  ///   is passed over, what is damaged is counted.
  /// - Limits: as `page`, and `StoreLimits.scannedEventsMax` and `scannedBytesMax`: a page that finds
  ///   nothing has looked at something all the same (`through`), unless there is nothing.
  public func events(_ request: ReadEvents) throws(ReadFailure) -> EventsPage {
    guard request.store == 0 || request.store == store else { throw .otherPosition }
    var taker = EventsTaker(request)
    let asked = Int64(exactly: request.after)
    let isFromEnd = request.isReverse && request.after == 0
    let (through, last) = try snapshot { () throws(ReadFailure) -> (Int64, Int64) in
      let (swept, last) = try positions()
      guard isFromEnd || asked.map({ $0 <= (request.isReverse ? last + 1 : last) }) ?? false else {
        throw .otherPosition
      }
      let asked = isFromEnd ? last + 1 : asked ?? last
      return (
        try run(&taker, request.isReverse ? .backwards : .forwards,
          from: request.isReverse ? asked - 1 : asked + 1, (swept, last)), last
      )
    }
    return EventsPage(
      store: store, through: UInt64(clamping: through), head: UInt64(clamping: last),
      hasMore: request.isReverse ? through > 1 : through < last,
      corruptCount: UInt32(clamping: taker.corruptCount), events: taker.found)
  }

  private func scan(
    _ taker: inout some CommitScan.Taker, _ direction: CommitScan.Direction, from next: Int64
  ) throws(ReadFailure) -> (through: Int64, last: Int64) {
    try snapshot { () throws(ReadFailure) in
      let (swept, last) = try positions()
      return (try run(&taker, direction, from: next, (swept, last)), last)
    }
  }

  /// How far it came: the last position that was looked at, or the one before the first.
  private func run(
    _ taker: inout some CommitScan.Taker, _ direction: CommitScan.Direction, from next: Int64,
    _ positions: (swept: Int64, last: Int64)
  ) throws(ReadFailure) -> Int64 {
    let range = 1...max(positions.last, 1)
    var scan = CommitScan(direction, from: next, within: positions.last == 0 ? 1...1 : range)
    if positions.last > 0 { try run(&scan, swept: positions.swept, &taker) }
    return direction == .forwards ? scan.next - 1 : scan.next + 1
  }
}

/// How many events and bytes a page has room for; the first event always has.
private struct PageRoom {
  private var events: Int
  private var bytes: Int
  private(set) var isEmpty = true

  init(events: Int, bytes: Int) {
    self.events = min(max(events, 1), StoreLimits.pageEventsMax)
    self.bytes = min(max(bytes, 1), StoreLimits.pageBytesMax)
  }

  /// False where there is none for an event of so many bytes.
  mutating func take(_ weight: Int) -> Bool {
    guard isEmpty || events > 0 && weight <= bytes else { return false }
    (isEmpty, events, bytes) = (false, events - 1, bytes - weight)
    return true
  }
}

extension StoredEvent {
  /// What it counts for in a page, beside its stream's name.
  fileprivate var pageWeight: Int {
    payload.bytes.count + meta.count + eventType.utf8.count + StoreLimits.eventOverheadBytes
  }
}

private struct AnnouncementTaker: CommitScan.Taker {
  var room: PageRoom
  var found: [Announcement] = []
  var corruptCount = 0
  /// What the hub has not been told yet it is told while it is there.
  let takesTrimmed = true

  init(room: PageRoom) { self.room = room }

  func wants(_ name: ChannelName) -> Bool { true }

  mutating func take(
    _ event: StoredEvent, at position: Int64, of stream: StreamRow, _ name: ChannelName
  ) -> Bool {
    guard room.take(event.pageWeight) else { return false }
    found.append(Announcement(position: position, stream: name, epoch: stream.epoch, event: event))
    return true
  }

  mutating func damaged(at position: Int64, of name: ChannelName?) -> Bool {
    guard room.take(StoreLimits.eventOverheadBytes) else { return false }
    corruptCount += 1
    return true
  }
}

private struct EventsTaker: CommitScan.Taker {
  let request: ReadEvents
  var room: PageRoom
  var found: [OrderedEvent] = []
  var corruptCount = 0
  let takesTrimmed = false

  init(_ request: ReadEvents) {
    self.request = request
    room = PageRoom(events: Int(clamping: request.count), bytes: Int(clamping: request.bytes))
  }

  func wants(_ name: ChannelName) -> Bool { request.wants(name) }

  mutating func take(
    _ event: StoredEvent, at position: Int64, of stream: StreamRow, _ name: ChannelName
  ) -> Bool {
    guard request.wants(event.eventType, timeMs: event.timeMs) else { return true }
    guard room.take(event.pageWeight + name.text.utf8.count) else { return false }
    found.append(
      OrderedEvent(
        position: UInt64(clamping: position), stream: name, epoch: stream.epoch, event: event))
    return true
  }

  mutating func damaged(at position: Int64, of name: ChannelName?) -> Bool {
    guard room.take(StoreLimits.eventOverheadBytes) else { return false }
    corruptCount += 1
    return true
  }
}

extension ReadEvents {
  /// Whether it asks for events of this stream.
  func wants(_ name: ChannelName) -> Bool {
    isExact ? name.text == prefix : prefix.isEmpty || name.text.hasPrefix(prefix)
  }

  func wants(_ type: String, timeMs: Int64) -> Bool {
    (eventType.isEmpty || type == eventType) && fromMs <= timeMs && timeMs <= toMs
  }
}
