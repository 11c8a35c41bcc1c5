internal import Bytes

/// One member of the object that a `JSONScanner` reads: ranges into the scanned bytes.
public struct JSONMember: Sendable, Hashable {
  /// What stands between the key's quotes, as written.
  public let key: Range<Int>
  /// Whether `key` has escapes, so that its characters differ from its bytes.
  public let keyHasEscapes: Bool
  /// The value, without white space around it, quotes and brackets included. Validated throughout.
  public let value: Range<Int>
  public let kind: JSONKind

  /// Whether the key is `name`, byte for byte after unescaping.
  public func isKey(_ name: String, in span: borrowing Span<UInt8>) -> Bool {
    if keyHasEscapes { return unescapedKey(in: span).elementsEqual(name.utf8) }
    guard key.count == name.utf8.count else { return false }
    return span.holds(name.utf8Span.span, at: key.lowerBound)
  }

  /// The key's characters.
  public func keyText(in span: borrowing Span<UInt8>) -> String {
    String(decoding: unescapedKey(in: span), as: UTF8.self)
  }

  /// The characters of a string value; nil for every other kind.
  public func text(in span: borrowing Span<UInt8>) -> String? {
    guard let contents else { return nil }
    if !JSON.hasEscapes(span, contents) { return String(validating: span.extracting(contents)) }
    guard let text = try? JSON.unescape(span, contents: contents) else { return nil }
    return String(decoding: text, as: UTF8.self)
  }

  /// The UTF-8 of a string value's characters; nil for every other kind.
  public func utf8(in span: borrowing Span<UInt8>) -> [UInt8]? {
    contents.flatMap { try? JSON.unescape(span, contents: $0) }
  }

  /// What stands between a string value's quotes.
  private var contents: Range<Int>? {
    guard kind == .string, value.count >= 2 else { return nil }
    return (value.lowerBound + 1)..<(value.upperBound - 1)
  }

  /// The value as a whole number; nil for fractions, exponents and what 64 bits can't hold.
  public func int(in span: borrowing Span<UInt8>) -> Int64? {
    guard kind == .number else { return nil }
    return String(validating: span.extracting(value)).flatMap { Int64($0) }
  }

  /// The value as true or false; nil for every other kind.
  public func bool(in span: borrowing Span<UInt8>) -> Bool? {
    guard kind == .bool else { return nil }
    return span[value.lowerBound] == UInt8(ascii: "t")
  }

  func unescapedKey(in span: borrowing Span<UInt8>) -> [UInt8] {
    // The key was validated when the member was read.
    (try? JSON.unescape(span, contents: key)) ?? []
  }
}

/// Reads the members of one top-level JSON object front to back, validating all, building nothing.
///
/// The door for API bodies and client messages: keys and values are ranges, so that `data` passes
/// through with its very bytes. Keeps no reference to the bytes; pass the same ones to each call.
///
///     var scanner = try JSONScanner(object: span)
///     while let member = try scanner.next(span) { … }
///
/// - Limits: depth `JSON.depthMax`. Equal keys at the top level are refused.
/// - Cost: one pass; no allocation up to 32 members whose keys have no escapes.
/// - Errors: nothing may be trusted until `next` has returned nil: the fault may come last.
public struct JSONScanner: Sendable {
  private static let plainKeysMax = 32

  private var sequence: JSONSequence
  /// Keys so far, each as start << 32 | count, while they are few and have no escapes.
  private var plainKeys = InlineArray<32, UInt64>(repeating: 0)
  private var plainKeysCount = 0
  /// All keys so far, once they are many or have escapes.
  private var manyKeys: Set<[UInt8]>?

  /// Begins at the object's brace; `.notAnObject` where the bytes hold another value.
  public init(object span: borrowing Span<UInt8>) throws(JSONError) {
    sequence = try JSONSequence(.object, span, otherwise: .notAnObject)
  }

  /// The next member, or nil after the last, when nothing but white space follows the object.
  public mutating func next(_ span: borrowing Span<UInt8>) throws(JSONError) -> JSONMember? {
    guard let keyStart = try sequence.next(span) else { return nil }
    let key = try JSON.skipString(span, from: keyStart)
    let start = try JSON.skipColon(span, from: key.end)
    let end = try JSON.skipValue(span, from: start, depth: 1)
    sequence.ended(at: end)
    let member = JSONMember(
      key: (keyStart + 1)..<(key.end - 1), keyHasEscapes: key.hasEscapes, value: start..<end,
      kind: try JSON.kind(of: span, at: start))
    guard isNew(member, in: span) else { throw JSONError(.duplicateKey, at: keyStart, in: span) }
    return member
  }

  private mutating func isNew(_ member: JSONMember, in span: borrowing Span<UInt8>) -> Bool {
    if manyKeys != nil { return manyKeys?.insert(member.unescapedKey(in: span)).inserted ?? false }
    guard !member.keyHasEscapes, plainKeysCount < Self.plainKeysMax,
      let packed = Self.pack(member.key)
    else { return isNewAmongMany(member, in: span) }
    for index in 0..<plainKeysCount
    where plainKeys[index] & 0xFFFF_FFFF == packed & 0xFFFF_FFFF {
      if Self.isEqual(Self.unpack(plainKeys[index]), member.key, in: span) { return false }
    }
    plainKeys[plainKeysCount] = packed
    plainKeysCount += 1
    return true
  }

  /// Moves from comparing ranges to a set, so that many keys cost no more than linear time.
  private mutating func isNewAmongMany(
    _ member: JSONMember, in span: borrowing Span<UInt8>
  ) -> Bool {
    var keys: Set<[UInt8]> = []
    for index in 0..<plainKeysCount {
      keys.insert([UInt8](copying: span.extracting(Self.unpack(plainKeys[index]))))
    }
    let isNew = keys.insert(member.unescapedKey(in: span)).inserted
    manyKeys = keys
    return isNew
  }

  private static func pack(_ range: Range<Int>) -> UInt64? {
    guard let start = UInt32(exactly: range.lowerBound), let count = UInt32(exactly: range.count)
    else { return nil }
    return UInt64(start) << 32 | UInt64(count)
  }

  private static func unpack(_ packed: UInt64) -> Range<Int> {
    let start = Int(packed >> 32)
    return start..<(start + Int(packed & 0xFFFF_FFFF))
  }

  private static func isEqual(
    _ a: Range<Int>, _ b: Range<Int>, in span: borrowing Span<UInt8>
  ) -> Bool {
    for step in 0..<a.count where span[a.lowerBound + step] != span[b.lowerBound + step] {
      return false
    }
    return true
  }
}
