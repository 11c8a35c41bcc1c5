/// What a decision asks the gateway to do, collected in order.
///
/// Bounded in count and bytes. What crosses a bound, or makes no sense, fails the whole event: the
/// first such fault is kept, everything asked for afterwards is passed over, and `finish` throws.
/// So a plugin need not check each call.
public struct Effects {
  /// How often an event is decided anew before it fails as `ChannelError.contended`.
  public static let decisionsMax = 32
  /// Effects of one decision.
  public static let countMax = 64
  /// Payloads of one publication in one step. BUDGET: well within what the store appends at once.
  public static let togetherMax = 1_024
  /// Payload bytes of one decision, all effects together. BUDGET: a link's largest frame.
  public static let bytesMax = 16 << 20
  /// Timers that one subscription may have waiting.
  public static let timersMax = 16
  /// The longest time that a timer may wait.
  public static let timerMax = Duration.seconds(24 * 60 * 60)

  private let recipient: Recipient
  private var list: [Effect] = []
  private var bytes = 0
  private var publications = 0
  private var hasReply = false
  private var fault: ChannelError?

  /// Whom effects other than publications can reach.
  public enum Recipient: Sendable, Equatable {
    /// A connected client.
    case client
    /// A caller that waits for an answer, and no more: the API.
    case caller
    /// Nobody: the client has left.
    case nobody
  }

  public init(for recipient: Recipient) { self.recipient = recipient }

  /// Publishes to everyone who is subscribed, by the channel's rule.
  public mutating func publish(_ payload: Payload, expecting: Expectation = .anything) {
    publish(PublishEffect(payload, expecting: expecting))
  }

  /// Publishes several payloads as one step: all of them at consecutive offsets with nothing between
  /// them, or none. Only a durable channel can; counts as one publication.
  ///
  /// - Limits: 1 to `togetherMax`.
  public mutating func publish(together payloads: [Payload], expecting: Expectation = .anything) {
    guard let first = payloads.first, payloads.count <= Self.togetherMax else {
      return fail("1 to \(Self.togetherMax) payloads are published together")
    }
    var effect = PublishEffect(first, expecting: expecting)
    effect.following = Array(payloads.dropFirst())
    publish(effect)
  }

  /// Publishes as `effect` says. Where it expects the channel unchanged, it must be the decision's
  /// only publication.
  public mutating func publish(_ effect: PublishEffect) {
    publications += 1
    let onlyOne = effect.expecting == .unchanged || list.contains(where: \.expectsUnchanged)
    guard publications == 1 || !onlyOne else {
      return fail("a publication that expects the channel unchanged must be the only one")
    }
    guard effect.expecting == .anything || effect.persistence == .byRule else {
      return fail("a publication that takes no place in the history can't expect one")
    }
    guard effect.following.isEmpty || effect.persistence == .byRule else {
      return fail("what takes no place in the history is published one by one")
    }
    let bytes = effect.following.reduce(effect.payload.bytes.count) { $0 + $1.bytes.count }
    add(.publish(effect), bytes: bytes)
  }

  /// Answers the sender: the payload goes with the acknowledgement. At most one a decision.
  public mutating func reply(_ payload: Payload) {
    guard recipient != .nobody else { return fail("nobody is left to reply to") }
    guard !hasReply else { return fail("an event has one reply") }
    hasReply = true
    add(.reply(payload), bytes: payload.bytes.count)
  }

  /// Sends a message of this channel to the event's client alone.
  public mutating func send(_ payload: Payload) {
    forClient(.send(payload), bytes: payload.bytes.count)
  }

  /// Shows the client in the channel's presence with this info, in place of what it had.
  public mutating func track(info: [UInt8]) { forClient(.track(info: info), bytes: info.count) }

  /// Takes the client out of the channel's presence.
  public mutating func untrack() { forClient(.untrack) }

  /// Calls `due` with `timer` after `delay`; a timer of the same token is replaced.
  public mutating func after(_ delay: Duration, _ timer: TimerToken) {
    guard delay >= .zero, delay <= Self.timerMax else {
      return fail("a timer waits between nothing and a day")
    }
    forClient(.after(delay, timer))
  }

  /// Ends the client's subscription and tells it why. A socket of one channel is closed with it.
  public mutating func close(_ reason: ChannelError) { forClient(.close(reason)) }

  /// What was asked for, in order; publications are carried out before the rest.
  /// - Errors: the first fault; nothing may be carried out.
  public consuming func finish() throws(ChannelError) -> [Effect] {
    if let fault { throw fault }
    return list
  }

  private mutating func forClient(_ effect: Effect, bytes: Int = 0) {
    guard recipient == .client else { return fail("the event has no client to act on") }
    add(effect, bytes: bytes)
  }

  private mutating func add(_ effect: Effect, bytes count: Int) {
    guard fault == nil else { return }
    guard list.count < Self.countMax else { return fail("more than \(Self.countMax) effects") }
    guard count <= Self.bytesMax - bytes else { return fail("more than \(Self.bytesMax) bytes") }
    bytes += count
    list.append(effect)
  }

  private mutating func fail(_ message: String) {
    if fault == nil { fault = .effectsRefused(message) }
  }
}

/// One thing for the gateway to do.
public enum Effect: Sendable, Equatable {
  case publish(PublishEffect)
  case reply(Payload)
  case send(Payload)
  case track(info: [UInt8])
  case untrack
  case after(Duration, TimerToken)
  case close(ChannelError)

  /// Whether this is a publication that must be the next one.
  public var expectsUnchanged: Bool {
    if case .publish(let effect) = self { effect.expecting == .unchanged } else { false }
  }

  /// Whether this is several publications in one step.
  public var isTogether: Bool {
    if case .publish(let effect) = self { !effect.following.isEmpty } else { false }
  }
}

/// A publication that a decision asks for.
public struct PublishEffect: Sendable, Equatable {
  public var payload: Payload
  /// Published right after it in the same step, at the next offsets; see `Effects.publish(together:)`.
  public var following: [Payload] = []
  public var audience: Audience
  public var persistence: Persistence
  public var priority: Priority
  public var expecting: Expectation

  public init(
    _ payload: Payload, to audience: Audience = .everyone, persistence: Persistence = .byRule,
    priority: Priority = .normal, expecting: Expectation = .anything
  ) {
    self.payload = payload
    self.audience = audience
    self.persistence = persistence
    self.priority = priority
    self.expecting = expecting
  }
}

/// Which subscribers get a publication.
public enum Audience: UInt8, Sendable {
  case everyone
  /// All but the client that caused it.
  case others
}

/// Whether a publication takes a place in the channel's history.
public enum Persistence: UInt8, Sendable {
  /// As the channel's rule says.
  case byRule
  /// Never: it has no offset, and whoever is away misses it.
  case ephemeral
}

/// What a client's full queue drops first. Only publications without an offset are ever dropped.
public enum Priority: UInt8, Sendable, Comparable {
  case low
  case normal
  case high

  public static func < (a: Priority, b: Priority) -> Bool { a.rawValue < b.rawValue }
}

/// What must still be true when a publication reaches the sequencer.
public enum Expectation: UInt8, Sendable {
  case anything
  /// No other publication came after the state that the decision read; else it is decided again.
  /// Needs a channel with a history.
  case unchanged
}
