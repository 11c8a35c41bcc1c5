internal import Bytes
internal import JSON

/// What a client says on a socket of several channels. Pure.
enum ClientMessage: Equatable {
  case publish(id: MessageID?, channel: String, payload: Payload, key: String)
  case subscribe(id: MessageID?, channel: String, since: String?, token: Credential?)
  case connect(id: MessageID?, Credential)
  /// Another token for the connection, or for one channel's subscription.
  case refresh(id: MessageID?, channel: String?, Credential)
  case unsubscribe(id: MessageID?, channel: String)
  case ping(id: MessageID?)

  /// What may be said before a client has signed in, where it has to.
  var mayComeFirst: Bool {
    switch self {
    case .connect, .ping: true
    default: false
    }
  }

  /// The channel that it is about, if it is about one.
  var channel: String? {
    switch self {
    case .publish(_, let channel, _, _), .subscribe(_, let channel, _, _),
      .unsubscribe(_, let channel):
      channel
    case .refresh(_, let channel, _): channel
    case .connect, .ping: nil
    }
  }

  var id: MessageID? {
    switch self {
    case .publish(let id, _, _, _), .subscribe(let id, _, _, _), .unsubscribe(let id, _),
      .ping(let id), .connect(let id, _), .refresh(let id, _, _):
      id
    }
  }

  struct Malformed: Error, Equatable {
    var id: MessageID?
    var message: String
  }

  /// Reads `{"id"?, "channel", "data" | "b64data", "idempotency_key"?}`, or one with a `type`.
  ///
  /// - Parameters:
  ///   - type: what the message is, where something else says so than the object; then it has the
  ///     `id` that is given here.
  static func parse(
    _ bytes: [UInt8], as type: String? = nil, id: MessageID? = nil
  ) throws(Malformed) -> ClientMessage {
    let span = bytes.span
    var fields = Fields()
    do throws(JSONError) {
      var scanner = try JSONScanner(object: span)
      while let member = try scanner.next(span) { fields.take(member, span) }
    } catch {
      throw Malformed(id: id, message: "the message is no JSON object: \(error)")
    }
    if let type { (fields.type, fields.id) = (type, id) }
    if let problem = fields.problem { throw Malformed(id: fields.id, message: problem) }
    return try fields.message()
  }

  private struct Fields {
    var id: MessageID?
    var type: String?
    var channel: String?
    var since: String?
    var key = ""
    var token: Credential?
    var ticket: Credential?
    var payload: Payload?
    var problem: String?

    mutating func take(_ member: JSONMember, _ span: borrowing Span<UInt8>) {
      if member.isKey("data", in: span) {
        set(PayloadJSON.payload(data: member, in: span))
      } else if member.isKey("channel", in: span) {
        channel = text(member, span, "channel")
      } else if member.isKey("id", in: span) {
        if let number = member.int(in: span) { id = .number(number) } else if member.kind != .null {
          id = member.text(in: span).map { .text($0) }
          if id == nil { problem = "id must be a whole number or a string" }
        }
      } else if member.isKey("b64data", in: span) {
        do throws(PayloadJSON.Refusal) {
          set(try PayloadJSON.payload(b64data: member, in: span))
        } catch { problem = "b64data must be a string of base64" }
      } else if member.isKey("idempotency_key", in: span) {
        key = text(member, span, "idempotency_key") ?? ""
      } else if member.isKey("type", in: span) {
        type = text(member, span, "type")
      } else if member.isKey("since", in: span) {
        since = text(member, span, "since")
      } else if member.isKey("token", in: span) {
        token = text(member, span, "token").map { .token($0) }
      } else if member.isKey("ticket", in: span) {
        ticket = text(member, span, "ticket").map { .ticket($0) }
      }
    }

    private mutating func set(_ value: Payload) {
      if payload != nil { problem = "send data or b64data, not both" }
      payload = value
    }

    private mutating func text(_ member: JSONMember, _ span: borrowing Span<UInt8>, _ name: String)
      -> String?
    {
      guard let text = member.text(in: span) else {
        problem = "\(name) must be a string"
        return nil
      }
      return text
    }

    func message() throws(Malformed) -> ClientMessage {
      switch type {
      case "ping": return .ping(id: id)
      case "subscribe":
        return .subscribe(id: id, channel: try named(), since: since, token: token)
      case "connect": return .connect(id: id, try credential())
      case "refresh": return .refresh(id: id, channel: channel, try credential())
      case "unsubscribe": return .unsubscribe(id: id, channel: try named())
      case nil, "publish":
        let channel = try named()
        guard let payload else {
          throw Malformed(id: id, message: "data or b64data is missing")
        }
        guard key.utf8.count <= 255 else {
          throw Malformed(id: id, message: "idempotency_key is over 255 bytes")
        }
        return .publish(id: id, channel: channel, payload: payload, key: key)
      default:
        throw Malformed(
          id: id,
          message: "unknown type; there are publish, subscribe, unsubscribe, connect, refresh and ping")
      }
    }

    private func credential() throws(Malformed) -> Credential {
      switch (token, ticket) {
      case (let one?, nil), (nil, let one?): return one
      default: throw Malformed(id: id, message: "send token or ticket, one of them")
      }
    }

    private func named() throws(Malformed) -> String {
      guard let channel else { throw Malformed(id: id, message: "channel is missing") }
      return channel
    }
  }
}
