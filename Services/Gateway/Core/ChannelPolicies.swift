internal import Bytes
internal import ChannelKit
internal import Config
internal import JSON
internal import Schema
internal import Service

/// The configured rules as policies, checked against the channel types once, at start.
struct ChannelPolicies: Sendable {
  private let rules: ChannelRules
  /// One for each rule; nil where it depends on whose channel it is.
  private let policies: [ChannelPolicy?]

  /// - Throws: `ConfigurationRefused` when a rule's type can't be made as the rule says.
  init(_ rules: ChannelRules, _ registry: ChannelRegistry) throws {
    self.rules = rules
    policies = rules.rules.map { $0.namesOwners ? nil : Self.policy($0, owners: []) }
    var problems = ""
    for rule in rules.rules {
      guard let fault = Self.fault(rule, registry) else { continue }
      let names = rule.match.map { "\($0)" }.joined(separator: ", ")
      problems += "the rule for \(names): \(fault.option.map { "options.\($0): " } ?? "")\(fault.reason)\n"
    }
    guard problems.isEmpty else {
      throw ConfigurationRefused(description: "the configuration is refused:\n\(problems)")
    }
  }

  /// Why the rule's type can't serve it; nil if it can.
  static func fault(_ rule: ChannelRule, _ registry: ChannelRegistry) -> ChannelTypeFault? {
    let policy = policy(rule, owners: [])
    if rule.retention != nil, registry.traits(of: policy.type)?.state == .folded {
      return ChannelTypeFault(
        option: nil,
        "the type \(policy.type) builds its state from the whole history: leave out `keep`")
    }
    do throws(ChannelOptionsError) {
      try registry.check(policy.type, options: policy.options, history: policy.history)
      return nil
    } catch { return ChannelTypeFault(option: error.option, error.reason) }
  }

  /// The first rule that matches; a channel that none does doesn't exist.
  func policy(_ name: ChannelName) -> ChannelPolicy? {
    guard let (rule, pattern) = rules.place(of: name) else { return nil }
    return policies[rule] ?? Self.policy(rules.rules[rule], owners: pattern.owners(of: name))
  }

  /// Whether the same channels would be the same and keep the same, whoever may do what in them.
  func keepsChannels(of other: ChannelPolicies) -> Bool {
    rules.rules.count == other.rules.rules.count
      && zip(rules.rules, other.rules.rules).allSatisfy { a, b in
        a.match == b.match && a.type == b.type && a.history == b.history
          && a.presence == b.presence
          && a.countsConnections == b.countsConnections && a.options == b.options
      }
  }

  private static func policy(_ rule: ChannelRule, owners: [String]) -> ChannelPolicy {
    var policy = ChannelPolicy(type: rule.type)
    switch rule.history {
    case .none: policy.history = .none
    case .durable: policy.history = .durable
    case .memory(let size, let ttl):
      policy.history = .memory
      policy.historyCount = UInt32(clamping: size)
      policy.historyMs = UInt32(clamping: ttl.millisecondsMax)
    }
    policy.subscribe = rule.subscribe.map { principals($0, owners) }
    policy.publish = rule.publish.map { principals($0, owners) }
    policy.readHistory = rule.readHistory.map { principals($0, owners) }
    policy.seePresence = rule.seePresence.map { principals($0, owners) }
    policy.hasPresence = rule.presence
    policy.countsConnections = rule.countsConnections
    policy.isCompressed = rule.compress
    policy.subscribersMax = rule.maxSubscribers
    policy.messageClass = rule.messageClass
    policy.lane = Lane(rule.priority)
    policy.slow = rule.slowConsumer.map { SlowLadder($0) }
    if !rule.require.isEmpty { policy.schemas.append(JSONSchema(requiring: rule.require)) }
    if let schema = rule.schema { policy.schemas.append(schema) }
    policy.options = ChannelOptions(json: rule.options)
    policy.hooks = rule.hooks
    return policy
  }

  private static func principals(_ rule: AccessRule, _ owners: [String]) -> [Principal] {
    rule.grants.flatMap { grant -> [Principal] in
      switch grant {
      case .anonymous: [.anyone]
      case .anyUser: [.users]
      case .user(let name): [.user(UserID(name))]
      case .role(let name): [.role(name)]
      case .owner: owners.map { .user(UserID($0)) }
      }
    }
  }
}

extension ChannelRule {
  /// Whether who may do something depends on the channel's name.
  fileprivate var namesOwners: Bool {
    [subscribe, publish, readHistory, seePresence].contains { $0?.grants.contains(.owner) == true }
  }
}

extension Lane {
  init(_ priority: ChannelPriority) {
    self =
      switch priority {
      case .state: .state
      case .normal: .normal
      case .bulk: .bulk
      }
  }
}

extension SlowLadder {
  init(_ rule: SlowConsumerRule) {
    self.init(
      merge: rule.mergeBy.map { by in
        switch by {
        case .type: .type
        case .publisher: .publisher
        case .user: .user
        case .member(let name): .member(name)
        }
      },
      last: rule.last == .park ? .park : rule.last == .skip ? .skip : .disconnect,
      bufferBytes: rule.buffer ?? (rule.mergeBy == nil ? nil : SlowLadder.mergeFromBytes),
      patience: rule.patience)
  }
}
