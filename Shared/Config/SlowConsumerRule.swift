/// How urgent a channel's publications are beside those of others for the same client.
public enum ChannelPriority: String, CaseIterable, Sendable {
  case state, normal, bulk
}

/// What becomes of a channel's publications for a client that does not take them in time:
/// `slowConsumer: { buffer: "64KiB", steps: ["merge", "skip", "disconnect"], mergeBy: "user" }`.
///
/// They wait first. Merging may follow, then `skip` or `park`, and the client may be let go, at once
/// or once it has been behind for longer than `patience`.
public struct SlowConsumerRule: Hashable, Sendable {
  /// By what publications replace each other.
  public enum Key: Hashable, Sendable {
    /// As the channel's type merges.
    case type
    case publisher
    case user
    /// A member of the published JSON object: `.name`.
    case member(String)
  }

  public enum Step: String, CaseIterable, Sendable {
    case merge, skip, park, disconnect
  }

  /// Bytes of the channel that may wait for one client; nil: as many as may wait for the client.
  public var buffer: Int?
  /// Nil: nothing is merged.
  public var mergeBy: Key?
  /// `skip`, `park` or `disconnect`.
  public var last: Step
  /// How long a client may be behind; nil: for ever.
  public var patience: Duration?

  public init(buffer: Int? = nil, mergeBy: Key? = nil, last: Step, patience: Duration? = nil) {
    self.buffer = buffer
    self.mergeBy = mergeBy
    self.last = last
    self.patience = patience
  }

  public static let standardPatience: Duration = .seconds(30)
}

extension SlowConsumerRule {
  /// Nil where the key is absent, or wrong and reported.
  init?(
    reading value: ConfigValue?, path: String, history: HistoryRule, _ reading: inout ConfigReading
  ) {
    guard let value else { return nil }
    guard case .object = value.content else {
      reading.report(value.place, path, "write an object: { steps: [\"skip\"] }")
      return nil
    }
    var reader = SettingsReader(value, path: path, &reading)
    let steps = reader.list("steps", &reading, ifEmpty: Self.stepsRemedy) { value throws(Refused) in
      try value.slowStep()
    }
    let buffer = reader.read("buffer", &reading) { value throws(Refused) in
      try value.bytes(in: 1_024...(1 << 30))
    }
    let mergeBy = reader.read("mergeBy", &reading) { value throws(Refused) in try value.mergeKey() }
    let patience = reader.read("patience", &reading) { value throws(Refused) in
      try value.duration(in: 1_000...86_400_000)
    }
    reader.finish(&reading)
    guard let steps else {
      reading.report(value.place, "\(path).steps", Self.stepsRemedy)
      return nil
    }
    if let fault = Self.fault(steps, mergeBy, patience, history) {
      reading.report(value.place, path, fault)
      return nil
    }
    self.init(
      buffer: buffer, mergeBy: steps.contains(.merge) ? mergeBy ?? .type : nil,
      last: steps.first { $0 != .merge } ?? .skip,
      patience: steps.last == .disconnect && steps.contains { $0 == .skip || $0 == .park }
        ? patience ?? Self.standardPatience : nil)
  }

  private static let stepsRemedy =
    "write the steps behind the buffer, such as [\"merge\", \"skip\"] or [\"park\", \"disconnect\"]"

  /// Why the steps can't be taken in that order.
  private static func fault(
    _ steps: [Step], _ mergeBy: Key?, _ patience: Duration?, _ history: HistoryRule
  ) -> String? {
    if zip(steps, steps.dropFirst()).contains(where: { $0.rank >= $1.rank }) {
      return "the order is merge, then skip or park, then disconnect; only one of skip and park"
    }
    if steps.last == .merge {
      return "keys may be many: behind \"merge\" write \"skip\" or \"disconnect\""
    }
    if history == .none, steps.contains(.park) {
      return "\"park\" reads on from the history, and this rule has none; write \"skip\""
    }
    if history != .none, steps.contains(.merge) {
      return "\"merge\" would put a history out of order; write \"park\", or history: \"none\""
    }
    if history == .durable, steps.contains(.skip) {
      return "a durable channel leaves nothing out; write \"park\" or \"disconnect\""
    }
    if mergeBy != nil, !steps.contains(.merge) { return "mergeBy is for the step \"merge\"" }
    if patience != nil, steps.last != .disconnect || steps.count == 1 {
      return "patience is for \"disconnect\" behind \"skip\" or \"park\""
    }
    return nil
  }
}

extension SlowConsumerRule.Step {
  fileprivate var rank: Int {
    switch self {
    case .merge: 0
    case .skip, .park: 1
    case .disconnect: 2
    }
  }
}

extension ConfigValue {
  fileprivate func slowStep() throws(Refused) -> SlowConsumerRule.Step {
    guard case .string(let text) = content, let step = SlowConsumerRule.Step(rawValue: text) else {
      throw Refused("write \"merge\", \"skip\", \"park\" or \"disconnect\"")
    }
    return step
  }

  fileprivate func mergeKey() throws(Refused) -> SlowConsumerRule.Key {
    let remedy = "write \"type\", \"publisher\", \"user\", or \".NAME\" for a member of the payload"
    guard case .string(let text) = content else { throw Refused(remedy) }
    switch text {
    case "type": return .type
    case "publisher": return .publisher
    case "user": return .user
    default: break
    }
    guard text.hasPrefix("."), (2...129).contains(text.utf8.count) else { throw Refused(remedy) }
    return .member(String(text.dropFirst()))
  }

  func priority() throws(Refused) -> ChannelPriority {
    guard case .string(let text) = content, let priority = ChannelPriority(rawValue: text) else {
      throw Refused("write \"state\", \"normal\" or \"bulk\"")
    }
    return priority
  }
}
