internal import Bytes
internal import Config
internal import EngineIO
internal import HTTPCodec
internal import Identity
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// What an Engine.IO session's messages mean to the gateway.
protocol EngineApplication: AnyObject {
  /// The client's session in the gateway's core, while it has one.
  var session: ClientSession? { get }
  /// When `deadlineReached` is to be called; nil for never.
  var deadline: UInt64? { get }
  func deadlineReached(_ now: UInt64)
  func received(_ message: EngineMessage)
  /// What has come and is not whole, and what waits for the client.
  var heldBytes: Int { get }
  /// Nothing is queued for the client any more.
  func drained()
  /// The client has closed its side, of its own will or not.
  func leaves(_ what: MemberEvent.What)
  func drain()
  /// The last call.
  func ended(_ reason: EngineCloseReason)
}

/// One Engine.IO session with what carries it: exchanges of long polling, or a WebSocket.
///
/// The state machine is `EngineSession`; this does what it says and tells it what happens.
/// Loop-confined; the loop's `EngineSessions` holds it until it is closed.
final class EngineClient {
  let gateway: GatewayLoop
  let id: EngineSessionID
  let path: EnginePath
  let peer: PeerIdentity
  /// Whom the handshake's request named.
  let identity: Identity?
  /// Fields of the handshake that back ends are shown.
  let shownToHooks: [HookField]
  /// `Authorization` of the handshake; nil where there was none.
  let authorization: String?
  let wantsPresence: Bool
  /// Unless the address says `recovery=0`.
  let wantsRecovery: Bool
  let sessionToken: SessionToken?
  private(set) var application: (any EngineApplication)?
  private var engine: EngineSession
  private var exchanges: [(id: EngineCarrierID, exchange: any EngineExchange)] = []
  private var sockets: [(id: EngineCarrierID, socket: EngineSocket)] = []
  private var lastCarrier: UInt64 = 0
  private var frames = RateMeter()
  private var isFlushDue = false
  private var wantsDrained = false
  /// Polls are not compressed: the client is, or was, in a channel whose rule doesn't want that.
  private var isPlain = false
  /// INVARIANT: set exactly while the address' ledger counts this session as carried by polling.
  private var seat: AddressKey?

  /// A session whose first carrier is given to `open` next.
  init(
    _ gateway: GatewayLoop, _ path: EnginePath, _ id: EngineSessionID,
    over transport: EngineTransport, _ head: HTTPRequestHead, _ peer: PeerIdentity,
    _ identity: Identity?, _ opening: inout [EngineAction]
  ) {
    self.gateway = gateway
    self.path = path
    self.id = id
    self.peer = peer
    self.identity = identity
    shownToHooks = gateway.hooks?.rules.shown(of: head.headers) ?? []
    authorization = head.headers.first("authorization")
    wantsPresence = head.target.isOn("presence")
    wantsRecovery = head.target.query("recovery") == nil || head.target.isOn("recovery")
    sessionToken = head.target.query("session").flatMap { SessionToken($0) }
    lastCarrier = 1
    engine = EngineSession(
      id: id, over: transport, first: EngineCarrierID(1), settings: gateway.settings.engine.engine,
      now: gateway.loop.now.nanoseconds, &opening)
  }

  private var now: UInt64 { gateway.loop.now.nanoseconds }
  private var metrics: EngineMetrics { gateway.metrics.engine }

  /// The session begins with an exchange of long polling. Why not, where too many have begun.
  func open(_ exchange: HTTPExchange, _ opening: [EngineAction]) -> Refusal? {
    if let refusal = takeSeat() { return refusal }
    exchanges.append((EngineCarrierID(1), exchange))
    begin(opening)
    return nil
  }

  /// The session begins on a WebSocket.
  func open(_ socket: EngineSocket, _ opening: [EngineAction]) {
    sockets.append((EngineCarrierID(1), socket))
    socket.carries(self, as: EngineCarrierID(1))
    begin(opening)
  }

  private func begin(_ opening: [EngineAction]) {
    metrics.sessions.add(1)
    metrics.opened.add()
    gateway.engines.add(self)
    application =
      switch path {
      case .socketIO: SocketIOClient(self)
      case .engineIO: EngineCalls(self)
      }
    run(opening)
  }

  // MARK: polling's seat

