internal import Bytes
public import ChannelKit
internal import Config
internal import Deflate
internal import HTTPCodec
internal import Hooks
internal import JSON
internal import Loop
internal import Observe
internal import Platform
public import Service
internal import Synchronization
internal import TLSStream
internal import Wire

/// `sapphire-gateway`: one loop per processor it may use, sharing the address.
public enum GatewayProgram {
  public static func description(_ registry: ChannelRegistry) -> ServiceDescription {
    var description = ServiceDescription(
      role: .gateway,
      summary: """
        the door for clients and back ends: WebSocket and HTTP, the API, the observer page.
        """,
      options: [
        OptionSpec("hub", "ADDRESS", "where the hub listens"),
        OptionSpec("eventstore", "ADDRESS", "where the event store listens"),
        OptionSpec("presence", "ADDRESS", "where presence listens"),
        OptionSpec("api-key-file", "FILE", "the API keys, one a line"),
        OptionSpec("loops", "COUNT", "event loops; one per processor by default"),
      ],
      examples: [
        "sapphire-gateway --listen 127.0.0.1:8000 --run /run/sapphire",
        "sapphire-gateway --listen 0.0.0.0:8000 --config /etc/sapphire/sapphire.json5",
      ], libraries: ["zlib \(DeflateLibrary.version)"])
    description.channelTypes = registry.names
    description.callHandlers = registry.handlerNames
    description.channelFault = { ChannelPolicies.fault($0, registry) }
    return description
  }

  public static func start(_ context: ServiceContext, _ registry: ChannelRegistry) throws
    -> any RunningService
  {
    let address = try context.listenAddress(.gateway)
    let files = IdentityFiles(context)
    let keys = APIKeys(try files.apiKeys(listed: context.settings.apiKeys))
    let book = RuleBook(try ChannelPolicies(context.settings.channels, registry))
    let routes = RouteBook(context.settings.routes)
    let metrics = GatewayMetrics(context.metrics)
    let authenticator = Authenticator(
      context.settings.identity,
      keys: try files.tokenKeys(context.settings.identity.keyFiles), metrics.identity)
    var settings = LoopSettings(
      upstreams: Upstreams.Addresses(
        hub: try context.linkAddress(.hub), eventstore: try context.linkAddress(.eventstore),
        presence: try context.linkAddress(.presence)),
      registry: registry, policy: { book.policy($0) }, rulesVersion: { book.version },
      routes: { routes.routes }, access: access(context, address, keys), authenticator: authenticator,
      isEchoOn: context.settings.diagnostics.echoIsOn(listening: [endpoint(address)]),
      startedAt: SystemClock.monotonic(),
      renderMetrics: { [metrics = context.metrics] in metrics.render() })
    settings.adopt(context.settings.limits)
    settings.startedAtSeconds = Int(SystemClock.wallMilliseconds() / 1000)
    settings.proxies = proxies(context.settings.gateway)
    settings.compression = context.settings.compression
    settings.engine = EngineRules(
      context.settings.socketio, payloadBytesMax: settings.payloadBytesMax)
    settings.centrifuge = CentrifugeRules(context.settings.centrifuge)
    settings.hooks = try hookRules(context)
    settings.tls = try tlsDoor(context)
    if settings.proxies.speakProxyProtocol, settings.tls != nil {
      throw UsageError(
        "gateway.proxyProtocol is for proxies that speak TLS themselves: leave out tls or proxyProtocol")
    }
    if let door = settings.tls {
      settings.strictTransportSecurity = context.settings.tls.strictTransportSecurity.map {
        "max-age=\($0.components.seconds)"
      }
      context.metrics.gauge(
        "sapphire_tls_certificate_expires_timestamp_seconds",
        "When the certificate expires, in seconds since 1970.", reading: { door.validUntil })
    }
    let desk = IdentityDesk(context, files, keys, authenticator, book, routes, registry)
    let gateway = RunningGateway(context, desk, settings.tls, settings.hooks?.targets.keys)
    try gateway.start(settings, metrics, address)
    return gateway
  }

