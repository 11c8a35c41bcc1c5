internal import Bytes
internal import ChannelKit
internal import Config
internal import EngineIO
internal import Identity
internal import JSON
internal import Loop
internal import Observe
internal import Platform
internal import SocketIO
internal import Wire

/// Socket.IO on one Engine.IO session: who is in which namespace, and what events ask for.
///
/// The main namespace is a `ClientSession` of the gateway's core, whose carrier this is
/// (`SocketIOClient+Carrier`); other namespaces are plugins'. The protocol's state machine is
/// `SocketConnection`. Loop-confined.
final class SocketIOClient: EngineApplication {
  let engine: EngineClient
  let gateway: GatewayLoop
  private(set) var session: ClientSession?
  var connection: SocketConnection
  var guests: [SocketNamespace: Guest] = [:]
  /// By namespaces whose CONNECT waits for what is kept of the client.
  var opening: [SocketNamespace: CallLog] = [:]
  /// Where publications go directly: set while a session is in the main namespace, and the same as
  /// long as it is.
  var direct: (stream: Stream, compression: SocketCompression?)?
  /// What the client says while the channels that it joins by itself are opened; nil otherwise.
  private var early: [EngineMessage]?
  private var earlyBytes = 0
  /// What plugins have asked the client and it has not answered: as many as the connection waits for.
  var questions: [SocketAckID: CallQuestion] = [:]
  /// Where it stands, of a client in the main namespace that may come back.
  private(set) var recovery: RecoverableSession?
  /// What a back end has said of it, until it is in the main namespace.
  var welcome: HookWelcome?
  /// Nothing more is said in the main namespace.
  var isOver = true

  init(_ engine: EngineClient) {
    self.engine = engine
    gateway = engine.gateway
    connection = SocketConnection(
      settings: engine.gateway.settings.engine.socket, now: engine.gateway.loop.now.nanoseconds)
  }

  private var now: UInt64 { gateway.loop.now.nanoseconds }

  // MARK: the session below

  var deadline: UInt64? {
    guard let tellAt = recovery?.tellAt else { return connection.deadline }
    return min(tellAt, connection.deadline ?? .max)
  }

  func deadlineReached(_ now: UInt64) {
    perform { $0.deadlineReached(now: now, &$1) }
    quietIsOver(now)
  }

  func received(_ message: EngineMessage) {
    if early != nil, hold(message) { return }
    if let session, session.isHeldByHook {
      return session.holdForHook(bytes: message.bytesCount) { [self] in hear(message) }
    }
    hear(message)
  }

  private func hear(_ message: EngineMessage) {
    perform { [now] in
      switch message {
      case .text(let bytes): $0.received(text: bytes.span, now: now, &$1)
      case .binary(let bytes): $0.received(binary: bytes, now: now, &$1)
      }
    }
  }

  // MARK: the beginning

  /// BUDGET: messages that wait for the channels to be open, and their bytes.
  private static let earlyMax = 256
  private static let earlyBytesMax = 1 << 20
  private static let openingMax = Duration.seconds(2)

  /// What a client sends right after its CONNECT waits until its channels are open, so that it gets its
  /// own first publications too. A channel that can't be opened now keeps nobody from being heard.
  private func holdWhileOpening() {
    early = early ?? []
    gateway.loop.after(Self.openingMax) { [weak self] in self?.channelsAnswered() }
  }

  private func hold(_ message: EngineMessage) -> Bool {
    early?.append(message)
    earlyBytes += message.bytesCount
    if early?.count ?? 0 >= Self.earlyMax || earlyBytes > Self.earlyBytesMax { channelsAnswered() }
    return true
  }

  func channelsAnswered() {
    let held = early ?? []
    early = nil
    earlyBytes = 0
    for message in held { hear(message) }
  }

  var heldBytes: Int {
    connection.heldBytes + earlyBytes + (session?.waitingBytes ?? 0)
      + (recovery?.comeback?.missedBytes ?? 0) + (session?.heldByHooks ?? 0)
  }

