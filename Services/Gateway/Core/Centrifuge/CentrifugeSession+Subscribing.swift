internal import Bytes
internal import Centrifuge
internal import ChannelKit
internal import Config
internal import HTTPCodec
internal import Identity
internal import Link
internal import Loop
internal import Wire

/// How a Centrifuge client gets into channels: by its token with `connect`, by asking, by the server.
extension CentrifugeSession {
  // MARK: connect

  /// How long the answer waits for channels that can't be opened now.
  private static let openingMax = Duration.seconds(2)

  func connect(_ id: UInt32, _ ask: CentrifugeCommand.Connect) {
    if ask.token.isEmpty, session.asksToConnect { return askToConnect(id, ask) }
    do throws(Refusal) {
      try session.signIn(ask.token.isEmpty ? nil : .token(ask.token))
    } catch { return turnAway(id, error) }
    enter(id, ask, nil)
  }

  private func turnAway(_ id: UInt32, _ refusal: Refusal) {
    switch refusal {
    // The client may try again, with another token.
    case .tokenExpired where !form.isUnidirectional, .signInFirst where !form.isUnidirectional:
      fail(id, refusal)
    default: session.letGo(refusal)
    }
  }

  /// A back end says who the client is. What it refuses in its own words is the answer to `connect`.
  private func askToConnect(_ id: UInt32, _ ask: CentrifugeCommand.Connect) {
    session.askToConnect(encoding.payload(ask.data), library: (ask.name, ask.version)) {
      [self] result in
      switch result {
      case .failure(let refusal) where refusal.endsWith != 0 || form.isUnidirectional:
        session.letGo(refusal)
      case .failure(let refusal): fail(id, refusal)
      case .success(let welcome):
        do throws(Refusal) { try session.signIn(welcome.identity) } catch {
          return turnAway(id, error)
        }
        enter(id, ask, welcome.data)
      }
    }
  }

  /// - Parameter data: what a back end has for the client.
  private func enter(_ id: UInt32, _ ask: CentrifugeCommand.Connect, _ data: Payload?) {
    isConnected = true
    let opening = Opening(id, connected)
    let effects = entered(ask.data)
    opening.reply.data = data.map { encoding.data($0) } ?? answer(effects)
    self.opening = opening
    flushBatch()
    // What is published before the answer goes behind it.
    stream.withholds = true
    push(effects)
    flushBatch()
    subscribeByToken(ask.subs)
    guard !opening.awaited.isEmpty else { return finishOpening() }
    opening.timer = gateway.loop.after(Self.openingMax) { [self] in finishOpening() }
  }

  private var connected: CentrifugeReply.Connect {
    var reply = CentrifugeReply.Connect()
    reply.client = ClientID(number: session.clientNumber).text
    reply.version = gateway.identity.software
    // Where a back end is asked whether clients may stay they need not see to that themselves.
    if let end = session.standing.expiresAt, !session.isRefreshedByHook {
      (reply.expires, reply.ttlSeconds) = (true, timeToLive(end))
    }
    reply.pingSeconds = pingSeconds
    reply.pong = !form.isUnidirectional
    if let emulation = transport?.emulation {
      (reply.node, reply.session) = (emulation.node, emulation.session)
    }
    return reply
  }

  /// How often the client is pinged; rounded up, since it waits for that long.
  private var pingSeconds: UInt32 {
    UInt32(clamping: (gateway.settings.pingEvery.millisecondsMax + 999) / 1000)
  }

  /// Seconds until a right that ends at `end` should be refreshed: clients do so at the last moment,
  /// and then it is to hold still.
  func timeToLive(_ end: Int64) -> UInt32 {
    let left = max(0, end - Authenticator.now)
    return UInt32(clamping: max(1, left - min(10, (left + 2) / 3)))
  }

  var refreshed: CentrifugeReply.Refresh {
    var reply = CentrifugeReply.Refresh()
    reply.client = ClientID(number: session.clientNumber).text
    reply.version = gateway.identity.software
    if let end = session.standing.expiresAt { (reply.expires, reply.ttlSeconds) = (true, timeToLive(end)) }
    return reply
  }

