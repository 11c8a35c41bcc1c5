/// A reading of the monotonic clock, nanoseconds since an origin that means nothing.
///
/// The board is told the time and never asks for it; wall-clock jumps can't reach it.
package struct Instant: Hashable, Comparable, Sendable {
  package var nanoseconds: UInt64

  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  package static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

  /// Saturates at both ends; a negative duration goes back.
  package static func + (instant: Instant, duration: Duration) -> Instant {
    let span = nanoseconds(in: duration)
    let (sum, overflow) =
      duration < .zero
      ? instant.nanoseconds.subtractingReportingOverflow(span)
      : instant.nanoseconds.addingReportingOverflow(span)
    guard overflow else { return Instant(nanoseconds: sum) }
    return Instant(nanoseconds: duration < .zero ? 0 : .max)
  }

  /// How far `later` is after `earlier`, in nanoseconds; 0 if it isn't.
  static func nanoseconds(from earlier: Instant, to later: Instant) -> UInt64 {
    later > earlier ? later.nanoseconds - earlier.nanoseconds : 0
  }

  /// The magnitude of `duration`, saturating.
  private static func nanoseconds(in duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    let (whole, overflow) = seconds.magnitude.multipliedReportingOverflow(by: 1_000_000_000)
    let (sum, carry) = whole.addingReportingOverflow(attoseconds.magnitude / 1_000_000_000)
    return overflow || carry ? .max : sum
  }
}

/// The board's time: the monotonic clock less the pauses of this process.
///
/// A stopped process (SIGSTOP, a suspended machine) finds every lease overdue when it goes on, while
/// the renewals wait unread in its sockets. Lateness beyond `lateMax` is therefore ours, not the
/// peers': it is taken out of the time, and for another `lateMax` nothing expires, so that what
/// waits is read first.
struct BoardClock: Sendable {
  private let lateMax: Duration
  private var paused: UInt64 = 0
  private var latest: Instant
  /// When the board asked to be called next, in board time; nil if it did not ask.
  var promised: Instant?
  /// Nothing expires before this.
  private(set) var holdUntil: Instant

  init(startedAt now: Instant, lateMax: Duration) {
    self.lateMax = lateMax
    latest = now
    holdUntil = now
  }

  /// The board time at `real`; never runs backwards.
  mutating func read(_ real: Instant) -> Instant {
    var now = Instant(nanoseconds: real.nanoseconds >= paused ? real.nanoseconds - paused : 0)
    if let due = promised, now > due + lateMax {
      paused &+= Instant.nanoseconds(from: due, to: now)
      now = due
      holdUntil = due + lateMax
      promised = holdUntil
    }
    latest = max(latest, now)
    return latest
  }

  /// The clock's reading at board time `instant`.
  func real(_ instant: Instant) -> Instant {
    let (sum, overflow) = instant.nanoseconds.addingReportingOverflow(paused)
    return Instant(nanoseconds: overflow ? .max : sum)
  }
}
