internal import Bytes
internal import ChannelKit
internal import Config
internal import HTTPCodec
internal import Identity
internal import Loop
internal import Observe

/// What limits by connection, user and address make of a client: its rates and its user's seat.
extension ClientSession {
  /// Why a client has asked for something too soon after all that it asked before; nil: it may go on.
  /// A publication is none of these.
  func asksTooOften(_ message: ClientMessage) -> Refusal? {
    switch message {
    case .publish: nil
    case .subscribe: asksTooOften(subscribes: true)
    default: asksTooOften()
    }
  }

  /// The same for what is no message of our own protocol.
  func asksTooOften(subscribes: Bool = false) -> Refusal? {
    guard let account else { return nil }
    return refusal(account.ask(subscribes: subscribes, gateway.settings.rates, gateway.loop.now))
  }

  /// Why a publication has come too soon; nil: it may go on.
  func publishesTooOften(_ payload: Payload, in name: ChannelName) -> Refusal? {
    guard let account else { return nil }
    let policy = gateway.existing(name)?.policy ?? gateway.settings.policy(name)
    // What no rule names is refused later, and is counted all the same.
    let messageClass = policy?.messageClass(
      ofBytes: payload.bytes.count, bulk: gateway.settings.bulkBytes)
    return refusal(account.publish(messageClass ?? .ephemeral, gateway.settings.rates, gateway.loop.now))
  }

  private func refusal(_ overrun: Overrun?) -> Refusal? {
    guard let overrun else { return nil }
    gateway.metrics.limits.reached(overrun.limit)
    return .rateLimited(overrun.what, overrun.wait)
  }

  /// In whose account it is what the gateway holds for this client: its user's over all addresses, or
  /// that of its address; its own where no limit binds it.
  var memoryAccount: MemoryAccount {
    if let user = standing.identity?.user { return .user(UserKey(user)) }
    return account.map { .address($0.address) } ?? .alone(ObjectIdentifier(self))
  }

  /// Counts the connection for its user, if it has one. Why not, where the user has as many as one
  /// may have.
  ///
  /// The count is the session's until `ended`, whatever ends it: a refreshed token is the same
  /// user's, and a revoked one ends the session.
  func takeSeat() -> Refusal? {
    guard let account, let user = standing.identity?.user else { return nil }
    guard !account.signIn(user, most: gateway.settings.connectionsPerUserMax) else { return nil }
    gateway.metrics.limits.reached(.connectionsPerUser)
    return .tooManyOfUser
  }
}

extension ChannelPolicy {
  /// - Parameter bulk: from how many bytes on a publication is bulk where the rule names no class.
  func messageClass(ofBytes count: Int, bulk: Int) -> MessageClass {
    if let messageClass { return messageClass }
    if count >= bulk { return .bulk }
    return history == .none ? .ephemeral : .state
  }
}

extension Refusal {
  static let channelIsFull = Refusal(
    106, "limit_exceeded", "this channel has as many subscribers as it may", .tooManyRequests,
    retryAfterMs: 1000)
  static let tooManyOfUser = Refusal(
    106, "limit_exceeded", "this user has as many connections as one may have", .tooManyRequests,
    retryAfterMs: 1000)
}
