internal import Bytes
internal import ChannelKit
internal import Config
internal import Crypto
internal import Loop
internal import Observe
internal import Platform
internal import WebSocketCodec
internal import Wire

/// A WebSocket that carries channels, until it ends.
///
/// Knows the two doors (one channel raw, several as envelopes) and nothing of how publications
/// come to be: it is a `Subscriber` of the channels and a publisher into them.
final class SocketSession: Subscriber, EffectTarget, UnaskedPublisher {
  struct Door {
    var style: Style
    var encoding: Encoding
    var acknowledges = false
    var wantsPresence = false
    /// Clients of these doors get the `connection` message first.
    var welcomes: Bool
  }

  enum Style: Equatable {
    case oneChannel(ChannelName)
    case manyChannels
  }

  private let connection: Connection
  private let gateway: GatewayLoop
  private var reader: WebSocketReader
  private var keepAlive: SocketKeepAlive
  private var watch = SocketWatch()
  private var publications = RateMeter()
  private var subscribing = RateMeter()
  private let door: Door
  let clientNumber: UInt64
  /// Made when it is first needed.
  private var sessionToken: SessionToken?
  private var subscriptions: [Subscription] = []
  private var pendingWelcome = PendingWelcome()
  private var acknowledged: Int64 = 0
  private var isClosing = false
  private var isHeldBack = false
  /// The channels of the address are being opened.
  private var isOpening = true
  private var isHeldForOpening = false
  private var timers: [TimerKey: TimerID] = [:]
  private var opened = 0

  var stream: Stream { connection.stream }
  var queueBytesMax: Int { gateway.settings.queueBytesMax }

  init(_ connection: Connection, _ door: Door, session: SessionToken?) {
    self.connection = connection
    gateway = connection.gateway
    self.door = door
    sessionToken = session
    reader = WebSocketReader(role: .server, limits: gateway.settings.message)
    keepAlive = SocketKeepAlive(gateway.loop.now)
    clientNumber = gateway.takeClientNumber()
  }

  var context: ClientContext { ClientContext(id: ClientID(number: clientNumber)) }

  private var session: SessionToken {
    if let sessionToken { return sessionToken }
    let made = SessionToken()
    sessionToken = made
    return made
  }

  // MARK: opening

  /// Subscribes to what the address named.
  func open(_ channels: [(ChannelName, Subscription.Since)]) {
    if door.welcomes, pendingWelcome.expect(channels.count) { welcome() }
    for (name, since) in channels {
      if !subscribe(name, since, id: nil, isWelcomed: door.welcomes) { answered(nil) }
    }
  }

  /// Whether the subscription is made, or under way.
  @discardableResult
  private func subscribe(
    _ name: ChannelName, _ since: Subscription.Since, id: MessageID?, isWelcomed: Bool = false
  ) -> Bool {
    // Subscribing twice on one connection is subscribing once (S003-24).
    if let known = subscriptions.first(where: { $0.channel.name == name }) {
      if let id { tell(ControlMessage.ack(id: id, position: known.channel.position)) }
      return true
    }
    guard subscriptions.count < gateway.settings.channelsPerConnectionMax else {
      gateway.metrics.limits.reached(.channelsPerConnection)
      return refuse(.limitExceeded, name.text, id)
    }
    let policy = gateway.settings.policy(name)
    guard gateway.settings.access.maySubscribe(context, policy) else {
      return refuse(.permissionDenied, name.text, id)
    }
    switch gateway.channel(name) {
    case .failure(let refusal): return refuse(refusal, name.text, id)
    case .success(let channel):
      if let most = channel.policy.subscribersMax,
        channel.subscribersEverywhere >= most
      {
        return refuse(.limitExceeded, name.text, id)
      }
      var effects: [Effect] = []
      do throws(ChannelError) {
        effects = try channel.plugin?.admit(context) ?? []
      } catch { return refuse(Refusal(error), name.text, id) }
      let subscription = Subscription(self, channel, door.encoding, since: since)
      subscription.messageID = id
      subscription.isWelcomed = isWelcomed
      subscriptions.append(subscription)
      channel.add(subscription)
      gateway.publishing.carryOut(
        effects, in: channel, for: context, clientNumber: clientNumber, target: self)
      return true
    }
  }

