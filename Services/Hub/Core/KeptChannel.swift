internal import Bytes
internal import Wire

/// One channel's events in memory, and its place in a list of channels. Loop-confined.
///
/// A class, so that one look-up finds it and it is changed in place.
final class KeptChannel {
  struct Event {
    var event: StoredEvent
    var addedMs: Int64
  }

  let name: ChannelName
  let epoch: Epoch
  private(set) var head = Offset.zero
  var policy: HistoryPolicy
  /// Oldest first; the first live one is at `start`.
  private var events: [Event] = []
  private var start = 0
  /// What the events count for; 0 exactly if there are none.
  private(set) var bytes = 0

  /// Where `MemoryHistory` has it among those with events; nil for one without.
  var slot: Int?
  var isHolding: Bool { slot != nil }

  /// When it was last put at the new end of its list.
  fileprivate(set) var listedMs: Int64 = 0
  fileprivate unowned var older: KeptChannel?
  fileprivate unowned var newer: KeptChannel?

  /// Bytes that an event costs beside its payload.
  static let overheadBytes = 160

  init(_ name: ChannelName, epoch: Epoch, policy: HistoryPolicy) {
    self.name = name
    self.epoch = epoch
    self.policy = policy
  }

  var live: ArraySlice<Event> { events[start...] }
  var floor: Offset { Offset(head.value - UInt64(events.count - start)) }

  func add(_ event: HistoryEvent, _ nowMs: Int64) -> Position {
    head = head.next
    let stored = StoredEvent(
      offset: head, timeMs: event.timeMs, publisher: event.publisher,
      eventType: event.eventType, payload: event.payload)
    events.append(Event(event: stored, addedMs: nowMs))
    bytes += event.payload.bytes.count + Self.overheadBytes
    trim(nowMs)
    return Position(epoch: epoch, offset: head)
  }

  /// Drops what is too much or too old by the policy.
  func trim(_ nowMs: Int64) {
    while start < events.count,
      events.count - start > policy.count || nowMs - events[start].addedMs > policy.ageMs
    {
      dropFirst()
    }
    // Compacts when half is dead, so that the cost stays constant per event.
    if start > 32, start * 2 > events.count {
      events.removeFirst(start)
      start = 0
    }
  }

  /// Drops the oldest event; gives the bytes it counted for.
  @discardableResult
  func dropFirst() -> Int {
    guard start < events.count else { return 0 }
    let dropped = events[start].event.payload.bytes.count + Self.overheadBytes
    bytes -= dropped
    events[start].event.payload.bytes = []
    start += 1
    if start == events.count {
      events = []
      start = 0
    }
    return dropped
  }
}

@available(*, unavailable)
extension KeptChannel: Sendable {}

/// Channels in the order they were put here; adding, removing and renewing cost the same however
/// many there are. Owns none of them: its owner takes a channel out before it lets go of it.
struct ChannelQueue {
  private(set) unowned var oldest: KeptChannel?
  private unowned var newest: KeptChannel?

  mutating func append(_ channel: KeptChannel, _ nowMs: Int64) {
    channel.listedMs = nowMs
    channel.older = newest
    channel.newer = nil
    newest?.newer = channel
    newest = channel
    if oldest == nil { oldest = channel }
  }

  mutating func remove(_ channel: KeptChannel) {
    if oldest === channel { oldest = channel.newer }
    if newest === channel { newest = channel.older }
    channel.older?.newer = channel.newer
    channel.newer?.older = channel.older
    channel.older = nil
    channel.newer = nil
  }

  /// Puts a channel that is here at the new end.
  mutating func renew(_ channel: KeptChannel, _ nowMs: Int64) {
    remove(channel)
    append(channel, nowMs)
  }
}