  func drained() { session?.drained() }
  func leaves(_ what: MemberEvent.What) { session?.leaves(what) }

  func drain() {
    session?.drain()
    perform { $0.close(.serverShuttingDown, &$1) }
  }

  func ended(_ reason: EngineCloseReason) {
    perform { $0.sessionEnded(SocketDisconnectReason(reason), &$1) }
    dropOpening()
    abandonComeback()
  }

  // MARK: what the connection wants done

  func perform(_ body: (inout SocketConnection, inout [SocketAction]) -> Void) {
    var actions: [SocketAction] = []
    body(&connection, &actions)
    for action in actions { carryOut(action) }
  }

  private func carryOut(_ action: SocketAction) {
    switch action {
    case .send(let frames):
      engine.send(.text(frames.text))
      for attachment in frames.attachments { engine.send(.binary(attachment)) }
    case .connectRequested(let namespace, let auth): connect(namespace, auth)
    case .event(let namespace, let event, let answer): received(event, in: namespace, answer?.id)
    case .acknowledged(let namespace, let id, let arguments):
      answered(id, in: namespace, arguments)
    case .unacknowledged(let namespace, let id): unanswered(id, in: namespace)
    case .disconnected(let namespace, let reason): left(namespace, reason)
    case .close(let error):
      if let error {
        gateway.logger.debug("a client broke the rules of Socket.IO", ["reason": .text("\(error)")])
      }
      engine.close()
    }
  }

  // MARK: namespaces

  private func connect(_ namespace: SocketNamespace, _ auth: [UInt8]?) {
    let plugin = plugin(of: namespace)
    if namespace == .main { welcome = nil }
    guard namespace == .main || plugin != nil else {
      return perform { $0.refuse(namespace, message: "Invalid namespace", &$1) }
    }
    do throws(Refusal) {
      // Where no keys are configured a plugin's credentials are its own business.
      let isPlugins = plugin != nil && gateway.settings.authenticator.settings.keyFiles.isEmpty
      let mayBeAsked = namespace == .main && gateway.asksWhoComes
      let identity = try identity(isPlugins ? nil : auth, isRequired: !mayBeAsked)
      if namespace != .main {
        enter(namespace, identity, auth)
      } else if mayBeAsked, identity == nil {
        askToConnect(auth)
      } else {
        try enterMain(identity, auth)
      }
    } catch { return refuse(namespace, error) }
  }

  func enterMain(_ identity: Identity?, _ auth: [UInt8]?) throws(Refusal) {
    if offersRecovery { try enterRecoverable(identity, auth) } else { try enter(identity) }
    // One that comes back is greeted once it is there.
    if recovery?.comeback == nil { greet(.main, auth) }
  }

  /// What the client says waits until it is known who it is.
  func holdForHook() { early = early ?? [] }

  /// Has the namespace's plugin greet the client.
  func greet(_ namespace: SocketNamespace, _ auth: [UInt8]?) {
    guard let plugin = plugin(of: namespace), let context = context(in: namespace) else { return }
    var effects = CallEffects()
    plugin.entered(namespace.text, auth.map { Payload(.json, $0) }, by: context, &effects)
    carryOut(effects, in: namespace, nil)
  }

  func plugin(of namespace: SocketNamespace) -> (any CallHandler)? {
    gateway.engines.handler(gateway.settings.engine.plugins[namespace.text])
  }

  func refuse(_ namespace: SocketNamespace, _ refusal: Refusal) {
    var writer = JSONWriter(reserving: 96)
    refusal.append(to: &writer)
    perform { $0.refuse(namespace, message: refusal.message, data: writer.bytes, &$1) }
  }

