internal import Platform

/// Work that news asks for and that serves all news since the last time: done at the end of the turn
/// of the first news, and in a burst once in an interval.
///
/// Whoever is told in batches is woken less often that way, and what one turn would say of each is
/// said of many at once. Belongs to its loop's thread; the loop keeps it while work is due.
public final class PacedWork {
  private let loop: EventLoop
  private let interval: Duration
  private let body: () -> Void
  private var isDue = false
  /// Whether a turn's end or a timer will look at it.
  private var isArmed = false
  private var isHurried = false
  private var mayRun: Instant

  /// - Parameter interval: how long after the work was done it is not done again.
  public init(_ loop: EventLoop, every interval: Duration, _ body: @escaping () -> Void) {
    self.loop = loop
    self.interval = interval
    self.body = body
    mayRun = loop.now
  }

  /// There is news: the work is done in this turn, or as soon as the interval is over.
  public func ask() {
    isDue = true
    arm()
  }

  /// There is news that must not wait for the interval: the work is done in this turn.
  public func askNow() {
    isDue = true
    guard !isHurried else { return }
    isHurried = true
    loop.atTurnEnd { [self] in
      isHurried = false
      settle()
    }
  }

  private func settle() {
    guard isDue else { return }
    isDue = false
    mayRun = loop.now + interval
    body()
  }

  private func arm() {
    guard !isArmed else { return }
    isArmed = true
    if loop.now >= mayRun {
      loop.atTurnEnd { [self] in look() }
    } else {
      loop.at(mayRun) { [self] in look() }
    }
  }

  private func look() {
    isArmed = false
    guard isDue else { return }
    if loop.now >= mayRun { settle() } else { arm() }
  }
}

@available(*, unavailable)
extension PacedWork: Sendable {}
