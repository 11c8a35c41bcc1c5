internal import Bytes
internal import ChannelKit
internal import Config
internal import HTTPCodec
internal import Hooks
internal import Identity
internal import JSON
internal import Loop
internal import Platform
internal import Wire

/// What back ends are asked for a client: whether it may come in, stay, subscribe and publish.
///
/// Rights come first: what a rule refuses is refused unasked. What a rule leaves open is the back end's
/// to say. Without an answer nothing is done, and the client is told to try again.
extension ClientSession {
  private var key: ObjectIdentifier { ObjectIdentifier(self) }

  /// What the client says now waits until a back end has answered.
  var isHeldByHook: Bool { gateway.hooks?.isHolding(key) ?? false }

  /// Whether a subscription need not wait for others that are asked for.
  func mayPassHooks(subscribing channel: String) -> Bool {
    guard let hooks = gateway.hooks, let name = ChannelName(channel) else { return true }
    return hooks.mayPass(key, subscribing: name)
  }

  /// Bytes that are kept for the client until a back end has answered.
  var heldByHooks: Int { gateway.hooks?.heldBytes(key) ?? 0 }

  /// Keeps what the client has said until its turn comes. One that has said too much is let go.
  func holdForHook(bytes: Int, _ step: @escaping () -> Void) {
    guard let hooks = gateway.hooks, !isOver else { return }
    if !hooks.hold(key, bytes: bytes, { [self] in if !isOver { step() } }) { letGo(.overloaded) }
  }

  /// Has `resume` called once nothing waits any more.
  func whenReleasedByHook(_ resume: @escaping () -> Void) {
    gateway.hooks?.whenReleased(key, resume)
  }

  /// Keeps what of the client's request back ends are shown.
  func noteForHooks(_ headers: HTTPHeaders) { gateway.hooks?.note(headers, of: key) }
  func noteForHooks(_ fields: [HookField]) { gateway.hooks?.note(fields, of: key) }

  /// Keeps what a back end's answer to `connect` has for later.
  func noteForHooks(_ welcome: HookWelcome) { gateway.hooks?.keep(welcome, of: key) }

  /// What a back end has for the client in a channel that it has put it into; nil where the client is
  /// somebody by now who is not put there.
  func hookPlace(in name: ChannelName) -> HookPlace? {
    guard let place = gateway.hooks?.place(of: key, in: name),
      standing.identity?.channels.contains(name) ?? false
    else { return nil }
    return place
  }

  func endHooks() { gateway.hooks?.ended(key) }

  private var question: HookQuestion {
    HookQuestion(
      ClientID(number: clientNumber).text, carrier?.hookDoor ?? HookDoor(transport: "none"))
  }

  private var questionOfUser: HookQuestion {
    var question = question
    question.add("user", standing.identity?.user ?? "")
    if let meta = gateway.hooks?.meta(of: key) { question.add("meta", json: meta) }
    return question
  }

  private var wants: () -> Bool { { [weak self] in self.map { !$0.isOver } ?? false } }

  // MARK: publishing

  /// Whether a back end is asked for a publication; then it has been, or was refused.
  func asksToPublish(_ name: ChannelName, _ payload: Payload, key text: String, _ id: MessageID?)
    -> Bool
  {
    guard let hooks = gateway.hooks,
      let policy = gateway.policy(name, gateway.existing(name)), policy.hooks.contains(.publish),
      !name.isReserved
    else { return false }
    do throws(Refusal) {
      let mayAsk =
        policy.publish == nil || standing.identity?.allows(.publish, in: name) ?? false
        || gateway.settings.access.mayPublish(context, policy.publish)
      guard mayAsk else { throw .permissionDenied }
      guard payload.bytes.count <= gateway.settings.payloadBytesMax else {
        gateway.metrics.limits.reached(.publicationBytes)
        throw .tooLarge(gateway.settings.payloadBytesMax)
      }
      var question = questionOfUser
      question.add("channel", name.text)
      try question.add(payload)
      let body = question.end()
      hooks.begin(key, bytes: payload.bytes.count + body.count)
      hooks.ask(.publish, body, of: key, isWanted: wants) { [self] result in
        guard !isOver else { return }
        publish(name, payload, key: text, id, by: result)
        hooks.end(key)
      }
    } catch { tell(.error(id: id, error, channel: name.text)) }
    return true
  }

