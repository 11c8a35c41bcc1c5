internal import Bytes

// Strings: RFC 8259 §7 for escapes, RFC 3629 §4 for UTF-8.

extension JSON {
  /// Where a string ended, and whether its bytes stand for themselves.
  struct StringEnd {
    /// The offset after the closing quote.
    let end: Int
    let hasEscapes: Bool
  }

  /// RFC 8259 §7. Begins at the opening quote.
  static func skipString(
    _ s: borrowing Span<UInt8>, from start: Int
  ) throws(JSONError) -> StringEnd {
    guard start < s.count else { throw JSONError(.unexpectedEnd, at: start, in: s) }
    guard s[start] == UInt8(ascii: "\"") else { throw JSONError(.unexpectedByte, at: start, in: s) }
    var i = start + 1
    var hasEscapes = false
    while i < s.count {
      if let word = s.word(at: i) {
        let plain = plainBytes(word)
        i += plain
        if plain == 8 { continue }
      }
      let byte = s[i]
      if byte == UInt8(ascii: "\"") {
        return StringEnd(end: i + 1, hasEscapes: hasEscapes)
      } else if byte == UInt8(ascii: "\\") {
        hasEscapes = true
        i = try skipEscape(s, from: i)
      } else if byte >= 0x80 {
        i = try skipScalar(s, from: i)
      } else if byte >= 0x20 {
        i += 1
      } else {
        throw JSONError(.controlCharacter, at: i, in: s)
      }
    }
    throw JSONError(.unexpectedEnd, at: i, in: s)
  }

  /// Begins at the backslash. A surrogate pair is one escape of twelve bytes.
  private static func skipEscape(
    _ s: borrowing Span<UInt8>, from start: Int
  ) throws(JSONError) -> Int {
    guard start + 1 < s.count else { throw JSONError(.unexpectedEnd, at: s.count, in: s) }
    switch s[start + 1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
      UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      return start + 2
    case UInt8(ascii: "u"):
      let unit = try codeUnit(s, at: start)
      guard unit & 0xF800 == 0xD800 else { return start + 6 }
      // RFC 8259 §8.2 leaves half a pair open; no string of ours can hold it.
      guard unit < 0xDC00, start + 7 < s.count, s[start + 6] == UInt8(ascii: "\\"),
        s[start + 7] == UInt8(ascii: "u"), try codeUnit(s, at: start + 6) & 0xFC00 == 0xDC00
      else { throw JSONError(.loneSurrogate, at: start, in: s) }
      return start + 12
    default: throw JSONError(.invalidEscape, at: start, in: s)
    }
  }

  /// The UTF-16 code unit of the six-byte escape at `start`.
  private static func codeUnit(
    _ s: borrowing Span<UInt8>, at start: Int
  ) throws(JSONError) -> UInt16 {
    guard start + 6 <= s.count else { throw JSONError(.unexpectedEnd, at: s.count, in: s) }
    var unit: UInt16 = 0
    for i in (start + 2)..<(start + 6) {
      let digit: UInt8
      switch s[i] {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = s[i] - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = s[i] - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = s[i] - UInt8(ascii: "A") + 10
      default: throw JSONError(.invalidEscape, at: start, in: s)
      }
      unit = unit << 4 | UInt16(digit)
    }
    return unit
  }

  /// RFC 3629 §4: one well-formed sequence of two to four bytes, shortest form, no surrogates.
  static func skipScalar(_ s: borrowing Span<UInt8>, from start: Int) throws(JSONError) -> Int {
    let lead = s[start]
    let following: Int
    var second: ClosedRange<UInt8> = 0x80...0xBF
    switch lead {
    case 0xC2...0xDF: following = 1
    case 0xE0: (following, second) = (2, 0xA0...0xBF)
    case 0xED: (following, second) = (2, 0x80...0x9F)
    case 0xE1...0xEF: following = 2
    case 0xF0: (following, second) = (3, 0x90...0xBF)
    case 0xF1...0xF3: following = 3
    case 0xF4: (following, second) = (3, 0x80...0x8F)
    default: throw JSONError(.invalidUTF8, at: start, in: s)
    }
    guard start + following < s.count else { throw JSONError(.unexpectedEnd, at: s.count, in: s) }
    guard second.contains(s[start + 1]) else { throw JSONError(.invalidUTF8, at: start, in: s) }
    if following > 1 {
      for i in (start + 2)...(start + following) where s[i] & 0xC0 != 0x80 {
        throw JSONError(.invalidUTF8, at: start, in: s)
      }
    }
    return start + following + 1
  }

  /// Whether what stands between a string's quotes has a backslash.
  static func hasEscapes(_ s: borrowing Span<UInt8>, _ contents: Range<Int>) -> Bool {
    firstEscape(s, contents) < contents.upperBound
  }

  /// The offset of the first backslash in `contents`; its end if there is none.
  private static func firstEscape(_ s: borrowing Span<UInt8>, _ contents: Range<Int>) -> Int {
    var i = contents.lowerBound
    while i + 8 <= contents.upperBound, let word = s.word(at: i), !word.hasByte(UInt8(ascii: "\\"))
    {
      i &+= 8
    }
    while i < contents.upperBound, s[i] != UInt8(ascii: "\\") { i += 1 }
    return i
  }

  /// How many of eight bytes, from the first on, stand for themselves in a string: printable ASCII,
  /// neither quote nor backslash.
  private static func plainBytes(_ word: UInt64) -> Int {
    let each: UInt64 = 0x0101_0101_0101_0101
    let quotes = word ^ (each &* UInt64(UInt8(ascii: "\"")))
    let backslashes = word ^ (each &* UInt64(UInt8(ascii: "\\")))
    // The highest bit of each byte that is none of them. Above the first one others may seem to be.
    let special =
      word | (word &- each &* 0x20) & ~word | (quotes &- each) & ~quotes
      | (backslashes &- each) & ~backslashes
    return (special & (each &* 0x80)).trailingZeroBitCount / 8
  }

  /// The characters of a string's `contents` (what stands between its quotes), already validated.
  ///
  /// - Cost: one copy; a second only where there are escapes.
  public static func unescape(
    _ s: borrowing Span<UInt8>, contents: Range<Int>
  ) throws(JSONError) -> [UInt8] {
    var i = firstEscape(s, contents)
    if i == contents.upperBound { return [UInt8](copying: s.extracting(contents)) }
    var text: [UInt8] = []
    text.reserveCapacity(contents.count)
    var runStart = contents.lowerBound
    while i < contents.upperBound {
      i = firstEscape(s, i..<contents.upperBound)
      guard i < contents.upperBound else { break }
      text.append(copying: s.extracting(runStart..<i))
      let end = try skipEscape(s, from: i)
      try append(escapeAt: i, of: s, to: &text)
      i = end
      runStart = end
    }
    text.append(copying: s.extracting(runStart..<contents.upperBound))
    return text
  }

  private static func append(
    escapeAt i: Int, of s: borrowing Span<UInt8>, to text: inout [UInt8]
  ) throws(JSONError) {
    switch s[i + 1] {
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var value = UInt32(try codeUnit(s, at: i))
      if value & 0xFC00 == 0xD800 {
        value = 0x10000 + (value & 0x3FF) << 10 + UInt32(try codeUnit(s, at: i + 6) & 0x3FF)
      }
      // A lone surrogate was refused before, so the scalar exists.
      text.append(contentsOf: String(Unicode.Scalar(value) ?? "\u{FFFD}").utf8)
    default: text.append(s[i + 1])
    }
  }
}
