/// The value of one field of a log line.
public enum LogValue: Sendable, Hashable {
  case text(String)
  case int(Int64)
  case uint(UInt64)
  case double(Double)
  case bool(Bool)
  /// A span of time, written as seconds.
  case duration(Duration)

  public static func describing(_ value: some CustomStringConvertible) -> LogValue {
    .text(value.description)
  }

  public static func count(_ value: Int) -> LogValue { .int(Int64(value)) }
}

extension LogValue: ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral
{
  public init(stringLiteral value: String) { self = .text(value) }
  public init(integerLiteral value: Int64) { self = .int(value) }
  public init(floatLiteral value: Double) { self = .double(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
}

/// The fields of one log line, in the order written: `["peer": "unix:…", "frames": .count(3)]`.
///
/// Keys are constants of the code (`snake_case`), never input. Payloads, tokens and keys don't
/// belong here; a `Secret` shows as `(secret)` wherever it is put.
public struct LogFields: Sendable, ExpressibleByDictionaryLiteral {
  let entries: [(key: String, value: LogValue)]

  public init(dictionaryLiteral elements: (String, LogValue)...) {
    entries = elements.map { (key: $0.0, value: $0.1) }
  }

  /// For lines whose fields are not always the same.
  public init(_ entries: [(String, LogValue)]) {
    self.entries = entries.map { (key: $0.0, value: $0.1) }
  }
}
