internal import Link
internal import Loop
internal import Platform
internal import Wire

/// A read of events in the order of commits that may wait for one.
struct EventsWait {
  weak var link: Link?
  var header: FrameHeader
  /// `after` is what was looked at so far.
  var request: ReadEvents
  /// When it is answered, with events or without.
  var until: Instant
  /// When nobody waits for the answer any more.
  var deadline: Instant
  /// Which store's positions these are.
  var store: UInt64 = 0
}

/// Reads that have seen all there is and wait for a commit that has something for them.
///
/// A commit wakes those whose streams and types it has; the others are moved on past it, so that none
/// looks at the same events twice. Nothing is missed between a page and the wait: a page says up to where
/// it looked, and whoever has looked less far than the last commit that is known reads again at once.
final class EventsWaiting {
  /// BUDGET: reads that wait for a commit, of one link and in all; one more is `overloaded`.
  static let linkMax = 1_024
  static let allMax = 4_096

  private struct Parked {
    var wait: EventsWait
    var timer: TimerID
  }

  private let loop: EventLoop
  private var parked: [UInt64: Parked] = [:]
  private var counts: [Int: Int] = [:]
  private var lastNumber: UInt64 = 0
  /// The last position of a commit that was told.
  private(set) var position: UInt64 = 0

  init(_ loop: EventLoop) { self.loop = loop }

  enum Parking { case waits, readAgain, tooMany }

  /// Has a read wait that has looked through the position it asks after; `expired` is told once its time
  /// is over.
  func park(_ wait: EventsWait, _ expired: @escaping (EventsWait) -> Void) -> Parking {
    guard let link = wait.link else { return .waits }
    if wait.request.after < position { return .readAgain }
    guard parked.count < Self.allMax, counts[link.tag, default: 0] < Self.linkMax else {
      return .tooMany
    }
    lastNumber &+= 1
    let number = lastNumber
    let left = max(0, wait.until.since(loop.now).millisecondsClamped)
    let timer = loop.after(.milliseconds(left)) { [weak self] in
      if let wait = self?.remove(number)?.wait { expired(wait) }
    }
    parked[number] = Parked(wait: wait, timer: timer)
    counts[link.tag, default: 0] += 1
    return .waits
  }

  private func remove(_ number: UInt64) -> Parked? {
    guard let found = parked.removeValue(forKey: number) else { return nil }
    if let tag = found.wait.link?.tag {
      let left = counts[tag, default: 1] - 1
      counts[tag] = left > 0 ? left : nil
    }
    return found
  }

  /// Those that a commit has something for. `written` is all that it wrote.
  func committed(_ written: [(request: AppendRequest, receipt: AppendReceipt)]) -> [EventsWait] {
    guard let first = written.map({ UInt64(clamping: $0.receipt.position) }).min() else { return [] }
    for (request, receipt) in written {
      let last = receipt.position &+ Int64(request.events.count) - 1
      position = max(position, UInt64(clamping: last))
    }
    var woken: [EventsWait] = []
    for (number, entry) in parked {
      let asked = entry.wait.request
      let isFor = written.contains { request, _ in
        asked.wants(request.stream)
          && request.events.contains { asked.wants($0.eventType, timeMs: request.time) }
      }
      if isFor, let found = remove(number) {
        loop.cancel(found.timer)
        woken.append(found.wait)
      } else if asked.after &+ 1 >= first {
        parked[number]?.wait.request.after = max(asked.after, position)
      }
    }
    return woken
  }

  /// A link's reads are forgotten with it.
  func ended(_ link: Link) {
    for (number, entry) in parked where entry.wait.link === link || entry.wait.link == nil {
      parked[number] = nil
      loop.cancel(entry.timer)
    }
    counts[link.tag] = nil
  }

  /// All of them, for the end of the service.
  func takeAll() -> [EventsWait] {
    let all = parked.values.map(\.wait)
    for entry in parked.values { loop.cancel(entry.timer) }
    (parked, counts) = ([:], [:])
    return all
  }
}