  private func publish(
    _ name: ChannelName, _ payload: Payload, key text: String, _ id: MessageID?,
    by result: Result<HookResult, Refusal>
  ) {
    do throws(Refusal) {
      let answer = try result.get()
      var replaced: Payload?
      var skipsHistory = false
      do throws(HookFailure) {
        replaced = try answer.payload()
        skipsHistory = try answer.isOn("skip_history")
      } catch { throw gateway.hooks?.failed(.publish, error) ?? .hookUnavailable }
      publishAllowed(name, replaced ?? payload, key: text, id, skipsHistory: skipsHistory)
    } catch { refused(error, name, id) }
  }

  /// The back end says no, or wants the client to go.
  private func refused(_ refusal: Refusal, _ name: ChannelName, _ id: MessageID?) {
    if refusal.endsWith != 0 { return letGo(refusal) }
    tell(.error(id: id, refusal, channel: name.text))
  }

  // MARK: subscribing

  /// Whether a back end is asked before a client gets into a channel. What its token lets it into, or
  /// a back end has, needs no asking.
  func asksToSubscribe(_ name: ChannelName, _ policy: ChannelPolicy) -> Bool {
    guard policy.hooks.contains(.subscribe), gateway.hooks != nil else { return false }
    guard let identity = standing.identity else { return true }
    return !identity.channels.contains(name) && !identity.allows(.subscribe, in: name)
  }

  /// Whether it is being asked; if not, the client was refused.
  func askToSubscribe(
    _ name: ChannelName, _ since: Subscription.Since, id: MessageID?, isWelcomed: Bool,
    _ policy: ChannelPolicy
  ) -> Bool {
    guard let hooks = gateway.hooks else { return false }
    let most = gateway.settings.channelsPerConnectionMax
    guard subscriptions.count + hooks.subscribingCount(key) < most else {
      gateway.metrics.limits.reached(.channelsPerConnection)
      return refuse(.tooManyChannels(most), name.text, id)
    }
    guard !hooks.isSubscribing(key, name) else {
      return refuse(.badRequest("this subscription is being asked for already"), name.text, id)
    }
    guard policy.subscribe == nil || gateway.settings.access.maySubscribe(context, policy) else {
      return refuse(.permissionDenied, name.text, id)
    }
    var question = questionOfUser
    question.add("channel", name.text)
    do throws(Refusal) {
      try question.add(carrier?.hookData(of: name))
    } catch { return refuse(error, name.text, id) }
    hooks.begin(key, subscribing: name)
    hooks.ask(.subscribe, question.end(), of: key, isWanted: wants) { [self] result in
      guard !isOver else { return }
      hooks.end(key, subscribing: name) {
        let isIn = subscribe(name, since, id: id, isWelcomed: isWelcomed, by: result)
        if !isIn, isWelcomed { answered(nil) }
      }
      checkAnswered()
    }
    return true
  }

  private func subscribe(
    _ name: ChannelName, _ since: Subscription.Since, id: MessageID?, isWelcomed: Bool,
    by result: Result<HookResult, Refusal>
  ) -> Bool {
    do throws(Refusal) {
      let answer = try result.get()
      var grant = SubscriptionGrant(user: standing.identity?.user, channel: name)
      let place: HookPlace
      do throws(HookFailure) {
        place = try answer.place()
        grant.info = place.info
        grant.expiresAt = try answer.end(now: Authenticator.now)
      } catch { throw gateway.hooks?.failed(.subscribe, error) ?? .hookUnavailable }
      return subscribe(name, since, id: id, isWelcomed: isWelcomed, place, grant)
    } catch {
      if error.endsWith != 0 {
        letGo(error)
        return false
      }
      return refuse(error, name.text, id)
    }
  }

