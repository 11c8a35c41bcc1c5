/// A JSON value in memory: for configuration, tests and what is rare. Hot paths use `JSONScanner`.
public enum JSONValue: Hashable, Sendable {
  case null
  case bool(Bool)
  case number(JSONNumber)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)

  public static func int(_ value: Int64) -> JSONValue { .number(JSONNumber(value)) }

  /// The number of a finite `value`, else null: JSON has no infinity.
  public static func double(_ value: Double) -> JSONValue {
    JSONNumber(value).map { .number($0) } ?? .null
  }

  public var isNull: Bool { self == .null }
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var number: JSONNumber? { if case .number(let value) = self { value } else { nil } }
  /// The value as a whole number within 64 bits; nil for everything else.
  public var int: Int64? { number?.int }
  /// The value as a finite number; nil for everything else, `1e309` included.
  public var double: Double? { number?.double }
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }

  /// The member of that name; nil where there is none or the value is no object.
  public subscript(key: String) -> JSONValue? { object?[key] }
}

/// A number as it was written, so that no digit is lost.
///
/// Equal means spelled alike: `1.0` and `1` differ.
public struct JSONNumber: Hashable, Sendable, CustomStringConvertible {
  /// RFC 8259 §6 text.
  public let text: String

  public init(_ value: Int64) { text = String(value) }

  /// Nil for infinity and NaN.
  public init?(_ value: Double) {
    guard value.isFinite else { return nil }
    text = value.description
  }

  /// The number that RFC 8259 §6 `text` spells; nil for any other text.
  public init?(text: String) {
    let bytes = [UInt8](text.utf8)
    guard let first = bytes.first, first == UInt8(ascii: "-") || (48...57).contains(first),
      (try? JSON.skipNumber(bytes.span, from: 0)) == bytes.count
    else { return nil }
    self.text = text
  }

  init(validated text: String) { self.text = text }

  /// The whole number that the text spells without fraction or exponent, within 64 bits.
  public var int: Int64? { Int64(text) }

  /// The nearest double; nil where that is infinite.
  public var double: Double? {
    guard let value = Double(text), value.isFinite else { return nil }
    return value
  }

  public var description: String { text }
}

/// The members of a JSON object in the order they were written; no key stands twice.
///
/// Keys are compared byte for byte: two normal forms of one character are two keys.
public struct JSONObject: Hashable, Sendable {
  public struct Member: Hashable, Sendable {
    public let key: String
    public var value: JSONValue
  }

  public private(set) var members: [Member]

  public init() { members = [] }

  public var isEmpty: Bool { members.isEmpty }
  public var count: Int { members.count }

  /// Cost: linear. Setting replaces in place, appends, or (nil) removes.
  public subscript(key: String) -> JSONValue? {
    get { index(of: key).map { members[$0].value } }
    set {
      switch (index(of: key), newValue) {
      case (let index?, let value?): members[index].value = value
      case (let index?, nil): members.remove(at: index)
      case (nil, let value?): members.append(Member(key: key, value: value))
      case (nil, nil): break
      }
    }
  }

  /// Appends a member whose key is known to be new.
  mutating func append(key: String, value: JSONValue) {
    members.append(Member(key: key, value: value))
  }

  private func index(of key: String) -> Int? {
    members.firstIndex { $0.key.utf8.elementsEqual(key.utf8) }
  }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  /// For a key given twice, the last value.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    self.init()
    for (key, value) in elements { self[key] = value }
  }
}
