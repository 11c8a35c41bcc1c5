internal import Bytes
internal import ChannelKit
internal import Config
internal import Identity
internal import Loop
internal import Observe
internal import Wire

/// What a client says: publications, and on sessions of several channels subscriptions.
extension ClientSession: PublicationOwner {
  func received(_ message: ClientMessage) {
    guard awaitsSignIn == nil || message.mayComeFirst else {
      return tell(.error(id: message.id, .signInFirst, channel: nil))
    }
    if let refusal = asksTooOften(message) {
      return tell(.error(id: message.id, refusal, channel: message.channel))
    }
    switch message {
    case .connect(let id, let credential): connect(id, credential)
    case .refresh(let id, let channel, let credential): refresh(id, channel, credential)
    case .ping(let id): tell(.pong(id: id, timeMs: gateway.loop.wallMilliseconds))
    case .publish(let id, let channel, let payload, let key):
      guard let name = named(channel, id) else { return }
      publish(name, payload, key: key, id)
    case .subscribe(let id, let channel, let since, let token):
      guard let name = named(channel, id) else { return }
      guard let from = Subscription.Since.of(since, [name]) else {
        return tell(
          .error(
            id: id, .badRequest("since is \"start\", EPOCH:OFFSET, or a position vector"),
            channel: channel))
      }
      subscribe(name, from[name] ?? .now, id: id, token: token)
    case .unsubscribe(let id, let channel):
      guard let name = named(channel, id) else { return }
      unsubscribe(name)
      if let id { tell(.ack(id: id, position: nil, reply: nil)) }
    }
  }

  func named(_ text: String, _ id: MessageID?) -> ChannelName? {
    if let name = ChannelName(text) { return name }
    tell(.error(id: id, .unknownChannel(text), channel: nil))
    return nil
  }

  /// What is said of the client to who gets what it publishes: in the protocol that has a word for it.
  private func origin(in channel: LocalChannel) -> EventOrigin? {
    let shown = subscription(of: channel)?.shownInfo ?? ShownInfo(connection: context.info)
    guard !shown.connection.isEmpty || !shown.channel.isEmpty else { return nil }
    var origin = EventOrigin()
    (origin.connectionInfo, origin.channelInfo) = (shown.connection, shown.channel)
    return origin
  }

  /// Publishes for the client and tells it what became of that: always with an `id`, without one
  /// only what was refused or what a plugin answers.
  func publish(_ name: ChannelName, _ payload: Payload, key: String, _ id: MessageID?) {
    hasPublished = true
    if let refusal = publishesTooOften(payload, in: name) {
      return tell(.error(id: id, refusal, channel: name.text))
    }
    if asksToPublish(name, payload, key: key, id) { return }
    publish(name, payload, key: key, id, isAllowed: false)
  }

  /// Publishes what a back end has let through.
  func publishAllowed(
    _ name: ChannelName, _ payload: Payload, key: String, _ id: MessageID?, skipsHistory: Bool
  ) {
    publish(name, payload, key: key, id, isAllowed: true, skipsHistory: skipsHistory)
  }

  private func publish(
    _ name: ChannelName, _ payload: Payload, key: String, _ id: MessageID?, isAllowed: Bool,
    skipsHistory: Bool = false
  ) {
    let channel: LocalChannel
    switch openForPublishing(name, isAllowed: isAllowed) {
    case .success(let found): channel = found
    case .failure(let refusal):
      return tell(.error(id: id, refusal, channel: name.text))
    }
    var request = PublishRequest(
      channel: channel,
      event: ChannelEvent(payload, idempotencyKey: key.isEmpty ? nil : key), client: context,
      clientNumber: clientNumber)
    if door.encoding.centrifuge != nil { request.origin = origin(in: channel) }
    request.isAllowedByToken = isAllowed || standing.identity?.allows(.publish, in: name) ?? false
    request.skipHistory = skipsHistory
    request.publisher = self
    // Without an id nobody waits for the hub's answer; refusals found here are told all the same.
    let needsAnswer = id != nil || channel.policy.isDurable || channel.plugin != nil || !key.isEmpty
    guard needsAnswer else { return publishUnanswered(request) }
    gateway.publishing.publish(request, client: self) { [self] result in
      guard !isOver else { return }
      switch result {
      case .success(let done):
        if let id {
          tell(.ack(id: id, position: done.position, reply: done.reply))
        } else if let reply = done.reply {
          send(reply, channel)
        }
      case .failure(let refusal): tell(.error(id: id, refusal, channel: name.text))
      }
    }
  }

  private func openForPublishing(
    _ name: ChannelName, isAllowed: Bool
  ) -> Result<LocalChannel, Refusal> {
    if let known = gateway.existing(name), known.isNamed { return .success(known) }
    guard name.isReserved || gateway.settings.policy(name) != nil else {
      return .failure(.unknownChannel(name))
    }
    // Asked before the channel is made, so that refused names cost nothing.
    guard
      isAllowed || standing.identity?.allows(.publish, in: name) ?? false
        || gateway.publishing.mayPublish(context, in: name)
    else { return .failure(.permissionDenied) }
    return gateway.channel(name, for: account?.address)
  }

  private func publishUnanswered(_ request: PublishRequest) {
    let limit = gateway.settings.payloadBytesMax
    guard request.event.payload.bytes.count <= limit else {
      gateway.metrics.limits.reached(.publicationBytes)
      return publicationRefused(in: request.channel, .tooLarge(limit))
    }
    guard gateway.upstreams.hub != nil else {
      return publicationRefused(in: request.channel, .unavailable)
    }
    gateway.publishing.publish(request, nil)
  }

  func publicationRefused(in channel: LocalChannel, _ refusal: Refusal) {
    tell(.error(id: nil, refusal, channel: channel.name.text))
  }
}
