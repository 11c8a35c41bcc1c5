internal import Bytes
internal import Config
internal import HTTPCodec
internal import Identity
internal import JSON
internal import Loop
internal import Platform

/// The methods of the API about who somebody is: *ticket*, *revoke*, *disconnect*, *unsubscribe*,
/// *subscribe*, *refresh*.
struct IdentityAPI {
  private let gateway: GatewayLoop

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private var authenticator: Authenticator { gateway.settings.authenticator }

  /// A ticket for whoever shows a token.
  func ticket(bearer token: String) -> Response {
    do throws(Refusal) {
      let answer = answer(try authenticator.ticket(token: token))
      var response = Response(
        .ok, "application/json", [UInt8]("{\"result\":".utf8) + answer + [125])
      response.fields.append(("Cache-Control", "no-store"))
      return response
    } catch {
      return .error(error)
    }
  }

  func call(_ method: String, _ value: JSONValue, _ completion: @escaping ServerAPI.Completion) {
    do throws(Refusal) {
      switch method {
      case "ticket": completion(.success(answer(try authenticator.ticket(claims: claims(value)))))
      case "revoke": publish(try revocation(value), completion)
      case "disconnect":
        publish(.disconnect(try whom(value), try farewell(value)), completion)
      case "subscribe": publish(.subscribe(try whom(value), try admission(value)), completion)
      case "refresh": publish(.refresh(try whom(value), until: try end(value)), completion)
      default: publish(.unsubscribe(try whom(value), try channel(value)), completion)
      }
    } catch { completion(.failure(error)) }
  }

  private func answer(_ ticket: Ticket) -> [UInt8] {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("ticket", ticket.reveal())
    writer.field("expires_in", authenticator.settings.ticketTTL.components.seconds)
    writer.endObject()
    return writer.bytes
  }

  /// The body is a token's claims; without `exp` they hold as long as a revocation is remembered.
  private func claims(_ value: JSONValue) -> [UInt8] {
    var claims = value.object ?? [:]
    let now = Authenticator.now
    if claims["exp"] == nil {
      claims["exp"] = .int(now + authenticator.settings.revocationTTL.components.seconds)
    }
    if claims["iat"] == nil { claims["iat"] = .int(now) }
    var writer = JSONWriter()
    writer.value(.object(claims))
    return writer.bytes
  }

  private func revocation(_ value: JSONValue) throws(Refusal) -> IdentityOrder {
    return .revoke(
      try Revocation(
        asked: value, at: Authenticator.now, leeway: Int64(authenticator.leewaySeconds),
        standardTTL: authenticator.settings.revocationTTL.components.seconds))
  }

  private func channel(_ value: JSONValue) throws(Refusal) -> ChannelName {
    guard let name = value["channel"]?.string.flatMap({ ChannelName($0) }) else {
      throw .badRequest("channel is missing or no channel")
    }
    return name
  }

  /// BUDGET: as much as a token may bring.
  private static let infoBytesMax = TokenLimits.bytesMax

  private func written(_ name: String, _ value: JSONValue) throws(Refusal) -> [UInt8]? {
    guard let given = value[name], !given.isNull else { return nil }
    var writer = JSONWriter()
    writer.value(given)
    guard writer.bytes.count <= Self.infoBytesMax else {
      throw .badRequest("\(name) is over \(Self.infoBytesMax) bytes")
    }
    return writer.bytes
  }

  private func admission(_ value: JSONValue) throws(Refusal) -> IdentityOrder.Admission {
    let name = try channel(value)
    guard gateway.settings.policy(name) != nil else { throw .unknownChannel(name) }
    var admission = IdentityOrder.Admission(channel: name)
    admission.info = try written("info", value)
    admission.data = try written("data", value)
    if let end = value["expire_at"], !end.isNull { admission.until = try moment(end) }
    if let since = value["recover_since"], !since.isNull {
      guard let offset = since["offset"]?.int, offset >= 0,
        let epoch = since["epoch"]?.string.flatMap({ Epoch($0) })
      else { throw .badRequest("recover_since is {offset, epoch}") }
      admission.since = Position(epoch: epoch, offset: Offset(UInt64(offset)))
    }
    return admission
  }