  /// BUDGET: sessions of long polling hold no connection, so they are counted as if they did.
  private func takeSeat() -> Refusal? {
    if gateway.binds(peer) {
      guard metrics.polling.addOne(below: gateway.settings.connectionsMax) else {
        gateway.metrics.limits.reached(.connections)
        return .tooManyConnections
      }
      let key = AddressKey(peer)
      let most = gateway.settings.connectionsPerAddressMax
      guard gateway.settings.ledgers.sessions.enter(key, most: most) else {
        metrics.polling.add(-1)
        gateway.metrics.limits.reached(.connectionsPerAddress)
        return .tooManyOfAddress
      }
      seat = key
    } else {
      metrics.polling.add(1)
    }
    isPolling = true
    return nil
  }

  private var isPolling = false

  private func leaveSeat() {
    if let seat { gateway.settings.ledgers.sessions.leave(seat) }
    seat = nil
    if isPolling { metrics.polling.add(-1) }
    isPolling = false
  }

  // MARK: carriers

  private func takeCarrier() -> EngineCarrierID {
    lastCarrier &+= 1
    return EngineCarrierID(lastCarrier)
  }

  /// A GET of long polling. Its number is for `hurry`.
  @discardableResult
  func poll(_ exchange: any EngineExchange) -> EngineCarrierID {
    let id = takeCarrier()
    exchanges.append((id, exchange))
    exchange.abandoned = { [weak self] in self?.lost(id) }
    perform { $0.pollBegan(id, &$1) }
    return id
  }

  /// Answers a poll that waits, with nothing where there is nothing.
  func hurry(_ poll: EngineCarrierID) { perform { $0.pollHurried(poll, &$1) } }

  /// A POST, before its body; `exchange.takesBody` is set where that is wanted.
  func data(_ exchange: any EngineExchange, _ kind: EngineBodyKind) {
    let id = takeCarrier()
    exchanges.append((id, exchange))
    exchange.abandoned = { [weak self] in self?.lost(id) }
    exchange.bodyRefused = { [weak self] in self?.perform { $0.dataTooBig(id, &$1) } }
    exchange.takesBody = { [weak self] body in
      guard let self else { return }
      perform { [now] in $0.dataEnded(id, body.span, now: now, &$1) }
    }
    perform { $0.dataBegan(id, kind, &$1) }
  }

  private func lost(_ id: EngineCarrierID, as loss: EngineSession.Loss = .closed) {
    exchanges.removeAll { $0.id == id }
    sockets.removeAll { $0.id == id }
    perform { $0.lost(id, as: loss, &$1) }
  }

  /// A WebSocket that is to take over from polling.
  func probe(_ socket: EngineSocket) {
    let id = takeCarrier()
    sockets.append((id, socket))
    socket.carries(self, as: id)
    perform { [now] in $0.socketBegan(id, now: now, &$1) }
  }

  func socketReceived(_ id: EngineCarrierID, _ isText: Bool, _ payload: [UInt8]) {
    perform { [now] in
      if isText {
        $0.socketReceived(text: payload.span, from: id, now: now, &$1)
      } else {
        $0.socketReceived(binary: payload, from: id, now: now, &$1)
      }
    }
  }

  /// The client has closed its WebSocket, or it broke.
  func socketEnds(_ id: EngineCarrierID, _ what: MemberEvent.What, as loss: EngineSession.Loss) {
    guard sockets.contains(where: { $0.id == id }) else { return }
    if engine.directSocket == id { application?.leaves(what) }
    lost(id, as: loss)
  }

  func socketDrained(_ id: EngineCarrierID) {
    if engine.directSocket == id { application?.drained() }
  }

  // MARK: what the client is sent

  /// The stream that messages may be written to as frames; nil while they have to be polled for, or
  /// the session moves.
  var stream: Stream? {
    guard let id = engine.directSocket else { return nil }
    return sockets.first { $0.id == id }?.socket.stream
  }

  /// How the session's only WebSocket is compressed; nil where it began with polling.
  var compression: SocketCompression? {
    guard engine.directSocket == EngineCarrierID(1) else { return nil }
    return sockets.first?.socket.compression
  }

  var isOpen: Bool { engine.isOpen }
  /// Bytes that the client has not taken.
  var queuedBytes: Int { stream?.queuedBytes ?? engine.queuedBytes }
  var isBlocked: Bool { stream?.isBlocked ?? (engine.queuedBytes >= Stream.windowBytes) }

  func send(_ frame: EngineFrame) {
    // What can't be sent ends the session, or its end is under way; the session says so itself.
    perform { try? $0.send(frame, &$1) }
    guard engine.directSocket == nil else { return }
    gateway.memory.grew(by: frame.pollingBytes)
    guard !isFlushDue else { return }
    isFlushDue = true
    gateway.loop.atTurnEnd { [self] in
      isFlushDue = false
      perform { $0.flush(&$1) }
    }
  }