  /// A back end has changed when the connection ends.
  var extended: CentrifugeReply {
    var push = CentrifugePush.Refresh()
    if let end = session.standing.expiresAt { (push.expires, push.ttlSeconds) = (true, timeToLive(end)) }
    return CentrifugeReply(CentrifugePush(.refresh(push)))
  }

  private func subscribeByToken(_ places: NamedValues<CentrifugeCommand.Subscribe>) {
    var names = session.standing.identity?.channels ?? []
    let user = session.context.user?.text ?? ""
    if let own = gateway.settings.centrifuge.personalChannel(of: user) { names.append(own) }
    for name in names where pending[name] == nil {
      let asked = places[name.text].map { PendingSubscription($0, id: nil) } ?? PendingSubscription()
      pending[name] = asked
      opening?.awaited.insert(name)
      if !session.subscribe(name, asked.since, id: nil) { answered(name, nil) }
    }
    comeBack(places)
  }

  /// Into channels where it was on another connection, by a back end's will that still holds.
  private func comeBack(_ places: NamedValues<CentrifugeCommand.Subscribe>) {
    for place in places.entries {
      let ask = place.value
      guard let name = ChannelName(place.name), pending[name] == nil, ask.recover,
        session.admission(to: name) != nil
      else { continue }
      let asked = PendingSubscription(ask, id: nil)
      pending[name] = asked
      opening?.awaited.insert(name)
      if !session.comeBack(to: name, asked.since, token: nil) { answered(name, nil) }
    }
  }

  /// Answers `connect`, and lets through what has waited for that.
  func finishOpening() {
    guard let opening, !isClosing else { return }
    if let timer = opening.timer { gateway.loop.cancel(timer) }
    self.opening = nil
    let frame = form.encode(CentrifugeReply(id: opening.id, .connect(opening.reply)))
    var bytes: [UInt8] = []
    transport?.append(frame, to: &bytes)
    stream.send(bytes)
    stream.send(opening.early)
    stream.withholds = false
    if opening.wantsDrained { stream.tellWhenEmpty() }
    for name in opening.reply.subs.entries.map(\.name) { watch(name) }
  }

  private func watch(_ text: String) {
    guard let subscription = session.subscriptions.first(where: { $0.channel.name.text == text })
    else { return }
    if subscription.override.hearsMembers ?? true { watchMembers(subscription) }
  }

  // MARK: subscribe

  func subscribe(_ id: UInt32, _ ask: CentrifugeCommand.Subscribe) {
    guard let name = ChannelName(ask.channel) else {
      return fail(id, .unknownChannel(ask.channel))
    }
    guard ask.type == 0 else { return fail(id, .badRequest("there is no such kind of subscription")) }
    var filter: CentrifugeTagCondition?
    do throws(CentrifugeFilterError) {
      filter = try ask.filter.map { wanted throws(CentrifugeFilterError) in
        try CentrifugeTagCondition(wanted)
      }
    } catch { return fail(id, .badRequest("tf is no filter: \(error)")) }
    guard pending[name] == nil, !session.subscriptions.contains(where: { $0.channel.name == name })
    else { return fail(id, CentrifugeErrorCode.alreadySubscribed) }
    if let refusal = session.asksTooOften(subscribes: true) { return fail(id, refusal) }
    var asked = PendingSubscription(ask, id: id)
    asked.tailoring = Tailoring(filter: filter, isDelta: ask.delta == "fossil")
    pending[name] = asked
    guard ask.recover, gateway.settings.centrifuge.recoversLatest(name),
      let policy = gateway.settings.policy(name), policy.history != .none
    else { return subscribe(name, asked.since, id, ask.token) }
    (asked.wantsLatest, asked.wanted) = (true, asked.since)
    pending[name] = asked
    subscribeToLatest(name, policy, id, ask.token)
  }

  private func subscribe(
    _ name: ChannelName, _ since: Subscription.Since, _ id: UInt32, _ token: String
  ) {
    session.subscribe(
      name, since, id: CentrifugeTag(.subscribe, id).messageID,
      token: token.isEmpty ? nil : .token(token))
  }