  /// Whom the credentials of a CONNECT name, else those of the handshake.
  private func identity(_ auth: [UInt8]?, isRequired: Bool) throws(Refusal) -> Identity? {
    let authenticator = gateway.settings.authenticator
    let fields = auth.flatMap { try? JSONValue.parse($0.span) }
    let token = fields?["token"]?.string
    let ticket = fields?["ticket"]?.string
    guard token == nil || ticket == nil else {
      throw .badRequest("send token or ticket, one of them")
    }
    if let token { return try authenticator.identity(token: token) }
    if let ticket { return try authenticator.identity(ticket: ticket) }
    guard let known = engine.identity else {
      if isRequired, authenticator.settings.isRequired { throw .signInFirst }
      return nil
    }
    // The handshake may be a while ago, and this not the first CONNECT.
    guard !authenticator.isRevoked(known) else { throw .tokenRevoked }
    guard !authenticator.isGone(known.key) else { throw .keyGone }
    return known
  }

  /// Lets the client into the main namespace.
  ///
  /// - Parameter pid: by which it may come back; nil: it may not.
  func enter(_ identity: Identity?, _ pid: RecoveryPID? = nil) throws(Refusal) {
    let session = try begin(identity, pid.map { RecoverableSession($0) })
    if let pid { gateway.recoveries.add(self, pid) }
    let sid = ClientID(number: session.clientNumber).text
    perform { _ = $0.accept(.main, sid: sid, pid: pid?.text, &$1) }
    openJoined(session) { _ in false }
  }

  /// A session that is not in any channel yet.
  func begin(
    _ identity: Identity?, _ recovery: RecoverableSession?
  ) throws(Refusal) -> ClientSession {
    var door = ClientSession.Door(
      style: .manyChannels,
      encoding: recovery == nil ? .socketPublication : .recoverablePublication, welcomes: false)
    door.wantsPresence = engine.wantsPresence
    let session = ClientSession(
      gateway, door, session: engine.sessionToken ?? recovery?.pid.token, client: engine.peer,
      identity: identity, number: recovery?.pid.clientNumber)
    session.noteForHooks(engine.shownToHooks)
    if let welcome { session.noteForHooks(welcome) }
    direct = engine.stream.map { ($0, engine.compression) }
    self.recovery = recovery
    if let refusal = session.enter(self) {
      self.recovery = nil
      session.ended()
      throw refusal
    }
    self.session = session
    isOver = false
    return session
  }

  /// Subscribes to the channels that every client is in, but for those it is in already.
  func openJoined(_ session: ClientSession, but isThere: (ChannelName) -> Bool) {
    let joined = joinedByAll(session).filter { !isThere($0) }
    if !joined.isEmpty { holdWhileOpening() }
    session.open(joined.map { ($0, .now) })
  }

  /// The channels that every client is subscribed to, as far as this one may be.
  private func joinedByAll(_ session: ClientSession) -> [ChannelName] {
    gateway.settings.engine.joinedByAll.filter { name in
      guard let policy = gateway.settings.policy(name) else { return false }
      return session.standing.may(.subscribe, name, policy, gateway.settings.access)
    }
  }

  func context(in namespace: SocketNamespace) -> ClientContext? {
    namespace == .main ? session?.context : guests[namespace]?.standing.context
  }

  private func left(_ namespace: SocketNamespace, _ reason: SocketDisconnectReason) {
    guard namespace == .main else { return guestLeft(namespace) }
    if reason == .clientNamespaceDisconnect { session?.leaves(.left) }
    leaveMain()
  }

  func leaveMain() {
    let left = session
    isOver = true
    early = nil
    session = nil
    if let recovery { gateway.recoveries.remove(self, recovery.pid) }
    recovery = nil
    left?.ended()
  }
}

extension EngineMessage {
  fileprivate var bytesCount: Int {
    switch self {
    case .text(let bytes), .binary(let bytes): bytes.count
    }
  }
}

extension SocketDisconnectReason {
  init(_ reason: EngineCloseReason) {
    self =
      switch reason {
      case .transportClose: .transportClose
      case .transportError: .transportError
      case .parseError: .parseError
      case .pingTimeout: .pingTimeout
      case .forcedClose: .forcedClose
      case .queueOverflow: .queueOverflow
      }
  }
}