  private func refuse(_ refusal: Refusal, _ channel: String, _ id: MessageID?) -> Bool {
    tell(ControlMessage.error(id: id, refusal, channel: channel))
    if case .oneChannel = door.style { close(.policyViolation, refusal.name) }
    return false
  }

  func subscribed(_ subscription: Subscription) {
    let channel = subscription.channel
    if isOpening {
      gateway.loop.atTurnEnd { [self] in
        if !subscriptions.contains(where: \.isWaiting) { endOpening() }
      }
    }
    if let id = subscription.messageID {
      tell(ControlMessage.ack(id: id, position: channel.position))
      subscription.messageID = nil
    }
    if subscription.isWelcomed {
      subscription.isWelcomed = false
      answered(
        (name: channel.name.text, subscribers: channel.subscribersEverywhere,
          position: channel.position))
    }
    if channel.policy.hasPresence { join(subscription) }
    if door.wantsPresence { gateway.presence.watch(subscription) }
  }

  /// A channel of the address has its answer, nil if it was refused.
  private func answered(_ channel: PendingWelcome.Channel?) {
    if pendingWelcome.answered(channel) { welcome() }
  }

  private func welcome() {
    let welcomed = pendingWelcome.take()
    let message =
      if case .oneChannel(let name) = door.style {
        "✨ Connected to channel '\(name.text)' ✨"
      } else {
        "✨ Connected to \(welcomed.count) channels ✨"
      }
    tell(
      ControlMessage.connection(
        message: message, channels: welcomed, session: session.text,
        client: ClientID(number: clientNumber).text))
  }

  // MARK: what the client says

  func received(_ bytes: borrowing Span<UInt8>) -> Int {
    if isOpening, holdWhileOpening() { return 0 }
    var offset = 0
    do throws(WebSocketError) {
      while !isClosing, let event = try reader.next(bytes, from: &offset) {
        switch event {
        case .message(let kind, let payload): received(kind, payload)
        case .ping(let payload):
          stream.send { WebSocketFrame.append(.pong, payload.span, into: &$0) }
        case .pong:
          if let time = keepAlive.receivedPong(gateway.loop.now) {
            gateway.metrics.roundTrip.record(time)
          }
        case .close(let code, _): return answerClose(code, bytes.count)
        }
      }
    } catch {
      gateway.metrics.limits.reached(error, messageLimit: .wsMessageBytes)
      close(error.closeCode, error.reason)
      return bytes.count
    }
    if connection.isBound, watch.exceeds(gateway.settings.rates.frames, reader, gateway.loop.now) {
      gateway.metrics.limits.reached(.framesPerSecond)
      close(.policyViolation, "rate_limited")
      return bytes.count
    }
    // A client that does not read its answers is not read either.
    if stream.queuedBytes > queueBytesMax {
      isHeldBack = true
      stream.tellWhenEmpty()
      stream.pauseReading()
    }
    return isClosing ? bytes.count : offset
  }

  /// What a client sends right after the handshake waits until its channels are open, so that a
  /// subscriber gets its own first publications too. Bounded: a channel that can't be opened now
  /// must not keep its client from being heard.
  private func holdWhileOpening() -> Bool {
    guard subscriptions.contains(where: \.isWaiting) else {
      isOpening = false
      return false
    }
    if !isHeldForOpening {
      isHeldForOpening = true
      stream.pauseReading()
      gateway.loop.after(Self.openingMax) { [self] in endOpening() }
    }
    return true
  }

  private static let openingMax = Duration.seconds(2)

  private func endOpening() {
    isOpening = false
    guard isHeldForOpening else { return }
    isHeldForOpening = false
    if !isClosing { stream.resumeReading() }
  }

  private func answerClose(_ code: WebSocketCloseCode?, _ count: Int) -> Int {
    isClosing = true
    // A browser that leaves the page says 1001, one that calls `close()` nothing or 1000.
    let isGoodbye = code == nil || code == .normal || code == .goingAway
    for subscription in subscriptions { leave(subscription, isGoodbye ? .left : .lost) }
    stream.send { WebSocketFrame.close(code, into: &$0) }
    stream.closeAfterWriting()
    return count
  }

