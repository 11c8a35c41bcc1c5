import ChannelKit
import JSON

/// One cursor message: `{"userId": "…", "x": 1, "y": 2, "z": 3}`, and what else the client adds.
///
/// On its way out `userId` always comes first, so that it is found without reading the rest.
struct CursorMove {
  /// BUDGET: a cursor moves many times a second; what is not tiny is no position.
  static let bytesMax = 1_024
  static let userBytesMax = 256

  /// The user that the message claims, if any.
  private(set) var user: String?
  /// The other members, from the first key's quote to the last value.
  private var rest = JSONWriter()
  private var hasX = false
  private var hasY = false

  /// - Errors: not a JSON object of at most `bytesMax`; `x` or `y` missing; a coordinate that is no
  ///   finite number.
  init(reading payload: Payload) throws(ChannelError) {
    guard payload.kind != .binary, payload.kind != .jsonWithParts,
      payload.bytes.count <= Self.bytesMax
    else { throw .invalidPayload("a cursor is a JSON object of at most \(Self.bytesMax) bytes") }
    var fault: String?
    do throws(JSONError) {
      var scanner = try JSONScanner(object: payload.bytes.span)
      while let member = try scanner.next(payload.bytes.span) {
        let memberFault = take(member, in: payload.bytes.span)
        fault = fault ?? memberFault
      }
    } catch {
      throw .invalidPayload("a cursor is a JSON object; \(error)")
    }
    if let fault { throw .invalidPayload(fault) }
    guard hasX, hasY else { throw .invalidPayload("a cursor has an x and a y") }
  }

  /// What is published: the message as that user's.
  func payload(for user: String) -> Payload {
    var writer = JSONWriter(reserving: rest.bytes.count + user.utf8.count + 16)
    writer.beginObject()
    writer.field("userId", user)
    writer.raw(rest.bytes)
    writer.endObject()
    return Payload(.json, writer.bytes)
  }

  /// What is published when a user's cursor is gone. No client can send the like: it has no x.
  static func leave(of user: String) -> Payload {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("userId", user)
    writer.field("left", true)
    writer.endObject()
    return Payload(.json, writer.bytes)
  }

  /// Several messages as one JSON array.
  static func list(_ payloads: [Payload]) -> Payload {
    var writer = JSONWriter()
    writer.beginArray()
    for payload in payloads { writer.raw(payload.bytes) }
    writer.endArray()
    return Payload(.json, writer.bytes)
  }

  /// Whose a published message is; nil for what this type has not published.
  static func user(in payload: Payload) -> String? {
    guard payload.kind == .json else { return nil }
    do throws(JSONError) {
      var scanner = try JSONScanner(object: payload.bytes.span)
      guard let first = try scanner.next(payload.bytes.span),
        first.isKey("userId", in: payload.bytes.span)
      else { return nil }
      return first.text(in: payload.bytes.span)
    } catch {
      return nil
    }
  }

  /// Takes one member over; the answer is what is wrong with it.
  private mutating func take(_ member: JSONMember, in span: borrowing Span<UInt8>) -> String? {
    let name = member.keyText(in: span)
    switch name {
    case "userId":
      guard let text = member.text(in: span), (1...Self.userBytesMax).contains(text.utf8.count)
      else { return "userId is a string of 1 to \(Self.userBytesMax) bytes" }
      user = text
      return nil
    case "x", "y", "z":
      guard Self.isFinite(member, in: span) else { return "\(name) must be a finite number" }
      hasX = hasX || name == "x"
      hasY = hasY || name == "y"
    default: break
    }
    rest.key(name)
    rest.raw(span.extracting(member.value))
    return nil
  }

  /// JSON can spell numbers that no double holds, such as 1e999.
  private static func isFinite(_ member: JSONMember, in span: borrowing Span<UInt8>) -> Bool {
    guard member.kind == .number, let text = String(validating: span.extracting(member.value)),
      let number = Double(text)
    else { return false }
    return number.isFinite
  }
}
