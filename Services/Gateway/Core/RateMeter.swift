internal import Config
internal import Platform

/// So many in a time, of which a burst may come at once.
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

  init(_ rate: MessageRate) {
    let period = UInt64(clamping: rate.period.duration.nanosecondsClamped)
    interval = max(1, period / UInt64(clamping: max(1, rate.count)))
    let (tolerance, isHuge) = interval.multipliedReportingOverflow(
      by: UInt64(clamping: max(1, rate.burst)) - 1)
    // Half of the range, so that no sum with a moment is beyond it.
    self.tolerance = isHuge ? .max / 2 : min(tolerance, .max / 2)
  }
}

/// A token bucket in one number: when the next would be due at the steady rate (the generic cell
/// rate algorithm). It costs no memory beyond that number and no timer, and another rate can be
/// kept by it from one moment to the next. Pure.
struct RateMeter: Sendable, Equatable {
  private var due: UInt64 = 0

  /// What was taken by a slower rate than this one weighs no more than a whole burst of this one.
  private mutating func settle(_ now: Instant, _ rate: Rate) {
    let (latest, isHuge) = now.nanoseconds.addingReportingOverflow(rate.tolerance + rate.interval)
    if !isHuge, due > latest { due = latest }
  }

  /// When the next would be due after `count` more; nil where the rate and its burst don't allow
  /// them now.
  private func due(after count: Int, _ now: Instant, _ rate: Rate) -> UInt64? {
    let start = max(due, now.nanoseconds)
    let (length, isHuge) = rate.interval.multipliedReportingOverflow(by: UInt64(clamping: count))
    guard !isHuge, start - now.nanoseconds + (length - rate.interval) <= rate.tolerance else {
      return nil
    }
    return start &+ length
  }

  /// Whether so many would be let through now.
  mutating func allows(_ count: Int = 1, _ now: Instant, _ rate: Rate) -> Bool {
    settle(now, rate)
    return count <= 0 || due(after: count, now, rate) != nil
  }

  /// Takes `count` at once if the rate and its burst allow that many now; else takes nothing.
  mutating func take(_ count: Int = 1, _ now: Instant, _ rate: Rate) -> Bool {
    guard count > 0 else { return true }
    settle(now, rate)
    guard let later = due(after: count, now, rate) else { return false }
    due = later
    return true
  }

  /// One that was taken was not used after all.
  mutating func giveBack(_ rate: Rate) { due -= min(due, rate.interval) }

  /// How long until one more is allowed.
  func wait(_ now: Instant, _ rate: Rate) -> Duration {
    let allowed = due < rate.tolerance ? 0 : due - rate.tolerance
    return Instant(nanoseconds: allowed).since(now)
  }

  /// Whether nothing that was taken counts any more: as good as a new one.
  func isFresh(_ now: Instant) -> Bool { due <= now.nanoseconds }
}
