internal import Bytes
internal import JSON
internal import SocketIO

/// What an event that a client sends to the main namespace asks for. Pure.
///
/// An event's first argument is an object with what a message of `/ws` has; bytes in it are
/// attachments, as the client's library makes them.
enum SocketIORequest {
  /// One that `/ws` has as well.
  case message(ClientMessage)
  case history(channel: String, ClientSession.HistoryRange)
  case presence(channel: String)
  /// It has no meaning of its own.
  case other(name: String)

  typealias Malformed = ClientMessage.Malformed

  static func read(
    _ event: SocketEvent, _ id: MessageID?
  ) throws(Malformed) -> SocketIORequest {
    guard case .text(let name) = event.name else { return .other(name: "") }
    switch name {
    case "subscribe", "unsubscribe", "refresh":
      return .message(try ClientMessage.parse(try object(event, id), as: name, id: id))
    case "ping": return .message(.ping(id: id))
    case "publish": return .message(try publish(event, id))
    case "history": return try history(try object(event, id), id)
    case "presence":
      let fields = try Self.fields(try object(event, id), id)
      return .presence(channel: try channel(fields, id))
    default: return .other(name: name)
    }
  }

  /// What a channel is published where an event has its name: the event's one argument.
  static func payload(
    of event: SocketEvent, _ id: MessageID?
  ) throws(Malformed) -> Payload {
    guard event.arguments.count == 1, let value = event.arguments.value(at: 0) else {
      throw Malformed(id: id, message: "an event of a channel has one argument: what is published")
    }
    return try payload(of: value, id)
  }

  static func payload(of value: SocketValue, _ id: MessageID?) throws(Malformed) -> Payload {
    switch value {
    case .json(let bytes): return Payload(.json, bytes)
    case .text(let bytes): return Payload(.text, bytes)
    case .binary(let bytes): return Payload(.binary, bytes)
    case .jsonWithParts:
      throw Malformed(id: id, message: "bytes inside JSON can't be published: send bytes, or JSON")
    }
  }

  // MARK: arguments

  private static func argument(
    _ event: SocketEvent, _ id: MessageID?
  ) throws(Malformed) -> JSONElement {
    guard let first = event.arguments.items.first, first.kind == .object else {
      throw Malformed(id: id, message: "the first argument has to be an object")
    }
    return first
  }

  private static func object(
    _ event: SocketEvent, _ id: MessageID?
  ) throws(Malformed) -> [UInt8] {
    Array(event.arguments.json[try argument(event, id).value])
  }

  private static func publish(
    _ event: SocketEvent, _ id: MessageID?
  ) throws(Malformed) -> ClientMessage {
    let object = try object(event, id)
    let message = try ClientMessage.parse(object, as: "publish", id: id)
    guard !event.arguments.placeholders.isEmpty,
      case .publish(_, let channel, _, let key) = message, let data = data(in: object)
    else { return message }
    let start = try argument(event, id).value.lowerBound
    let value = event.arguments.value((start + data.lowerBound)..<(start + data.upperBound))
    return .publish(id: id, channel: channel, payload: try payload(of: value, id), key: key)
  }

  /// Where the last member `data` of an object stands.
  private static func data(in object: [UInt8]) -> Range<Int>? {
    var found: Range<Int>?
    do throws(JSONError) {
      var scanner = try JSONScanner(object: object.span)
      while let member = try scanner.next(object.span) {
        if member.isKey("data", in: object.span) { found = member.value }
      }
    } catch { return nil }
    return found
  }

  // MARK: looks

  private static func fields(_ object: [UInt8], _ id: MessageID?) throws(Malformed) -> JSONValue {
    guard let value = try? JSONValue.parse(object.span) else {
      throw Malformed(id: id, message: "the first argument has to be an object")
    }
    return value
  }

  private static func channel(_ fields: JSONValue, _ id: MessageID?) throws(Malformed) -> String {
    guard let channel = fields["channel"]?.string else {
      throw Malformed(id: id, message: "channel must be a string")
    }
    return channel
  }

  private static func history(
    _ object: [UInt8], _ id: MessageID?
  ) throws(Malformed) -> SocketIORequest {
    let fields = try fields(object, id)
    var range = ClientSession.HistoryRange()
    if let since = fields["since"], !since.isNull {
      guard let position = since.string.flatMap({ Position($0) }) else {
        throw Malformed(id: id, message: "since is EPOCH:OFFSET")
      }
      range.since = position
    }
    if let limit = fields["limit"], !limit.isNull {
      guard let count = limit.int, count >= 0 else {
        throw Malformed(id: id, message: "limit is a whole number")
      }
      range.limit = UInt32(clamping: count)
    }
    range.isReverse = fields["reverse"]?.bool ?? false
    return .history(channel: try channel(fields, id), range)
  }
}
