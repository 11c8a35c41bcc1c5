internal import Bytes
public import JSON

/// A value of a configuration rule's `options`.
public enum OptionValue: Sendable, Equatable {
  case null
  case bool(Bool)
  case number(Double)
  case text(String)
  case list([OptionValue])
  case object([String: OptionValue])

  var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .number: "a number"
    case .text: "a string"
    case .list: "a list"
    case .object: "an object"
    }
  }
}

extension OptionValue {
  /// Its kind, then what it holds: different values have different bytes. Members are sorted.
  fileprivate func encode(into writer: inout ByteWriter) {
    switch self {
    case .null: writer.u8(0)
    case .bool(let value): writer.u8(value ? 2 : 1)
    case .number(let value):
      writer.u8(3)
      writer.u64(value.bitPattern)
    case .text(let text):
      writer.u8(4)
      writer.bytes32([UInt8](text.utf8))
    case .list(let list):
      writer.u8(5)
      writer.u32(UInt32(truncatingIfNeeded: list.count))
      for value in list { value.encode(into: &writer) }
    case .object(let members):
      writer.u8(6)
      writer.u32(UInt32(truncatingIfNeeded: members.count))
      for (key, value) in members.sorted(by: { $0.key < $1.key }) {
        writer.bytes32([UInt8](key.utf8))
        value.encode(into: &writer)
      }
    }
  }
}

extension OptionValue: ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral
{
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(integerLiteral value: Int) { self = .number(Double(value)) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(stringLiteral value: String) { self = .text(value) }
  public init(arrayLiteral elements: OptionValue...) { self = .list(elements) }
}

extension OptionValue {
  fileprivate init(json: JSONValue) {
    switch json {
    case .null: self = .null
    case .bool(let value): self = .bool(value)
    case .number(let value): self = .number(value.double ?? .nan)
    case .string(let value): self = .text(value)
    case .array(let values): self = .list(values.map { OptionValue(json: $0) })
    case .object(let object):
      var values: [String: OptionValue] = [:]
      for member in object.members { values[member.key] = OptionValue(json: member.value) }
      self = .object(values)
    }
  }
}

/// Why a channel can't be made as its rule says.
public struct ChannelOptionsError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The option at fault; nil where it is the rule itself.
  public let option: String?
  public let reason: String

  public init(option: String? = nil, _ reason: String) {
    self.option = option
    self.reason = reason
  }

  public var description: String { option.map { "options.\($0): \(reason)" } ?? reason }
}

/// The `options` of a rule, which a channel type reads as it is made.
///
/// Each reading method answers nil where the option is absent, and remembers that the option is
/// known; options that nobody read are refused afterwards. All throw for a value of another type.
public struct ChannelOptions: Sendable {
  private let values: [String: OptionValue]
  private var known: Set<String> = []

  public init(_ values: [String: OptionValue] = [:]) { self.values = values }

  /// The members of an object; of anything else, none.
  public init(json: JSONValue) {
    var values: [String: OptionValue] = [:]
    for member in json.object?.members ?? [] { values[member.key] = OptionValue(json: member.value) }
    self.init(values)
  }

  /// Tells options from others, whatever the order they were written in; nil where there are none.
  public var fingerprint: UInt32? {
    guard !values.isEmpty else { return nil }
    var writer = ByteWriter()
    OptionValue.object(values).encode(into: &writer)
    return crc32c(writer.bytes)
  }

  public mutating func value(_ name: String) -> OptionValue? {
    known.insert(name)
    return values[name]
  }

  public mutating func bool(_ name: String) throws(ChannelOptionsError) -> Bool? {
    guard let value = value(name) else { return nil }
    guard case .bool(let bool) = value else { throw mismatch(name, value, "true or false") }
    return bool
  }

  /// A whole number within `range`, and within what a double holds exactly (±2^53).
  public mutating func int(_ name: String, in range: ClosedRange<Int>)
    throws(ChannelOptionsError) -> Int?
  {
    guard let value = value(name) else { return nil }
    let wanted = "a whole number from \(range.lowerBound) to \(range.upperBound)"
    guard case .number(let number) = value else { throw mismatch(name, value, wanted) }
    // Compared as numbers first: what is in range can be converted, and a NaN is in no range.
    guard number >= Double(range.lowerBound), number <= Double(range.upperBound),
      abs(number) <= 0x1p53, Double(Int(number)) == number
    else { throw ChannelOptionsError(option: name, "must be \(wanted), is \(number)") }
    return Int(number)
  }

  public mutating func text(_ name: String) throws(ChannelOptionsError) -> String? {
    guard let value = value(name) else { return nil }
    guard case .text(let text) = value else { throw mismatch(name, value, "a string") }
    return text
  }

  /// One of a few words.
  public mutating func choice(_ name: String, of words: [String])
    throws(ChannelOptionsError) -> String?
  {
    guard let word = try text(name) else { return nil }
    guard words.contains(word) else {
      throw ChannelOptionsError(option: name, "must be one of \(words.joined(separator: ", "))")
    }
    return word
  }

  /// A list of strings; one string stands for a list of one.
  public mutating func texts(_ name: String) throws(ChannelOptionsError) -> [String]? {
    guard let value = value(name) else { return nil }
    if case .text(let text) = value { return [text] }
    guard case .list(let list) = value else { throw mismatch(name, value, "a list of strings") }
    var texts: [String] = []
    for element in list {
      guard case .text(let text) = element else {
        throw mismatch(name, element, "a list of strings")
      }
      texts.append(text)
    }
    return texts
  }

  /// A list of who may do something; see `Principal`. `none` alone is an empty list.
  public mutating func principals(_ name: String) throws(ChannelOptionsError) -> [Principal]? {
    guard let texts = try texts(name) else { return nil }
    guard texts != ["none"] else { return [] }
    var list: [Principal] = []
    for text in texts {
      guard let principal = Principal(text) else {
        throw ChannelOptionsError(
          option: name, "must list anonymous, user:*, user:NAME, role:NAME or api, or be none")
      }
      list.append(principal)
    }
    return list
  }

  /// Refuses options that nobody read. Whoever made the channel calls this, not the channel type.
  func refuseUnread() throws(ChannelOptionsError) {
    guard let name = values.keys.filter({ !known.contains($0) }).min() else { return }
    let others = known.sorted().joined(separator: ", ")
    throw ChannelOptionsError(
      option: name,
      known.isEmpty ? "this type has no options" : "no such option; there are: \(others)")
  }

  private func mismatch(_ name: String, _ value: OptionValue, _ wanted: String)
    -> ChannelOptionsError
  {
    ChannelOptionsError(option: name, "must be \(wanted), is \(value.kind)")
  }
}