  /// Goes on right before the latest publication, wherever the client was. What is published until
  /// then is later still.
  private func subscribeToLatest(
    _ name: ChannelName, _ policy: ChannelPolicy, _ id: UInt32, _ token: String
  ) {
    gateway.readHistory(name, policy, after: .zero, count: 1, bytes: 0, isReverse: true) {
      [self] result in
      guard !isClosing, pending[name]?.id == id else { return }
      switch result {
      case .failure(let failure):
        pending[name] = nil
        fail(id, Refusal(failure))
      case .success(let page):
        var since = Subscription.Since.empty
        if let epoch = page.epoch, let latest = page.events.first {
          since = .position(Position(epoch: epoch, offset: Offset(latest.offset.value - 1)))
        } else if let epoch = page.epoch {
          since = .position(Position(epoch: epoch, offset: page.head))
        }
        pending[name]?.since = since
        // There is none: it went with its time, or never was.
        pending[name]?.isLost = page.events.isEmpty
        subscribe(name, since, id, token)
      }
    }
  }

  func unsubscribe(_ id: UInt32, _ channel: String) {
    if let name = ChannelName(channel), let given = pending.removeValue(forKey: name) {
      if let asked = given.id { fail(asked, .badRequest("unsubscribed before it was subscribed")) }
      answered(name, nil)
    }
    session.received(
      .unsubscribe(id: CentrifugeTag(.unsubscribe, id).messageID, channel: channel))
  }

  // MARK: the answer

  func begins(_ subscription: Subscription, after position: Subscription.Since) {
    let name = subscription.channel.name
    if pending[name] == nil {
      // Nobody asked for it on this connection: the server has subscribed the client.
      guard subscription.isWaiting || !subscription.hasBegun else { return }
      pending[name] = PendingSubscription()
    }
    pending[name]?.place = position
    answerIfComplete(subscription)
  }

  func gathers(_ arrival: Arrival, of subscription: Subscription) -> Bool {
    let name = subscription.channel.name
    guard let given = pending[name], !given.isBegun, let position = arrival.position else {
      return false
    }
    var publication = CentrifugePublication(arrival, in: encoding)
    if given.tailoring?.isDelta == true {
      publication.data = encoding.deltaData(publication.data)
    }
    pending[name]?.publications.append(publication)
    pending[name]?.last = position
    return true
  }

  func passes(_ position: Position, of subscription: Subscription) {
    let name = subscription.channel.name
    if let given = pending[name], !given.isBegun { pending[name]?.last = position }
  }

  func tailoring(of channel: ChannelName) -> Tailoring? { pending[channel]?.tailoring }

  func hookData(of channel: ChannelName) -> Payload? {
    pending[channel].flatMap { encoding.payload($0.asked) }
  }

  func hookAllows(_ channel: ChannelName, _ place: HookPlace) {
    if let data = place.data { pending[channel]?.given = encoding.data(data) }
    // It begins where it is, and is not told that it has missed nothing.
    if place.override.forgetsPlace { pending[channel]?.isLost = true }
  }

  func begun(_ subscription: Subscription) {
    guard pending[subscription.channel.name] != nil else { return }
    pending[subscription.channel.name]?.isBegun = true
    answerIfComplete(subscription)
  }

  private func answerIfComplete(_ subscription: Subscription) {
    let name = subscription.channel.name
    guard var given = pending[name], given.isBegun, given.place != nil else { return }
    pending[name] = nil
    given.keepLatest()
    guard let id = given.id else { return answered(name, given) }
    guard given.isRecovered || !given.wasRecovering || !given.rejectsUnrecovered else {
      fail(id, .unrecoverable)
      gateway.loop.atTurnEnd { [self] in session.unsubscribe(name) }
      return
    }
    serverSide.remove(name)
    say(CentrifugeReply(id: id, .subscribe(result(given, subscription))))
    // Publications follow that don't come this way.
    flushBatch()
    let isTold = given.wantsMembers || gateway.settings.centrifuge.tellsMembers(name)
    if subscription.override.hearsMembers ?? isTold { watchMembers(subscription) }
  }

