internal import Platform

/// Whether something that is under way moves fast enough: in each window of time so many bytes a
/// second on average, and in none of them nothing. Pure.
///
/// What a peer did well before earns it nothing: a fast beginning does not pay for a slow rest.
struct Pace: Sendable, Equatable {
  private var start: Instant?
  private var base: UInt64 = 0
  private var seen: UInt64 = 0
  private var movedAt = Instant(nanoseconds: 0)
  /// What was found too slow last had not moved at all for a whole window.
  private(set) var stoodStill = false

  /// Nothing is under way, or what is does not depend on the peer.
  mutating func rest() { start = nil }

  /// Looks at what has moved so far; true if that is too slow.
  ///
  /// - Parameter total: bytes moved since some moment; it only grows while one thing is under way.
  mutating func isTooSlow(
    _ total: UInt64, _ now: Instant, window: Duration, bytesPerSecond: Int
  ) -> Bool {
    guard let start, total >= seen else {
      begin(total, now)
      movedAt = now
      return false
    }
    if total > seen {
      seen = total
      movedAt = now
    }
    stoodStill = now.since(movedAt) >= window
    if stoodStill { return true }
    let elapsed = now.since(start)
    guard elapsed >= window else { return false }
    let least = Double(bytesPerSecond) * elapsed.inSeconds
    let moved = total - base
    begin(total, now)
    return Double(moved) < least
  }

  private mutating func begin(_ total: UInt64, _ now: Instant) {
    start = now
    base = total
    seen = total
  }
}
