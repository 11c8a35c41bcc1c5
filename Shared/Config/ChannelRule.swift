public import Bytes
public import JSON
public import Schema

/// Who may do something with a channel. The API key always may.
public struct AccessRule: Hashable, Sendable {
  public enum Grant: Hashable, Sendable {
    /// Everybody, signed in or not.
    case anonymous
    /// Whoever is signed in: `user:*`.
    case anyUser
    case user(String)
    case role(String)
    /// Whoever the channel's name says it belongs to: `{user}` of the pattern, or what stands
    /// behind its `#`.
    case owner
  }

  /// Any of these is enough; none means nobody.
  public let grants: [Grant]

  public init(_ grants: [Grant]) { self.grants = grants }

  /// Whether a client of that user (nil: not signed in) with those roles is let into a channel
  /// that belongs to `owners`.
  public func allows(user: String?, roles: [String], owners: [String] = []) -> Bool {
    grants.contains { grant in
      switch grant {
      case .anonymous: true
      case .anyUser: user != nil
      case .user(let name): user.map { $0.utf8.elementsEqual(name.utf8) } ?? false
      case .role(let name): roles.contains { $0.utf8.elementsEqual(name.utf8) }
      case .owner: user.map { user in owners.contains { $0.utf8.elementsEqual(user.utf8) } } ?? false
      }
    }
  }
}

/// What is kept of a channel's publications.
public enum HistoryRule: Hashable, Sendable {
  /// Nothing; the channel has neither epoch nor offsets.
  case none
  /// The hub keeps the latest `size` publications, none for longer than `ttl`; lost with the hub.
  case memory(size: Int, ttl: Duration)
  /// The event store keeps all of them.
  case durable

  public static let standardSize = 100
  public static let standardTTL: Duration = .seconds(300)
}

/// How much of a durable history is kept: what is beyond any of these goes, the oldest first.
public struct RetentionRule: Hashable, Sendable {
  public var events: Int?
  public var bytes: Int?
  public var age: Duration?

  public init(events: Int? = nil, bytes: Int? = nil, age: Duration? = nil) {
    self.events = events
    self.bytes = bytes
    self.age = age
  }
}

/// How the channels that match some patterns behave.
public struct ChannelRule: Hashable, Sendable {
  public var match: [ChannelPattern]
  /// The name of a channel type that is compiled in.
  public var type: String
  /// An object for the channel type, read by it alone.
  public var options: JSONValue
  public var history: HistoryRule
  /// How much of a durable history is kept; nil: all of it.
  public var retention: RetentionRule?
  /// Nil: as the listener treats anonymous clients.
  public var subscribe: AccessRule?
  /// Nil: as the listener treats anonymous clients.
  public var publish: AccessRule?
  /// Who may be given what was published before; nil: whoever may subscribe.
  public var readHistory: AccessRule?
  /// Who is told who is there; nil: whoever may subscribe.
  public var seePresence: AccessRule?
  public var presence: Bool
  /// Each connection is a member of its own, and not each user.
  public var countsConnections = false
  /// Whether its publications may be compressed: not where they put what an attacker writes beside
  /// a secret, or are encrypted already.
  public var compress: Bool
  /// Which rates its publications count for; nil: `bulk` for large ones, else `state` where the
  /// channel has a history and `ephemeral` where it has none.
  public var messageClass: MessageClass?
  /// A subscriber beyond this is refused (S003-25); nil: no limit of the channel's own.
  public var maxSubscribers: Int?
  /// How urgent its publications are beside others for the same client (S002-02).
  public var priority: ChannelPriority
  /// What becomes of them for a client that is slow; nil: what suits the kind of channel.
  public var slowConsumer: SlowConsumerRule?
  /// Members that a published JSON object has to have (S003-22); empty: nothing is looked at.
  public var require: [String]
  /// What a published payload has to look like; nil: anything.
  public var schema: JSONSchema?
  /// What a back end is asked or told of these channels.
  public var hooks: ChannelHooks = []

