internal import Bytes
public import JSON

/// What is wrong with a schema or a pattern, for whoever wrote it.
public struct SchemaProblem: Error, Hashable, Sendable {
  /// Where in the schema, such as `properties.age.minimum`; empty for the whole.
  public var path: String
  public var reason: String
  public init(path: String, reason: String) {
    self.path = path
    self.reason = reason
  }
}

/// Why a value is not as its schema says.
public struct SchemaFault: Error, Hashable, Sendable, CustomStringConvertible {
  public var reason: String
  /// The names and numbers on the way there, the innermost first.
  private var way: [String] = []

  init(_ reason: String) { self.reason = reason }

  /// The same fault, seen from what holds the value as `name`.
  func within(_ name: String) -> SchemaFault {
    var fault = self
    fault.way.append(name)
    return fault
  }

  /// Where in the value, a JSON Pointer (RFC 6901): `/user/age`; empty for the whole value. Names
  /// are cut off after 64 characters.
  public var pointer: String {
    way.reversed().map { name in
      var text = "/"
      for scalar in name.unicodeScalars.prefix(64) {
        switch scalar {
        case "~": text += "~0"
        case "/": text += "~1"
        default: text.unicodeScalars.append(scalar)
        }
      }
      return text
    }.joined()
  }

  public var description: String { "\(way.isEmpty ? "the payload" : pointer) \(reason)" }
}

/// A subset of JSON Schema (draft 2020-12): *type, enum, const, required, properties,
/// additionalProperties, items, minItems, maxItems, minimum, maximum, exclusiveMinimum,
/// exclusiveMaximum, minLength, maxLength, pattern*. Annotations (*title, description, examples …) are
/// passed over; any other keyword is refused, so that nobody believes in a check that isn't made.
///
/// A value is checked in time linear in its size, and within `stepsMax`; see `TextPattern` for *pattern*.
public struct JSONSchema: Hashable, Sendable {
  /// Schemas within schemas, and all together.
  public static let depthMax = 32
  public static let nodesMax = 1_000
  /// Values of one `enum`, names of one `required`.
  public static let listMax = 1_000
  /// BUDGET: values looked at, values compared with and steps of patterns, for one payload; some
  /// 5 ms. What would take more is refused, since whoever checks has others to serve.
  public static let stepsMax = 500_000

  let root: SchemaNode

  /// - Throws: the first thing that is wrong with it.
  public init(_ json: JSONValue) throws(SchemaProblem) {
    var reader = SchemaReader()
    root = try reader.node(json, path: "", depth: 0)
  }

  /// A schema that only asks for members (S003-22).
  public init(requiring names: [String]) {
    root = SchemaNode(types: [.object], required: names)
  }

  /// - Throws: the first fault, in the order of the value.
  public func check(_ value: JSONValue) throws(SchemaFault) {
    var steps = StepBudget()
    try root.check(value, &steps)
  }
}

/// What may still be spent on one payload.
struct StepBudget {
  private var left = JSONSchema.stepsMax

  mutating func spend(_ count: Int) throws(SchemaFault) {
    left -= count
    guard left >= 0 else { throw SchemaFault("takes too long to check: send less at once") }
  }

  var most: Int { left }
}

enum SchemaType: String, Hashable, Sendable, CaseIterable {
  case null, boolean, object, array, number, integer, string

  func includes(_ value: JSONValue) -> Bool {
    switch (self, value) {
    case (.null, .null), (.boolean, .bool), (.object, .object), (.array, .array),
      (.number, .number), (.string, .string):
      true
    case (.integer, .number(let number)): number.isWhole
    default: false
    }
  }

  var noun: String {
    switch self {
    case .null: "null"
    case .boolean: "true or false"
    case .object: "an object"
    case .array: "a list"
    case .number: "a number"
    case .integer: "a whole number"
    case .string: "a text"
    }
  }
}

extension JSONNumber {
  /// Whether it has no fraction: `1`, `1.0` and `1e3` are whole (JSON Schema Validation §6.1.1).
  var isWhole: Bool {
    if int != nil { return true }
    guard let double else { return false }
    return double.rounded() == double
  }

  /// Whether it is below the other; both as 64-bit numbers if they are, else as floating-point ones.
  func isBelow(_ other: JSONNumber) -> Bool {
    if let int, let theirs = other.int { return int < theirs }
    // One beyond all floating-point numbers is as far out as its sign says.
    return (double ?? (text.hasPrefix("-") ? -.infinity : .infinity))
      < (other.double ?? (other.text.hasPrefix("-") ? -.infinity : .infinity))
  }

  func equals(_ other: JSONNumber) -> Bool { !isBelow(other) && !other.isBelow(self) }
}

extension JSONValue {
  /// Equal as JSON Schema means it: numbers by value, objects whatever the order of their members.
  func equals(_ other: JSONValue) -> Bool {
    switch (self, other) {
    case (.number(let a), .number(let b)): return a.equals(b)
    case (.string(let a), .string(let b)): return haveSameBytes(a, b)
    case (.array(let a), .array(let b)):
      return a.count == b.count && zip(a, b).allSatisfy { $0.equals($1) }
    case (.object(let a), .object(let b)):
      return a.count == b.count
        && a.members.allSatisfy { member in b[member.key]?.equals(member.value) ?? false }
    default: return self == other
    }
  }
}
