internal import Bytes
internal import ChannelKit
internal import Config
internal import HTTPCodec
internal import Identity
internal import Loop
internal import Observe
internal import Platform

/// Channels that wait for their client to sign in.
struct AwaitedSignIn {
  var channels: [(ChannelName, Subscription.Since)]
  var deadline: Instant
}

/// Who a client is: signing in, staying so, and what happens when that ends.
extension ClientSession {
  private var authenticator: Authenticator { gateway.settings.authenticator }

  func may(_ right: Rights, _ subscription: Subscription) -> Bool {
    let name = subscription.channel.name
    guard let policy = gateway.settings.policy(name) else { return false }
    return standing.may(right, name, policy, gateway.settings.access, isGranted: subscription.grant != nil)
  }

  // MARK: signing in

  func awaitSignIn(_ channels: [(ChannelName, Subscription.Since)]) {
    awaitsSignIn = AwaitedSignIn(
      channels: channels, deadline: gateway.loop.now + authenticator.settings.connectTimeout)
    carrier?.channelsAnswered()
  }

  /// The first message of a client that did not sign in by its request.
  func connect(_ id: MessageID?, _ credential: Credential) {
    guard standing.identity == nil, subscriptions.isEmpty, !hasPublished else {
      return tell(
        .error(
          id: id, .badRequest("connect comes first and once; later it is refresh"), channel: nil))
    }
    do throws(Refusal) {
      let identity = try identity(credential)
      standing = ClientStanding(ClientID(number: clientNumber), identity)
    } catch { return signOut(error, id: id) }
    if let refusal = takeSeat() { return letGo(refusal, id: id) }
    tellSignedIn(id)
    if let awaited = awaitsSignIn {
      awaitsSignIn = nil
      open(awaited.channels)
    } else {
      subscribeByToken()
    }
  }

  /// Lets the client wait, without any channel, for the first message that says who it is.
  func awaitSignIn(_ carrier: any Carrier) {
    begin(carrier)
    awaitSignIn([])
  }

  /// The first message of a protocol that has such a one: says who the client is, by `credential` or
  /// by its request, where that said it.
  func signIn(_ credential: Credential?) throws(Refusal) {
    if let credential {
      standing = ClientStanding(ClientID(number: clientNumber), try identity(credential))
    } else if standing.identity == nil, authenticator.settings.isRequired {
      throw .signInFirst
    }
    if let refusal = takeSeat() { throw refusal }
    awaitsSignIn = nil
  }

  /// The same, where somebody else has said who the client is; nil: nobody.
  func signIn(_ identity: Identity?) throws(Refusal) {
    if let identity {
      standing = ClientStanding(ClientID(number: clientNumber), identity)
    } else if authenticator.settings.isRequired {
      throw .signInFirst
    }
    if let refusal = takeSeat() { throw refusal }
    awaitsSignIn = nil
  }

  private func identity(_ credential: Credential) throws(Refusal) -> Identity {
    switch credential {
    case .token(let token): try authenticator.identity(token: token)
    case .ticket(let ticket): try authenticator.identity(ticket: ticket)
    }
  }

  private func tellSignedIn(_ id: MessageID?) {
    tell(
      .signedIn(
        id: id, client: ClientID(number: clientNumber).text, user: standing.identity?.user,
        expires: standing.identity?.expiresAt))
  }

  /// The channels that a token puts its client in, where the door carries several.
  func subscribeByToken() {
    guard door.style == .manyChannels, let identity = standing.identity else { return }
    for name in identity.channels where !subscriptions.contains(where: { $0.channel.name == name }) {
      subscribe(name, .now, id: nil)
    }
  }

  func subscribe(
    _ name: ChannelName, _ since: Subscription.Since, id: MessageID?, token: Credential?
  ) {
    guard case .token(let text)? = token else {
      subscribe(name, since, id: id)
      return
    }
    do throws(Refusal) {
      let grant = try grant(text, name)
      subscribe(name, since, id: id, grant: grant)
    } catch { refuse(error, name.text, id) }
  }

  private func grant(_ token: String, _ name: ChannelName) throws(Refusal) -> SubscriptionGrant {
    let grant = try authenticator.grant(token: token)
    guard grant.admits(standing.identity ?? Identity(), to: name) else { throw .otherGrant }
    return grant
  }

  // MARK: staying

