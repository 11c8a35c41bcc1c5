internal import Bytes
internal import ChannelKit
internal import Config
internal import Identity
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// One client and the channels it is in, whatever carries its messages.
///
/// Decides what a client gets, is told and may do: subscriptions and the welcome, presence,
/// publishing with its limits, what plugins do to a client. How bytes come and go is the
/// carrier's. Loop-confined; carrier and session hold each other until `ended`.
final class ClientSession {
  /// What a door gives its clients.
  struct Door {
    var style: Style
    var encoding: Encoding
    var wantsPresence = false
    /// Clients of these doors get the `connection` message first.
    var welcomes: Bool
    /// Whether the client counts as present where it subscribes.
    var isPresent = true
  }

  enum Style: Equatable {
    /// The session is for this channel alone and ends with it.
    case oneChannel(ChannelName)
    case manyChannels
  }

  let gateway: GatewayLoop
  let door: Door
  /// The client's number, as publications name their publisher.
  let clientNumber: UInt64
  /// What the limits of clients hold this client to; nil where they don't bind it.
  let account: ClientAccount?
  private(set) var carrier: (any Carrier)?
  /// Made when it is first needed.
  private(set) var sessionToken: SessionToken?
  private(set) var subscriptions: [Subscription] = []
  var pendingWelcome = PendingWelcome()
  /// The carrier has not been told yet that every channel of the address has its answer.
  private var awaitsAnswers = false
  var timers: [TimerKey: TimerID] = [:]
  /// What waits for the client, while something does.
  var outbox: ClientOutbox?
  /// Some of its channels are left to their histories.
  var hasParkedChannels = false
  private var limitsUnsent = false
  /// Bytes that waited and were given to the connection since.
  var committedBytes: UInt64 = 0
  /// Histories and lists of members that are being read.
  var looks = 0
  /// Something was published in the name that the client had then.
  var hasPublished = false
  /// Who the client is.
  var standing: ClientStanding
  /// When it came, in milliseconds since 1970.
  let cameAt: Int64
  /// The channels of the address, where the client has to sign in first, and until when.
  var awaitsSignIn: AwaitedSignIn?

  init(
    _ gateway: GatewayLoop, _ door: Door, session: SessionToken?, client: PeerIdentity,
    identity: Identity? = nil, number: UInt64? = nil
  ) {
    self.gateway = gateway
    self.door = door
    account = gateway.account(of: client)
    sessionToken = session
    clientNumber = number ?? gateway.takeClientNumber()
    cameAt = gateway.loop.wallMilliseconds
    standing = ClientStanding(ClientID(number: clientNumber), identity)
  }

  var context: ClientContext { standing.context }
  /// Bytes that may wait for this client; past it the overflow action of the channel is taken.
  var queueBytesMax: Int { gateway.settings.queueBytesMax }
  /// Nothing that is said now reaches the client.
  var isOver: Bool { carrier?.isClosing ?? true }
  /// Channels that were asked for are being opened.
  var isOpening: Bool { subscriptions.contains(where: \.isWaiting) || isHeldByHook }

  var session: SessionToken {
    if let sessionToken { return sessionToken }
    let made = SessionToken()
    sessionToken = made
    return made
  }

  // MARK: opening

  /// Subscribes to what the address named. Once, before anything else.
  func open(_ carrier: any Carrier, _ channels: [(ChannelName, Subscription.Since)]) {
    self.carrier = carrier
    if let refusal = takeSeat() { return letGo(refusal) }
    if asksToConnect { return askToConnect(channels) }
    if standing.identity == nil, gateway.settings.authenticator.settings.isRequired {
      return awaitSignIn(channels)
    }
    open(channels)
  }

  /// Only to be let go again.
  func begin(_ carrier: any Carrier) { self.carrier = carrier }

  /// The first half of opening, for doors that let a client in by a message of their own. Why not,
  /// where there is no room for it; then only `ended` may follow.
  func enter(_ carrier: any Carrier) -> Refusal? {
    self.carrier = carrier
    return takeSeat()
  }

  func open(_ channels: [(ChannelName, Subscription.Since)]) {
    // One that has come back has some already.
    if door.welcomes, pendingWelcome.expect(channels.count) { welcome() }
    for (name, since) in channels {
      if !subscribe(name, since, id: nil, isWelcomed: door.welcomes) { answered(nil) }
    }
    if pendingWelcome.holdsBack { boundWelcome() }
    subscribeByToken()
    // Those that were answered meanwhile need not say so one by one.
    awaitsAnswers = true
    checkAnswered()
  }

