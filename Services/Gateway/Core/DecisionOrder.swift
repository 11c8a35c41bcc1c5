internal import Bytes
internal import Platform

/// Which event of a channel is decided next on one loop: the one that came first. Pure; bounded.
///
/// A decision that expects the channel unchanged has to see what the one before it made. So from
/// when it is sent until its publication is applied here nothing else is decided:
///
///     free ──take──▶ sent ──published, or another came first──▶ waiting for the channel to move
///      ▲              │                                                    │
///      └───settled────┴───────────── it moved, or has not for long ────────┘
///
/// A decision without that expectation is settled at once, and holds nobody up.
struct DecisionOrder<Element> {
  private enum State {
    case free
    case sent
    case waiting(since: Position?, until: Instant)
  }

  private struct Entry {
    var number: UInt64
    var element: Element
    var bytes: Int
    var deadline: Instant
  }

  /// BUDGET: events that wait to be decided in one channel, and the bytes of their payloads.
  static var countMax: Int { 1_024 }
  static var bytesMax: Int { 4 << 20 }

  private var state = State.free
  /// The one taken last, until it is settled.
  private var taken: Entry?
  private var entries: [Entry] = []
  private var start = 0
  /// Of those that wait.
  private(set) var bytes = 0
  private var lastNumber: UInt64 = 0
  /// Decisions have to see a state that is up to date.
  var needsLive: Bool
  /// How many waits for the channel there have been: two looks that see the same number and
  /// `isWaiting` saw the same wait.
  private(set) var waits: UInt64 = 0

  init(needsLive: Bool) { self.needsLive = needsLive }

  var isWaiting: Bool { if case .waiting = state { true } else { false } }
  var isIdle: Bool { if case .free = state { start == entries.count } else { false } }

  /// False, and nothing kept, where too much waits already. One event fits whatever its size.
  mutating func append(_ element: Element, bytes count: Int, deadline: Instant) -> Bool {
    let waiting = entries.count - start
    guard waiting == 0 || waiting < Self.countMax && bytes + count <= Self.bytesMax else {
      return false
    }
    bytes += count
    lastNumber &+= 1
    entries.append(Entry(number: lastNumber, element: element, bytes: count, deadline: deadline))
    return true
  }

  /// The event to decide now, if one may be; its fate has to be told with `settle`, `wait` or
  /// `putBack`.
  mutating func take(at position: Position?, isLive: Bool, now: Instant) -> Element? {
    if case .waiting(let since, let until) = state, (isLive && position != since) || now >= until {
      state = .free
    }
    guard case .free = state, start < entries.count, isLive || !needsLive else { return nil }
    let entry = entries[start]
    dropFirst()
    taken = entry
    state = .sent
    return entry.element
  }

  /// The decision that was taken leaves the channel as it was, or nobody knows.
  mutating func settle() {
    taken = nil
    state = .free
  }

  /// The channel has moved, or is about to, from where it was when the decision was taken.
  mutating func wait(since position: Position?, until: Instant) {
    taken = nil
    state = .waiting(since: position, until: until)
    waits &+= 1
  }

  /// Puts what was taken back before all others, as `element`. Say `settle` or `wait` after it.
  mutating func putBack(_ element: Element) {
    guard var entry = taken else { return }
    entry.element = element
    bytes += entry.bytes
    // What was taken left its place behind, unless the places were moved up meanwhile.
    if start > 0 {
      start -= 1
      entries[start] = entry
    } else {
      entries.insert(entry, at: 0)
    }
  }

  /// Those that have waited too long; in their order.
  mutating func takeExpired(now: Instant) -> [Element] {
    var expired: [Element] = []
    while start < entries.count, entries[start].deadline <= now {
      expired.append(entries[start].element)
      dropFirst()
    }
    return expired
  }

  /// Those that wait, with a number for `remove` and their bytes.
  func forEachWaiting(_ body: (UInt64, Element, Int) -> Void) {
    for entry in entries[start...] { body(entry.number, entry.element, entry.bytes) }
  }

  /// Takes out one that waits; nil where it doesn't any more.
  mutating func remove(_ number: UInt64) -> Element? {
    guard let index = entries[start...].firstIndex(where: { $0.number == number }) else { return nil }
    let entry = entries.remove(at: index)
    bytes -= entry.bytes
    if start == entries.count { (entries, start) = ([], 0) }
    return entry.element
  }

  private mutating func dropFirst() {
    bytes -= entries[start].bytes
    start += 1
    if start == entries.count {
      entries.removeAll(keepingCapacity: entries.count < 64)
      start = 0
    } else if start > 64, start * 2 > entries.count {
      entries.removeFirst(start)
      start = 0
    }
  }
}