  func refresh(_ id: MessageID?, _ channel: String?, _ credential: Credential) {
    do throws(Refusal) {
      if let channel {
        return try refreshSubscription(id, channel, credential)
      }
      let identity = try identity(credential)
      try standing.renew(identity)
    } catch { return tell(.error(id: id, error, channel: channel)) }
    tellSignedIn(id)
    // A newer token may allow less.
    lookAgain()
    subscribeByToken()
  }

  private func refreshSubscription(
    _ id: MessageID?, _ channel: String, _ credential: Credential
  ) throws(Refusal) {
    guard let name = named(channel, id) else { return }
    guard case .token(let token) = credential else {
      throw .badRequest("a subscription is refreshed with a token")
    }
    guard let subscription = subscriptions.first(where: { $0.channel.name == name }) else {
      throw .badRequest("there is no subscription to refresh")
    }
    subscription.grant = try grant(token, name)
    subscription.isWarned = false
    if let id { tell(.ack(id: id, position: subscription.channel.position, reply: nil)) }
  }

  /// How long before the end of a right its client is told.
  private static let warning: Int64 = 30

  /// Looks, once in every sweep of the loop, whether everything still holds.
  ///
  /// - Parameter now: seconds of Unix time.
  func checkIdentity(_ now: Int64, _ due: Authenticator.Due) {
    guard !isOver else { return }
    if let awaited = awaitsSignIn, gateway.loop.now >= awaited.deadline {
      return signOut(.signInFirst)
    }
    if due.revokes { checkRevocations() }
    if due.looksAgain, !isOver { lookAgain() }
    for order in due.orders {
      guard !isOver else { return }
      carryOut(order)
    }
    guard !isOver else { return }
    if let end = standing.expiresAt, end - now <= Self.warning {
      guard !authenticator.hasEnded(end, now: now) else { return signOut(.tokenExpired) }
      if isRefreshedByHook {
        askToStay()
      } else {
        if !standing.isWarned { tell(.expiring(nil, at: end)) }
        standing.isWarned = true
      }
    }
    for subscription in subscriptions { checkGrant(subscription, now) }
  }

  /// Until when nothing that time alone brings about concerns the client, of its rights and of what
  /// waits for it; nil where that has to be looked at each time.
  ///
  /// - Parameter wall: seconds of Unix time.
  func rightsHoldUntil(_ now: Instant, wall: Int64) -> Instant? {
    guard awaitsSignIn == nil, !isBehind else { return nil }
    var end = standing.expiresAt ?? .max
    for subscription in subscriptions { end = min(end, subscription.grantEnd ?? .max) }
    let left = end.subtractingReportingOverflow(wall + Self.warning)
    guard !left.overflow, left.partialValue > 0 else { return end == .max ? now + Self.lookMax : nil }
    return now + min(.seconds(left.partialValue), Self.lookMax)
  }

  /// However long its rights hold, by then they are looked at again: clocks are set anew.
  private static let lookMax = Duration.seconds(25)

  private func checkGrant(_ subscription: Subscription, _ now: Int64) {
    guard let end = subscription.grantEnd, end - now <= Self.warning else { return }
    if authenticator.hasEnded(end, now: now) {
      return self.end(subscription.channel, .tokenExpired)
    }
    if isKeptByHook(in: subscription.channel.name) { return askToStay(in: subscription) }
    if !subscription.isWarned { tell(.expiring(subscription.channel.name, at: end)) }
    subscription.isWarned = true
  }

  private func checkRevocations() {
    if let identity = standing.identity, authenticator.isRevoked(identity) {
      return signOut(.tokenRevoked)
    }
    for subscription in subscriptions {
      guard let grant = subscription.grant, authenticator.isRevoked(grant) else { continue }
      end(subscription.channel, .tokenRevoked)
    }
  }

  private func carryOut(_ order: IdentityOrder) {
    switch order {
    case .revoke: break
    case .disconnect(let whom, let farewell):
      guard whom.includes(standing.identity, context, since: cameAt),
        !whom.isFence || carrier?.isFenced(by: whom.place) == true
      else { return }
      signOut(farewell?.refusal ?? .disconnected)
    case .unsubscribe(let whom, let name):
      guard whom.includes(standing.identity, context, since: cameAt) else { return }
      for subscription in subscriptions where subscription.channel.name == name {
        end(subscription.channel, .permissionDenied)
      }
    case .subscribe(let whom, let admission):
      guard whom.includes(standing.identity, context, since: cameAt) else { return }
      admit(admission)
    case .refresh(let whom, let until):
      guard standing.identity != nil, whom.includes(standing.identity, context, since: cameAt) else {
        return
      }
      guard until != 0 else { return signOut(.tokenExpired) }
      standing.extend(until: until)
      tellSignedIn(nil)
    }
  }

