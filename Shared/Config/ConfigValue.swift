public import JSON

/// A value of a configuration and the place where it was written.
public struct ConfigValue: Hashable, Sendable {
  public enum Content: Hashable, Sendable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([ConfigValue])
    case object([ConfigMember])
  }

  public var content: Content
  public let place: ConfigPlace

  public init(_ content: Content, at place: ConfigPlace) {
    self.content = content
    self.place = place
  }

  /// The value without its places: what a plugin gets as its options.
  public var json: JSONValue {
    switch content {
    case .null: return .null
    case .bool(let value): return .bool(value)
    case .number(let number): return .number(number)
    case .string(let text): return .string(text)
    case .array(let elements): return .array(elements.map(\.json))
    case .object(let members):
      var object = JSONObject()
      for member in members { object[member.key] = member.value.json }
      return .object(object)
    }
  }

  /// What the value is, for a sentence: "a list".
  var noun: String {
    switch content {
    case .null: "null"
    case .bool(let value): value ? "true" : "false"
    case .number(let number): "the number \(number.text)"
    case .string: "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }
}

/// One member of an object; keys of an object are unique.
public struct ConfigMember: Hashable, Sendable {
  public let key: String
  public let place: ConfigPlace
  public var value: ConfigValue

  public init(key: String, place: ConfigPlace, value: ConfigValue) {
    self.key = key
    self.place = place
    self.value = value
  }
}