  private func received(_ kind: WebSocketMessageKind, _ payload: [UInt8]) {
    gateway.metrics.messages.add()
    switch door.style {
    case .oneChannel(let name): receivedPayload(kind, payload, name)
    case .manyChannels:
      guard kind == .text else {
        return tell(
          ControlMessage.error(id: nil, .badRequest("this socket takes JSON text messages")))
      }
      do throws(ClientMessage.Malformed) {
        receivedMessage(try ClientMessage.parse(payload))
      } catch {
        tell(ControlMessage.error(id: error.id, .badRequest(error.message)))
      }
    }
  }

  /// On a socket of one channel every message is one payload.
  private func receivedPayload(
    _ kind: WebSocketMessageKind, _ bytes: [UInt8], _ name: ChannelName
  ) {
    var id: MessageID?
    if door.acknowledges {
      acknowledged += 1
      id = .number(acknowledged)
    }
    publish(name, Payload(kind == .text ? .uncheckedText : .binary, bytes), key: "", id)
  }

  private func receivedMessage(_ message: ClientMessage) {
    switch message {
    case .ping(let id):
      tell(ControlMessage.pong(id: id, timeMs: gateway.loop.wallMilliseconds))
    case .publish(let id, let channel, let payload, let key):
      guard let name = named(channel, id) else { return }
      publish(name, payload, key: key, id)
    case .subscribe(let id, let channel, let since):
      guard let name = named(channel, id) else { return }
      guard let from = Subscription.Since(since) else {
        return tell(
          ControlMessage.error(
            id: id, .badRequest("since is \"start\" or EPOCH:OFFSET"), channel: channel))
      }
      if let refusal = subscribesTooOften() { _ = refuse(refusal, channel, id) } else {
        subscribe(name, from, id: id)
      }
    case .unsubscribe(let id, let channel):
      guard let name = named(channel, id) else { return }
      unsubscribe(name)
      if let id { tell(ControlMessage.ack(id: id, position: nil)) }
    }
  }

  private func named(_ text: String, _ id: MessageID?) -> ChannelName? {
    if let name = ChannelName(text) { return name }
    tell(ControlMessage.error(id: id, .unknownChannel(text)))
    return nil
  }

  private func subscribesTooOften() -> Refusal? {
    let now = gateway.loop.now
    let rate = gateway.settings.rates.subscriptions
    guard connection.isBound, !subscribing.take(1, now, rate) else { return nil }
    gateway.metrics.limits.reached(.subscriptionsPerSecond)
    return .rateLimited("subscriptions", subscribing.wait(now, rate))
  }

  private func publishesTooOften() -> Refusal? {
    let now = gateway.loop.now
    let rate = gateway.settings.rates.publications
    guard !publications.take(1, now, rate) else { return nil }
    gateway.metrics.limits.reached(.publicationsPerSecond)
    return .rateLimited("publications", publications.wait(now, rate))
  }

  private func publish(_ name: ChannelName, _ payload: Payload, key: String, _ id: MessageID?) {
    if connection.isBound, let refusal = publishesTooOften() {
      return tell(ControlMessage.error(id: id, refusal, channel: name.text))
    }
    let channel: LocalChannel
    switch openForPublishing(name) {
    case .success(let found): channel = found
    case .failure(let refusal):
      return tell(ControlMessage.error(id: id, refusal, channel: name.text))
    }
    var request = PublishRequest(
      channel: channel,
      event: ChannelEvent(payload, idempotencyKey: key.isEmpty ? nil : key), client: context,
      clientNumber: clientNumber)
    // Without an id nobody waits for the hub's answer; refusals found here are told all the same.
    let needsAnswer = id != nil || channel.policy.isDurable || channel.plugin != nil || !key.isEmpty
    guard needsAnswer else {
      request.publisher = self
      return publishUnanswered(request)
    }
    gateway.publishing.publish(request, client: self) { [self] result in
      guard !isClosing else { return }
      switch result {
      case .success(let done):
        if let id {
          tell(ControlMessage.ack(id: id, position: done.position, reply: done.reply))
        } else if let reply = done.reply {
          send(reply, name)
        }
      case .failure(let refusal):
        tell(ControlMessage.error(id: id, refusal, channel: name.text))
      }
    }
  }

  /// BUDGET: channels that one connection may bring into being by publishing; they are forgotten
  /// a minute after their last use.
  private static let openedMax = 100_000