  /// When the connections' right ends; 0 where it has.
  private func end(_ value: JSONValue) throws(Refusal) -> Int64 {
    if value["expired"]?.bool == true { return 0 }
    guard let end = value["expire_at"] else {
      throw .badRequest("say expire_at, or that it has expired")
    }
    return try moment(end)
  }

  private func moment(_ value: JSONValue) throws(Refusal) -> Int64 {
    guard let seconds = value.int, seconds > Authenticator.now, seconds < 253_402_300_800 else {
      throw .badRequest("expire_at is a time to come, in whole seconds since 1970")
    }
    return seconds
  }

  /// What the connections end with; nil for what they always do.
  private func farewell(_ value: JSONValue) throws(Refusal) -> IdentityOrder.Farewell? {
    guard let given = value["disconnect"], !given.isNull else { return nil }
    guard let code = given["code"]?.int,
      let farewell = IdentityOrder.Farewell(code, given["reason"]?.string ?? "")
    else { throw .badRequest("disconnect is {code, reason}: a code from 4000 to 4999, and 123 bytes") }
    return farewell
  }

  private func whom(_ value: JSONValue) throws(Refusal) -> IdentityOrder.Whom {
    try Revocation.checkNames(value)
    var whom = IdentityOrder.Whom(value)
    whom.before = nil
    let most = IdentityOrder.Whom.exceptMax
    guard whom.except.count == value["whitelist"]?.array?.count ?? 0 else {
      throw .badRequest("whitelist is a list of ids of clients, at most \(most)")
    }
    guard whom.user != nil || whom.client != nil || whom.session != nil else { throw .badRequest("name user, client or session") }
    whom.before = gateway.loop.wallMilliseconds
    return whom
  }

  private func publish(_ order: IdentityOrder, _ completion: @escaping ServerAPI.Completion) {
    gateway.identityFeed.publish(order) { refusal in
      completion(refusal.map { .failure($0) } ?? .success([UInt8]("{}".utf8)))
    }
  }
}

extension Revocation {
  /// BUDGET: 30 days in seconds, the longest that a revocation is kept.
  static let ttlMax: Int64 = 30 * 86_400
  /// BUDGET: no token has a longer `jti`, `sid` or `sub`, so that a longer name would be kept for
  /// nothing.
  static let nameBytesMax = TokenLimits.userBytesMax

  /// What the API is asked for.
  ///
  /// - Parameters:
  ///   - now: in seconds of Unix time.
  ///   - leeway: for how many seconds clocks may differ.
  ///   - standardTTL: for how many seconds it is remembered where the request does not say.
  init(asked value: JSONValue, at now: Int64, leeway: Int64, standardTTL: Int64)
    throws(Refusal)
  {
    try Self.checkNames(value)
    guard let target = Target(value) else {
      throw .badRequest("name one of jti, session and user, a text that is not empty")
    }
    var ttl = standardTTL
    if let asked = value["ttl"] {
      guard let seconds = asked.int, (1...Self.ttlMax).contains(seconds) else {
        throw .badRequest("ttl is a whole number of seconds from 1 to \(Self.ttlMax)")
      }
      ttl = seconds
    }
    var at = now
    // Tokens of a back end whose clock is ahead are let in, so they have to go as well.
    if case .user = target { at += leeway }
    self.init(target, at: at, until: now + ttl)
  }

  /// Refuses names that no token and no client can have.
  static func checkNames(_ value: JSONValue) throws(Refusal) {
    for name in ["jti", "session", "user", "client"] {
      guard let text = value[name]?.string, text.utf8.count > nameBytesMax else { continue }
      throw .badRequest("\(name) has at most \(nameBytesMax) bytes")
    }
  }
}
