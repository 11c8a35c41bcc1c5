internal import Bytes
internal import JSON

/// Why a text is not JSON5, and in which line.
public struct JSON5Error: Error, Hashable, Sendable {
  public let line: Int
  public let reason: String
}

/// Reads JSON5 (https://spec.json5.org, version 1.0.0) into values with line numbers.
///
/// Beyond JSON: comments, trailing commas, unquoted keys of ASCII letters, digits, `_` and `$`,
/// single quotes, line continuations, hexadecimal, leading `+`, leading and trailing decimal point.
/// Left out on purpose: Infinity and NaN, which no setting can be, and equal keys in one object,
/// where the last would silently win.
///
/// - Limits: depth 32, so that recursion stays shallow. Pure; any thread.
public struct JSON5: Sendable {
  public static let depthMax = 32

  let bytes: [UInt8]
  var offset = 0
  var line = 1

  /// The one value that `bytes` spell.
  public static func parse(_ bytes: [UInt8]) throws(JSON5Error) -> ConfigValue {
    guard String(validating: bytes.span) != nil else {
      throw JSON5Error(line: lineOfInvalidText(bytes), reason: "save this file as UTF-8")
    }
    var reader = JSON5(bytes: bytes)
    let value = try reader.value(depth: 0)
    try reader.skipSpace()
    guard reader.offset == bytes.count else {
      throw reader.error("nothing may follow the closing brace; is there one too many before?")
    }
    return value
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private static func lineOfInvalidText(_ bytes: [UInt8]) -> Int {
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    let index = lines.firstIndex { String(validating: [UInt8]($0).span) == nil }
    return (index ?? 0) + 1
  }

  var byte: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  func peek(_ ahead: Int) -> UInt8? {
    offset + ahead < bytes.count ? bytes[offset + ahead] : nil
  }

  func error(_ reason: String) -> JSON5Error { JSON5Error(line: line, reason: reason) }

  mutating func take(_ expected: UInt8) -> Bool {
    guard byte == expected else { return false }
    offset += 1
    return true
  }

  // MARK: Values

  private mutating func value(depth: Int) throws(JSON5Error) -> ConfigValue {
    try skipSpace()
    let place = ConfigPlace.line(line)
    guard let byte else { throw error("the file ends where a value is needed") }
    switch byte {
    case UInt8(ascii: "{"): return ConfigValue(.object(try object(depth: depth + 1)), at: place)
    case UInt8(ascii: "["): return ConfigValue(.array(try array(depth: depth + 1)), at: place)
    case UInt8(ascii: "\""), UInt8(ascii: "'"): return ConfigValue(.string(try string()), at: place)
    case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), 48...57:
      return ConfigValue(.number(try number()), at: place)
    default: return ConfigValue(try word(), at: place)
    }
  }

  private mutating func object(depth: Int) throws(JSON5Error) -> [ConfigMember] {
    guard depth <= Self.depthMax else { throw error("nested deeper than \(Self.depthMax) levels") }
    let opening = line
    offset += 1
    var members: [ConfigMember] = []
    var lines: [[UInt8]: Int] = [:]
    while true {
      try skipSpace()
      if take(UInt8(ascii: "}")) { return members }
      let keyLine = line
      let key = try key(opening: opening)
      if let first = lines.updateValue(keyLine, forKey: [UInt8](key.utf8)) {
        throw JSON5Error(line: keyLine, reason: "\"\(key)\" stands in line \(first) already")
      }
      try skipSpace()
      guard take(UInt8(ascii: ":")) else { throw error("a colon is needed after \"\(key)\"") }
      let value = try value(depth: depth)
      members.append(ConfigMember(key: key, place: .line(keyLine), value: value))
      try separator(closing: UInt8(ascii: "}"), opening: opening)
    }
  }

  private mutating func array(depth: Int) throws(JSON5Error) -> [ConfigValue] {
    guard depth <= Self.depthMax else { throw error("nested deeper than \(Self.depthMax) levels") }
    let opening = line
    offset += 1
    var elements: [ConfigValue] = []
    while true {
      try skipSpace()
      if take(UInt8(ascii: "]")) { return elements }
      elements.append(try value(depth: depth))
      try separator(closing: UInt8(ascii: "]"), opening: opening)
    }
  }

  /// A comma, or the closing bracket, which stays.
  private mutating func separator(closing: UInt8, opening: Int) throws(JSON5Error) {
    try skipSpace()
    if take(UInt8(ascii: ",")) || byte == closing { return }
    let bracket = Character(Unicode.Scalar(closing))
    guard byte != nil else {
      throw error("\"\(bracket)\" is missing for the one opened in line \(opening)")
    }
    throw error("a comma or \"\(bracket)\" is needed here")
  }

  private mutating func key(opening: Int) throws(JSON5Error) -> String {
    guard let first = byte else {
      throw error("\"}\" is missing for the one opened in line \(opening)")
    }
    if first == UInt8(ascii: "\"") || first == UInt8(ascii: "'") { return try string() }
    guard Self.isIdentifier(first), !(48...57).contains(first) else {
      throw error("a key is needed here; put it in quotes if it has other than letters and digits")
    }
    return identifier()
  }

  mutating func identifier() -> String {
    let start = offset
    while let byte, Self.isIdentifier(byte) { offset += 1 }
    return String(decoding: bytes[start..<offset], as: UTF8.self)
  }

  static func isIdentifier(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122, UInt8(ascii: "_"), UInt8(ascii: "$"): true
    default: false
    }
  }

  private mutating func word() throws(JSON5Error) -> ConfigValue.Content {
    let word = identifier()
    switch word {
    case "null": return .null
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "Infinity", "NaN": throw error("\(word) is not a value that a setting can have")
    case "": throw error("a value is needed here")
    default: throw error("put \(word) in quotes if it is text")
    }
  }
}
