internal import Platform

/// So many a second, of which a burst may come at once.
struct Rate: Sendable, Equatable {
  /// Nanoseconds that one takes.
  let interval: UInt64
  /// How far ahead of the steady rate the last of a burst may be, in nanoseconds.
  let tolerance: UInt64

  /// - Parameter burst: a burst is what the rate lets through in this time, at least one.
  init(perSecond: Int, burst: Duration) {
    interval = 1_000_000_000 / UInt64(clamping: max(1, perSecond))
    let window = UInt64(clamping: burst.nanosecondsClamped)
    tolerance = window > interval ? window - interval : 0
  }
}

/// A token bucket in one number: when the next would be due at the steady rate (the generic cell
/// rate algorithm). It costs no memory beyond that number and no timer. Pure.
struct RateMeter: Sendable, Equatable {
  private var due: UInt64 = 0

  /// Takes `count` at once if the rate and its burst allow that many now; else takes nothing.
  mutating func take(_ count: Int = 1, _ now: Instant, _ rate: Rate) -> Bool {
    guard count > 0 else { return true }
    let start = max(due, now.nanoseconds)
    let (length, isHuge) = rate.interval.multipliedReportingOverflow(by: UInt64(count))
    guard !isHuge, start - now.nanoseconds + (length - rate.interval) <= rate.tolerance else {
      return false
    }
    due = start &+ length
    return true
  }

  /// How long until one more is allowed.
  func wait(_ now: Instant, _ rate: Rate) -> Duration {
    let allowed = due < rate.tolerance ? 0 : due - rate.tolerance
    return Instant(nanoseconds: allowed).since(now)
  }

  /// Whether nothing that was taken counts any more: as good as a new one.
  func isFresh(_ now: Instant) -> Bool { due <= now.nanoseconds }
}
