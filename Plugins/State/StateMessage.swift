import ChannelKit
import JSON

/// What a client tells a state, and what the state publishes of it.
///
///     {"event":"state.set", "key":"posture", "value":{…}, "version":7, "by":"ann"}
///     {"event":"state.patch", "key":"posture", "patch":{…}, "version":9}
///     {"event":"state.remove", "key":"posture", "version":12}
///     {"event":"state.clear"}
///
/// A client's `version` is the one that it has seen; a publication's is the one that it makes.
struct StateMessage {
  enum Change {
    /// The JSON as it was written.
    case set(key: String, value: [UInt8])
    case patch(key: String, [StateMember])
    case remove(key: String)
    case clear
  }

  static let bytesMax = 160 << 10
  static let keyBytesMax = 128
  /// How deep a value's objects and arrays may stand inside each other: with what stands around them
  /// they are within what every reader of JSON takes.
  static let depthMax = 32

  private(set) var change: Change
  private(set) var version: UInt64?
  private(set) var by: String?

  /// - Parameter eventName: what the client's protocol calls the event; counts where the object has
  ///   no member `event`.
  /// - Errors: not a JSON object, no such event, a member that is missing, unknown or of the wrong type.
  init(reading payload: Payload, named eventName: String? = nil) throws(ChannelError) {
    guard payload.kind != .binary, payload.kind != .jsonWithParts,
      payload.bytes.count <= Self.bytesMax
    else { throw .invalidPayload("a state takes JSON objects of at most \(Self.bytesMax) bytes") }
    var members = Members()
    var fault: String?
    do throws(JSONError) {
      var scanner = try JSONScanner(object: payload.bytes.span)
      while let member = try scanner.next(payload.bytes.span) {
        let memberFault = members.take(member, in: payload.bytes.span)
        fault = fault ?? memberFault
      }
    } catch {
      throw .invalidPayload("a state takes JSON objects; \(error)")
    }
    if let fault { throw .invalidPayload(fault) }
    version = members.version
    by = members.by
    change = try Self.change(members, members.event ?? eventName)
  }

  private static func change(_ members: Members, _ event: String?) throws(ChannelError) -> Change {
    switch event {
    case "state.clear":
      guard members.version == nil, members.key == nil else {
        throw .invalidPayload("state.clear has no key and no version")
      }
      return .clear
    case "state.set":
      let key = try key(members)
      guard let value = members.value else { throw .invalidPayload("value is missing") }
      try check(value)
      return .set(key: key, value: value)
    case "state.patch":
      let key = try key(members)
      guard let patch = members.patch else { throw .invalidPayload("patch is missing") }
      guard case .object(let list) = try check(patch) else {
        throw .invalidPayload("patch is an object")
      }
      return .patch(key: key, list)
    case "state.remove": return .remove(key: try key(members))
    default: throw .unknownEvent(event)
    }
  }

  private static func key(_ members: Members) throws(ChannelError) -> String {
    guard let key = members.key else { throw .invalidPayload("key is missing") }
    return key
  }

  /// Looks into all of a value: what is let in must be readable whatever is patched later.
  @discardableResult
  private static func check(_ json: [UInt8]) throws(ChannelError) -> StateValue {
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue.parse(json.span)
    } catch {
      throw .invalidPayload("the value can't be read; \(error)")
    }
    guard value.isWithin(depth: depthMax) else {
      throw .invalidPayload("a value is at most \(depthMax) levels deep")
    }
    return StateValue(whole: json)
  }

  func published(version: UInt64?, by actor: String?) -> Payload {
    var writer = JSONWriter(reserving: 256)
    writer.beginObject()
    switch change {
    case .set(let key, let value):
      writer.field("event", "state.set")
      writer.field("key", key)
      writer.key("value")
      writer.raw(value)
    case .patch(let key, let patch):
      writer.field("event", "state.patch")
      writer.field("key", key)
      writer.key("patch")
      StateValue.object(patch).write(to: &writer)
    case .remove(let key):
      writer.field("event", "state.remove")
      writer.field("key", key)
    case .clear: writer.field("event", "state.clear")
    }
    if let version { writer.field("version", version) }
    if let actor { writer.field("by", actor) }
    writer.endObject()
    return Payload(.json, writer.bytes)
  }

  /// What the sender is told.
  func acknowledgement(version: UInt64?) -> Payload {
    var writer = JSONWriter()
    writer.beginObject()
    switch change {
    case .set(let key, _), .patch(let key, _), .remove(let key): writer.field("key", key)
    case .clear: break
    }
    if let version { writer.field("version", version) }
    writer.endObject()
    return Payload(.json, writer.bytes)
  }
}

/// The members of one message, before anything is known about what they are for.
private struct Members {
  var event: String?
  var key: String?
  var value: [UInt8]?
  var patch: [UInt8]?
  var version: UInt64?
  var by: String?

  /// Takes one member over; the answer is what is wrong with it.
  mutating func take(_ member: JSONMember, in span: borrowing Span<UInt8>) -> String? {
    switch member.keyText(in: span) {
    case "event":
      guard let text = member.text(in: span) else { return "event is a string" }
      event = text
    case "key":
      guard let text = member.text(in: span), Self.isKey(text) else {
        return "key is 1 to \(StateMessage.keyBytesMax) of A-Z, a-z, 0-9 and - _ . : / @"
      }
      key = text
    case "value": value = [UInt8](copying: span.extracting(member.value))
    case "patch": patch = [UInt8](copying: span.extracting(member.value))
    case "version":
      guard let number = member.int(in: span), number >= 0 else {
        return "version is a whole number"
      }
      version = UInt64(number)
    // Said by the server; a client's word for it counts for nothing.
    case "by": by = member.text(in: span).flatMap { $0.utf8.count <= 256 ? $0 : nil }
    default: return "only event, key, value, patch and version are known"
    }
    return nil
  }

  /// All ASCII, so that equal keys have the same bytes.
  private static func isKey(_ text: String) -> Bool {
    (1...StateMessage.keyBytesMax).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case 45...58, 64...90, 95, 97...122: true
        default: false
        }
      }
  }
}

extension JSONValue {
  /// Whether objects and arrays stand at most `depth` deep.
  fileprivate func isWithin(depth: Int) -> Bool {
    switch self {
    case .array(let list): depth > 0 && list.allSatisfy { $0.isWithin(depth: depth - 1) }
    case .object(let object):
      depth > 0 && object.members.allSatisfy { $0.value.isWithin(depth: depth - 1) }
    default: true
    }
  }
}
