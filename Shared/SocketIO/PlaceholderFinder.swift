internal import Bytes
internal import JSON

/// Finds the objects that stand for attachments in JSON that was validated.
///
/// One pass, whatever the depth; the stack is as deep as the JSON, which is bounded. A placeholder
/// is an object of exactly `"_placeholder":true` and `"num":` a number of an attachment. Keys may be
/// written with escapes, as any JSON string.
struct PlaceholderFinder {
  private enum Key { case mark, number, other }

  private struct Container {
    var start: Int
    var isObject: Bool
    var expectsKey: Bool
    var key = Key.other
    var members = 0
    var isMarked = false
    var number: Int?
  }

  private let attachments: Int
  private var stack: [Container] = []
  private var found: [SocketPlaceholder] = []
  private var isNamed: [Bool]

  /// The placeholders of `span` in order, for a packet with that many attachments.
  static func find(
    in span: borrowing Span<UInt8>, attachments: Int
  ) throws(SocketError) -> [SocketPlaceholder] {
    var finder = PlaceholderFinder(attachments: attachments)
    try finder.run(span)
    return finder.found
  }

  private init(attachments: Int) {
    self.attachments = attachments
    isNamed = [Bool](repeating: false, count: attachments)
  }

  private mutating func run(_ s: borrowing Span<UInt8>) throws(SocketError) {
    var i = 0
    while i < s.count {
      switch s[i] {
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        let isObject = s[i] == UInt8(ascii: "{")
        takeValue(.none)
        stack.append(Container(start: i, isObject: isObject, expectsKey: isObject))
        i += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        i += 1
        if let container = stack.popLast() { try close(container, end: i) }
      case UInt8(ascii: ","):
        if let top = stack.indices.last { stack[top].expectsKey = stack[top].isObject }
        i += 1
      case UInt8(ascii: "\""): i = takeString(s, from: i)
      case UInt8(ascii: "t"):
        takeValue(.isTrue)
        i += 4
      case UInt8(ascii: "f"), UInt8(ascii: "n"):
        takeValue(.none)
        i += 4
      case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): i = takeNumber(s, from: i)
      // White space, colons, and the last letter of `false`.
      default: i += 1
      }
    }
  }

  private enum Value {
    case none, isTrue
    case number(Int)
  }

  /// A value in the innermost container. Of a key that stands twice the last counts.
  private mutating func takeValue(_ value: Value) {
    guard let top = stack.indices.last, stack[top].isObject else { return }
    stack[top].members += 1
    switch (stack[top].key, value) {
    case (.mark, .isTrue): stack[top].isMarked = true
    case (.mark, _): stack[top].isMarked = false
    case (.number, .number(let number)): stack[top].number = number
    case (.number, _): stack[top].number = nil
    case (.other, _): break
    }
  }

  private mutating func takeString(_ s: borrowing Span<UInt8>, from start: Int) -> Int {
    var i = start + 1
    var hasEscapes = false
    while i < s.count, s[i] != UInt8(ascii: "\"") {
      if s[i] == UInt8(ascii: "\\") {
        hasEscapes = true
        i += 1
      }
      i += 1
    }
    guard let top = stack.indices.last, stack[top].expectsKey else {
      takeValue(.none)
      return i + 1
    }
    stack[top].expectsKey = false
    stack[top].key = Self.key(s, (start + 1)..<min(i, s.count), hasEscapes)
    return i + 1
  }

  private static func key(
    _ s: borrowing Span<UInt8>, _ contents: Range<Int>, _ hasEscapes: Bool
  ) -> Key {
    // Twelve characters, and up to six bytes for each of them.
    guard contents.count >= 3, contents.count <= 72, hasEscapes || contents.count <= 12 else {
      return .other
    }
    guard let name = try? JSON.unescape(s, contents: contents) else { return .other }
    if name.elementsEqual("_placeholder".utf8) { return .mark }
    return name.elementsEqual("num".utf8) ? .number : .other
  }

  /// Digits only are taken as a number; it may have as many as the highest attachment's.
  private mutating func takeNumber(_ s: borrowing Span<UInt8>, from start: Int) -> Int {
    var i = start
    var number: Int? = 0
    while i < s.count, Self.belongsToNumber(s[i]) {
      let digit = Int(s[i]) - 0x30
      if let value = number, (0...9).contains(digit), value < attachments {
        number = value * 10 + digit
      } else {
        number = nil
      }
      i += 1
    }
    if let number { takeValue(.number(number)) } else { takeValue(.none) }
    return i
  }

  private static func belongsToNumber(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"),
      UInt8(ascii: "E"):
      true
    default: false
    }
  }

  private mutating func close(_ container: Container, end: Int) throws(SocketError) {
    guard container.isMarked else { return }
    guard container.members == 2, let number = container.number, number < attachments,
      !isNamed[number]
    else { throw .invalidPlaceholder }
    isNamed[number] = true
    found.append(SocketPlaceholder(range: container.start..<end, attachment: number))
  }
}
