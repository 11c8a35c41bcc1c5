internal import JSON

extension JSON5 {
  /// White space and comments (JSON5 §7 and §8).
  mutating func skipSpace() throws(JSON5Error) {
    while let byte {
      switch byte {
      case 0x0A:
        line += 1
        offset += 1
      case 0x0D:
        // CR LF is one line's end; a CR alone is one too.
        if peek(1) != 0x0A { line += 1 }
        offset += 1
      case 0x09, 0x0B, 0x0C, 0x20: offset += 1
      case UInt8(ascii: "/"): try skipComment()
      case 0xC2 where peek(1) == 0xA0: offset += 2
      case 0xE1 where peek(1) == 0x9A && peek(2) == 0x80: offset += 3
      case 0xE2 where peek(1) == 0x80 && Self.isSpaceTail(peek(2)): offset += 3
      case 0xE2 where peek(1) == 0x81 && peek(2) == 0x9F: offset += 3
      case 0xE3 where peek(1) == 0x80 && peek(2) == 0x80: offset += 3
      case 0xEF where peek(1) == 0xBB && peek(2) == 0xBF: offset += 3
      default: return
      }
    }
  }

  /// The last byte of U+2000…U+200A, U+2028, U+2029 and U+202F.
  private static func isSpaceTail(_ byte: UInt8?) -> Bool {
    guard let byte else { return false }
    return (0x80...0x8A).contains(byte) || byte == 0xA8 || byte == 0xA9 || byte == 0xAF
  }

  private mutating func skipComment() throws(JSON5Error) {
    switch peek(1) {
    case UInt8(ascii: "/"):
      while let byte, byte != 0x0A, byte != 0x0D { offset += 1 }
    case UInt8(ascii: "*"):
      let opening = line
      offset += 2
      while let byte {
        if byte == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
          offset += 2
          return
        }
        if byte == 0x0A { line += 1 }
        offset += 1
      }
      throw error("\"*/\" is missing for the comment opened in line \(opening)")
    default: throw error("a comment begins with \"//\" or \"/*\"")
    }
  }

  // MARK: Numbers

  /// JSON5 §6, as the text that JSON would write: `0x10` is 16, `.5` is 0.5, `5.` is 5, `+1` is 1.
  mutating func number() throws(JSON5Error) -> JSONNumber {
    var sign = ""
    if take(UInt8(ascii: "-")) { sign = "-" } else { _ = take(UInt8(ascii: "+")) }
    if byte == UInt8(ascii: "0"), let mark = peek(1), mark | 0x20 == UInt8(ascii: "x") {
      offset += 2
      return try hexadecimal(sign: sign)
    }
    if let byte, byte == UInt8(ascii: "I") || byte == UInt8(ascii: "N") {
      throw error("\(sign)\(identifier()) is not a value that a setting can have")
    }
    let start = offset
    while let byte, Self.isIdentifier(byte) || byte == UInt8(ascii: ".") || isExponentSign(byte) {
      offset += 1
    }
    let written = String(decoding: bytes[start..<offset], as: UTF8.self)
    guard let number = JSONNumber(text: sign + Self.completed(written)) else {
      throw error("\(written) is not a number; put it in quotes if it is text, such as \"5s\"")
    }
    return number
  }

  private func isExponentSign(_ byte: UInt8) -> Bool {
    guard byte == UInt8(ascii: "+") || byte == UInt8(ascii: "-"), offset > 0 else { return false }
    return bytes[offset - 1] | 0x20 == UInt8(ascii: "e")
  }

  /// Puts a zero before a leading decimal point, and takes a trailing one away.
  private static func completed(_ written: String) -> String {
    guard let point = written.firstIndex(of: ".") else { return written }
    let whole = written[..<point]
    let rest = written[written.index(after: point)...]
    let fraction = rest.prefix { $0.isASCII && $0.isNumber }
    if whole.isEmpty, fraction.isEmpty { return written }
    let exponent = rest.dropFirst(fraction.count)
    return (whole.isEmpty ? "0" : whole) + (fraction.isEmpty ? "" : ".\(fraction)") + exponent
  }

  private mutating func hexadecimal(sign: String) throws(JSON5Error) -> JSONNumber {
    let digits = identifier()
    guard let value = UInt64(digits, radix: 16), let number = JSONNumber(text: sign + String(value))
    else { throw error("0x\(digits) is not a hexadecimal number of at most 16 digits") }
    return number
  }

  // MARK: Strings

  /// JSON5 §5. Begins at the quote, single or double.
  mutating func string() throws(JSON5Error) -> String {
    guard let quote = byte else { throw error("a string is needed here") }
    offset += 1
    var text: [UInt8] = []
    while let byte {
      offset += 1
      switch byte {
      case quote: return String(decoding: text, as: UTF8.self)
      case UInt8(ascii: "\\"): try escape(to: &text)
      case 0x0A, 0x0D:
        offset -= 1
        throw error("the string's closing quote is missing in this line")
      default: text.append(byte)
      }
    }
    throw error("the string's closing quote is missing")
  }

  private mutating func escape(to text: inout [UInt8]) throws(JSON5Error) {
    guard let byte else { throw error("the string's closing quote is missing") }
    offset += 1
    switch byte {
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "v"): text.append(0x0B)
    case UInt8(ascii: "x"): try append(scalar: UInt32(try hexadecimalUnit(digits: 2)), to: &text)
    case UInt8(ascii: "u"): try unicodeEscape(to: &text)
    case UInt8(ascii: "0") where !(48...57).contains(self.byte ?? 0): text.append(0)
    case 48...57: throw error("\\\(Character(Unicode.Scalar(byte))) is not an escape; use \\xHH")
    case 0x0A: line += 1
    case 0x0D:
      line += 1
      _ = take(0x0A)
    default: text.append(byte)
    }
  }

  private mutating func unicodeEscape(to text: inout [UInt8]) throws(JSON5Error) {
    let unit = UInt32(try hexadecimalUnit(digits: 4))
    guard unit & 0xFC00 == 0xD800 else { return try append(scalar: unit, to: &text) }
    guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else {
      throw error("half of a surrogate pair: the other \\u is missing")
    }
    let low = UInt32(try hexadecimalUnit(digits: 4))
    guard low & 0xFC00 == 0xDC00 else { throw error("half of a surrogate pair") }
    try append(scalar: 0x10000 + (unit & 0x3FF) << 10 + (low & 0x3FF), to: &text)
  }

  private mutating func hexadecimalUnit(digits: Int) throws(JSON5Error) -> UInt16 {
    let start = offset
    while offset - start < digits, let byte, Character(Unicode.Scalar(byte)).isHexDigit {
      offset += 1
    }
    let written = String(decoding: bytes[start..<offset], as: UTF8.self)
    guard offset - start == digits, let unit = UInt16(written, radix: 16) else {
      throw error("this escape needs \(digits) hexadecimal digits")
    }
    return unit
  }

  private func append(scalar value: UInt32, to text: inout [UInt8]) throws(JSON5Error) {
    guard let scalar = Unicode.Scalar(value) else { throw error("half of a surrogate pair") }
    text.append(contentsOf: String(scalar).utf8)
  }
}
