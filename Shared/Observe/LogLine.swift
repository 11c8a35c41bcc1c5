/// The two shapes of a log line. Both are one line: control characters are always escaped, so that
/// no input can forge a second one.
public enum LogFormat: String, Sendable, CaseIterable {
  /// `2026-01-31T12:00:00.000Z info  gateway.link  link lost  peer=unix:… attempt=3`
  case human
  /// `{"time":"2026-…","level":"info","subsystem":"gateway.link","message":"…","peer":"…"}`
  case json
}

/// Builds the bytes of log lines. Pure.
enum LogLine {
  /// What one text of a line may take; the rest is cut and marked with `…`.
  static let textBytesMax = 2_048

  static func bytes(
    _ format: LogFormat, timeMs: Int64, level: LogLevel, subsystem: String, message: String,
    fields: LogFields
  ) -> [UInt8] {
    var line: [UInt8] = []
    line.reserveCapacity(160)
    switch format {
    case .human:
      appendTime(timeMs, to: &line)
      line.append(contentsOf: " \(level)".utf8)
      line.append(contentsOf: (level == .info ? "  " : " ").utf8)
      line.append(contentsOf: subsystem.utf8)
      line.append(contentsOf: ": ".utf8)
      appendEscaped(message, to: &line)
      for (key, value) in fields.entries {
        line.append(contentsOf: " \(key)=".utf8)
        appendHuman(value, to: &line)
      }
    case .json:
      line.append(contentsOf: #"{"time":""#.utf8)
      appendTime(timeMs, to: &line)
      line.append(contentsOf: #"","level":"\#(level)","subsystem":"#.utf8)
      appendQuoted(subsystem, to: &line)
      line.append(contentsOf: #","message":"#.utf8)
      appendQuoted(message, to: &line)
      for (key, value) in fields.entries {
        line.append(UInt8(ascii: ","))
        appendQuoted(key, to: &line)
        line.append(UInt8(ascii: ":"))
        appendJSON(value, to: &line)
      }
      line.append(UInt8(ascii: "}"))
    }
    line.append(UInt8(ascii: "\n"))
    return line
  }

  private static func appendHuman(_ value: LogValue, to line: inout [UInt8]) {
    guard case .text(let text) = value else { return appendJSON(value, to: &line) }
    let needsQuotes = text.isEmpty || text.utf8.contains { $0 <= 0x20 || $0 == UInt8(ascii: "\"") }
    if needsQuotes { appendQuoted(text, to: &line) } else { appendEscaped(text, to: &line) }
  }

  private static func appendJSON(_ value: LogValue, to line: inout [UInt8]) {
    switch value {
    case .text(let text): appendQuoted(text, to: &line)
    case .int(let value): line.append(contentsOf: String(value).utf8)
    case .uint(let value): line.append(contentsOf: String(value).utf8)
    case .double(let value):
      line.append(contentsOf: (value.isFinite ? value.description : "null").utf8)
    case .bool(let value): line.append(contentsOf: (value ? "true" : "false").utf8)
    case .duration(let value): line.append(contentsOf: (value / .seconds(1)).description.utf8)
    }
  }

  private static func appendQuoted(_ text: String, to line: inout [UInt8]) {
    line.append(UInt8(ascii: "\""))
    appendEscaped(text, to: &line)
    line.append(UInt8(ascii: "\""))
  }

  /// RFC 8259 §7, and DEL and the C1 controls, which terminals obey.
  private static func appendEscaped(_ text: String, to line: inout [UInt8]) {
    let start = line.count
    for scalar in text.unicodeScalars {
      guard line.count - start < textBytesMax else {
        line.append(contentsOf: "…".utf8)
        return
      }
      switch scalar {
      case "\"": line.append(contentsOf: #"\""#.utf8)
      case "\\": line.append(contentsOf: #"\\"#.utf8)
      case "\n": line.append(contentsOf: #"\n"#.utf8)
      case "\r": line.append(contentsOf: #"\r"#.utf8)
      case "\t": line.append(contentsOf: #"\t"#.utf8)
      case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}":
        line.append(contentsOf: #"\u00"#.utf8)
        appendHexDigit(scalar.value >> 4, to: &line)
        appendHexDigit(scalar.value & 15, to: &line)
      default: line.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      }
    }
  }

  private static func appendHexDigit(_ value: UInt32, to line: inout [UInt8]) {
    line.append(UInt8(truncatingIfNeeded: value < 10 ? 48 + value : 87 + value))
  }

  /// RFC 3339, UTC, milliseconds. `timeMs` counts from 1970.
  static func appendTime(_ timeMs: Int64, to line: inout [UInt8]) {
    // The civil date of a day number, by eras of 400 years (146,097 days) that begin in March.
    let days = (timeMs - (timeMs % 86_400_000 + 86_400_000) % 86_400_000) / 86_400_000
    let msOfDay = (timeMs % 86_400_000 + 86_400_000) % 86_400_000
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra =
      (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let marchMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
    let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    appendDecimal(year, digits: 4, then: "-", to: &line)
    appendDecimal(month, digits: 2, then: "-", to: &line)
    appendDecimal(day, digits: 2, then: "T", to: &line)
    appendDecimal(msOfDay / 3_600_000, digits: 2, then: ":", to: &line)
    appendDecimal(msOfDay / 60_000 % 60, digits: 2, then: ":", to: &line)
    appendDecimal(msOfDay / 1_000 % 60, digits: 2, then: ".", to: &line)
    appendDecimal(msOfDay % 1_000, digits: 3, then: "Z", to: &line)
  }

  private static func appendDecimal(
    _ value: Int64, digits: Int, then mark: Unicode.Scalar, to line: inout [UInt8]
  ) {
    let text = String(value)
    for _ in 0..<max(0, digits - text.utf8.count) { line.append(UInt8(ascii: "0")) }
    line.append(contentsOf: text.utf8)
    line.append(UInt8(ascii: mark))
  }
}