  private func openForPublishing(_ name: ChannelName) -> Result<LocalChannel, Refusal> {
    if let known = gateway.existing(name) { return .success(known) }
    // Asked before the channel is made, so that refused names cost nothing.
    guard gateway.publishing.mayPublish(context, in: name) else {
      return .failure(.permissionDenied)
    }
    guard opened < Self.openedMax else { return .failure(.limitExceeded) }
    opened += 1
    return gateway.channel(name)
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
    tell(ControlMessage.error(id: nil, refusal, channel: channel.name.text))
  }

  // MARK: what the client is told

  func tell(_ message: [UInt8]) {
    guard !isClosing else { return }
    stream.send { WebSocketFrame.append(.text, message, into: &$0) }
  }

  private func send(_ payload: Payload, _ channel: ChannelName) {
    stream.send { bytes in
      door.encoding.append(
        payload, position: nil, timeMs: gateway.loop.wallMilliseconds,
        prefix: Encoding.prefix(channel), to: &bytes)
    }
  }

  func carryOut(_ effects: [Effect], in channel: LocalChannel) {
    for effect in effects {
      switch effect {
      case .send(let payload): send(payload, channel.name)
      case .track(let info): track(channel, info)
      case .untrack: if let subscription = subscription(of: channel) { leave(subscription, .left) }
      case .after(let delay, let token): setTimer(token, delay, channel)
      case .close(let reason): end(channel, Refusal(reason))
      case .publish, .reply: break
      }
    }
  }

  private func track(_ channel: LocalChannel, _ info: [UInt8]) {
    guard channel.policy.hasPresence, let subscription = subscription(of: channel) else { return }
    subscription.info = info
    join(subscription)
  }

  /// Ends one subscription; a socket of one channel goes with it.
  private func end(_ channel: LocalChannel, _ refusal: Refusal) {
    tell(ControlMessage.error(id: nil, refusal, channel: channel.name.text))
    unsubscribe(channel.name)
    if case .oneChannel = door.style { close(.policyViolation, refusal.name) }
  }

  private struct TimerKey: Hashable {
    var channel: ChannelName
    var token: TimerToken
  }

  private func setTimer(_ token: TimerToken, _ delay: Duration, _ channel: LocalChannel) {
    let key = TimerKey(channel: channel.name, token: token)
    if let before = timers.removeValue(forKey: key) { gateway.loop.cancel(before) }
    guard timers.count(where: { $0.key.channel == channel.name }) < Effects.timersMax else { return }
    timers[key] = gateway.loop.after(delay) { [self] in
      timers[key] = nil
      due(token, channel)
    }
  }

  private func due(_ token: TimerToken, _ channel: LocalChannel) {
    guard !isClosing, let plugin = channel.plugin else { return }
    do throws(ChannelError) {
      let effects = try plugin.due(token, for: context)
      gateway.publishing.carryOut(
        effects, in: channel, for: context, clientNumber: clientNumber, target: self)
    } catch {
      gateway.logger.debug("a plugin's timer failed", ["reason": .text(error.description)])
    }
  }

  private func cancelTimers(_ channel: ChannelName? = nil) {
    for (key, timer) in timers where channel == nil || key.channel == channel {
      gateway.loop.cancel(timer)
      timers[key] = nil
    }
  }

  func cutOff(_ subscription: Subscription) {
    guard !isClosing else { return }
    gateway.metrics.cutOff.add()
    // What is queued can't be delivered in time: the close goes behind it and the rest is lost.
    close(WebSocketCloseCode(4008), "slow consumer: come back with your position")
  }

  func refused(_ subscription: Subscription, _ refusal: Refusal) {
    let name = subscription.channel.name
    let id = subscription.messageID
    remove(subscription)
    tell(ControlMessage.error(id: id, refusal, channel: name.text))
    if case .oneChannel = door.style { close(.tryAgainLater, refusal.name) }
  }

  /// The queue is empty after it had been full.
  func drained() {
    if isHeldBack {
      isHeldBack = false
      stream.resumeReading()
    }
    for subscription in subscriptions {
      subscription.relieved()
      gateway.presence.caughtUp(subscription)
      subscription.channel.advance(subscription)
    }
  }

