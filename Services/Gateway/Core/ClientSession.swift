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
  private var sessionToken: SessionToken?
  private(set) var subscriptions: [Subscription] = []
  private var pendingWelcome = PendingWelcome()
  /// The carrier has not been told yet that every channel of the address has its answer.
  private var awaitsAnswers = true
  var timers: [TimerKey: TimerID] = [:]
  /// What waits for the client, while something does.
  private var outbox: ClientOutbox?
  /// Some of its channels are left to their histories.
  private var hasParkedChannels = false
  private var limitsUnsent = false
  /// Bytes that waited and were given to the connection since.
  var committedBytes: UInt64 = 0
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
    identity: Identity? = nil
  ) {
    self.gateway = gateway
    self.door = door
    account = gateway.account(of: client)
    sessionToken = session
    clientNumber = gateway.takeClientNumber()
    cameAt = gateway.loop.wallMilliseconds
    standing = ClientStanding(ClientID(number: clientNumber), identity)
  }

  var context: ClientContext { standing.context }
  /// Bytes that may wait for this client; past it the overflow action of the channel is taken.
  var queueBytesMax: Int { gateway.settings.queueBytesMax }
  /// Nothing that is said now reaches the client.
  var isOver: Bool { carrier?.isClosing ?? true }
  /// Channels that were asked for are being opened.
  var isOpening: Bool { subscriptions.contains(where: \.isWaiting) }

  private var session: SessionToken {
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
    if standing.identity == nil, gateway.settings.authenticator.settings.isRequired {
      return awaitSignIn(channels)
    }
    open(channels)
  }

  /// Only to be let go again.
  func begin(_ carrier: any Carrier) { self.carrier = carrier }

  func open(_ channels: [(ChannelName, Subscription.Since)]) {
    if door.welcomes, pendingWelcome.expect(channels.count) { welcome() }
    for (name, since) in channels {
      if !subscribe(name, since, id: nil, isWelcomed: door.welcomes) { answered(nil) }
    }
    subscribeByToken()
    checkAnswered()
  }

  /// Whether the subscription is made, or under way.
  @discardableResult
  func subscribe(
    _ name: ChannelName, _ since: Subscription.Since, id: MessageID?, isWelcomed: Bool = false,
    grant: SubscriptionGrant? = nil
  ) -> Bool {
    // Subscribing twice on one connection is subscribing once (S003-24).
    if let known = subscriptions.first(where: { $0.channel.name == name }) {
      // Its position stands behind what waits of the channel.
      if let id { tell(.ack(id: id, position: known.channel.position, reply: nil), of: known) }
      return true
    }
    guard subscriptions.count < gateway.settings.channelsPerConnectionMax else {
      gateway.metrics.limits.reached(.channelsPerConnection)
      return refuse(.limitExceeded, name.text, id)
    }
    guard let policy = gateway.settings.policy(name) else {
      // Whether a reserved name is one is nobody's business.
      return refuse(name.isReserved ? .permissionDenied : .unknownChannel(name), name.text, id)
    }
    let mayReadHistory =
      since == .now || standing.may(.history, name, policy, gateway.settings.access, grant: grant)
    // Who asks for the past is refused; who only comes back goes on, and is told what it misses.
    guard standing.may(.subscribe, name, policy, gateway.settings.access, grant: grant),
      mayReadHistory || since != .start
    else { return refuse(.permissionDenied, name.text, id) }
    switch gateway.channel(name, for: account?.address) {
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
        self, channel, door.encoding, since: mayReadHistory ? since : .now)
      subscription.isCutOffFromHistory = !mayReadHistory
      subscription.messageID = id
      subscription.isCounted = channel.policy.subscribersMax != nil
      subscription.isWelcomed = isWelcomed
      subscription.grant = grant
      subscriptions.append(subscription)
      noteLane(of: channel)
      channel.add(subscription)
      gateway.publishing.carryOut(
        effects, in: channel, for: context, clientNumber: clientNumber, target: self)
      return true
    }
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
    if case .oneChannel = door.style { carrier?.end(.refused(refusal)) }
    return false
  }

  /// The subscription stands: the channel's position is where live publications begin.
  func subscribed(_ subscription: Subscription) {
    let channel = subscription.channel
    if awaitsAnswers { gateway.loop.atTurnEnd { [self] in checkAnswered() } }
    if let id = subscription.messageID {
      tell(.ack(id: id, position: channel.position, reply: nil))
      subscription.messageID = nil
    }
    if subscription.isWelcomed {
      subscription.isWelcomed = false
      answered(
        (name: channel.name.text, subscribers: channel.subscribersEverywhere,
          position: channel.position))
    }
    if channel.policy.hasPresence, door.isPresent { join(subscription) }
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

  private func checkAnswered() {
    guard awaitsAnswers, !isOpening else { return }
    awaitsAnswers = false
    carrier?.channelsAnswered()
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
      .connection(
        message: message, channels: welcomed, session: session.text,
        client: ClientID(number: clientNumber).text))
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

  // MARK: what waits

  var hasOutbox: Bool { outbox != nil }
  /// Bytes of answers and other control messages that wait.
  var waitingControlBytes: Int { outbox?.bytes(upTo: .control) ?? 0 }
  var waitingPinnedBytes: Int { outbox?.pinnedBytes ?? 0 }
  /// Bytes that wait, without what the carrier has.
  var waitingBytes: Int { outbox?.bytes ?? 0 }

  /// What waits here, and what the carrier has.
  var carriedBytes: Int { waitingBytes + (carrier?.queuedBytes ?? 0) }

  /// Whether more than a window stands before what is sent now.
  var holdsBack: Bool {
    if outbox != nil { return true }
    guard let carrier, !carrier.isOneAnswer else { return false }
    return carrier.queuedBytes >= Stream.windowBytes
  }

  /// Keeps publications of which the stream has taken the first `sent` bytes.
  func hold(_ publications: EncodedPublications, from sent: Int, of subscription: Subscription) {
    withOutbox { $0.hold(publications, from: sent, of: subscription) }
  }

  /// Keeps a publication of a replay, a snapshot or an answer.
  func hold(alone publication: EncodedPublications, of subscription: Subscription) {
    var parcel = publication.parcel(
      0..<1, 0..<publication.bytes.count, since: gateway.loop.now)
    // What the history doesn't have can't be left out.
    if publication.first == nil { parcel.count = 0 }
    withOutbox { $0.hold(parcel, of: subscription) }
  }

  private func withOutbox(_ body: (ClientOutbox) -> Void) {
    guard !isOver, let carrier else { return }
    if let outbox { return body(outbox) }
    let made = ClientOutbox(self, carrier)
    outbox = made
    body(made)
    guard !made.isEmpty, !isOver else { return dropOutbox() }
    gateway.metrics.slow.clients[.buffer].add()
    carrier.tellWhenEmpty()
  }

  private func dropOutbox() {
    outbox?.end()
    outbox = nil
  }

  /// A channel of the client's was left to its history: it is to be read on once there is room.
  func hasParked() {
    hasParkedChannels = true
    carrier?.tellWhenEmpty()
  }

  /// Reads on for channels that were left to their histories, once what waits of theirs and of more
  /// urgent ones is little.
  private func resumeParked() {
    guard hasParkedChannels else { return }
    hasParkedChannels = false
    for subscription in subscriptions {
      guard case .parked = subscription.state else { continue }
      let lane = subscription.channel.policy.lane
      if (outbox?.bytes(upTo: lane) ?? 0) < queueBytesMax / 4 {
        subscription.channel.resume(subscription)
      } else {
        hasParkedChannels = true
      }
    }
  }

  /// Commits what the client still gets before it is let go: all that waits, or only answers.
  func commitLast(all: Bool) {
    outbox?.commitLast(all: all)
    dropOutbox()
  }

  /// Nobody will take it any more.
  func forgetWaiting() { dropOutbox() }

  /// Once a second: lets a client go that has been behind for longer than a channel's rule has
  /// patience.
  func checkPatience(_ now: Instant) {
    guard outbox != nil || hasParkedChannels else { return }
    for subscription in subscriptions {
      guard let since = subscription.behindSince,
        let patience = subscription.channel.slow.patience, now.since(since) >= patience
      else { continue }
      gateway.metrics.slow.clients[.disconnect].add()
      return cutOff()
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
    guard !isOver, carrier?.directStream != nil else { return }
    var bytes: [UInt8] = []
    door.encoding.append(
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

  /// Bytes of one page of a history, beside what is queued already: what is published meanwhile
  /// still has its room. Where there is one answer its channels share it.
  var pageBytes: Int {
    let share = carrier?.isOneAnswer == true ? max(1, subscriptions.count) : 1
    let free = queueBytesMax - waitingBytes
    return min(LocalChannel.pageBytes, max(16 * 1024, free / 2 / share))
  }

  /// Whether another page fits into what may wait for the client: what is less urgent does not count.
  /// If not, `drained` is called once it has taken what it was sent.
  func hasRoomForPage(_ subscription: Subscription) -> Bool {
    guard let carrier, !carrier.isClosing, carrier.takesPages else { return false }
    let waiting = outbox?.bytes(upTo: subscription.channel.policy.lane) ?? 0
    if carrier.queuedBytes + waiting < queueBytesMax / 4 { return true }
    carrier.tellWhenEmpty()
    return false
  }

  /// The carrier's queue is empty after it had been full.
  func drained() {
    if let outbox {
      outbox.refill()
      if outbox.isEmpty { dropOutbox() }
    }
    gateway.drained(self)
    resumeParked()
    guard outbox == nil else { return }
    for subscription in subscriptions {
      subscription.relieved()
      gateway.presence.caughtUp(subscription)
      subscription.channel.advance(subscription)
    }
  }

  /// Tells the client when to come back, then lets it go.
  func drain() {
    tell(.reconnect(afterMs: Int.random(in: 100...5000)))
    carrier?.end(.draining)
  }

  // MARK: presence

  private func join(_ subscription: Subscription) {
    subscription.isPresent = true
    gateway.presence.happened(joining(subscription))
  }

  /// Shows `info` of the client to the channel's others.
  func track(_ channel: LocalChannel, _ info: [UInt8]) {
    guard channel.policy.hasPresence, let subscription = subscription(of: channel) else { return }
    subscription.info = info
    join(subscription)
  }

  func leave(_ subscription: Subscription, _ what: MemberEvent.What) {
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
      info: subscription.info.isEmpty
        ? subscription.grant?.info ?? context.info : subscription.info)
  }

  /// Adds where this client is, as joins.
  func reportPresence(_ events: inout [MemberEvent]) {
    for subscription in subscriptions where subscription.isPresent {
      events.append(joining(subscription))
    }
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
