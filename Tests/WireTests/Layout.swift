import Bytes

/// A body's layout, from the notation that messages state and docs/PROTOCOL.md explains:
///
///     layout = field *( " " field )
///     field  = name ":" type [ "?" ] / name ":[" layout "]u16"
///     type   = "u8" / "u16" / "u32" / "u64" / "i64" / "text16" / "bytes32"
///
/// A question mark stands after what was appended to a body and older builds leave out.
struct Layout: Equatable {
  indirect enum Shape: Equatable {
    case scalar(String)
    case list(Layout)
  }

  struct Field: Equatable {
    var name: String
    var shape: Shape
    var isAppended = false
  }

  var fields: [Field]

  static let types: Set<String> = ["u8", "u16", "u32", "u64", "i64", "text16", "bytes32"]

  struct Malformed: Error, Equatable {
    var text: String
  }

  init(_ text: String) throws {
    var rest = text[...]
    self = try Self(&rest, whole: text)
    guard rest.isEmpty else { throw Malformed(text: text) }
  }

  private init(_ rest: inout Substring, whole: String) throws {
    fields = []
    while true {
      guard let colon = rest.firstIndex(of: ":") else { throw Malformed(text: whole) }
      let name = String(rest[..<colon])
      guard !name.isEmpty, name.allSatisfy({ $0.isLetter || $0.isNumber }) else {
        throw Malformed(text: whole)
      }
      rest = rest[rest.index(after: colon)...]
      var field = Field(name: name, shape: try Self.shape(&rest, whole: whole))
      if rest.first == "?" {
        rest.removeFirst()
        field.isAppended = true
      } else if fields.last?.isAppended == true {
        throw Malformed(text: whole)
      }
      fields.append(field)
      guard rest.first == " " else { return }
      rest.removeFirst()
    }
  }

  private static func shape(_ rest: inout Substring, whole: String) throws -> Shape {
    if rest.first == "[" {
      rest.removeFirst()
      let element = try Layout(&rest, whole: whole)
      guard rest.hasPrefix("]u16") else { throw Malformed(text: whole) }
      rest.removeFirst(4)
      return .list(element)
    }
    let type = String(rest.prefix { $0.isLetter || $0.isNumber })
    guard types.contains(type) else { throw Malformed(text: whole) }
    rest.removeFirst(type.count)
    return .scalar(type)
  }
}

/// One field's bytes and what they are: a line of a golden vector.
struct LabelledBytes: Equatable {
  var bytes: [UInt8]
  var label: String
}

extension Layout {
  /// Takes `bytes` apart by this layout. What is left over, or missing, is an error.
  func label(_ bytes: [UInt8]) throws -> [LabelledBytes] {
    var cursor = ByteCursor(bytes.span)
    var lines: [LabelledBytes] = []
    try walk(&cursor, bytes, prefix: "", &lines)
    guard cursor.isAtEnd else { throw Leftover(bytes: cursor.remaining) }
    return lines
  }

  /// Where bodies of older builds end, which lack appended fields.
  func olderEnds(_ bytes: [UInt8]) throws -> Set<Int> {
    var ends: Set<Int> = []
    var end = 0
    let lines = try label(bytes)
    let appended = Set(fields.filter(\.isAppended).map(\.name))
    for line in lines {
      if appended.contains(String(line.label.prefix { $0 != " " })) { ends.insert(end) }
      end += line.bytes.count
    }
    return ends
  }

  struct Leftover: Error, Equatable {
    var bytes: Int
  }

  private func walk(
    _ cursor: inout ByteCursor, _ bytes: [UInt8], prefix: String, _ lines: inout [LabelledBytes]
  ) throws {
    for field in fields where !(field.isAppended && cursor.isAtEnd) {
      let name = prefix + field.name
      let start = cursor.offset
      switch field.shape {
      case .scalar(let type):
        let value = try Self.value(of: type, &cursor, bytes)
        lines.append(
          LabelledBytes(
            bytes: Array(bytes[start..<cursor.offset]), label: "\(name) \(type) \(value)"))
      case .list(let element):
        let count = try cursor.u16(bytes.span)
        lines.append(
          LabelledBytes(
            bytes: Array(bytes[start..<cursor.offset]), label: "\(name) count u16 \(count)"))
        for index in 0..<Int(count) {
          try element.walk(&cursor, bytes, prefix: "\(name)[\(index)].", &lines)
        }
      }
    }
  }

  /// The value of one scalar as a person reads it.
  private static func value(of type: String, _ c: inout ByteCursor, _ bytes: [UInt8]) throws
    -> String
  {
    switch type {
    case "u8": String(try c.u8(bytes.span))
    case "u16": String(try c.u16(bytes.span))
    case "u32": String(try c.u32(bytes.span))
    case "u64": String(try c.u64(bytes.span))
    case "i64": String(try c.i64(bytes.span))
    case "text16": abridged(try c.text16(bytes.span))
    default: "of \(try c.bytes32(bytes.span).count)"
    }
  }

  /// Quoted; only the beginning of a long text.
  private static func abridged(_ text: String) -> String {
    guard text.count > 40 else { return text.debugDescription }
    return "\(String(text.prefix(40)).debugDescription)… of \(text.utf8.count)"
  }
}
