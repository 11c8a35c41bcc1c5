/// Where finished log lines go.
///
/// Obligations of an implementer: callable from any thread; never blocks the caller (row 62: a full
/// pipe or disk makes lines be dropped and counted, and the service goes on); bounded.
public protocol LogSink: Sendable {
  /// Takes one whole line, newline included.
  func write(_ line: [UInt8])
}

/// Writes log lines of one subsystem.
///
/// A value: copy it, hand it down, keep it in any object. Below the level nothing is evaluated.
/// It knows no clock and no file: time and sink come from outside.
///
///     log.info("link is up", ["peer": .describing(endpoint), "version": 3])
public struct Logger: Sendable {
  /// The part of the service that speaks, such as `gateway.link`.
  public let subsystem: String
  /// The levels of all subsystems, which all loggers that come of one another share.
  public let levels: LogLevelControl
  private let threshold: LogThreshold
  private let format: LogFormat
  private let sink: any LogSink
  private let nowMs: @Sendable () -> Int64

  /// - Parameter nowMs: milliseconds since 1970; called once for a line that is written.
  public init(
    subsystem: String, levels: LogLevels = LogLevels(), format: LogFormat = .human,
    sink: any LogSink, nowMs: @escaping @Sendable () -> Int64
  ) {
    self.init(
      subsystem: subsystem, sharing: LogLevelControl(levels), format: format, sink: sink,
      nowMs: nowMs)
  }

  private init(
    subsystem: String, sharing levels: LogLevelControl, format: LogFormat, sink: any LogSink,
    nowMs: @escaping @Sendable () -> Int64
  ) {
    self.subsystem = subsystem
    self.levels = levels
    threshold = levels.threshold(of: subsystem)
    self.format = format
    self.sink = sink
    self.nowMs = nowMs
  }

  /// Lines below this level are not built.
  public var level: LogLevel { threshold.level }

  /// A logger that writes nothing.
  public static var silent: Logger {
    Logger(subsystem: "", levels: LogLevels(.error), sink: NoLogSink(), nowMs: { 0 })
  }

  /// The same logger for another subsystem, with the level that subsystem has.
  public func labelled(_ subsystem: String) -> Logger {
    Logger(subsystem: subsystem, sharing: levels, format: format, sink: sink, nowMs: nowMs)
  }

  public func debug(
    _ message: @autoclosure () -> String, _ fields: @autoclosure () -> LogFields = [:]
  ) {
    if level <= .debug { write(.debug, message(), fields()) }
  }

  public func info(
    _ message: @autoclosure () -> String, _ fields: @autoclosure () -> LogFields = [:]
  ) {
    if level <= .info { write(.info, message(), fields()) }
  }

  public func warning(
    _ message: @autoclosure () -> String, _ fields: @autoclosure () -> LogFields = [:]
  ) {
    if level <= .warning { write(.warning, message(), fields()) }
  }

  public func error(
    _ message: @autoclosure () -> String, _ fields: @autoclosure () -> LogFields = [:]
  ) {
    write(.error, message(), fields())
  }

  private func write(_ level: LogLevel, _ message: String, _ fields: LogFields) {
    sink.write(
      LogLine.bytes(
        format, timeMs: nowMs(), level: level, subsystem: subsystem, message: message,
        fields: fields))
  }
}

private struct NoLogSink: LogSink {
  func write(_ line: [UInt8]) {}
}