  /// A back end lets the client into a channel. Where it can't be told of more than it asked for,
  /// nothing happens.
  private func admit(_ admission: IdentityOrder.Admission) {
    let isTold = door.encoding.centrifuge != nil || carrier?.hearsClient == true
    guard door.style == .manyChannels, isTold,
      !subscriptions.contains(where: { $0.channel.name == admission.channel })
    else { return }
    subscribe(
      admission.channel, admission.since.map { .position($0) } ?? .now, id: nil,
      grant: grant(admission))
  }

  private func grant(_ admission: IdentityOrder.Admission) -> SubscriptionGrant {
    var grant = SubscriptionGrant(
      user: standing.identity?.user, channel: admission.channel, info: admission.info,
      expiresAt: admission.until)
    grant.data = admission.data
    return grant
  }

  /// Subscribes a client to a channel that it was in on another connection: by the token that it brings,
  /// else by what a back end has let it into, else by the rule. False where it may not be.
  func comeBack(to name: ChannelName, _ since: Subscription.Since, token: String?) -> Bool {
    var opening = admission(to: name)
    if let token {
      do throws(Refusal) {
        opening = try grant(token, name)
      } catch { return refuse(error, name.text, nil) }
    }
    return subscribe(name, since, id: nil, grant: opening)
  }

  /// What a back end has let the client into, if that still holds.
  func admission(to name: ChannelName) -> SubscriptionGrant? {
    authenticator.admission(to: name, of: standing.identity, context).map { grant($0) }
  }

  /// Ends what the client may not do any more.
  private func lookAgain() {
    guard !authenticator.isGone(standing.identity?.key) else { return signOut(.keyGone) }
    for subscription in subscriptions {
      noteLane(of: subscription.channel)
      if authenticator.isGone(subscription.grant?.key) {
        end(subscription.channel, .keyGone)
        continue
      }
      if !may(.subscribe, subscription) {
        end(subscription.channel, .permissionDenied)
      } else if door.wantsPresence, subscription.watching != .no, !may(.presence, subscription) {
        gateway.presence.unwatch(subscription)
        tell(.error(id: nil, .presenceDenied, channel: subscription.channel.name.text))
      }
      if !may(.history, subscription) { subscription.channel.endReplay(of: subscription) }
    }
  }

  // MARK: the end

  /// Lets a client go that was not let in.
  func turnAway(_ carrier: any Carrier, _ refusal: Refusal) {
    begin(carrier)
    letGo(refusal)
  }

  /// Says why and ends the connection; nothing is delivered after it.
  func signOut(_ refusal: Refusal, id: MessageID? = nil) {
    guard !isOver else { return }
    if standing.identity != nil { gateway.metrics.identity.signedOut.add() }
    letGo(refusal, id: id)
  }

  func letGo(_ refusal: Refusal, id: MessageID? = nil) {
    guard !isOver else { return }
    tell(.error(id: id, refusal, channel: nil))
    for subscription in subscriptions { unsubscribe(subscription.channel.name) }
    carrier?.end(refusal.end)
  }
}

extension Refusal {
  static let presenceDenied = Refusal(
    103, "permission_denied", "who is in this channel is not shown to this client", .forbidden)
  static let otherGrant = Refusal(
    103, "permission_denied", "the subscription token is for another channel or another user",
    .forbidden)
  static let disconnected = Refusal(
    162, "disconnected", "a back end has ended this connection", .forbidden)

  /// How a session ends by it: what passes is no reason to stay away.
  var end: SessionEnd { status == .serviceUnavailable ? .unavailable(self) : .refused(self) }

  /// The code that a WebSocket closes with where this ends it.
  var closeCode: UInt16 {
    if endsWith != 0 { return endsWith }
    if status == .unauthorized { return 4401 }
    if self == .tooManyOfUser { return 4429 }
    return self == .disconnected ? 4403 : 1008
  }
}
