/// A point on the monotonic clock, in nanoseconds since some moment before the process began.
public struct Instant: Hashable, Comparable, Sendable {
  public let nanoseconds: UInt64
  @inlinable public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  public static let distantFuture = Instant(nanoseconds: .max)

  @inlinable public static func < (a: Instant, b: Instant) -> Bool {
    a.nanoseconds < b.nanoseconds
  }

  /// Saturates at both ends.
  @inlinable public func advanced(by duration: Duration) -> Instant {
    let step = duration.nanosecondsClamped
    if step >= 0 {
      let (sum, overflow) = nanoseconds.addingReportingOverflow(UInt64(step))
      return overflow ? .distantFuture : Instant(nanoseconds: sum)
    }
    let (difference, overflow) = nanoseconds.subtractingReportingOverflow(step.magnitude)
    return Instant(nanoseconds: overflow ? 0 : difference)
  }

  /// The time from `earlier` to here; zero if `earlier` is later.
  @inlinable public func since(_ earlier: Instant) -> Duration {
    guard nanoseconds > earlier.nanoseconds else { return .zero }
    return .nanoseconds(Int64(clamping: nanoseconds - earlier.nanoseconds))
  }

  @inlinable public static func + (instant: Instant, duration: Duration) -> Instant {
    instant.advanced(by: duration)
  }
}

extension Duration {
  /// Whole nanoseconds, clamped to the range of Int64 (292 years).
  @inlinable public var nanosecondsClamped: Int64 {
    let whole = attoseconds
    // One division for what is not negative and below 584 years.
    if whole >= 0, whole >> 64 < 1_000_000_000 {
      let high = UInt64(truncatingIfNeeded: whole >> 64)
      let low = UInt64(truncatingIfNeeded: whole)
      return Int64(clamping: (1_000_000_000 as UInt64).dividingFullWidth((high, low)).quotient)
    }
    let (seconds, attoseconds) = components
    let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    guard !overflow else { return seconds < 0 ? .min : .max }
    let (sum, carried) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
    return carried ? (seconds < 0 ? .min : .max) : sum
  }

  /// Whole milliseconds, rounded towards zero and clamped.
  @inlinable public var millisecondsClamped: Int64 { nanosecondsClamped / 1_000_000 }

  /// Seconds as a floating-point number, for metrics and people.
  @inlinable public var inSeconds: Double { Double(nanosecondsClamped) / 1e9 }
}

/// The two clocks of the machine. Machines and decisions get their values as arguments.
public enum SystemClock {
  /// `clock_gettime(CLOCK_MONOTONIC)`.
  public static func monotonic() -> Instant {
    Instant(nanoseconds: Syscalls.monotonicNanoseconds())
  }

  /// Blocks this thread for `duration` (`nanosleep(2)`). For start-up and tools; never on a loop.
  public static func pause(_ duration: Duration) { Syscalls.pause(duration.nanosecondsClamped) }

  /// `clock_gettime(CLOCK_REALTIME)` in milliseconds since 1970. Data only; never a duration.
  public static func wallMilliseconds() -> Int64 { Syscalls.wallNanoseconds() / 1_000_000 }
}
