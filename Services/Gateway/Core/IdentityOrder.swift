internal import Bytes
internal import ChannelKit
internal import Identity
internal import JSON

/// Something that has to happen to open connections, on every loop of every gateway. Pure.
enum IdentityOrder: Equatable, Sendable {
  case revoke(Revocation)
  case disconnect(Whom)
  case unsubscribe(Whom, ChannelName)

  /// The connections that are meant.
  struct Whom: Equatable, Sendable {
    var user: String?
    /// The client's id, 16 hexadecimal digits.
    var client: String?
    /// `sid` of its token.
    var session: String?
    /// When it was ordered, in milliseconds since 1970: who has come since has come back.
    var before: Int64?

    /// Every name that is given has to fit; without any nobody is meant.
    ///
    /// - Parameter since: when the connection was made, in milliseconds since 1970.
    func includes(_ identity: Identity?, _ context: ClientContext, since: Int64 = 0) -> Bool {
      guard user != nil || client != nil || session != nil else { return false }
      if let before, since > before { return false }
      if let client, context.id?.text != client { return false }
      if let user, !(identity?.user.map { $0.utf8.elementsEqual(user.utf8) } ?? false) { return false }
      if let session, !(identity?.session.map { $0.utf8.elementsEqual(session.utf8) } ?? false) {
        return false
      }
      return true
    }
  }

  // MARK: as text in the store

  /// - Parameter origin: the gateway that it comes from, which has carried it out already.
  func json(origin: String) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("by", origin)
    switch self {
    case .revoke(let revocation):
      writer.field("do", "revoke")
      switch revocation.target {
      case .token(let id): writer.field("jti", id)
      case .session(let id): writer.field("session", id)
      case .user(let name): writer.field("user", name)
      }
      writer.field("at", revocation.at)
      writer.field("until", revocation.until)
    case .disconnect(let whom):
      writer.field("do", "disconnect")
      whom.append(to: &writer)
    case .unsubscribe(let whom, let channel):
      writer.field("do", "unsubscribe")
      whom.append(to: &writer)
      writer.field("channel", channel.text)
    }
    writer.endObject()
    return writer.bytes
  }

  /// Nil for what a later version may have written: it is passed over.
  init?(json: [UInt8]) {
    guard let value = try? JSONValue.parse(json.span), let what = value["do"]?.string else {
      return nil
    }
    let whom = Whom(value)
    switch what {
    case "revoke":
      guard let at = value["at"]?.int, let until = value["until"]?.int,
        let target = Revocation.Target(value)
      else { return nil }
      self = .revoke(Revocation(target, at: at, until: until))
    case "disconnect": self = .disconnect(whom)
    case "unsubscribe":
      guard let channel = value["channel"]?.string.flatMap({ ChannelName($0) }) else { return nil }
      self = .unsubscribe(whom, channel)
    default: return nil
    }
  }

  static func origin(json: [UInt8]) -> String? {
    (try? JSONValue.parse(json.span))?["by"]?.string
  }
}

extension IdentityOrder.Whom {
  init(_ value: JSONValue) {
    self.init(
      user: value["user"]?.string, client: value["client"]?.string,
      session: value["session"]?.string, before: value["before"]?.int)
  }

  fileprivate func append(to writer: inout JSONWriter) {
    if let user { writer.field("user", user) }
    if let client { writer.field("client", client) }
    if let session { writer.field("session", session) }
    if let before { writer.field("before", before) }
  }
}

extension Revocation.Target {
  /// By exactly one of `jti`, `session` and `user`.
  init?(_ value: JSONValue) {
    let named = (value["jti"]?.string, value["session"]?.string, value["user"]?.string)
    switch named {
    case (let id?, nil, nil) where !id.isEmpty: self = .token(id)
    case (nil, let id?, nil) where !id.isEmpty: self = .session(id)
    case (nil, nil, let name?) where !name.isEmpty: self = .user(name)
    default: return nil
    }
  }
}