  /// Into a channel that a back end has put it into as it came.
  func subscribe(
    _ name: ChannelName, _ since: Subscription.Since, id: MessageID?, isWelcomed: Bool,
    _ place: HookPlace
  ) -> Bool {
    var grant = SubscriptionGrant(user: standing.identity?.user, channel: name)
    grant.info = place.info
    return subscribe(name, since, id: id, isWelcomed: isWelcomed, place, grant)
  }

  private func subscribe(
    _ name: ChannelName, _ since: Subscription.Since, id: MessageID?, isWelcomed: Bool,
    _ place: HookPlace, _ grant: SubscriptionGrant
  ) -> Bool {
    carrier?.hookAllows(name, place)
    // Only clients of that protocol can be told that they go on from nowhere.
    let isForgotten = place.override.forgetsPlace && door.encoding.centrifuge != nil
    return subscribe(
      name, isForgotten ? .now : since, id: id, isWelcomed: isWelcomed, grant: grant,
      override: place.override)
  }

  // MARK: calling

  /// Has a back end answer a call.
  func askToCall(
    _ method: String, _ data: Payload?, _ completion: @escaping (Result<Payload?, Refusal>) -> Void
  ) {
    guard let hooks = gateway.hooks else { return completion(.failure(.methodNotFound)) }
    var question = questionOfUser
    question.add("method", method)
    do throws(Refusal) { try question.add(data) } catch { return completion(.failure(error)) }
    hooks.ask(.rpc, question.end(), of: key, isWanted: wants) { result in
      do throws(Refusal) {
        let answer = try result.get()
        do throws(HookFailure) { completion(.success(try answer.payload())) } catch {
          throw hooks.failed(.rpc, error)
        }
      } catch { completion(.failure(error)) }
    }
  }

  // MARK: coming in

  /// Whether a back end says who a client is that brought neither token nor ticket.
  var asksToConnect: Bool { standing.identity == nil && gateway.hooks?.asks(.connect) ?? false }

  /// Asks who the client is. Its messages wait until that is known.
  ///
  /// - Parameter data: what it brought for the application.
  func askToConnect(
    _ data: Payload?, library: (name: String, version: String) = ("", ""),
    _ completion: @escaping (Result<HookWelcome, Refusal>) -> Void
  ) {
    guard let hooks = gateway.hooks else { return completion(.failure(.hookUnavailable)) }
    awaitsSignIn?.deadline = gateway.loop.now + hooks.rules.timeout + .seconds(1)
    var question = question
    if !library.name.isEmpty { question.add("name", library.name) }
    if !library.version.isEmpty { question.add("version", library.version) }
    do throws(Refusal) { try question.add(data) } catch { return completion(.failure(error)) }
    hooks.begin(key)
    hooks.ask(.connect, question.end(), of: key, isWanted: wants) { [self] result in
      guard !isOver else { return }
      awaitsSignIn?.deadline =
        gateway.loop.now + gateway.settings.authenticator.settings.connectTimeout
      let welcome = hooks.welcome(result)
      if case .success(let welcome) = welcome { noteForHooks(welcome) }
      completion(welcome)
      hooks.end(key)
      checkAnswered()
    }
  }

  /// The same, for doors where nothing that the client says decides it: then its channels are opened.
  func askToConnect(_ channels: [(ChannelName, Subscription.Since)]) {
    awaitsSignIn = AwaitedSignIn(channels: channels, deadline: gateway.loop.now)
    askToConnect(nil) { [self] result in
      do throws(Refusal) {
        try signIn(try result.get().identity)
        open(channels)
      } catch { letGo(error) }
    }
  }

  // MARK: staying

  /// Whether a back end says how long clients may stay, and not they themselves.
  var isRefreshedByHook: Bool { gateway.hooks?.asks(.refresh) ?? false }

