internal import Bytes

/// Percent-encoding of URLs (RFC 3986 §2.1).
public enum PercentEncoding {
  /// Whether `+` stands for a space, as in the query of a form.
  public enum Plus: Sendable {
    case isPlus
    case isSpace
  }

  /// `text` with every byte encoded that is not a letter, a digit or one of `-._~`.
  public static func encode(_ text: String) -> String {
    var output: [UInt8] = []
    output.reserveCapacity(text.utf8.count)
    for byte in text.utf8 {
      if ByteClass.isAlphanumeric(byte) || isUnreservedMark(byte) {
        output.append(byte)
      } else {
        output.append(UInt8(ascii: "%"))
        output.append(digits[Int(byte >> 4)])
        output.append(digits[Int(byte & 15)])
      }
    }
    return String(decoding: output, as: UTF8.self)
  }

  /// The text that `text` encodes; nil for a broken escape, a NUL, or bytes that are not UTF-8.
  public static func decode(_ text: String, plus: Plus = .isPlus) -> String? {
    let bytes = Array(text.utf8)
    return decode(bytes, 0..<bytes.count, plus: plus)
  }

  static func decode(_ bytes: [UInt8], _ range: Range<Int>, plus: Plus) -> String? {
    if range.allSatisfy({ isLiteral(bytes[$0]) }) {
      return String(validating: bytes.span.extracting(range))
    }
    var output: [UInt8] = []
    output.reserveCapacity(range.count)
    var index = range.lowerBound
    while index < range.upperBound {
      var byte = bytes[index]
      if byte == UInt8(ascii: "%") {
        guard range.upperBound - index >= 3, let high = ByteClass.hexValue(bytes[index + 1]),
          let low = ByteClass.hexValue(bytes[index + 2])
        else { return nil }
        byte = high << 4 | low
        index += 2
      } else if byte == UInt8(ascii: "+"), plus == .isSpace {
        byte = UInt8(ascii: " ")
      }
      guard byte != 0 else { return nil }
      output.append(byte)
      index += 1
    }
    return String(validating: output, as: UTF8.self)
  }

  /// Whether the byte stands for itself everywhere, and is ASCII.
  private static func isLiteral(_ byte: UInt8) -> Bool {
    byte > 0 && byte < 128 && byte != UInt8(ascii: "%") && byte != UInt8(ascii: "+")
  }

  private static let digits = [UInt8]("0123456789ABCDEF".utf8)

  private static func isUnreservedMark(_ byte: UInt8) -> Bool {
    byte == 45 || byte == 46 || byte == 95 || byte == 126
  }
}
