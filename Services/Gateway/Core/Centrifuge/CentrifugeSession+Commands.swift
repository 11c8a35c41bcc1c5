internal import Bytes
internal import Centrifuge
internal import ChannelKit
internal import Config
internal import Identity
internal import Loop
internal import Observe
internal import Wire

/// What a Centrifuge client says, frame by frame.
extension CentrifugeSession {
  /// BUDGET: histories, presences and calls of back ends that one client may wait for.
  static let readsMax = 16

  /// Carries out the commands of one frame; what is answered at once leaves as one frame.
  func received(_ frame: [UInt8]) {
    if form.isUnidirectional { return receivedAlone(frame) }
    if encoding == .json, let first = frame.first, first != UInt8(ascii: "{"),
      first != UInt8(ascii: "\n")
    {
      return disconnect(.inappropriateProtocol)
    }
    beginBatch()
    defer { endBatch() }
    var reader = CentrifugeCommandReader(encoding)
    do throws(CentrifugeDecodeError) {
      while !isClosing, let command = try reader.next(frame.span) {
        gateway.metrics.messages.add()
        if session.isHeldByHook, hold(command) { continue }
        carryOut(command)
      }
    } catch { disconnect(.badRequest) }
  }

  /// Keeps a command until a back end has answered one before it. False for what need not wait.
  private func hold(_ command: CentrifugeCommand) -> Bool {
    var bytes = 256
    switch command.meaning {
    case .pong, .malformed: return false
    case .request(_, .subscribe(let ask)):
      if session.mayPassHooks(subscribing: ask.channel) { return false }
      bytes += ask.data.count + ask.token.utf8.count
    case .request(_, .publish(let ask)): bytes += ask.data.count
    case .request(_, .rpc(let ask)): bytes += ask.data.count
    case .message(let data): bytes += data.count
    case .request: break
    }
    session.holdForHook(bytes: bytes) { [self] in carryOut(command) }
    return true
  }

  /// A client that only listens says once who it is; what else it may say is passed over.
  private func receivedAlone(_ frame: [UInt8]) {
    guard !isConnected, !isClosing else { return }
    gateway.metrics.messages.add()
    do throws(CentrifugeDecodeError) {
      connect(0, try CentrifugeCommand.Connect.decode(unidirectionalJSON: frame.span))
    } catch { disconnect(.badRequest) }
  }

  private func carryOut(_ command: CentrifugeCommand) {
    switch command.meaning {
    case .pong: transport?.receivedPong()
    case .message(let data):
      guard isConnected else { return disconnect(.badRequest) }
      message(data)
    case .malformed: disconnect(.badRequest)
    case .request(let id, .connect(let ask)):
      guard !isConnected else { return disconnect(.badRequest) }
      if let refusal = session.asksTooOften() { return fail(id, refusal) }
      connect(id, ask)
    case .request(let id, let request):
      guard isConnected else { return disconnect(.badRequest) }
      carryOut(request, id)
    }
  }

  private func carryOut(_ request: CentrifugeCommand.Request, _ id: UInt32) {
    switch request {
    case .connect, .send: break
    case .subscribe(let ask): subscribe(id, ask)
    case .unsubscribe(let channel): unsubscribe(id, channel)
    case .publish(let ask): publish(id, ask)
    case .refresh(let token):
      session.received(
        .refresh(id: CentrifugeTag(.refresh, id).messageID, channel: nil, .token(token)))
    case .subRefresh(let ask): refreshSubscription(id, ask)
    case .history(let ask): history(id, ask)
    case .presence(let channel): presence(id, channel)
    case .presenceStats(let channel): presenceStats(id, channel)
    case .ping: say(CentrifugeReply(id: id, .ping))
    case .rpc(let ask): call(id, ask)
    }
  }

  private func publish(_ id: UInt32, _ ask: CentrifugeCommand.Publish) {
    guard ask.type == 0 else { return fail(id, .badRequest("there is no such kind of publication")) }
    guard let payload = encoding.payload(ask.data) else {
      return fail(id, .badRequest("data is missing"))
    }
    session.received(
      .publish(
        id: CentrifugeTag(.publish, id).messageID, channel: ask.channel, payload: payload, key: ""))
  }

  private func refreshSubscription(_ id: UInt32, _ ask: CentrifugeCommand.SubRefresh) {
    guard ask.type == 0 else { return fail(id, .badRequest("there is no such kind of refresh")) }
    refreshing[id] = ChannelName(ask.channel)
    session.received(
      .refresh(
        id: CentrifugeTag(.subRefresh, id).messageID, channel: ask.channel, .token(ask.token)))
  }

