/// How much a log line matters. Each level includes those after it.
public enum LogLevel: UInt8, Sendable, CaseIterable, Comparable, CustomStringConvertible {
  /// What one connection or request did; bad input of peers. Off by default.
  case debug
  /// What the service did: started, connected, drained.
  case info
  /// Something was lost, refused or slow, and the service goes on.
  case warning
  /// The service can't do what it is for, or is about to stop.
  case error

  public static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }

  public var description: String {
    switch self {
    case .debug: "debug"
    case .info: "info"
    case .warning: "warning"
    case .error: "error"
    }
  }

  /// The level of that name.
  public init?(_ name: String) {
    guard let level = Self.allCases.first(where: { $0.description == name }) else { return nil }
    self = level
  }
}

/// The least level that is written, for all subsystems or for one (S004-29).
///
/// As text: `info`, or `warning,link=debug,session:*=debug`. A name that ends in `*` holds for
/// every subsystem it begins. The last entry that fits a subsystem decides. A subsystem called
/// `….access` writes a line for every request: where no entry fits, it writes none.
public struct LogLevels: Sendable, Hashable {
  public var standard: LogLevel
  private var overrides: [Override] = []

  private struct Override: Sendable, Hashable {
    let pattern: String
    let level: LogLevel
  }

  public init(_ standard: LogLevel = .info) { self.standard = standard }

  /// Nil where a level is not one of debug, info, warning, error, or a subsystem's name is empty.
  public init?(text: String) {
    self.init()
    for entry in text.split(separator: ",", omittingEmptySubsequences: false) {
      let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let last = parts.last, let level = LogLevel(String(last)) else { return nil }
      guard parts.count == 2 else {
        standard = level
        continue
      }
      guard !parts[0].isEmpty else { return nil }
      overrides.append(Override(pattern: String(parts[0]), level: level))
    }
  }

  public mutating func set(_ level: LogLevel, for pattern: String) {
    overrides.append(Override(pattern: pattern, level: level))
  }

  /// The least level that `subsystem` writes.
  public func level(of subsystem: String) -> LogLevel {
    for entry in overrides.reversed() {
      let fits =
        entry.pattern.utf8.last == UInt8(ascii: "*")
        ? subsystem.hasPrefix(String(entry.pattern.dropLast())) : entry.pattern == subsystem
      if fits { return entry.level }
    }
    return subsystem.hasSuffix(".access") ? max(standard, .warning) : standard
  }
}