  /// Asks whether the client may stay, unless that has been asked just now.
  func askToStay() {
    guard let hooks = gateway.hooks, hooks.mayRefresh(key, end: standing.expiresAt) else { return }
    hooks.beginsRefresh(key)
    hooks.ask(.refresh, questionOfUser.end(), of: key, isWanted: wants) { [self] result in
      guard !isOver else { return }
      do throws(Refusal) {
        let now = Authenticator.now
        let answer = try result.get()
        var end: Int64?
        do throws(HookFailure) {
          guard try !answer.isOn("expired") else { return signOut(.tokenExpired) }
          end = try answer.end(now: now)
        } catch { throw hooks.failed(.refresh, error) }
        standing.extend(until: end)
        hooks.refreshed(key, end: end, left: .seconds((end ?? now + 3_600) - now))
      } catch {
        if error.endsWith != 0 { return letGo(error) }
        // What passes is asked again until the right has ended.
        hooks.refreshed(key, end: standing.expiresAt, left: nil)
      }
    }
  }

  /// Whether a back end says how long clients may stay in the channel, and not they themselves.
  func isKeptByHook(in name: ChannelName) -> Bool {
    guard let hooks = gateway.hooks, hooks.asks(.subRefresh) else { return false }
    return gateway.policy(name, gateway.existing(name))?.hooks.contains(.subRefresh) ?? false
  }

  /// Asks whether the client may stay in a channel, unless that has been asked just now.
  func askToStay(in subscription: Subscription) {
    let name = subscription.channel.name
    guard let hooks = gateway.hooks, hooks.mayRefresh(key, name, end: subscription.grantEnd) else {
      return
    }
    hooks.beginsRefresh(key, name)
    var question = questionOfUser
    question.add("channel", name.text)
    hooks.ask(
      .subRefresh, question.end(), of: key,
      isWanted: { [weak self, weak subscription] in self?.stays(in: subscription) ?? false }
    ) { [self, weak subscription] result in
      guard let subscription, stays(in: subscription) else {
        return hooks.refreshed(key, name, end: nil, left: nil)
      }
      stay(in: subscription, by: result, hooks)
    }
  }

  private func stays(in subscription: Subscription?) -> Bool {
    !isOver && subscriptions.contains { $0 === subscription }
  }

  private func stay(
    in subscription: Subscription, by result: Result<HookResult, Refusal>, _ hooks: HookDesk
  ) {
    let name = subscription.channel.name
    do throws(Refusal) {
      let now = Authenticator.now
      let answer = try result.get()
      var end: Int64?
      do throws(HookFailure) {
        guard try !answer.isOn("expired") else {
          return self.end(subscription.channel, .tokenExpired)
        }
        end = try answer.end(now: now)
      } catch { throw hooks.failed(.subRefresh, error) }
      subscription.grant?.expiresAt = end
      hooks.refreshed(key, name, end: end, left: .seconds((end ?? now + 3_600) - now))
    } catch {
      if error.endsWith != 0 { return letGo(error) }
      hooks.refreshed(key, name, end: subscription.grantEnd, left: nil)
    }
  }
}

/// What a back end says to a client that comes in.
struct HookWelcome {
  /// Nil for nobody.
  var identity: Identity?
  /// For the client.
  var data: Payload?
  /// For later.
  var kept = HookKept()
}

extension HookDesk {
  /// Reads what the answer to `connect` says.
  func welcome(_ result: Result<HookResult, Refusal>) -> Result<HookWelcome, Refusal> {
    do throws(Refusal) {
      let answer = try result.get()
      do throws(HookFailure) {
        return .success(
          HookWelcome(
            identity: try answer.identity(now: Authenticator.now), data: try answer.payload(),
            kept: HookKept(meta: try answer.meta(), places: try answer.places())))
      } catch { throw failed(.connect, error) }
    } catch { return .failure(error) }
  }
}
