internal import Bytes
internal import JSON
internal import SocketIO
internal import Wire

/// What a client of Socket.IO is told, as events and acknowledgements. Pure.
///
/// One object each, with the members that the same message has on `/ws`.
enum SocketIOMessages {
  /// An acknowledgement with an object of that `type`.
  static func answer(
    _ type: String, _ build: (inout JSONWriter) -> Void
  ) -> SocketBody {
    var writer = SocketBodyWriter(acknowledgementReserving: 64)
    writer.json.beginObject()
    writer.json.field("type", type)
    build(&writer.json)
    writer.json.endObject()
    return writer.finish()
  }

  static func answer(json: [UInt8]) -> SocketBody {
    var writer = SocketBodyWriter(acknowledgementReserving: 64)
    writer.json.raw(json)
    return writer.finish()
  }

  static func refusal(_ refusal: Refusal, channel: String?) -> SocketBody {
    answer(json: ControlMessage.error(id: nil, refusal, channel: channel))
  }

  /// The answer that a message is, and to what; nil for one that nobody asked for.
  static func answer(_ message: ServerMessage) -> (id: MessageID, body: SocketBody)? {
    switch message {
    case .ack(let id, let position, let reply): (id, ack(position, reply))
    case .error(let id?, let refusal, let channel): (id, Self.refusal(refusal, channel: channel))
    case .pong(let id?, let timeMs): (id, answer(json: ControlMessage.pong(id: nil, timeMs: timeMs)))
    case .signedIn(let id?, let client, let user, let expires):
      (id, answer(json: ControlMessage.signedIn(id: nil, client: client, user: user, expires: expires)))
    default: nil
    }
  }

  private static func ack(_ position: Position?, _ reply: Payload?) -> SocketBody {
    var writer = SocketBodyWriter(acknowledgementReserving: 64)
    writer.json.beginObject()
    writer.json.field("type", "ack")
    ControlMessage.append(position, to: &writer.json)
    if let reply {
      if reply.isAttached {
        writer.json.key("data")
        writer.attach(reply.bytes)
      } else {
        try? PayloadJSON.appendMember(reply, to: &writer.json)
      }
    }
    writer.json.endObject()
    return writer.finish()
  }

  /// An event of the message's type; nil where there is no such event.
  static func event(_ message: ServerMessage) -> SocketBody? {
    guard var writer = try? SocketBodyWriter(event: message.type) else { return nil }
    writer.json.raw(message.json)
    return writer.finish()
  }

  // MARK: plugins

  /// An event of a plugin's; nil for a name that no event may have.
  static func event(_ name: String, _ arguments: [Payload]) -> SocketBody? {
    guard var writer = try? SocketBodyWriter(event: name) else { return nil }
    append(arguments, to: &writer)
    return writer.finish()
  }

  static func answer(_ arguments: [Payload]) -> SocketBody {
    var writer = SocketBodyWriter(acknowledgementReserving: 64)
    append(arguments, to: &writer)
    return writer.finish()
  }

  private static func append(_ arguments: [Payload], to writer: inout SocketBodyWriter) {
    for payload in arguments {
      switch payload.kind {
      case .json: writer.json.raw(payload.bytes)
      case .text: writer.json.string(utf8: payload.bytes.span)
      case .uncheckedText:
        if JSON.isArrayOrObject(payload.bytes.span) { writer.json.raw(payload.bytes) } else {
          writer.json.string(utf8: payload.bytes.span)
        }
      case .binary, .jsonWithParts: writer.attach(payload.bytes)
      }
    }
  }
}