  private func result(
    _ given: PendingSubscription, _ subscription: Subscription
  ) -> CentrifugeReply.Subscribe {
    var result = CentrifugeReply.Subscribe()
    result.recoverable = isRecoverable(subscription)
    result.positioned = isPositioned(subscription)
    if result.recoverable || result.positioned, let position = given.position {
      (result.epoch, result.offset) = (position.epoch.text, position.offset.value)
    }
    result.publications = given.publications
    // A back end was asked last.
    result.data =
      given.given.isEmpty ? subscription.answer.map { encoding.data($0) } ?? [] : given.given
    result.delta = given.tailoring?.isDelta ?? false
    result.wasRecovering = given.wasRecovering
    result.recovered = given.isRecovered
    // Where a back end is asked whether clients may stay they need not see to that themselves.
    if let end = subscription.grantEnd, !session.isKeptByHook(in: subscription.channel.name) {
      (result.expires, result.ttlSeconds) = (true, timeToLive(end))
    }
    return result
  }

  /// A server-side channel is open, or (`nil`) refused.
  func answered(_ name: ChannelName, _ given: PendingSubscription?) {
    pending[name] = nil
    let subscription = session.subscriptions.first { $0.channel.name == name }
    if let given, let subscription {
      serverSide.insert(name)
      if let opening {
        opening.reply.subs[name.text] = result(given, subscription)
      } else {
        pushSubscribed(given, subscription)
      }
    }
    guard let opening, opening.awaited.remove(name) != nil, opening.awaited.isEmpty else { return }
    // Not from within the step that opens the channel: more of it may follow.
    gateway.loop.atTurnEnd { [self] in if self.opening === opening { finishOpening() } }
  }

  private func pushSubscribed(_ given: PendingSubscription, _ subscription: Subscription) {
    let channel = subscription.channel.name.text
    sayInOrder(subscribed(subscription, at: given.place))
    for publication in given.publications {
      say(CentrifugeReply(CentrifugePush(channel: channel, .publication(publication))))
    }
    flushBatch()
    if subscription.override.hearsMembers ?? true { watchMembers(subscription) }
  }

  private func subscribed(
    _ subscription: Subscription, at place: Subscription.Since?
  ) -> CentrifugeReply {
    var push = CentrifugePush.Subscribe()
    push.recoverable = isRecoverable(subscription)
    push.positioned = isPositioned(subscription)
    push.data = subscription.answer.map { encoding.data($0) } ?? []
    if push.recoverable || push.positioned, case .position(let position)? = place {
      (push.epoch, push.offset) = (position.epoch.text, position.offset.value)
    }
    return CentrifugeReply(
      CentrifugePush(channel: subscription.channel.name.text, .subscribe(push)))
  }

  /// Publications don't say their epoch, and without it the client could not come back to its place:
  /// so it subscribes anew, and gets the first of them with the answer.
  func historyBegins(_ epoch: Epoch, of subscription: Subscription) {
    guard !isClosing, isRecoverable(subscription) else { return }
    let name = subscription.channel.name
    if serverSide.contains(name) {
      let start = Position(epoch: epoch, offset: .zero)
      return sayInOrder(subscribed(subscription, at: .position(start)))
    }
    sayInOrder(CentrifugeReply(CentrifugeUnsubscribeCode.insufficientState.push(channel: name.text)))
    session.unsubscribe(name)
  }

  /// From now on the client is told who comes and goes, itself first.
  private func watchMembers(_ subscription: Subscription) {
    guard subscription.channel.policy.hasPresence, subscription.watching == .no,
      session.may(.presence, subscription)
    else { return }
    defer { gateway.presence.watch(subscription) }
    guard !subscription.override.isHidden else { return }
    let shown = subscription.shownInfo
    let info = CentrifugeClientInfo(
      user: session.context.user?.text ?? "", client: ClientID(number: session.clientNumber).text,
      connInfo: shown.connection, chanInfo: shown.channel)
    say(CentrifugeReply(CentrifugePush(channel: subscription.channel.name.text, .join(info))))
  }
}
