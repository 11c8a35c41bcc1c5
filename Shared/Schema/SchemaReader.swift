internal import Bytes
internal import JSON

/// Reads a schema; see `JSONSchema` for what it may say.
struct SchemaReader {
  private var count = 0

  static let annotations: Set<String> = [
    "$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated",
    "readOnly", "writeOnly",
  ]
  static let keywords = [
    "type", "enum", "const", "required", "properties", "additionalProperties", "items", "minItems",
    "maxItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength",
    "maxLength", "pattern",
  ]

  mutating func node(_ json: JSONValue, path: String, depth: Int) throws(SchemaProblem)
    -> SchemaNode
  {
    count += 1
    guard depth < JSONSchema.depthMax else {
      throw SchemaProblem(path: path, reason: "schemas \(JSONSchema.depthMax) deep are the most")
    }
    guard count <= JSONSchema.nodesMax else {
      throw SchemaProblem(path: path, reason: "\(JSONSchema.nodesMax) schemas in one are the most")
    }
    var node = SchemaNode()
    switch json {
    case .bool(let allows): node.refusesAll = !allows
    case .object(let object):
      for member in object.members where !Self.annotations.contains(member.key) {
        let place = path.isEmpty ? member.key : "\(path).\(member.key)"
        try read(member.key, member.value, into: &node, place, depth)
      }
    default:
      throw SchemaProblem(path: path, reason: "write a schema here: an object, true or false")
    }
    return node
  }

  private mutating func read(
    _ keyword: String, _ value: JSONValue, into node: inout SchemaNode, _ path: String, _ depth: Int
  ) throws(SchemaProblem) {
    switch keyword {
    case "type": node.types = try types(value, path)
    case "enum": node.values = try list(value, path)
    case "const": node.values = [value]
    case "required": node.required = try names(value, path)
    case "properties": node.properties = try properties(value, path, depth)
    case "additionalProperties":
      node.others =
        switch value {
        case .bool(true): .any
        case .bool(false): .none
        default: .node(SchemaNode.Box(try self.node(value, path: path, depth: depth + 1)))
        }
    case "items": node.items = SchemaNode.Box(try self.node(value, path: path, depth: depth + 1))
    case "minItems": node.itemsLeast = try size(value, path)
    case "maxItems": node.itemsMost = try size(value, path)
    case "minLength": node.lengthLeast = try size(value, path)
    case "maxLength": node.lengthMost = try size(value, path)
    case "minimum": node.minimum = try number(value, path)
    case "maximum": node.maximum = try number(value, path)
    case "exclusiveMinimum": node.above = try number(value, path)
    case "exclusiveMaximum": node.below = try number(value, path)
    case "pattern": node.pattern = try pattern(value, path)
    default:
      throw SchemaProblem(
        path: path,
        reason:
          "this keyword isn't checked here; there are \(Self.keywords.joined(separator: ", "))")
    }
  }

  private func types(_ value: JSONValue, _ path: String) throws(SchemaProblem) -> [SchemaType] {
    var found: [SchemaType] = []
    for element in value.array ?? [value] {
      guard let type = element.string.flatMap({ SchemaType(rawValue: $0) }) else {
        let all = SchemaType.allCases.map(\.rawValue).joined(separator: ", ")
        throw SchemaProblem(path: path, reason: "write one of \(all), or a list of them")
      }
      found.append(type)
    }
    guard !found.isEmpty else {
      throw SchemaProblem(path: path, reason: "an empty list allows nothing")
    }
    return found
  }

  private func list(_ value: JSONValue, _ path: String) throws(SchemaProblem) -> [JSONValue] {
    guard let list = value.array, !list.isEmpty, list.count <= JSONSchema.listMax else {
      throw SchemaProblem(path: path, reason: "write a list of 1 to \(JSONSchema.listMax) values")
    }
    return list
  }

  private func names(_ value: JSONValue, _ path: String) throws(SchemaProblem) -> [String] {
    var names: [String] = []
    for element in value.array ?? [] {
      if let name = element.string { names.append(name) }
    }
    guard let list = value.array, list.count == names.count, names.count <= JSONSchema.listMax
    else {
      throw SchemaProblem(path: path, reason: "write a list of names: [\"type\", \"timestamp\"]")
    }
    return names
  }

  private mutating func properties(_ value: JSONValue, _ path: String, _ depth: Int)
    throws(SchemaProblem) -> [ExactText: SchemaNode.Box]
  {
    guard let object = value.object else {
      throw SchemaProblem(path: path, reason: "write an object of names and their schemas")
    }
    var found: [ExactText: SchemaNode.Box] = [:]
    for member in object.members {
      found[ExactText(member.key)] = SchemaNode.Box(
        try node(member.value, path: "\(path).\(member.key)", depth: depth + 1))
    }
    return found
  }

  private func size(_ value: JSONValue, _ path: String) throws(SchemaProblem) -> Int {
    guard let size = value.int, (0...1_000_000_000).contains(size) else {
      throw SchemaProblem(path: path, reason: "write a whole number, 0 or more")
    }
    return Int(size)
  }

  private func number(_ value: JSONValue, _ path: String) throws(SchemaProblem) -> JSONNumber {
    guard let number = value.number, number.double != nil else {
      throw SchemaProblem(path: path, reason: "write a number")
    }
    return number
  }

  private func pattern(_ value: JSONValue, _ path: String) throws(SchemaProblem) -> TextPattern {
    guard let text = value.string else {
      throw SchemaProblem(path: path, reason: "write a pattern: \"^[a-z]+$\"")
    }
    do throws(SchemaProblem) { return try TextPattern(text) } catch {
      throw SchemaProblem(path: path, reason: error.reason)
    }
  }
}
