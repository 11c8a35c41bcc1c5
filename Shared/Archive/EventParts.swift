internal import Bytes
internal import JSON
internal import Wire

/// What the members of a JSON object say of one event, as they are read: both formats of files have the
/// same parts under names of their own. Pure.
struct EventParts {
  var offset: Offset?
  var timeMs: Int64?
  var kind: PayloadKind?
  var client: UInt64 = 0
  var user = ""
  var type = ""
  var meta: [UInt8] = []
  var payload: [UInt8]?
  var chain: StreamChain?

  /// Takes the value of `data`: JSON as it stands, or the characters of a string; false for another kind
  /// of payload. The kind was named before.
  mutating func take(data member: JSONMember, _ span: borrowing Span<UInt8>) -> Bool {
    guard payload == nil, let kind else { return false }
    switch kind {
    case .json: payload = [UInt8](copying: span.extracting(member.value))
    case .text, .uncheckedText: payload = member.utf8(in: span)
    case .binary, .jsonWithParts: return false
    }
    return payload != nil
  }

  mutating func take(base64 member: JSONMember, _ span: borrowing Span<UInt8>) -> Bool {
    guard payload == nil, let text = member.text(in: span) else { return false }
    payload = bytes(base64: text)
    return payload != nil
  }

  /// Nil where a part is missing that every event has.
  var event: StoredEvent? {
    guard let offset, let timeMs, let kind, let payload else { return nil }
    return StoredEvent(
      offset: offset, timeMs: timeMs, publisher: Publisher(client: client, user: user),
      eventType: type, meta: meta, payload: Payload(kind, payload))
  }
}

extension PayloadKind {
  /// What files and the API call it.
  var archiveName: String {
    switch self {
    case .json: "json"
    case .text: "text"
    case .binary: "binary"
    case .jsonWithParts: "json_with_parts"
    case .uncheckedText: "unchecked_text"
    }
  }

  init?(archiveName name: String) {
    guard let kind = Self.allCases.first(where: { $0.archiveName == name }) else { return nil }
    self = kind
  }
}

/// How a payload's very bytes stand in a line of JSON.
enum PayloadForm {
  /// JSON as it is, in `data`.
  case raw
  /// A string in `data`.
  case string([UInt8])
  /// Base64, in a member of another name: what a line can't have otherwise, and what is shorter so.
  case encoded

  init(_ payload: Payload) {
    switch payload.kind {
    case .json: self = Self.isOneValue(payload.bytes) ? .raw : .encoded
    case .text, .uncheckedText: self = Self.string(payload.bytes) ?? .encoded
    case .binary, .jsonWithParts: self = .encoded
    }
  }

  /// One value of JSON on one line, with nothing around it: read again it has the same bytes.
  private static func isOneValue(_ bytes: [UInt8]) -> Bool {
    let edges: Set<UInt8> = [9, 32]
    guard let first = bytes.first, let last = bytes.last, !edges.contains(first),
      !edges.contains(last), !bytes.contains(10), !bytes.contains(13)
    else { return false }
    // One level more than it has alone.
    let span = (([UInt8(ascii: "[")] + bytes) + [UInt8(ascii: "]")])
    return (try? JSON.validate(span.span)) != nil
  }

  private static func string(_ bytes: [UInt8]) -> PayloadForm? {
    guard String(validating: bytes.span) != nil else { return nil }
    var writer = JSONWriter(reserving: bytes.count + 16)
    writer.string(utf8: bytes.span)
    return writer.bytes.count > bytes.count * 4 / 3 + 64 ? nil : .string(writer.bytes)
  }

  func append(_ payload: Payload, base64Name: String, to writer: inout JSONWriter) {
    switch self {
    case .raw:
      writer.key("data")
      writer.raw(payload.bytes)
    case .string(let text):
      writer.key("data")
      writer.raw(text)
    case .encoded: writer.field(base64Name, base64(payload.bytes))
    }
  }
}
