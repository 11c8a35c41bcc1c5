/// Whether, and how, a channel type builds state from publications.
public enum StateUse: Sendable, Equatable {
  /// No state: `apply` is never called.
  case none
  /// What this loop happens to have seen. A new loop starts empty, and an outage may leave loops
  /// with different state; decisions must be right all the same.
  case soft
  /// A fold over the channel's whole history: a new loop gets a checkpoint or the history, and the
  /// tail, before it decides or shows anything. The rule must give the channel a history. When
  /// that history is lost (a new epoch), the value is discarded and a new one made.
  ///
  /// Publications that have no offset pass such a state by: they are delivered, never applied.
  case folded
}

/// The history that a rule gives a channel.
public enum ChannelHistory: UInt8, Sendable, CaseIterable {
  /// Publications have neither epoch nor offset.
  case none
  /// Bounded, in the hub's memory; lost with it.
  case memory
  /// In the event store.
  case durable
}

/// The history that a channel type needs.
public enum HistoryRequirement: Sendable, Equatable {
  case any
  /// Must have none: what is sent is less than what is published, so offsets would show gaps.
  case none
  /// In memory or durable.
  case kept
  case durable

  public func allows(_ history: ChannelHistory) -> Bool {
    switch self {
    case .any: true
    case .none: history == .none
    case .kept: history != .none
    case .durable: history == .durable
    }
  }
}

/// When the clients of a loop get a publication.
public enum Delivery: Sendable, Equatable {
  /// Each publication at once.
  case immediate
  /// The latest publication of each key, together, at most this many times a second (1 to 120).
  ///
  /// The rule must give the channel no history. `Audience.others` is not honoured in a frame: it is
  /// made once, for everyone.
  case latestPerKey(framesPerSecond: Int)
}

/// What is known of a channel type without a channel.
public struct ChannelTraits: Sendable, Equatable {
  public let name: String
  public let state: StateUse
  public let history: HistoryRequirement
  /// See `ChannelType.foldVersion`.
  public let foldVersion: UInt32
  /// Nil where the listener's default decides.
  public let publishers: [Principal]?

  init<Type: ChannelType>(_ type: Type.Type) {
    name = Type.name
    state = Type.state
    history = Type.history
    publishers = Type.publishers
    foldVersion = Type.foldVersion
  }
}
