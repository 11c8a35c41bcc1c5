internal import Bytes
internal import ChannelKit
internal import Identity
internal import JSON

/// Something that has to happen to open connections, on every loop of every gateway. Pure.
enum IdentityOrder: Equatable, Sendable {
  case revoke(Revocation)
  case disconnect(Whom, Farewell? = nil)
  case unsubscribe(Whom, ChannelName)
  /// Into a channel, whatever its rule says.
  case subscribe(Whom, Admission)
  /// Their right to be here ends then, in seconds of Unix time; at 0 it has ended.
  case refresh(Whom, until: Int64)

  /// What a back end has connections end with.
  struct Farewell: Equatable, Sendable {
    /// Codes that are an application's to give; clients don't come back after 4500 and more.
    static let codes: ClosedRange<Int64> = 4_000...4_999
    /// What a close frame holds.
    static let reasonBytesMax = 123

    var code: UInt16
    var reason: String

    /// Nil for a code that is not its to give, and for a reason that is too long.
    init?(_ code: Int64, _ reason: String) {
      guard Self.codes.contains(code), reason.utf8.count <= Self.reasonBytesMax else { return nil }
      (self.code, self.reason) = (UInt16(clamping: code), reason)
    }

    var refusal: Refusal {
      var refusal = Refusal.disconnected
      if !reason.isEmpty { refusal.message = reason }
      refusal.endsWith = code
      return refusal
    }
  }

  /// What a back end lets clients into.
  struct Admission: Equatable, Sendable {
    var channel: ChannelName
    /// JSON that others see of the client there.
    var info: [UInt8]?
    /// JSON that the client is told with it.
    var data: [UInt8]?
    /// When it ends, in seconds of Unix time.
    var until: Int64?
    /// From where on.
    var since: Position?
  }

  /// The connections that are meant.
  struct Whom: Equatable, Sendable {
    var user: String?
    /// The client's id, 16 hexadecimal digits.
    var client: String?
    /// `sid` of its token.
    var session: String?
    /// Ids of clients that stay, at most `exceptMax`.
    var except: [String] = []
    /// When it was ordered, in milliseconds since 1970: who has come since has come back.
    var before: Int64?
    /// About a client that has come back elsewhere. Gateways' clocks say nothing of which connection came
    /// later: that goes by where the order stands among all orders.
    var isFence = false
    /// There; nil at the gateway that gave the order.
    var place: Position?

    /// BUDGET: clients that one order leaves where they are.
    static let exceptMax = 100

    /// Every name that is given has to fit; without any nobody is meant.
    ///
    /// - Parameter since: when the connection was made, in milliseconds since 1970.
    func includes(_ identity: Identity?, _ context: ClientContext, since: Int64 = 0) -> Bool {
      guard user != nil || client != nil || session != nil else { return false }
      if let before, !isFence, since > before { return false }
      if let client, context.id?.text != client { return false }
      if let id = context.id?.text, except.contains(id) { return false }
      if let user, !(identity?.user.map { $0.utf8.elementsEqual(user.utf8) } ?? false) { return false }
      if let session, !(identity?.session.map { $0.utf8.elementsEqual(session.utf8) } ?? false) {
        return false
      }
      return true
    }
  }

  /// The same with its place among all orders, where that decides.
  func placed(at place: Position?) -> IdentityOrder {
    guard case .disconnect(var whom, let farewell) = self, whom.isFence else { return self }
    whom.place = place
    return .disconnect(whom, farewell)
  }

  var isFence: Bool {
    if case .disconnect(let whom, _) = self { whom.isFence } else { false }
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
    case .disconnect(let whom, let farewell):
      writer.field("do", "disconnect")
      whom.append(to: &writer)
      guard let farewell else { break }
      writer.field("code", Int64(farewell.code))
      writer.field("reason", farewell.reason)
    case .unsubscribe(let whom, let channel):
      writer.field("do", "unsubscribe")
      whom.append(to: &writer)
      writer.field("channel", channel.text)
    case .subscribe(let whom, let admission):
      writer.field("do", "subscribe")
      whom.append(to: &writer)
      admission.append(to: &writer)
    case .refresh(let whom, let until):
      writer.field("do", "refresh")
      whom.append(to: &writer)
      writer.field("until", until)
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
    case "disconnect":
      let farewell = value["code"]?.int.flatMap { Farewell($0, value["reason"]?.string ?? "") }
      self = .disconnect(whom, farewell)
    case "unsubscribe":
      guard let channel = value["channel"]?.string.flatMap({ ChannelName($0) }) else { return nil }
      self = .unsubscribe(whom, channel)
    case "subscribe":
      guard let admission = Admission(value) else { return nil }
      self = .subscribe(whom, admission)
    case "refresh":
      guard let until = value["until"]?.int else { return nil }
      self = .refresh(whom, until: until)
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
      session: value["session"]?.string,
      except: (value["whitelist"]?.array ?? []).prefix(Self.exceptMax).compactMap(\.string),
      before: value["before"]?.int, isFence: value["fence"]?.bool ?? false)
  }

  fileprivate func append(to writer: inout JSONWriter) {
    if let user { writer.field("user", user) }
    if let client { writer.field("client", client) }
    if let session { writer.field("session", session) }
    if !except.isEmpty {
      writer.key("whitelist")
      writer.value(.array(except.map { .string($0) }))
    }
    if let before { writer.field("before", before) }
    if isFence { writer.field("fence", true) }
  }
}

extension IdentityOrder.Admission {
  /// Nil for what a later version may have written.
  fileprivate init?(_ value: JSONValue) {
    guard let channel = value["channel"]?.string.flatMap({ ChannelName($0) }) else { return nil }
    func written(_ name: String) -> [UInt8]? {
      guard let given = value[name], !given.isNull else { return nil }
      var writer = JSONWriter()
      writer.value(given)
      return writer.bytes
    }
    self.init(
      channel: channel, info: written("info"), data: written("data"), until: value["until"]?.int,
      since: value["since"]?.string.flatMap { Position($0) })
  }

  fileprivate func append(to writer: inout JSONWriter) {
    writer.field("channel", channel.text)
    for (name, json) in [("info", info), ("data", data)] {
      guard let json else { continue }
      writer.key(name)
      writer.raw(json)
    }
    if let until { writer.field("until", until) }
    if let since { writer.field("since", since.description) }
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
