internal import Bytes
internal import Wire

/// What presence has still to be told by this loop, as batches numbered from 1 on each link. Pure.
///
///     due ──beginReport──▶ opening ──first batch──▶ under way ──last batch──▶ told
///      ▲                                                                        │
///      └── a new link, a request of presence, or more events than may wait ─────┘
///
/// While a report is due events are not kept: the report will name who is there by then. Bounded:
/// over `waitingMax` events everything is reported anew, which costs no more than who is there.
struct PresenceQueue {
  private enum Report { case due, opening, underWay, told }

  private var events: [MemberEvent] = []
  /// Events before this one have been sent.
  private var start = 0
  /// How many of those that wait belong to the report.
  private var reportLeft = 0
  private var report = Report.due
  private var sequence: UInt64 = 0

  /// BUDGET: events in one batch, and about how many bytes of names and info.
  static let batchMax = 1_000
  static let batchBytesMax = 256 * 1024
  /// BUDGET: events that may wait behind a report or for credit.
  static let waitingMax = 16_384

  var isReportDue: Bool { report == .due }
  var isEmpty: Bool { report == .told && start == events.count }

  /// A link stands, or is gone: batches count from 1 again, and a report is due.
  mutating func startOver() {
    sequence = 0
    requireReport()
  }

  mutating func requireReport() {
    report = .due
    clear()
    reportLeft = 0
  }

  /// `all` is everybody who is there now.
  mutating func beginReport(_ all: [MemberEvent]) {
    report = .opening
    events = all
    start = 0
    reportLeft = all.count
  }

  mutating func append(_ event: MemberEvent) {
    guard report != .due else { return }
    guard events.count - start - reportLeft < Self.waitingMax else { return requireReport() }
    events.append(event)
  }

  /// The next batch to send; nil if there is none. It is next until `sent`.
  func next() -> PresenceBatch? {
    let part: PresenceBatch.Part
    let count: Int
    switch report {
    case .due: return nil
    case .opening, .underWay:
      count = fitting(reportLeft)
      let isLast = count == reportLeft
      if report == .opening {
        part = isLast ? .wholeReport : .opensReport
      } else {
        part = isLast ? .closesReport : .next
      }
    case .told:
      count = fitting(events.count - start)
      guard count > 0 else { return nil }
      part = .next
    }
    return PresenceBatch(
      sequence: sequence &+ 1, part: part, events: Array(events[start..<start + count]))
  }

  /// The batch that `next` gave is on its way.
  mutating func sent(_ batch: PresenceBatch) {
    sequence = batch.sequence
    start += batch.events.count
    switch report {
    case .opening, .underWay:
      reportLeft -= batch.events.count
      report = reportLeft == 0 ? .told : .underWay
    case .due, .told: break
    }
    if start == events.count { clear() }
  }

  private mutating func clear() {
    events.removeAll(keepingCapacity: events.capacity <= Self.batchMax)
    start = 0
  }

  /// How many of the first `most` waiting events go into one batch; at least one if there is one.
  private func fitting(_ most: Int) -> Int {
    var count = 0
    var bytes = 0
    while count < min(most, Self.batchMax) {
      let event = events[start + count]
      bytes += 32 + event.channel.text.utf8.count + event.user.utf8.count + event.info.count
      guard bytes <= Self.batchBytesMax || count == 0 else { break }
      count += 1
    }
    return count
  }
}