  private static func endpoint(_ address: SocketAddress) -> Endpoint {
    switch address {
    case .unix(let path): .unix(path)
    case .tcp(let host, let port): .tcp(host: host, port: port)
    }
  }

  /// What the listeners speak TLS with; nil where no certificate is configured.
  static func tlsDoor(_ context: ServiceContext) throws -> TLSDoor? {
    let tls = context.settings.tls
    guard let certificate = tls.certificate, let key = tls.key else { return nil }
    let files = CertificateFiles(certificate: FilePath(certificate.path), key: FilePath(key.path))
    do throws(CertificateFiles.Refused) {
      return try TLSDoor(files, tls, context.logger)
    } catch {
      let problem = ConfigProblem(
        file: context.options["config"] ?? "defaults",
        place: error.part == .key ? key.place : certificate.place,
        setting: "tls.\(error.part.rawValue)", reason: error.description)
      throw ConfigurationRefused(description: "the configuration is refused:\n\(problem)")
    }
  }

  private static func hookRules(_ context: ServiceContext) throws -> HookRules? {
    do throws(HookFileRefused) { return try HookRules(context.settings.hooks) } catch {
      throw ConfigurationRefused(description: "the configuration is refused:\nhooks: \(error)")
    }
  }

  private static func access(
    _ context: ServiceContext, _ address: SocketAddress, _ keys: APIKeys
  ) -> AccessRules {
    let gateway = context.settings.gateway
    return AccessRules(
      isLoopback: address.isLoopback,
      allowsAnonymous: gateway.allowsAnonymous(on: endpoint(address)), origins: gateway.origins,
      hosts: gateway.hosts,
      hostsOfOrigins: gateway.origins.compactMap { AccessRules.authority(ofOrigin: $0)?.host },
      keys: keys)
  }

  private static func proxies(_ gateway: GatewaySettings) -> TrustedProxies {
    TrustedProxies(
      ranges: gateway.trustedProxies, trustsUnix: gateway.trustsUnixPeers,
      field: gateway.forwardedField, speakProxyProtocol: gateway.proxyProtocol)
  }
}

/// What loops are told.
enum GatewayMail: Sendable {
  case listen(SocketAddress)
  case adopt(Config.Limits, CompressionSettings)
  /// A connection whose session is this loop's.
  case moved(MovedConnection)
  case drain
  /// Commands for a stream that the loop holds.
  case emulated(SessionToken, [UInt8])
  /// A client of Socket.IO has come back by its secret: who was there with it before that moment ends.
  case fence(SessionToken, before: Instant)
  /// Another loop needs to know what clients make this one hold.
  case countMemory
}

/// The gateway's loops and what they have in common. Sendable: its state is behind a lock.
final class RunningGateway: RunningService {
  private struct State {
    var threads: [LoopThread<GatewayMail>] = []
    var drained = 0
    var isListening = false
    var isReady = false
    var isDraining = false
  }

  private let state = Mutex(State())
  private let context: ServiceContext
  private let desk: IdentityDesk
  private let tls: TLSDoor?
  private let hookKeys: HookKeys?

  /// How long the public port waits for the services behind it; then it opens all the same and
  /// answers 503 with the reason.
  static let patience = Duration.seconds(3)
  /// And this much longer where the store is there and still tells what was revoked.
  static let patienceForOrders = Duration.seconds(10)

  init(
    _ context: ServiceContext, _ desk: IdentityDesk, _ tls: TLSDoor?, _ hookKeys: HookKeys?
  ) {
    self.hookKeys = hookKeys
    self.context = context
    self.desk = desk
    self.tls = tls
  }

  private func url(_ address: SocketAddress) -> String {
    "\(tls == nil ? "http" : "https")://\(address.authority)"
  }

