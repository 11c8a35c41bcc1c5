public import Bytes
internal import JSON

/// One publication as a client gets it.
public struct Publication: Hashable, Sendable {
  public let channel: ChannelName
  /// Nil in channels without history.
  public let position: Position?
  /// When it was sequenced, in milliseconds since 1970.
  public let timeMs: Int64
  public let payload: Payload
  /// The envelope as it came.
  public let envelope: [UInt8]

  public init(
    channel: ChannelName, position: Position?, timeMs: Int64, payload: Payload, envelope: [UInt8]
  ) {
    self.channel = channel
    self.position = position
    self.timeMs = timeMs
    self.payload = payload
    self.envelope = envelope
  }
}

/// A refusal that the server gave, in its own words.
public struct ServerRefusal: Error, Hashable, Sendable, CustomStringConvertible {
  /// The error's name where the server gives one, such as `permission_denied`, else its number.
  public let code: String
  public let message: String
  public init(code: String, message: String) {
    self.code = code
    self.message = message
  }
  public var description: String { message.isEmpty ? code : "\(message) (\(code))" }

  /// Whether the same request may be granted later.
  public var isTemporary: Bool {
    [
      "internal", "unavailable", "store_unavailable", "overloaded", "limit_exceeded", "rate_limited",
      "out_of_space", "outcome_unknown",
    ].contains(code)
  }

  /// Whether it says that the caller may not, rather than that the request is wrong.
  public var isAboutPermission: Bool {
    [
      "unauthorized", "permission_denied", "not_permitted", "authentication_required",
      "token_invalid", "token_expired", "token_revoked",
    ].contains(code)
  }
}

/// What a gateway says on a many-channel socket: an envelope, or a message with a `type`.
enum ServerMessage: Equatable {
  case publication(Publication)
  /// The greeting; `session` lets a returning client keep its presence.
  case connection(session: String?)
  case ack(id: String, Position?)
  /// Without `id` it answers nothing that we numbered; with a channel it is about that.
  case refusal(id: String?, ChannelName?, ServerRefusal)
  case presence(ChannelName?, type: String, JSONValue)
  case gap(ChannelName, dropped: Int64?)
  case unrecoverable(ChannelName, reason: String, goesOnFrom: Position?)
  case reconnect(afterMs: Int64)
  case pong(id: String?)
  /// A type that this version does not know, to be ignored.
  case unknown(type: String)

  /// Nil where `text` is no JSON object, or one that is neither message nor envelope.
  init?(_ text: [UInt8]) {
    do throws(JSONError) {
      let members = try Members(text.span)
      let message =
        members.isMessage ? Self.typed(text) : members.publication(text).map { .publication($0) }
      guard let message else { return nil }
      self = message
    } catch {
      return nil
    }
  }

  private static func typed(_ text: [UInt8]) -> ServerMessage? {
    guard let value = try? JSONValue.parse(text.span), let type = value["type"]?.string else {
      return nil
    }
    let channel = value["channel"]?.string.flatMap { ChannelName($0) }
    switch type {
    case "connection": return .connection(session: value["session"]?.string)
    case "ack": return identifier(value).map { .ack(id: $0, position(value, "offset")) }
    case "error": return .refusal(id: identifier(value), channel, refusal(value))
    case "join", "update", "leave", "presence": return .presence(channel, type: type, value)
    case "pong": return .pong(id: identifier(value))
    case "reconnect": return .reconnect(afterMs: value["after_ms"]?.int ?? 0)
    case "gap": return channel.map { .gap($0, dropped: value["dropped"]?.int) }
    case "unrecoverable":
      let reason = value["reason"]?.string ?? "unknown"
      return channel.map {
        .unrecoverable(
          $0, reason: reason, goesOnFrom: position(value, reason == "trimmed" ? "floor" : "head"))
      }
    default: return .unknown(type: type)
    }
  }

  /// Ids are echoed: a string or a number.
  private static func identifier(_ value: JSONValue) -> String? {
    value["id"]?.string ?? value["id"]?.int.map { String($0) }
  }

  static func refusal(_ value: JSONValue) -> ServerRefusal {
    let code =
      value["name"]?.string ?? value["code"]?.string ?? value["code"]?.int.map { String($0) }
      ?? "error"
    return ServerRefusal(code: code, message: value["message"]?.string ?? "")
  }

  static func position(_ value: JSONValue, _ offsetKey: String) -> Position? {
    guard let epoch = value["epoch"]?.string.flatMap({ Epoch($0) }),
      let offset = value[offsetKey]?.int, let offset = UInt64(exactly: offset)
    else { return nil }
    return Position(epoch: epoch, offset: Offset(offset))
  }
}

/// The members of an envelope, found in one pass; the payload is not built into values.
private struct Members {
  var isMessage = false
  var channel: String?
  var epoch: String?
  var offset: Int64?
  var time: Int64?
  var payload: Payload?

  init(_ span: borrowing Span<UInt8>) throws(JSONError) {
    var scanner = try JSONScanner(object: span)
    while let member = try scanner.next(span) {
      if member.isKey("type", in: span) { isMessage = true }
      if member.isKey("channel", in: span) { channel = member.text(in: span) }
      if member.isKey("epoch", in: span) { epoch = member.text(in: span) }
      if member.isKey("offset", in: span) { offset = member.int(in: span) }
      if member.isKey("time", in: span) { time = member.int(in: span) }
      if member.isKey("data", in: span) { payload = PayloadJSON.payload(data: member, in: span) }
      if member.isKey("b64data", in: span) {
        payload = try? PayloadJSON.payload(b64data: member, in: span)
      }
    }
  }

  func publication(_ text: [UInt8]) -> Publication? {
    guard let channel = channel.flatMap({ ChannelName($0) }), let payload else { return nil }
    var position: Position?
    if let epoch = epoch.flatMap({ Epoch($0) }),
      let offset = offset.flatMap({ UInt64(exactly: $0) })
    {
      position = Position(epoch: epoch, offset: Offset(offset))
    }
    return Publication(
      channel: channel, position: position, timeMs: time ?? 0, payload: payload, envelope: text)
  }
}