  /// Whether the subscription is made, or under way.
  @discardableResult
  func subscribe(
    _ name: ChannelName, _ since: Subscription.Since, id: MessageID?, isWelcomed: Bool = false,
    grant: SubscriptionGrant? = nil, override: SubscriptionOverride? = nil
  ) -> Bool {
    // Subscribing twice on one connection is subscribing once (S003-24).
    if let known = subscriptions.first(where: { $0.channel.name == name }) {
      // Its position stands behind what waits of the channel.
      if let id { tell(.ack(id: id, position: known.channel.position, reply: nil), of: known) }
      return true
    }
    let most = gateway.settings.channelsPerConnectionMax
    guard subscriptions.count < most else {
      gateway.metrics.limits.reached(.channelsPerConnection)
      return refuse(.tooManyChannels(most), name.text, id)
    }
    let known = name.isReserved ? nil : gateway.existing(name)
    guard let policy = gateway.policy(name, known) else {
      // Whether a reserved name is one is nobody's business.
      return refuse(name.isReserved ? .permissionDenied : .unknownChannel(name), name.text, id)
    }
    if grant == nil, asksToSubscribe(name, policy) {
      return askToSubscribe(name, since, id: id, isWelcomed: isWelcomed, policy)
    }
    if grant == nil, let place = hookPlace(in: name) {
      return subscribe(name, since, id: id, isWelcomed: isWelcomed, place)
    }
    let isGranted = grant != nil
    let access = gateway.settings.access
    let mayReadHistory =
      since == .now || standing.may(.history, name, policy, access, isGranted: isGranted)
    // Who asks for the past is refused; who only comes back goes on, and is told what it misses.
    guard standing.may(.subscribe, name, policy, access, isGranted: isGranted),
      mayReadHistory || since != .start
    else { return refuse(.permissionDenied, name.text, id) }
    switch gateway.channel(name, for: account?.address, known: known) {
    case .failure(let refusal): return refuse(refusal, name.text, id)
    case .success(let channel):
      var effects: [Effect] = []
      do throws(ChannelError) {
        effects = try channel.plugin?.admit(context) ?? []
      } catch { return refuse(Refusal(error), name.text, id) }
      if let most = channel.policy.subscribersMax {
        guard channel.subscribersEverywhere < most,
          gateway.settings.subscribers.enter(name, most: most)
        else { return refuse(.channelIsFull, name.text, id) }
      }
      let subscription = Subscription(
        self, channel, encoding(of: name), since: mayReadHistory ? since : .now)
      subscription.isCutOffFromHistory = !mayReadHistory
      subscription.messageID = id
      subscription.isCounted = channel.policy.subscribersMax != nil
      subscription.isWelcomed = isWelcomed
      if isGranted { subscription.grant = grant }
      if let override, !override.isEmpty { subscription.override = override }
      subscription.tailoring = carrier?.tailoring(of: name)
      if isGranted || !effects.isEmpty { subscription.answer = Self.answer(effects, grant) }
      subscriptions.append(subscription)
      noteLane(of: channel)
      channel.add(subscription)
      gateway.publishing.carryOut(
        effects, in: channel, for: context, clientNumber: clientNumber, target: self)
      return true
    }
  }

  /// What a subscription is answered with.
  private static func answer(_ effects: [Effect], _ grant: SubscriptionGrant?) -> Payload? {
    for case .reply(let payload) in effects { return payload }
    return grant?.data.map { Payload(.json, $0) }
  }

  /// Where lanes differ, what the kernel holds is what nothing can overtake; else it may hold what it
  /// likes, and bursts cost nobody a gap.
  func noteLane(of channel: LocalChannel) {
    guard channel.policy.lane != .normal, !limitsUnsent else { return }
    limitsUnsent = true
    carrier?.limitUnsent()
  }

  /// Says why a channel can't be had; a session of one channel ends with that. Always false.
  @discardableResult
  func refuse(_ refusal: Refusal, _ channel: String, _ id: MessageID?) -> Bool {
    tell(.error(id: id, refusal, channel: channel))
    if case .oneChannel = door.style { carrier?.end(refusal.end) }
    return false
  }

  /// The subscription stands, and the client is told so: the channel's position is where live
  /// publications begin.
  func admitted(_ subscription: Subscription) {
    let channel = subscription.channel
    if awaitsAnswers { gateway.loop.atTurnEnd { [self] in checkAnswered() } }
    carrier?.admits(subscription)
    if let id = subscription.messageID {
      tell(.ack(id: id, position: channel.position, reply: subscription.answer))
      subscription.messageID = nil
    }
    if subscription.isWelcomed {
      subscription.isWelcomed = false
      answered(
        (name: channel.name.text, subscribers: channel.subscribersEverywhere,
          position: channel.position))
    }
  }