  // MARK: the end

  private func unsubscribe(_ name: ChannelName) {
    guard let subscription = subscriptions.first(where: { $0.channel.name == name }) else { return }
    remove(subscription)
  }

  private func remove(_ subscription: Subscription) {
    subscriptions.removeAll { $0 === subscription }
    leave(subscription, .left)
    subscription.channel.remove(subscription)
    cancelTimers(subscription.channel.name)
    tellPlugin(subscription.channel)
    gateway.presence.unwatch(subscription)
    guard subscription.isWelcomed else { return }
    subscription.isWelcomed = false
    answered(nil)
  }

  private func subscription(of channel: LocalChannel) -> Subscription? {
    subscriptions.first { $0.channel === channel }
  }

  // MARK: presence

  private func join(_ subscription: Subscription) {
    subscription.isPresent = true
    gateway.presence.happened(joining(subscription))
  }

  private func leave(_ subscription: Subscription, _ what: MemberEvent.What) {
    guard subscription.isPresent else { return }
    subscription.isPresent = false
    gateway.presence.happened(
      MemberEvent(what, subscription.channel.name, client: clientNumber))
  }

  /// Who this client is in a channel. Only one that knows its session can resume it.
  private func joining(_ subscription: Subscription) -> MemberEvent {
    let isNamed = sessionToken != nil || door.welcomes
    return MemberEvent(
      .joined, subscription.channel.name, client: clientNumber, user: context.user?.text ?? "",
      session: isNamed ? session.publicName : "",
      info: subscription.info.isEmpty ? context.info : subscription.info)
  }

  /// Adds where this client is, as joins.
  func reportPresence(_ events: inout [MemberEvent]) {
    for subscription in subscriptions where subscription.isPresent {
      events.append(joining(subscription))
    }
  }

  private func close(_ code: WebSocketCloseCode, _ reason: String) {
    guard !isClosing else { return }
    isClosing = true
    stream.send { WebSocketFrame.close(code, reason: reason, into: &$0) }
    stream.closeAfterWriting()
    gateway.loop.after(.seconds(2)) { [connection] in connection.close() }
  }

  func sweep(_ now: Instant) {
    let settings = gateway.settings
    if isHeldBack || isHeldForOpening { watch.isHeldBack() } else if watch.isStalled(
      reader, now, window: settings.messageMax, bytesPerSecond: settings.transferRate)
    {
      gateway.metrics.limits.reached(.wsFrameTimeout)
      return close(.policyViolation, "the message did not come in time")
    }
    switch keepAlive.sweep(
      now, every: gateway.settings.pingEvery, within: gateway.settings.pongMax)
    {
    case .nothing: break
    case .ping: stream.send { WebSocketFrame.append(.ping, [UInt8]().span, into: &$0) }
    case .close:
      gateway.metrics.limits.reached(.pongTimeout)
      connection.close()
    }
  }

  /// Tells the client when to come back, then closes.
  func drain() {
    tell(ControlMessage.reconnect(afterMs: Int.random(in: 100...5000)))
    close(.serviceRestart, "the gateway restarts")
  }

  func ended() {
    isClosing = true
    cancelTimers()
    let all = subscriptions
    subscriptions = []
    for subscription in all {
      leave(subscription, .lost)
      subscription.channel.remove(subscription)
      gateway.presence.unwatch(subscription)
      tellPlugin(subscription.channel)
    }
  }

  /// The plugin may publish that the client has left.
  private func tellPlugin(_ channel: LocalChannel) {
    guard let plugin = channel.plugin else { return }
    do throws(ChannelError) {
      let effects = try plugin.left(context)
      guard !effects.isEmpty else { return }
      gateway.publishing.carryOut(
        effects, in: channel, for: context, clientNumber: clientNumber, target: nil)
    } catch {
      gateway.logger.debug("a plugin refused a leave", ["reason": .text(error.description)])
    }
  }
}

extension Subscription.Since {
  /// `start`, or `EPOCH:OFFSET`; nothing means from now on. Nil for anything else.
  init?(_ text: String?) {
    guard let text, !text.isEmpty else {
      self = .now
      return
    }
    if text == "start" {
      self = .start
    } else if let position = Position(text) {
      self = .position(position)
    } else {
      return nil
    }
  }
}
