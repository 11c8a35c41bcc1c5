/// One channel of any type, as the gateway holds it on one loop.
///
/// Costs one dynamic dispatch a call. `isPassThrough` and `delivery` are read once and kept, so
/// that the gateway can pass the plugin by where nothing is to be decided.
public struct AnyChannel {
  public let traits: ChannelTraits
  /// Publish every event's payload as it is, without calling `decide` or `apply`.
  public let isPassThrough: Bool
  public let delivery: Delivery
  /// What the rule gives the channel.
  public let history: ChannelHistory
  private var channel: any ChannelType

  init(_ channel: any ChannelType, _ traits: ChannelTraits, _ history: ChannelHistory) {
    self.traits = traits
    self.history = history
    self.channel = channel
    isPassThrough = channel.isPassThrough && traits.state == .none
    delivery = channel.delivery
  }

  /// What becomes of an event.
  ///
  /// - Errors: the refusal to tell the sender; nothing is to be carried out.
  public func decide(_ event: ChannelEvent, from client: ClientContext)
    throws(ChannelError) -> [Effect]
  {
    var effects = Effects(for: client.isAPI ? .caller : .client)
    try channel.decide(event, from: client, &effects)
    return try finish(effects)
  }

  /// What is to be done for a client that subscribes; throws where it is refused.
  public func admit(_ client: ClientContext) throws(ChannelError) -> [Effect] {
    var effects = Effects(for: .client)
    try channel.admit(client, &effects)
    return try finish(effects)
  }

  /// What is to be done when a client's timer comes due. An error is logged: nobody waits for it.
  public func due(_ timer: TimerToken, for client: ClientContext)
    throws(ChannelError) -> [Effect]
  {
    var effects = Effects(for: .client)
    try channel.due(timer, for: client, &effects)
    return try finish(effects)
  }

  /// What is to be published after a client has left. An error is logged: nobody waits for it.
  public func left(_ client: ClientContext) throws(ChannelError) -> [Effect] {
    var effects = Effects(for: .nobody)
    try channel.left(client, &effects)
    return try finish(effects)
  }

  private func finish(_ effects: consuming Effects) throws(ChannelError) -> [Effect] {
    let list = try effects.finish()
    guard history != .none || !list.contains(where: \.expectsUnchanged) else {
      throw .effectsRefused("without a history nothing can be known to be unchanged")
    }
    guard history == .durable || !list.contains(where: \.isTogether) else {
      throw .effectsRefused("only a durable channel takes several publications in one step")
    }
    return list
  }

  /// Changes state by one publication, if it takes part in the state at all.
  public mutating func apply(_ publication: Publication) {
    switch traits.state {
    case .none: return
    case .soft: channel.apply(publication)
    case .folded: if publication.offset != nil { channel.apply(publication) }
    }
  }

  /// Where the history that is kept begins, if not with its first publication.
  public mutating func begins(after floor: Offset) {
    if traits.state == .folded { channel.begins(after: floor) }
  }

  public func snapshot() -> [Payload] { channel.snapshot() }
  public func checkpoint() -> [UInt8]? { channel.checkpoint() }
  public mutating func restore(_ checkpoint: [UInt8]) throws(ChannelError) {
    try channel.restore(checkpoint)
  }
  public func mergeKey(of publication: Publication) -> String? {
    channel.mergeKey(of: publication)
  }
  public func frame(_ latest: [Publication]) -> [Payload] { channel.frame(latest) }
}
