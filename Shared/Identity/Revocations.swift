/// One thing that is not believed any more.
public struct Revocation: Equatable, Sendable {
  public enum Target: Hashable, Sendable {
    /// One token, by `jti`.
    case token(String)
    /// All tokens of one sign-in, by `sid`.
    case session(String)
    /// All tokens of a user that were issued up to the revocation.
    case user(String)
  }

  public var target: Target
  /// When it was revoked, in seconds of Unix time. Of a user's tokens those with a later `iat` are
  /// good again; one without `iat` is not.
  public var at: Int64
  /// When it need not be remembered any longer, in seconds of Unix time.
  public var until: Int64

  public init(_ target: Target, at: Int64, until: Int64) {
    self.target = target
    self.at = at
    self.until = until
  }
}

/// What has been revoked and may still be shown. A plain value.
///
/// Bounded: a revocation that finds no room is refused, since forgetting another one would let a
/// token in again. Names are compared by their bytes.
public struct Revocations: Equatable, Sendable {
  private struct Entry: Equatable, Sendable {
    var at: Int64
    var until: Int64
  }

  private var tokens: [[UInt8]: Entry] = [:]
  private var sessions: [[UInt8]: Entry] = [:]
  private var users: [[UInt8]: Entry] = [:]

  /// BUDGET: some 15 MB.
  public static let countMax = 100_000

  public init() {}

  public var count: Int { tokens.count + sessions.count + users.count }

  /// Adds one; false where there is no room.
  public mutating func add(_ revocation: Revocation, now: Int64) -> Bool {
    guard revocation.until > now else { return true }
    if count >= Self.countMax { forget(now: now) }
    guard count < Self.countMax else { return false }
    switch revocation.target {
    case .token(let id): Self.add(revocation, Array(id.utf8), &tokens)
    case .session(let id): Self.add(revocation, Array(id.utf8), &sessions)
    case .user(let name): Self.add(revocation, Array(name.utf8), &users)
    }
    return true
  }

  /// A revocation never takes anything back: the later moments count.
  private static func add(
    _ revocation: Revocation, _ key: [UInt8], _ entries: inout [[UInt8]: Entry]
  ) {
    let before = entries[key]
    entries[key] = Entry(
      at: max(revocation.at, before?.at ?? .min), until: max(revocation.until, before?.until ?? .min))
  }

  public mutating func forget(now: Int64) {
    tokens = tokens.filter { $0.value.until > now }
    sessions = sessions.filter { $0.value.until > now }
    users = users.filter { $0.value.until > now }
  }

  public func revokes(_ identity: Identity) -> Bool {
    revokes(identity.tokenID, identity.session, identity.user, identity.issuedAt)
  }

  public func revokes(_ grant: SubscriptionGrant) -> Bool {
    revokes(grant.tokenID, grant.session, grant.user, grant.issuedAt)
  }

  private func revokes(
    _ token: String?, _ session: String?, _ user: String?, _ issuedAt: Int64?
  ) -> Bool {
    if let token, tokens[Array(token.utf8)] != nil { return true }
    if let session, sessions[Array(session.utf8)] != nil { return true }
    guard let user, let entry = users[Array(user.utf8)] else { return false }
    return issuedAt.map { $0 <= entry.at } ?? true
  }
}