  func start(_ settings: LoopSettings, _ metrics: GatewayMetrics, _ address: SocketAddress) throws {
    var count = context.settings.gateway.loops ?? Syscalls.processorCount
    if let text = context.options["loops"] {
      guard let asked = Int(text), (1...256).contains(asked) else {
        throw UsageError("--loops is a number from 1 to 256")
      }
      count = asked
    }
    if case .unix = address { count = 1 }
    var settings = settings
    settings.loops = count
    if count == 1 { Allocator.useOneArena() }
    let shared = settings
    let first = AddressClaim(address)
    try first.check()
    settings.memory.onPressure { [weak self] index in self?.countMemory(but: index) }
    for index in 0..<count {
      let thread = try LoopThread<GatewayMail>(name: "gateway-\(index)") { [self] loop in
        try GatewayThread(loop, shared, metrics, context, self, index, first).receive
      }
      state.withLock { $0.threads.append(thread) }
    }
  }

  private func countMemory(but index: Int) {
    let threads = state.withLock { $0.threads }
    for (place, thread) in threads.enumerated() where place != index {
      thread.mailbox.post(.countMemory)
    }
  }

  /// The first loop has bound the address: the others share it.
  func listening(on address: SocketAddress) {
    let others = state.withLock { state -> [LoopThread<GatewayMail>] in
      state.isListening = true
      return Array(state.threads.dropFirst())
    }
    for thread in others { thread.mailbox.post(.listen(address)) }
    context.report(.announce("listening \(url(address))"))
  }

  func ready(at address: SocketAddress) {
    let isFirst = state.withLock { state in
      defer { state.isReady = true }
      return !state.isReady
    }
    if isFirst { context.report(.announce("ready \(url(address))")) }
  }

  func drain() {
    let threads = state.withLock { state -> [LoopThread<GatewayMail>] in
      state.isDraining = true
      return state.threads
    }
    for thread in threads { thread.mailbox.post(.drain) }
  }

  /// Whether the loop of that number has taken it.
  func post(_ mail: GatewayMail, to loop: Int) -> Bool {
    state.withLock { state in
      guard state.threads.indices.contains(loop) else { return false }
      return state.threads[loop].mailbox.post(mail) == .posted
    }
  }

  func drained() {
    let isLast = state.withLock { state in
      state.drained += 1
      return state.drained == state.threads.count
    }
    if isLast { context.report(.finished(code: ExitCode.ok, message: nil)) }
  }

  func reload(_ settings: Configuration) -> Set<String> {
    tls?.reload()
    let left = desk.reload(settings)
    for thread in state.withLock({ $0.threads }) {
      thread.mailbox.post(.adopt(settings.limits, settings.compression))
    }
    return left
  }

  func lookAtFiles() {
    desk.lookAtFiles()
    do throws(HookFileRefused) { try hookKeys?.lookAgain() } catch {
      context.logger.error(
        "the keys of hooks could not be read; the old ones stand",
        ["reason": .text(error.description)])
    }
  }
}

/// The address that the loops share. One that another process listens on is refused at once; of two
/// processes that begin together the first loop to listen has it (`PortSharing.firstOfLoops`).
struct AddressClaim: Sendable {
  let address: SocketAddress
  init(_ address: SocketAddress) { self.address = address }

  func check() throws {
    guard case .tcp(_, let port) = address, port != 0 else { return }
    _ = try Sockets.listen(on: address, sharing: .exclusive)
  }
}

/// One gateway loop on its thread.
final class GatewayThread {
  private let gateway: GatewayLoop
  private let running: RunningGateway
  private let context: ServiceContext
  private let index: Int
  private let claim: AddressClaim
  private var listener: Listener?
  private var opensAt: Instant
  private var isDone = false

  init(
    _ loop: EventLoop, _ settings: LoopSettings, _ metrics: GatewayMetrics,
    _ context: ServiceContext, _ running: RunningGateway, _ index: Int, _ claim: AddressClaim
  ) throws {
    gateway = GatewayLoop(
      loop, settings, logger: context.logger, metrics: metrics, identity: context.identity,
      index: index)
    self.running = running
    self.context = context
    self.index = index
    self.claim = claim
    opensAt = loop.now + RunningGateway.patience
    gateway.hand = { running.post($0, to: $1) }
    gateway.start()
    if index == 0 {
      renewTickets()
      waitToListen()
      lookAtFiles()
    }
  }