  // MARK: looking

  /// The channel that a client wants to know something of, if it may; nil where it has its answer.
  private func mayLook(
    _ id: UInt32, _ channel: String, _ right: Rights
  ) -> (name: ChannelName, policy: ChannelPolicy)? {
    func refuse(_ refusal: Refusal) -> (name: ChannelName, policy: ChannelPolicy)? {
      fail(id, refusal)
      return nil
    }
    if let refusal = session.asksTooOften() { return refuse(refusal) }
    guard let name = ChannelName(channel) else { return refuse(.unknownChannel(channel)) }
    guard let policy = gateway.settings.policy(name) else {
      return refuse(name.isReserved ? .permissionDenied : .unknownChannel(name))
    }
    let grant = session.subscriptions.first { $0.channel.name == name }?.grant
    guard
      session.standing.may(right, name, policy, gateway.settings.access, isGranted: grant != nil)
    else {
      return refuse(.permissionDenied)
    }
    guard reads < Self.readsMax else {
      fail(id, CentrifugeErrorCode.tooManyRequests)
      return nil
    }
    return (name, policy)
  }

  /// Runs a read, and says what came of it.
  private func read<Result>(
    _ id: UInt32, _ start: (@escaping (Swift.Result<Result, Refusal>) -> Void) -> Void,
    _ reply: @escaping (Result) -> CentrifugeReply.Body
  ) {
    reads += 1
    start { [self] result in
      reads -= 1
      switch result {
      case .success(let found): say(CentrifugeReply(id: id, reply(found)))
      case .failure(let refusal): fail(id, refusal)
      }
    }
  }

  private func history(_ id: UInt32, _ ask: CentrifugeCommand.History) {
    guard let (name, policy) = mayLook(id, ask.channel, .history) else { return }
    guard policy.history != .none else { return fail(id, .noHistory) }
    var since: Position?
    if let asked = ask.since {
      guard let epoch = Epoch(asked.epoch) else { return fail(id, .unrecoverable) }
      since = Position(epoch: epoch, offset: Offset(asked.offset))
    }
    let most = gateway.settings.pageMax
    let limit = ask.limit < 0 ? most : min(Int(ask.limit), most)
    read(id) { [gateway, session] done in
      gateway.readHistory(
        name, policy, after: since?.offset ?? .zero, count: UInt32(clamping: limit),
        bytes: UInt32(clamping: session.pageBytes), isReverse: ask.reverse
      ) { done(Self.found($0, since, isReverse: ask.reverse)) }
    } _: { [encoding] page in
      var result = CentrifugeReply.History()
      result.publications = page.events.map { CentrifugePublication($0, in: encoding) }
      (result.epoch, result.offset) = (page.epoch?.text ?? "", page.head.value)
      return .history(result)
    }
  }

  /// A page, unless it doesn't follow what was asked for.
  private static func found(
    _ result: Result<EventPage, Failure>, _ since: Position?, isReverse: Bool
  ) -> Result<EventPage, Refusal> {
    switch result {
    case .failure(let failure): return .failure(Refusal(failure))
    case .success(let page):
      guard let since else { return .success(page) }
      let isGone =
        page.epoch != since.epoch || !isReverse && since.offset < page.floor
        || since.offset > page.head
      return isGone ? .failure(.unrecoverable) : .success(page)
    }
  }

  private func presence(_ id: UInt32, _ channel: String) {
    guard let (name, policy) = mayLook(id, channel, .presence) else { return }
    guard policy.hasPresence else { return fail(id, CentrifugeErrorCode.notAvailable) }
    read(id) { [gateway] completion in
      gateway.presence.onceShown(name) { gateway.members(of: name, completion) }
    } _: { members in
      var result = CentrifugeReply.Presence()
      for member in members {
        let info = CentrifugeClientInfo(ControlMessage.Person(member))
        result.clients[info.client] = info
      }
      return .presence(result)
    }
  }

  private func presenceStats(_ id: UInt32, _ channel: String) {
    guard let (name, policy) = mayLook(id, channel, .presence) else { return }
    guard policy.hasPresence else { return fail(id, CentrifugeErrorCode.notAvailable) }
    read(id) { gateway.memberCounts(of: name, $0) } _: { counts in
      var result = CentrifugeReply.PresenceStats()
      (result.numClients, result.numUsers) = (counts.connections, counts.members)
      return .presenceStats(result)
    }
  }
}