  /// Calls the application's `drained` once nothing is queued.
  func tellWhenEmpty() {
    if let stream { return stream.tellWhenEmpty() }
    wantsDrained = true
    noteTaken()
  }

  private func noteTaken() {
    guard wantsDrained, queuedBytes == 0 else { return }
    gateway.loop.atTurnEnd { [self] in
      guard wantsDrained, queuedBytes == 0 else { return }
      wantsDrained = false
      application?.drained()
    }
  }

  /// Closes in order: what was sent still reaches the client.
  func close() { perform { [now] in $0.close(now: now, &$1) } }

  // MARK: what the session wants done

  private func perform(_ body: (inout EngineSession, inout [EngineAction]) -> Void) {
    var actions: [EngineAction] = []
    body(&engine, &actions)
    run(actions)
  }

  private func run(_ actions: [EngineAction]) {
    for action in actions { carryOut(action) }
  }

  private func carryOut(_ action: EngineAction) {
    switch action {
    case .answerPoll(let id, let payload):
      noteSecrets()
      take(id)?.respond(PollPayload(
        bytes: payload,
        isPlain: isPlain || path == .socketIO && PollPayload.hasConnect(payload)))
      noteTaken()
    case .acceptData(let id): take(id)?.respond(EngineDoors.answer("text/html", Array("ok".utf8)))
    case .refuse(let id, let refusal): take(id)?.respond(EngineDoors.refused(refusal))
    case .refuseBody(let id):
      gateway.metrics.limits.reached(.httpBodyBytes)
      take(id)?.respond(.error(.tooLarge(gateway.settings.engine.engine.maxHttpBufferSize)))
    case .send(let id, let frame): socket(id)?.send(frame)
    case .closeSocket(let id):
      let closed = socket(id)
      sockets.removeAll { $0.id == id }
      closed?.close()
    case .received(let message): received(message)
    case .upgraded: upgraded()
    case .closed(let reason): closed(reason)
    }
  }

  private func take(_ id: EngineCarrierID) -> (any EngineExchange)? {
    guard let index = exchanges.firstIndex(where: { $0.id == id }) else { return nil }
    let exchange = exchanges.remove(at: index).exchange
    (exchange.abandoned, exchange.bodyRefused) = (nil, nil)
    return exchange
  }

  private func socket(_ id: EngineCarrierID) -> EngineSocket? {
    sockets.first { $0.id == id }?.socket
  }

  private func received(_ message: EngineMessage) {
    // A WebSocket's frames are counted by their reader.
    if isPolling, gateway.binds(peer),
      !frames.take(1, gateway.loop.now, gateway.settings.rates.frames)
    {
      gateway.metrics.limits.reached(.framesPerSecond)
      return perform { $0.terminate(.forcedClose, &$1) }
    }
    application?.received(message)
    if isPolling { noteSecrets() }
  }

  private func noteSecrets() {
    guard !isPlain, let session = application?.session else { return }
    isPlain = session.subscriptions.contains { !$0.channel.policy.isCompressed }
  }

  private func upgraded() {
    leaveSeat()
    // Behind what waited for the WebSocket, which goes out next.
    gateway.loop.atTurnEnd { [self] in
      guard wantsDrained else { return }
      wantsDrained = false
      stream?.tellWhenEmpty()
    }
  }

  private func closed(_ reason: EngineCloseReason) {
    metrics.sessions.add(-1)
    metrics.closed[EngineCloseLabel(reason)].add()
    leaveSeat()
    gateway.engines.remove(self)
    let ended = application
    application = nil
    ended?.ended(reason)
  }

  // MARK: memory

  /// What its client makes the gateway hold, beside what its WebSocket's connection does.
  var heldBytes: Int { engine.queuedBytes + (application?.heldBytes ?? 0) }

  var memoryAccount: MemoryAccount {
    if let session = application?.session { return session.memoryAccount }
    if let user = identity?.user { return .user(UserKey(user)) }
    return gateway.binds(peer) ? .address(AddressKey(peer)) : .alone(ObjectIdentifier(self))
  }

  /// Lets the client go, and what it holds; it comes back.
  func letGoForMemory() { perform { $0.terminate(.queueOverflow, &$1) } }

  // MARK: deadlines

  /// Each is dealt with as of its own moment, however late that is looked at.
  func checkDeadlines(_ now: Instant) {
    while let deadline = engine.deadline, deadline <= now.nanoseconds {
      perform { $0.deadlineReached(now: deadline, &$1) }
    }
    if let deadline = application?.deadline, deadline <= now.nanoseconds {
      application?.deadlineReached(now.nanoseconds)
    }
  }
}