  /// Files of keys that have changed are read again, so that a revoked key is none soon after.
  private func lookAtFiles() {
    gateway.loop.after(.seconds(5)) { [self] in
      guard !isDone else { return }
      running.lookAtFiles()
      lookAtFiles()
    }
  }

  private func renewTickets() {
    guard let tls = gateway.settings.tls else { return }
    gateway.loop.after(TLSDoor.renewEvery) { [weak self] in
      tls.reload()
      self?.renewTickets()
    }
  }

  func receive(_ mail: [GatewayMail]) {
    for message in mail {
      switch message {
      case .listen(let address): joinListening(on: address)
      case .adopt(let limits, let compression): gateway.adopt(limits, compression)
      case .moved(let moved): gateway.take(moved)
      case .drain: drain()
      case .emulated(let name, let commands): gateway.emulated.received(name, commands)
      case .fence(let token, let before): gateway.recoveries.fence(token, before: before)
      case .countMemory: gateway.memory.countSoon()
      }
    }
  }

  /// The other loops have links of their own: a loop that accepted before these are open would
  /// refuse what the ready line has promised.
  private func joinListening(on address: SocketAddress) {
    guard !isDone else { return }
    gateway.health.check { [self] isReady in
      if isReady || gateway.loop.now >= opensAt {
        listen(address)
      } else {
        gateway.loop.after(.milliseconds(10)) { [self] in joinListening(on: address) }
      }
    }
  }

  /// Opens the port once everything behind it works, or patience has run out.
  private func waitToListen() {
    guard !isDone else { return }
    gateway.health.check { [self] isReady in
      if isReady && gateway.identityFeed.isCaughtUp || isOutOfPatience {
        listen(claim.address)
        watchReadiness()
      } else {
        gateway.loop.after(.milliseconds(10)) { [self] in waitToListen() }
      }
    }
  }

  /// A store that is there is waited for until it has told what was revoked; one that is away is not.
  private var isOutOfPatience: Bool {
    let isReading = gateway.upstreams.eventstore != nil && !gateway.identityFeed.isCaughtUp
    return gateway.loop.now >= opensAt + (isReading ? RunningGateway.patienceForOrders : .zero)
  }

  private func watchReadiness() {
    guard !isDone, let address = listener?.address else { return }
    gateway.health.check { [self] isReady in
      if isReady { return running.ready(at: address) }
      gateway.loop.after(.milliseconds(50)) { [self] in watchReadiness() }
    }
  }

  private func listen(_ address: SocketAddress) {
    guard listener == nil, !isDone else { return }
    do {
      let descriptor = try Sockets.listen(
        on: address, sharing: index == 0 ? .firstOfLoops : .betweenLoops)
      let bound: SocketAddress
      if case .tcp(let host, _) = address, case .tcp(_, let port) = try Sockets.localAddress(descriptor) {
        bound = .tcp(host: host, port: port)
      } else {
        bound = address
      }
      let listener = try Listener(descriptor, address: bound, on: gateway.loop) {
        [gateway] descriptor, peer in gateway.accepted(descriptor, peer)
      }
      listener.refusal =
        gateway.settings.tls != nil ? TLSDoor.alert : Self.refusalWithoutDescriptors
      listener.failed = { [logger = context.logger] in
        logger.warning("accepting failed", ["reason": .text($0.description)])
      }
      self.listener = listener
      if index == 0 { running.listening(on: bound) }
    } catch {
      context.report(.finished(code: ExitCode.cannotListen, message: "\(error)"))
    }
  }

  /// Made once, so without a Date, which a 5xx may lack (RFC 9110 §6.6.1).
  private static let refusalWithoutDescriptors: [UInt8] = {
    let body = Response.error(.tooManyConnections).body
    let head =
      "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
      + "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n\r\n"
    return [UInt8](head.utf8) + body
  }()

  private func drain() {
    guard !isDone else { return }
    isDone = true
    listener?.close()
    gateway.drain { [self] in
      gateway.loop.stop()
      running.drained()
    }
  }
}
