// The grammar of RFC 8259, one function a rule. Each takes the offset where its rule begins and
// returns the offset after it. Reading recurses at most `depthMax` deep.

extension JSON {
  /// RFC 8259 §2, insignificant white space.
  static func skipSpace(_ s: borrowing Span<UInt8>, from start: Int) -> Int {
    var i = start
    while i < s.count {
      let byte = s[i]
      guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { break }
      i += 1
    }
    return i
  }

  /// RFC 8259 §3. `depth` is how many containers are open around the value.
  static func skipValue(
    _ s: borrowing Span<UInt8>, from start: Int, depth: Int
  ) throws(JSONError) -> Int {
    guard start < s.count else { throw JSONError(.unexpectedEnd, at: start, in: s) }
    switch s[start] {
    case UInt8(ascii: "\""): return try skipString(s, from: start).end
    case UInt8(ascii: "{"): return try skipObject(s, from: start, depth: depth + 1)
    case UInt8(ascii: "["): return try skipArray(s, from: start, depth: depth + 1)
    case UInt8(ascii: "t"): return try skipWord(s, 0x74, 0x72, 0x75, 0x65, from: start)
    case UInt8(ascii: "n"): return try skipWord(s, 0x6E, 0x75, 0x6C, 0x6C, from: start)
    case UInt8(ascii: "f"): return try skipFalse(s, from: start)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      return try skipNumber(s, from: start)
    default: throw JSONError(.unexpectedByte, at: start, in: s)
    }
  }

  /// RFC 8259 §4. Begins at the brace.
  private static func skipObject(
    _ s: borrowing Span<UInt8>, from start: Int, depth: Int
  ) throws(JSONError) -> Int {
    guard depth <= depthMax else { throw JSONError(.tooDeep, at: start, in: s) }
    var i = skipSpace(s, from: start + 1)
    if i < s.count, s[i] == UInt8(ascii: "}") { return i + 1 }
    while true {
      i = try skipColon(s, from: try skipString(s, from: i).end)
      i = skipSpace(s, from: try skipValue(s, from: i, depth: depth))
      guard try isComma(s, at: i, orEnd: UInt8(ascii: "}")) else { return i + 1 }
      i = skipSpace(s, from: i + 1)
    }
  }

  /// RFC 8259 §5. Begins at the bracket.
  private static func skipArray(
    _ s: borrowing Span<UInt8>, from start: Int, depth: Int
  ) throws(JSONError) -> Int {
    guard depth <= depthMax else { throw JSONError(.tooDeep, at: start, in: s) }
    var i = skipSpace(s, from: start + 1)
    if i < s.count, s[i] == UInt8(ascii: "]") { return i + 1 }
    while true {
      i = skipSpace(s, from: try skipValue(s, from: i, depth: depth))
      guard try isComma(s, at: i, orEnd: UInt8(ascii: "]")) else { return i + 1 }
      i = skipSpace(s, from: i + 1)
    }
  }

  /// The offset of a member's value: white space, colon, white space are behind it.
  static func skipColon(_ s: borrowing Span<UInt8>, from start: Int) throws(JSONError) -> Int {
    let i = skipSpace(s, from: start)
    guard i < s.count else { throw JSONError(.unexpectedEnd, at: i, in: s) }
    guard s[i] == UInt8(ascii: ":") else { throw JSONError(.unexpectedByte, at: i, in: s) }
    return skipSpace(s, from: i + 1)
  }

  /// Whether a comma stands at `i` (true) or the container's end (false); else an error.
  static func isComma(
    _ s: borrowing Span<UInt8>, at i: Int, orEnd end: UInt8
  ) throws(JSONError) -> Bool {
    guard i < s.count else { throw JSONError(.unexpectedEnd, at: i, in: s) }
    if s[i] == UInt8(ascii: ",") { return true }
    guard s[i] == end else { throw JSONError(.unexpectedByte, at: i, in: s) }
    return false
  }

  private static func skipWord(
    _ s: borrowing Span<UInt8>, _ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, from i: Int
  ) throws(JSONError) -> Int {
    guard i + 4 <= s.count else { throw JSONError(.unexpectedEnd, at: s.count, in: s) }
    guard s[i] == a, s[i + 1] == b, s[i + 2] == c, s[i + 3] == d else {
      throw JSONError(.unexpectedByte, at: i, in: s)
    }
    return i + 4
  }

  private static func skipFalse(_ s: borrowing Span<UInt8>, from i: Int) throws(JSONError) -> Int {
    guard i < s.count, s[i] == UInt8(ascii: "f") else {
      throw JSONError(.unexpectedByte, at: i, in: s)
    }
    return try skipWord(s, 0x61, 0x6C, 0x73, 0x65, from: i + 1)
  }

  /// RFC 8259 §6: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
  static func skipNumber(_ s: borrowing Span<UInt8>, from start: Int) throws(JSONError) -> Int {
    var i = start
    if s[i] == UInt8(ascii: "-") { i += 1 }
    if i < s.count, s[i] == UInt8(ascii: "0") {
      i += 1
      // RFC 8259 §6: leading zeros are not allowed.
      guard !isDigit(s, at: i) else { throw JSONError(.invalidNumber, at: i, in: s) }
    } else {
      i = try skipDigits(s, from: i)
    }
    if i < s.count, s[i] == UInt8(ascii: ".") { i = try skipDigits(s, from: i + 1) }
    if i < s.count, s[i] | 0x20 == UInt8(ascii: "e") {
      i += 1
      if i < s.count, s[i] == UInt8(ascii: "+") || s[i] == UInt8(ascii: "-") { i += 1 }
      i = try skipDigits(s, from: i)
    }
    return i
  }

  /// One digit or more.
  private static func skipDigits(
    _ s: borrowing Span<UInt8>, from start: Int
  ) throws(JSONError) -> Int {
    guard start < s.count else { throw JSONError(.unexpectedEnd, at: start, in: s) }
    guard isDigit(s, at: start) else { throw JSONError(.invalidNumber, at: start, in: s) }
    var i = start + 1
    while isDigit(s, at: i) { i += 1 }
    return i
  }

  private static func isDigit(_ s: borrowing Span<UInt8>, at i: Int) -> Bool {
    i < s.count && s[i] &- UInt8(ascii: "0") <= 9
  }
}