  /// What there is to be said of the channel before its publications.
  func entered(_ subscription: Subscription) {
    let channel = subscription.channel
    if channel.policy.hasPresence, door.isPresent, !subscription.override.isHidden {
      join(subscription)
    }
    if subscription.isCutOffFromHistory { tellCutOff(channel) }
    guard door.wantsPresence else { return }
    if may(.presence, subscription) { return gateway.presence.watch(subscription) }
    tell(.error(id: nil, .presenceDenied, channel: channel.name.text))
  }

  private func tellCutOff(_ channel: LocalChannel) {
    tell(
      .unrecoverable(
        ServerMessage.Unrecoverable(
          channel: channel.name, reason: .notPermitted, epoch: channel.position?.epoch,
          floor: .zero, head: channel.position?.offset ?? .zero)))
  }

  /// What the client gets of the channel follows `position`.
  func begins(_ subscription: Subscription, after position: Subscription.Since) {
    if let outbox, outbox.holds(subscription) {
      return outbox.hold(begins: position, of: subscription)
    }
    carrier?.begins(subscription, after: position)
  }

  func checkAnswered() {
    guard awaitsAnswers, !isOpening else { return }
    awaitsAnswers = false
    carrier?.channelsAnswered()
  }

  // MARK: what the client is told

  /// Something that is no publication. It overtakes what waits, but for what belongs to a channel's
  /// order.
  ///
  /// - Parameter subscription: whose publications it must not overtake, where the message itself
  ///   doesn't say.
  func tell(_ message: ServerMessage, of subscription: Subscription? = nil) {
    guard let outbox else { carrier?.tell(message); return }
    let channel = message.orderedChannel
    outbox.hold(
      message,
      of: subscription ?? channel.flatMap { name in
        subscriptions.first { $0.channel.name == name }
      })
  }

  /// Bytes for the client itself in its carrier's form, such as a pong.
  func send(control bytes: [UInt8]) {
    guard let outbox else { carrier?.send(bytes, 0, bytes.count); return }
    outbox.hold(control: bytes)
  }

  /// The form in which this client gets a channel's publications.
  private func encoding(of name: ChannelName) -> Encoding {
    switch door.encoding {
    case .socketPublication where gateway.settings.engine.speaksAsEvent(name): .socketEvent
    case .recoverablePublication where gateway.settings.engine.speaksAsEvent(name):
      .recoverableEvent
    default: door.encoding
    }
  }

  /// A payload for this client alone.
  func send(_ payload: Payload, _ channel: LocalChannel) {
    guard let subscription = subscription(of: channel) else {
      // One that publishes without listening is answered in the form of its door.
      return sendUnsubscribed(payload, channel)
    }
    subscription.send(
      payload, position: nil, timeMs: gateway.loop.wallMilliseconds)
  }

  private func sendUnsubscribed(_ payload: Payload, _ channel: LocalChannel) {
    guard !isOver, carrier?.takesFrames == true else { return }
    var bytes: [UInt8] = []
    encoding(of: channel.name).append(
      payload, position: nil, timeMs: gateway.loop.wallMilliseconds,
      prefix: channel.envelopePrefix, to: &bytes)
    send(control: bytes)
  }

  /// The client is too slow for what may not be left out: it is let go, and comes back.
  func cutOff() {
    guard !isOver else { return }
    gateway.metrics.cutOff.add()
    carrier?.end(.slowConsumer)
  }

  /// The subscription could not be made or can't go on.
  func refused(_ subscription: Subscription, _ refusal: Refusal) {
    let name = subscription.channel.name
    let id = subscription.messageID
    remove(subscription)
    tell(.error(id: id, refusal, channel: name.text))
    let isStranded = subscription.hasBegun && carrier?.hearsClient == false
    if door.style != .manyChannels || isStranded { carrier?.end(.unavailable(refusal)) }
    checkAnswered()
  }

  // MARK: the end

  func subscription(of channel: LocalChannel) -> Subscription? {
    subscriptions.first { $0.channel === channel }
  }

  func unsubscribe(_ name: ChannelName) {
    guard let subscription = subscriptions.first(where: { $0.channel.name == name }) else { return }
    remove(subscription)
  }

  private func remove(_ subscription: Subscription) {
    subscriptions.removeAll { $0 === subscription }
    outbox?.forget(subscription)
    leave(subscription, .left)
    subscription.channel.remove(subscription)
    cancelTimers(subscription.channel.name)
    tellPlugin(subscription.channel)
    gateway.presence.unwatch(subscription)
    carrier?.left(subscription)
    guard subscription.isWelcomed else { return }
    subscription.isWelcomed = false
    answered(nil)
  }

  /// The client is leaving: others see it go, by its own will or not, before the carrier has ended.
  func leaves(_ what: MemberEvent.What) {
    for subscription in subscriptions { leave(subscription, what) }
  }

  /// The carrier has ended. The last call.
  func ended() {
    carrier = nil
    endHooks()
    account?.leave()
    dropOutbox()
    gateway.ended(self)
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
}