  public init(
    match: [ChannelPattern], type: String = "relay", options: JSONValue = .object([:]),
    history: HistoryRule = .none, subscribe: AccessRule? = nil, publish: AccessRule? = nil,
    readHistory: AccessRule? = nil, seePresence: AccessRule? = nil, presence: Bool = true,
    compress: Bool = true, messageClass: MessageClass? = nil, maxSubscribers: Int? = nil,
    priority: ChannelPriority = .normal, slowConsumer: SlowConsumerRule? = nil,
    require: [String] = [],
    schema: JSONSchema? = nil
  ) {
    self.match = match
    self.type = type
    self.options = options
    self.history = history
    self.subscribe = subscribe
    self.publish = publish
    self.readHistory = readHistory
    self.seePresence = seePresence
    self.presence = presence
    self.compress = compress
    self.messageClass = messageClass
    self.maxSubscribers = maxSubscribers
    self.priority = priority
    self.slowConsumer = slowConsumer
    self.require = require
    self.schema = schema
  }
}

/// What a channel type can't serve in a rule.
public struct ChannelTypeFault: Hashable, Sendable {
  /// The option at fault; nil where it is the rule itself.
  public let option: String?
  public let reason: String

  public init(option: String? = nil, _ reason: String) {
    self.option = option
    self.reason = reason
  }
}

/// Asks the rule's channel type, which is compiled in, whether it can serve the rule.
public typealias ChannelTypeCheck = @Sendable (ChannelRule) -> ChannelTypeFault?

/// The rules in their order: the first that matches a channel decides.
public struct ChannelRules: Hashable, Sendable {
  public let rules: [ChannelRule]

  public init(_ rules: [ChannelRule]) { self.rules = rules }

  /// The rule for `channel`; nil where none matches, and the channel then does not exist.
  ///
  /// - Cost: linear in rules and name. Look once per channel and keep the answer.
  public func rule(for channel: ChannelName) -> ChannelRule? {
    place(of: channel).map { rules[$0.rule] }
  }

  /// Whose channel it is, by the pattern that decides; empty where its name names nobody.
  public func owners(of channel: ChannelName) -> [String] {
    place(of: channel)?.pattern.owners(of: channel) ?? []
  }

  /// The index of the rule for `channel`, and which of its patterns decides; at the same cost.
  public func place(of channel: ChannelName) -> (rule: Int, pattern: ChannelPattern)? {
    let name = [UInt8](channel.text.utf8)
    for index in rules.indices {
      for pattern in rules[index].match where pattern.matches(name.span) { return (index, pattern) }
    }
    return nil
  }

  /// The channels of the source documents, and a relay for all others. In force where a
  /// configuration has no `channels`.
  public static let standard = ChannelRules([
    standardRule(["universal-frequency", "log:*"], "relay", .durable),
    standardRule(["sim:tick", "data:refreshed"], "broadcast", .durable, publish: AccessRule([])),
    standardRule(["sim:*"], "simulation", .durable),
    standardRule(["state:*"], "state", .durable),
    standardRule(
      ["map:cursor", "map:cursor:*"], "cursor", .none,
      options: .object(["framesPerSecond": .int(30)])),
    standardRule(["map:annotation"], "board", .durable),
    standardRule(
      ["admin:broadcast"], "broadcast", .memory(size: 100, ttl: .seconds(300)),
      publish: AccessRule([.role("admin")])),
    standardRule(
      ["route", "notifications", "spell", "daemon"], "relay",
      .memory(size: 100, ttl: .seconds(300))),
    standardRule(["*"], "relay", .memory(size: 100, ttl: .seconds(300))),
  ])

  private static func standardRule(
    _ match: [String], _ type: String, _ history: HistoryRule,
    options: JSONValue = .object([:]), publish: AccessRule? = nil
  ) -> ChannelRule {
    ChannelRule(
      match: match.compactMap { ChannelPattern($0) }, type: type, options: options,
      history: history, publish: publish)
  }
}
