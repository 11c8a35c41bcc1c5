import ChannelKit
import JSON

/// What a client sends to a board, and what the board publishes.
///
///     {"op":"add", "id":"7", "version":7, "author":"ann", "text":"…", "systemId":"sol"}
///     {"op":"change", "id":"7", "version":9, "by":"ann", "text":"…"}
///     {"op":"remove", "id":"7", "version":10, "by":"ann"}
///
/// Members that the board gives no meaning are the item's fields and keep their very bytes.
struct BoardMessage {
  enum Op: String { case add, change, remove }

  static let bytesMax = 128 << 10
  static let idBytesMax = 64
  static let authorBytesMax = 256
  static let fieldsMax = 32
  static let fieldNameBytesMax = 64

  private(set) var op = Op.add
  var id: String?
  var version: UInt64?
  private(set) var author: String?
  private(set) var isAnonymous = false
  private(set) var by: String?
  var fields: [BoardField] = []

  /// - Errors: not a JSON object, a member of the wrong type, or more than a message may hold.
  init(reading payload: Payload) throws(ChannelError) {
    guard payload.kind != .binary, payload.kind != .jsonWithParts,
      payload.bytes.count <= Self.bytesMax
    else { throw .invalidPayload("a board takes JSON objects of at most \(Self.bytesMax) bytes") }
    var fault: String?
    do throws(JSONError) {
      var scanner = try JSONScanner(object: payload.bytes.span)
      while let member = try scanner.next(payload.bytes.span) {
        let memberFault = take(member, in: payload.bytes.span)
        fault = fault ?? memberFault
      }
    } catch {
      throw .invalidPayload("a board takes JSON objects; \(error)")
    }
    if let fault { throw .invalidPayload(fault) }
  }

  /// Names the author: the user that the gateway knows, else who the message says it is.
  mutating func setAuthor(_ client: ClientContext) throws(ChannelError) {
    let author = client.user?.text ?? self.author ?? (client.isAPI ? "api" : "anonymous")
    guard author.utf8.count <= Self.authorBytesMax else {
      throw .limitReached("an author has at most \(Self.authorBytesMax) bytes")
    }
    self.author = author
    isAnonymous = client.user == nil && !client.isAPI
    by = nil
  }

  /// Names who changes or removes, where that is known.
  mutating func setActor(_ client: ClientContext) {
    by = client.user?.text ?? (client.isAPI ? "api" : nil)
    author = nil
    isAnonymous = false
  }

  func checkText(isNeeded: Bool) throws(ChannelError) {
    let text = fields.first { $0.name == "text" }
    guard text != nil || !isNeeded else { throw .invalidPayload("text is missing") }
    guard text?.value.first ?? UInt8(ascii: "\"") == UInt8(ascii: "\"") else {
      throw .invalidPayload("text must be a string")
    }
  }

  var fieldBytes: Int { fields.bytes }

  var payload: Payload {
    var writer = JSONWriter(reserving: fieldBytes + 128)
    writer.beginObject()
    writer.field("op", op.rawValue)
    if let id { writer.field("id", id) }
    if let version { writer.field("version", version) }
    if let author { writer.field("author", author) }
    if isAnonymous { writer.field("anonymous", true) }
    if let by { writer.field("by", by) }
    fields.write(to: &writer)
    writer.endObject()
    return Payload(.json, writer.bytes)
  }

  /// What the sender is told.
  var acknowledgement: Payload {
    var writer = JSONWriter()
    writer.beginObject()
    if let id { writer.field("id", id) }
    if let version { writer.field("version", version) }
    writer.endObject()
    return Payload(.json, writer.bytes)
  }

  /// Takes one member over; the answer is what is wrong with it.
  private mutating func take(_ member: JSONMember, in span: borrowing Span<UInt8>) -> String? {
    let name = member.keyText(in: span)
    switch name {
    case "op":
      guard let op = member.text(in: span).flatMap({ Op(rawValue: $0) }) else {
        return "op is add, change or remove"
      }
      self.op = op
    case "id":
      guard let id = member.text(in: span), Self.isID(id) else {
        return "id is 1 to \(Self.idBytesMax) of A-Z, a-z, 0-9, - and _"
      }
      self.id = id
    case "version":
      guard let version = member.int(in: span), version >= 0 else {
        return "version is a whole number"
      }
      self.version = UInt64(version)
    case "author", "by":
      guard let text = member.text(in: span), (1...Self.authorBytesMax).contains(text.utf8.count)
      else { return "\(name) is a string of 1 to \(Self.authorBytesMax) bytes" }
      if name == "author" { author = text } else { by = text }
    case "anonymous": isAnonymous = member.bool(in: span) ?? false
    case "time": break
    default: return add(BoardField(name, [UInt8](copying: span.extracting(member.value))))
    }
    return nil
  }

  private mutating func add(_ field: BoardField) -> String? {
    guard fields.count < Self.fieldsMax else {
      return "an item has at most \(Self.fieldsMax) fields"
    }
    guard field.name.utf8.count <= Self.fieldNameBytesMax else {
      return "a field's name has at most \(Self.fieldNameBytesMax) bytes"
    }
    fields.append(field)
    return nil
  }

  private static func isID(_ text: String) -> Bool {
    (1...idBytesMax).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 48...57, 65...90, 97...122, 45, 95: true
        default: false
        }
      }
  }
}
