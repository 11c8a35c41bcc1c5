internal import Observe
internal import Platform
internal import Synchronization

/// When a migration's progress is worth a line, and what it says. Pure: moments are arguments.
struct MigrationPace: Sendable {
  /// BUDGET: a migration's lines in the log. It takes minutes where a store is large.
  static let pause = Duration.seconds(1)

  private var began: Instant
  private var told: Instant

  init(at now: Instant) { (began, told) = (now, now) }

  struct Progress: Equatable {
    var percent: Int64
    /// Since the beginning.
    var eventsPerSecond: Int64
  }

  /// Nil where the last line was a moment ago.
  mutating func progress(_ events: Int64, of total: Int64, at now: Instant) -> Progress? {
    guard now.since(told) >= Self.pause else { return nil }
    told = now
    let milliseconds = max(1, now.since(began).nanosecondsClamped / 1_000_000)
    return Progress(
      percent: total > 0 ? Int64(Double(events) / Double(total) * 100) : 100,
      eventsPerSecond: Int64(Double(events) / Double(milliseconds) * 1_000))
  }
}

/// Writes what a migration tells into the log. Any thread.
final class MigrationLog: Sendable {
  private let logger: Logger
  private let pace: Mutex<(pace: MigrationPace, format: Int64)>

  init(_ logger: Logger) {
    self.logger = logger
    pace = Mutex((MigrationPace(at: SystemClock.monotonic()), 0))
  }

  func write(_ news: MigrationNews) {
    switch news {
    case .began(let from, let to, let events):
      pace.withLock { $0 = (MigrationPace(at: SystemClock.monotonic()), to) }
      logger.info(
        "migrating the store to format \(to)", ["from": .int(from), "events": .int(events)])
    case .copied(let events, let total):
      let (progress, format) = pace.withLock { pace in
        (pace.pace.progress(events, of: total, at: SystemClock.monotonic()), pace.format)
      }
      guard let progress else { return }
      logger.info(
        "migrating the store to format \(format)",
        [
          "percent": .int(progress.percent), "events": .int(events),
          "events_per_second": .int(progress.eventsPerSecond),
        ])
    case .finished(let kept):
      let format = pace.withLock { $0.format }
      logger.info(
        "the store has format \(format); remove the old database once nobody will go back to it",
        ["kept": .text(kept)])
    }
  }
}
