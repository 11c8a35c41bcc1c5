public import Bytes
public import Config

/// Who a connection speaks for, and what a token of theirs allows it. A plain value; nothing in it
/// proves anything, the token did.
public struct Identity: Equatable, Sendable {
  /// `sub`, at most `TokenLimits.userBytesMax` bytes; nil for a token that names nobody.
  public var user: String?
  /// `roles`, for rules such as `role:admin`.
  public var roles: Set<String>
  /// `caps`, beyond what the channel rules allow everyone of that user and those roles.
  public var capabilities: [Capability]
  /// `channels`: what the server subscribes the client to by itself.
  public var channels: [ChannelName]
  /// `info`: JSON that others see of this client, as it was written.
  public var info: [UInt8]?
  /// `jti`, by which one token is revoked.
  public var tokenID: String?
  /// `sid`, by which all tokens of one sign-in are revoked.
  public var session: String?
  /// `iat` in seconds of Unix time, by which all tokens of a user up to a moment are revoked.
  public var issuedAt: Int64?
  /// When the connection's right ends, in seconds of Unix time: `expire_at`, else `exp`. Nil where
  /// `expire_at` is 0.
  public var expiresAt: Int64?
  /// The key of its token; nil where no token was shown.
  public var key: KeyMark?

  public init(
    user: String? = nil, roles: Set<String> = [], capabilities: [Capability] = [],
    channels: [ChannelName] = [], info: [UInt8]? = nil, tokenID: String? = nil,
    session: String? = nil, issuedAt: Int64? = nil, expiresAt: Int64? = nil
  ) {
    self.user = user
    self.roles = roles
    self.capabilities = capabilities
    self.channels = channels
    self.info = info
    self.tokenID = tokenID
    self.session = session
    self.issuedAt = issuedAt
    self.expiresAt = expiresAt
  }

  /// Who claims speak for that somebody we trust has made: a back end with a key, or our own ticket.
  /// Times are checked, issuer and audience are not.
  public init(trusted claims: [UInt8], leewaySeconds: Int = 0, now: Int64) throws(TokenError) {
    self = try Claims(trusted: claims, leewaySeconds: leewaySeconds, now: now).identity()
  }

  /// Whether the token itself allows something in a channel, whatever the channel's rule says.
  public func allows(_ right: Rights, in channel: ChannelName) -> Bool {
    capabilities.contains { capability in
      capability.rights.contains(right) && capability.channels.contains { $0.matches(channel) }
    }
  }

  /// Whether the right has ended at `now`, in seconds of Unix time.
  public func isExpired(now: Int64) -> Bool { expiresAt.map { now >= $0 } ?? false }
}

/// What may be done in a channel.
public struct Rights: OptionSet, Hashable, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  public static let subscribe = Rights(rawValue: 1)
  public static let publish = Rights(rawValue: 2)
  public static let presence = Rights(rawValue: 4)
  public static let history = Rights(rawValue: 8)

  /// The right that a token calls `name`: `sub`, `pub`, `prs` or `hst`, as Centrifugo does.
  init?(claim name: String) {
    switch name {
    case "sub": self = .subscribe
    case "pub": self = .publish
    case "prs": self = .presence
    case "hst": self = .history
    default: return nil
    }
  }
}

/// One element of `caps`: rights in all channels that some patterns match.
public struct Capability: Equatable, Sendable {
  public var channels: [ChannelPattern]
  public var rights: Rights

  public init(channels: [ChannelPattern], rights: Rights) {
    self.channels = channels
    self.rights = rights
  }
}

/// What a subscription token allows: one channel, to one user.
public struct SubscriptionGrant: Equatable, Sendable {
  public var user: String?
  public var channel: ChannelName
  /// `info`: JSON that others see of this client in this channel, as it was written.
  public var info: [UInt8]?
  /// `data`: JSON that the client is told with the answer to its subscription.
  public var data: [UInt8]?
  public var tokenID: String?
  public var session: String?
  public var issuedAt: Int64?
  /// When the subscription ends, in seconds of Unix time; nil where `expire_at` is 0.
  public var expiresAt: Int64?
  /// The key of its token.
  public var key: KeyMark?

  public init(
    user: String? = nil, channel: ChannelName, info: [UInt8]? = nil, tokenID: String? = nil,
    session: String? = nil, issuedAt: Int64? = nil, expiresAt: Int64? = nil
  ) {
    self.user = user
    self.channel = channel
    self.info = info
    self.tokenID = tokenID
    self.session = session
    self.issuedAt = issuedAt
    self.expiresAt = expiresAt
  }

  /// Whether it lets `identity` into `channel`: it was made out to that user and that channel.
  public func admits(_ identity: Identity, to channel: ChannelName) -> Bool {
    guard self.channel == channel else { return false }
    guard let user, let other = identity.user else { return user == nil && identity.user == nil }
    return user.utf8.elementsEqual(other.utf8)
  }

  /// Whether the right has ended at `now`, in seconds of Unix time.
  public func isExpired(now: Int64) -> Bool { expiresAt.map { now >= $0 } ?? false }
}
