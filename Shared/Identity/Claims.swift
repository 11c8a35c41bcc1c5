internal import Bytes
internal import Config
internal import JSON

/// The claims of a token whose signature is good (RFC 7519 §4), and those that Centrifugo's users
/// know. What no rule names is ignored.
struct Claims {
  private let payload: [UInt8]
  private let members: JSONObject
  private let now: Int64

  /// Checks what every token has to say.
  init(verified payload: [UInt8], _ rules: TokenRules, now: Int64) throws(TokenError) {
    guard let members = try? JSONValue.parse(payload.span).object else { throw .malformed }
    self.payload = payload
    self.members = members
    self.now = now
    try checkTimes(leeway: Int64(rules.leewaySeconds))
    if let issuer = rules.issuer {
      guard let named = try text("iss"), named.utf8.elementsEqual(issuer.utf8) else {
        throw .wrongIssuer
      }
    }
    try checkAudience(rules.audience)
  }

  /// Claims that no token brought: whose they are is known.
  init(trusted payload: [UInt8], leewaySeconds: Int, now: Int64) throws(TokenError) {
    guard payload.count <= TokenLimits.bytesMax,
      let members = try? JSONValue.parse(payload.span).object
    else { throw .malformed }
    self.payload = payload
    self.members = members
    self.now = now
    try checkTimes(leeway: Int64(leewaySeconds))
  }

  private func checkTimes(leeway: Int64) throws(TokenError) {
    guard let expiry = try seconds("exp") else { throw .missingClaim }
    guard now < expiry + leeway else { throw .expired }
    for name in ["nbf", "iat"] {
      if let moment = try seconds(name), moment > now + leeway { throw .notYetValid }
    }
  }

  /// RFC 7519 §4.1.3: one text, or an array of them.
  private func checkAudience(_ audience: String?) throws(TokenError) {
    var named: [String] = []
    switch members["aud"] {
    case nil: break
    case .string(let text)?: named = [text]
    case .array(let values)?:
      for value in values {
        guard let text = value.string else { throw .invalidClaim }
        named.append(text)
      }
    default: throw .invalidClaim
    }
    if let audience {
      guard named.contains(where: { $0.utf8.elementsEqual(audience.utf8) }) else {
        throw .wrongAudience
      }
    } else if members["aud"] != nil {
      throw .wrongAudience
    }
  }

  func identity() throws(TokenError) -> Identity {
    guard members["channel"] == nil else { throw .wrongPurpose }
    return Identity(
      user: try user(), roles: try roles(), capabilities: try capabilities(),
      channels: try channels(), info: try info(), tokenID: try text("jti"),
      session: try text("sid"), issuedAt: try seconds("iat"), expiresAt: try end())
  }

  func grant() throws(TokenError) -> SubscriptionGrant {
    guard let channel = members["channel"] else { throw .wrongPurpose }
    var grant = SubscriptionGrant(
      user: try user(), channel: try name(channel), info: try info(), tokenID: try text("jti"),
      session: try text("sid"), issuedAt: try seconds("iat"), expiresAt: try end())
    grant.data = try written("data")
    return grant
  }

  /// `sub`; nobody where it is absent or empty.
  private func user() throws(TokenError) -> String? {
    guard let user = try text("sub"), !user.isEmpty else { return nil }
    return user
  }

  private func roles() throws(TokenError) -> Set<String> {
    var roles: Set<String> = []
    for value in try array(members["roles"], countMax: TokenLimits.rolesMax) {
      guard let role = value.string, !role.isEmpty, role.utf8.count <= TokenLimits.userBytesMax
      else { throw .invalidClaim }
      roles.insert(role)
    }
    return roles
  }

  private func channels() throws(TokenError) -> [ChannelName] {
    var names: [ChannelName] = []
    for value in try array(members["channels"], countMax: TokenLimits.channelsMax) {
      names.append(try name(value))
    }
    return names
  }

  /// `caps: [{channels: [PATTERN], allow: ["sub", "pub", "prs", "hst"], match: "wildcard"}]`. A star
  /// is in no channel's name, so that `match` says nothing more; another kind of match is refused.
  private func capabilities() throws(TokenError) -> [Capability] {
    var capabilities: [Capability] = []
    var count = 0
    for value in try array(members["caps"], countMax: TokenLimits.capabilitiesMax) {
      guard value.object != nil else { throw .invalidClaim }
      if let match = value["match"], match.string != "wildcard" { throw .invalidClaim }
      var capability = Capability(channels: [], rights: [])
      for entry in try array(value["channels"], countMax: TokenLimits.channelsMax) {
        guard let pattern = entry.string.flatMap({ ChannelPattern($0) }) else {
          throw .invalidClaim
        }
        capability.channels.append(pattern)
      }
      for entry in try array(value["allow"], countMax: 16) {
        guard let right = entry.string.flatMap({ Rights(claim: $0) }) else { throw .invalidClaim }
        capability.rights.insert(right)
      }
      count += capability.channels.count
      guard count <= TokenLimits.channelsMax else { throw .invalidClaim }
      capabilities.append(capability)
    }
    return capabilities
  }

  private func info() throws(TokenError) -> [UInt8]? { try written("info") }

  /// The bytes of a member's value as they were written; nil where there is none.
  private func written(_ name: String) throws(TokenError) -> [UInt8]? {
    guard let value = members[name], !value.isNull else { return nil }
    do {
      var scanner = try JSONScanner(object: payload.span)
      while let member = try scanner.next(payload.span) {
        if member.isKey(name, in: payload.span) { return Array(payload[member.value]) }
      }
    } catch {}
    throw .malformed
  }

  /// `expire_at`, where 0 is never, else `exp`.
  private func end() throws(TokenError) -> Int64? {
    guard let end = try seconds("expire_at") else { return try seconds("exp") }
    guard end != 0 else { return nil }
    guard end > now else { throw .expired }
    return end
  }

  /// A NumericDate (RFC 7519 §2) in whole seconds, cut; up to the year 9999.
  private func seconds(_ name: String) throws(TokenError) -> Int64? {
    guard let value = members[name] else { return nil }
    guard let number = value.double, number >= 0, number < 253_402_300_800 else {
      throw .invalidClaim
    }
    return Int64(number)
  }

  /// Text of at most `TokenLimits.userBytesMax` bytes, without control characters.
  private func text(_ name: String) throws(TokenError) -> String? {
    guard let value = members[name] else { return nil }
    guard let text = value.string, text.utf8.count <= TokenLimits.userBytesMax,
      text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
    else { throw .invalidClaim }
    return text
  }

  private func name(_ value: JSONValue) throws(TokenError) -> ChannelName {
    guard let name = value.string.flatMap({ ChannelName($0) }) else { throw .invalidClaim }
    return name
  }

  private func array(_ value: JSONValue?, countMax: Int) throws(TokenError) -> [JSONValue] {
    guard let value else { return [] }
    guard let array = value.array, array.count <= countMax else { throw .invalidClaim }
    return array
  }
}
