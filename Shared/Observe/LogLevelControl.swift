internal import Synchronization

/// The least level of one subsystem, which may change while it writes. Any thread.
final class LogThreshold: Sendable {
  private let raw: Atomic<UInt8>

  init(_ level: LogLevel) { raw = Atomic(level.rawValue) }

  var level: LogLevel {
    get { LogLevel(rawValue: raw.load(ordering: .relaxed)) ?? .info }
    set { raw.store(newValue.rawValue, ordering: .relaxed) }
  }
}

/// The levels that the loggers of a process keep to, and may be told anew (S004-29).
///
/// Asking for a level costs a logger one relaxed load. Bounded by the subsystems that the code
/// names. Any thread.
public final class LogLevelControl: Sendable {
  private struct State {
    var levels: LogLevels
    var thresholds: [String: LogThreshold] = [:]
  }

  private let state: Mutex<State>

  init(_ levels: LogLevels) { state = Mutex(State(levels: levels)) }

  /// The levels in force.
  public var current: LogLevels { state.withLock { $0.levels } }

  /// Puts other levels in force; every logger keeps to them from its next line on.
  public func set(_ levels: LogLevels) {
    state.withLock { state in
      state.levels = levels
      for (subsystem, threshold) in state.thresholds {
        threshold.level = levels.level(of: subsystem)
      }
    }
  }

  func threshold(of subsystem: String) -> LogThreshold {
    state.withLock { state in
      if let known = state.thresholds[subsystem] { return known }
      let made = LogThreshold(state.levels.level(of: subsystem))
      state.thresholds[subsystem] = made
      return made
    }
  }
}
