internal import Bytes

extension JSONValue {
  /// The one value that `span` holds, RFC 8259 without leniency.
  ///
  /// - Limits: depth `JSON.depthMax`. Equal keys in one object are refused at any depth.
  /// - Cost: linear, an allocation per value. For input of bounded size.
  /// - Errors: the first fault, with its place.
  public static func parse(_ span: borrowing Span<UInt8>) throws(JSONError) -> JSONValue {
    var reader = JSONReader()
    let value = try reader.value(span, depth: 0)
    let end = JSON.skipSpace(span, from: reader.offset)
    guard end == span.count else { throw JSONError(.trailingBytes, at: end, in: span) }
    return value
  }

  /// The value that UTF-8 `text` spells; see `parse(_:)`.
  public static func parse(_ text: String) throws(JSONError) -> JSONValue {
    try parse([UInt8](text.utf8).span)
  }
}

/// Builds values; recursion is bounded by `JSON.depthMax`.
private struct JSONReader {
  /// Objects of up to this many members compare keys pairwise; larger ones keep a set.
  static let pairwiseKeysMax = 8

  var offset = 0

  mutating func value(_ s: borrowing Span<UInt8>, depth: Int) throws(JSONError) -> JSONValue {
    offset = JSON.skipSpace(s, from: offset)
    let start = offset
    switch try JSON.kind(of: s, at: start) {
    case .object: return .object(try object(s, depth: depth + 1))
    case .array: return .array(try array(s, depth: depth + 1))
    case .string: return .string(try string(s))
    case .number:
      offset = try JSON.skipNumber(s, from: start)
      return .number(JSONNumber(validated: text(s, start..<offset)))
    case .bool:
      offset = try JSON.skipValue(s, from: start, depth: depth)
      return .bool(s[start] == UInt8(ascii: "t"))
    case .null:
      offset = try JSON.skipValue(s, from: start, depth: depth)
      return .null
    }
  }

  private mutating func object(
    _ s: borrowing Span<UInt8>, depth: Int
  ) throws(JSONError) -> JSONObject {
    guard depth <= JSON.depthMax else { throw JSONError(.tooDeep, at: offset, in: s) }
    var object = JSONObject()
    var keys: Set<[UInt8]> = []
    offset = JSON.skipSpace(s, from: offset + 1)
    if offset < s.count, s[offset] == UInt8(ascii: "}") {
      offset += 1
      return object
    }
    while true {
      let keyStart = offset
      let key = try string(s)
      guard isNew(key, in: object, &keys) else {
        throw JSONError(.duplicateKey, at: keyStart, in: s)
      }
      offset = try JSON.skipColon(s, from: offset)
      object.append(key: key, value: try value(s, depth: depth))
      guard try continues(s, orEnd: UInt8(ascii: "}")) else { return object }
    }
  }

  private mutating func array(
    _ s: borrowing Span<UInt8>, depth: Int
  ) throws(JSONError) -> [JSONValue] {
    guard depth <= JSON.depthMax else { throw JSONError(.tooDeep, at: offset, in: s) }
    var array: [JSONValue] = []
    offset = JSON.skipSpace(s, from: offset + 1)
    if offset < s.count, s[offset] == UInt8(ascii: "]") {
      offset += 1
      return array
    }
    while true {
      array.append(try value(s, depth: depth))
      guard try continues(s, orEnd: UInt8(ascii: "]")) else { return array }
    }
  }

  /// Whether another element follows; moves past the comma or the end.
  private mutating func continues(
    _ s: borrowing Span<UInt8>, orEnd end: UInt8
  ) throws(JSONError) -> Bool {
    offset = JSON.skipSpace(s, from: offset)
    let continues = try JSON.isComma(s, at: offset, orEnd: end)
    offset += 1
    if continues { offset = JSON.skipSpace(s, from: offset) }
    return continues
  }

  private mutating func string(_ s: borrowing Span<UInt8>) throws(JSONError) -> String {
    let start = offset
    let string = try JSON.skipString(s, from: start)
    offset = string.end
    let contents = (start + 1)..<(string.end - 1)
    guard string.hasEscapes else { return text(s, contents) }
    return String(decoding: try JSON.unescape(s, contents: contents), as: UTF8.self)
  }

  /// The text of a validated range.
  private func text(_ s: borrowing Span<UInt8>, _ range: Range<Int>) -> String {
    String(validating: s.extracting(range)) ?? ""
  }

  private func isNew(_ key: String, in object: JSONObject, _ keys: inout Set<[UInt8]>) -> Bool {
    if object.count < Self.pairwiseKeysMax { return object[key] == nil }
    if keys.isEmpty { for member in object.members { keys.insert([UInt8](member.key.utf8)) } }
    return keys.insert([UInt8](key.utf8)).inserted
  }
}
