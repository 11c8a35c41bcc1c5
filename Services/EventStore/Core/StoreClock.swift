/// The two clocks at one moment, as the shell read them.
public struct StoreInstant: Sendable, Hashable {
  /// Milliseconds of the monotonic clock.
  public var monotonic: Int64
  /// Milliseconds since 1970.
  public var wall: Int64

  public init(monotonic: Int64, wall: Int64) {
    self.monotonic = monotonic
    self.wall = wall
  }
}

/// The store's own time, by which ages on disk are counted.
///
/// While the store runs it advances with the monotonic clock; over a restart by what the wall clock
/// says has passed, but by no more than an hour and never backwards. So a wall clock that jumps by
/// years expires nothing early, and a store that was off for a week keeps its keys a little longer.
struct StoreClock: Equatable {
  static let restartMax: Int64 = 3_600_000

  private let base: Int64
  private let started: Int64

  /// Starts from what was stored last: the store's time, and the wall clock then.
  init(stored: Int64, storedWall: Int64, now: StoreInstant) {
    let (gap, overflow) = now.wall.subtractingReportingOverflow(storedWall)
    let passed = overflow || storedWall == 0 ? 0 : min(max(gap, 0), Self.restartMax)
    base = stored &+ passed
    started = now.monotonic
  }

  /// The store's time in milliseconds. Never goes backwards.
  func time(at now: StoreInstant) -> Int64 { base &+ max(0, now.monotonic &- started) }
}
