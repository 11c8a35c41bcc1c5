internal import Bytes

// What has to be escaped by RFC 8259 §7: quote, backslash, and control characters below U+0020.

extension JSON {
  /// Appends `text` as a JSON string, quotes included.
  public static func appendQuoted(_ text: String, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    let start = bytes.count
    bytes.append(contentsOf: text.utf8)
    // Text that needs no escape, nearly all of it, is appended and looked at, never copied twice.
    if needsEscape(bytes.span, from: start) {
      let plain = [UInt8](bytes[start...])
      bytes.removeSubrange(start...)
      appendEscaped(plain.span, to: &bytes)
    }
    bytes.append(UInt8(ascii: "\""))
  }

  /// Appends valid UTF-8 as a JSON string, quotes included.
  public static func appendQuoted(utf8 span: borrowing Span<UInt8>, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    appendEscaped(span, to: &bytes)
    bytes.append(UInt8(ascii: "\""))
  }

  private static func needsEscape(_ s: borrowing Span<UInt8>, from start: Int) -> Bool {
    firstEscaped(s, from: start) < s.count
  }

  private static func isEscaped(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
  }

  /// Copies runs that stand for themselves whole.
  private static func appendEscaped(_ s: borrowing Span<UInt8>, to bytes: inout [UInt8]) {
    var runStart = 0
    var i = firstEscaped(s, from: 0)
    while i < s.count {
      bytes.append(copying: s.extracting(runStart..<i))
      appendEscape(of: s[i], to: &bytes)
      runStart = i + 1
      i = firstEscaped(s, from: runStart)
    }
    bytes.append(copying: s.extracting(runStart..<s.count))
  }

  /// Where the first byte from `start` on stands that has to be escaped; the end if there is none.
  private static func firstEscaped(_ s: borrowing Span<UInt8>, from start: Int) -> Int {
    var i = start
    while i + 8 <= s.count, let word = s.word(at: i), !hasEscaped(word) { i &+= 8 }
    while i < s.count, !isEscaped(s[i]) { i &+= 1 }
    return i
  }

  /// Whether one of eight bytes has to be escaped.
  private static func hasEscaped(_ word: UInt64) -> Bool {
    let each: UInt64 = 0x0101_0101_0101_0101
    let quotes = word ^ (each &* UInt64(UInt8(ascii: "\"")))
    let backslashes = word ^ (each &* UInt64(UInt8(ascii: "\\")))
    // The highest bit of a byte that is one; none where there is none.
    let found =
      (word &- each &* 0x20) & ~word | (quotes &- each) & ~quotes
      | (backslashes &- each) & ~backslashes
    return found & (each &* 0x80) != 0
  }

  private static func appendEscape(of byte: UInt8, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\\"))
    switch byte {
    case 0x08: bytes.append(UInt8(ascii: "b"))
    case 0x09: bytes.append(UInt8(ascii: "t"))
    case 0x0A: bytes.append(UInt8(ascii: "n"))
    case 0x0C: bytes.append(UInt8(ascii: "f"))
    case 0x0D: bytes.append(UInt8(ascii: "r"))
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(byte)
    default:
      bytes.append(contentsOf: "u00".utf8)
      bytes.append(contentsOf: hex([byte]).utf8)
    }
  }

  /// Appends decimal digits.
  public static func appendDecimal(_ value: UInt64, to bytes: inout [UInt8]) {
    guard value >= 10 else { return bytes.append(UInt8(truncatingIfNeeded: 48 + value)) }
    let start = bytes.count
    var rest = value
    while rest > 0 {
      bytes.append(UInt8(truncatingIfNeeded: 48 + rest % 10))
      rest /= 10
    }
    bytes[start...].reverse()
  }
}
