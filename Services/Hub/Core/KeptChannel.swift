internal import Bytes
internal import Loop
internal import Wire

/// One channel's events in memory, and its place in a list of channels. Loop-confined.
///
/// A class, so that one look-up finds it and it is changed in place.
final class KeptChannel: RecencyNode {
  struct Event {
    var event: StoredEvent
    var addedMs: Int64
    /// What it counts for.
    var bytes: Int
  }

  let name: ChannelName
  let epoch: Epoch
  private(set) var head = Offset.zero
  private(set) var policy: HistoryPolicy
  /// A ring: the oldest event is at `oldest`, and the newest takes the place of the one that it
  /// pushes out, so that a full channel touches the same memory again and again.
  private var ring: [Event?] = []
  private var oldest = 0
  private(set) var count = 0
  /// What the events count for; 0 exactly if there are none.
  private(set) var bytes = 0

  /// Where `MemoryHistory` has it among those with events; nil for one without.
  var slot: Int?
  var isHolding: Bool { slot != nil }
  /// `MemoryHistory` has let go of it.
  private(set) var isForgotten = false

  /// When `MemoryHistory` last put it at the new end of its list.
  var listedMs: Int64 = 0
  unowned var older: KeptChannel?
  unowned var newer: KeptChannel?

  /// Bytes that an event costs beside its payload.
  static let overheadBytes = 160

  init(_ name: ChannelName, epoch: Epoch, policy: HistoryPolicy) {
    self.name = name
    self.epoch = epoch
    self.policy = policy
  }

  var floor: Offset { Offset(head.value - UInt64(count)) }

  /// The event `index` places after the oldest one; nil past the newest.
  subscript(index: Int) -> Event? { index < count ? ring[place(index)] : nil }

  /// The index of the first event with a later offset; `count` if there is none.
  func index(after offset: Offset) -> Int {
    let floor = self.floor
    guard offset > floor else { return 0 }
    return Int(clamping: min(offset.value - floor.value, UInt64(count)))
  }

  private func place(_ index: Int) -> Int {
    let place = oldest + index
    return place < ring.count ? place : place - ring.count
  }

  func add(_ event: HistoryEvent, _ nowMs: Int64) -> Position {
    head = head.next
    trim(nowMs, room: 1)
    if policy.count > 0 {
      let cost = event.payload.bytes.count + event.meta.count + Self.overheadBytes
      put(
        Event(
          event: StoredEvent(
            offset: head, timeMs: event.timeMs, publisher: event.publisher,
            eventType: event.eventType, meta: event.meta, payload: event.payload),
          addedMs: nowMs, bytes: cost))
      bytes += cost
    }
    return Position(epoch: epoch, offset: head)
  }

  private func put(_ event: Event) {
    if count == ring.count { resize(min(max(4, count * 2), max(policy.count, count + 1))) }
    ring[place(count)] = event
    count += 1
  }

  /// Gives the ring `places`, its events in order from the first one on.
  private func resize(_ places: Int) {
    var straight: [Event?] = []
    straight.reserveCapacity(places)
    for index in 0..<count { straight.append(ring[place(index)]) }
    while straight.count < places { straight.append(nil) }
    ring = straight
    oldest = 0
  }

  /// Takes a new policy; what is too much by it goes at once.
  func set(_ policy: HistoryPolicy, _ nowMs: Int64) {
    guard policy != self.policy else { return }
    // By the old policy first: a longer age brings nothing back.
    trim(nowMs)
    self.policy = policy
    trim(nowMs)
    resize(count)
  }

  /// Drops what is too much, with `room` more to come, or too old by the policy.
  func trim(_ nowMs: Int64, room: Int = 0) {
    while count > 0, count + room > policy.count || isTooOld(nowMs) { dropFirst() }
  }

  private func isTooOld(_ nowMs: Int64) -> Bool {
    guard let first = ring[oldest] else { return true }
    return nowMs - first.addedMs > policy.ageMs
  }

  /// Drops all there is: the floor is at the head.
  func clear() {
    ring = []
    (oldest, count, bytes) = (0, 0, 0)
  }

  /// Nobody finds it any more; who still holds it holds no events.
  func discard() {
    isForgotten = true
    clear()
  }

  /// Drops the oldest event; gives the bytes it counted for.
  @discardableResult
  func dropFirst() -> Int {
    guard count > 0 else { return 0 }
    let dropped = ring[oldest].take()?.bytes ?? 0
    bytes -= dropped
    oldest = place(1)
    count -= 1
    if count == 0 {
      oldest = 0
      if ring.count > 4 { ring = [] }
    }
    return dropped
  }
}

@available(*, unavailable)
extension KeptChannel: Sendable {}
