internal import Bytes
internal import ChannelKit
internal import Config
internal import Crypto
internal import HTTPCodec
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// One gateway loop: connections, the channels they want, and links of its own.
///
/// Loops share nothing: each is a small gateway. What happens to a publication, in the order of a
/// turn: read → frame → route → gather per channel → one write per subscriber.
final class GatewayLoop {
  let loop: EventLoop
  /// Replaced as a whole when limits change; read what is needed, don't keep it.
  private(set) var settings: LoopSettings
  var date = DateText()
  private let plainAnswers = PlainAnswers()
  let logger: Logger
  let metrics: GatewayMetrics
  let identity: LinkIdentity
  let index: Int
  /// By the hub's channel number.
  private var byNumber: [LocalChannel?] = []
  private(set) var connections = NumberedList<Connection>()
  private var nextClient: UInt64
  private var nextRequest: UInt64
  let access: AccessLog
  let linkLogger: Logger
  let httpLogger: Logger
  private(set) var isDraining = false
  var upstreamsChanged: () -> Void = {}
  /// Hands something to another loop of the process; false where that has too much waiting.
  var hand: (GatewayMail, Int) -> Bool = { _, _ in false }

  func post(_ mail: GatewayMail, to loop: Int) -> Bool { hand(mail, loop) }
  private var sweepCount: UInt64 = 0
  private var seenOrders = Authenticator.Seen()
  /// Connections that are being told why they can't come in.
  private var turnedAway = 0

  init(
    _ loop: EventLoop, _ settings: LoopSettings, logger: Logger, metrics: GatewayMetrics,
    identity: LinkIdentity, index: Int
  ) {
    self.loop = loop
    self.settings = settings
    self.logger = logger
    self.metrics = metrics
    self.identity = identity
    self.index = index
    // Client numbers are unique over gateways: this process's random bits, then a count.
    nextRequest = identity.instance ^ UInt64(index) << 40
    access = AccessLog(logger)
    linkLogger = logger.labelled("gateway.link")
    httpLogger = logger.labelled("gateway.http")
    nextClient = identity.instance &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index) << 40
  }

  // These refer back to the loop, so they are made when first used.
  private(set) lazy var channels = ChannelDirectory(self)
  private(set) lazy var upstreams = Upstreams(
    settings.upstreams, identity: identity, gateway: self)
  private(set) lazy var presence = PresenceReporter(self)
  private(set) lazy var subscriberReports = SubscriberReports(self)
  private(set) lazy var artifacts = ArtifactDoor(self)
  private(set) lazy var publishing = Publishing(self)
  private(set) lazy var identityFeed = IdentityFeed(self)
  private(set) lazy var health = HealthReport(self)
  private(set) lazy var metricsPage = MetricsPage(self)
  private(set) lazy var engines = EngineSessions(self)
  private(set) lazy var recoveries = RecoverableClients(self)
  private(set) lazy var emulated = EmulatedStreams(self)
  private(set) lazy var relayAsker = RelayAsker(self)
  private(set) lazy var relayServer = RelayServer(self)
  /// Nil where no back end is asked anything.
  private(set) lazy var hooks = settings.hooks.map { HookDesk(self, $0) }
  private(set) lazy var memory = LoopMemory(self)
  private(set) lazy var compression = LoopCompression(
    settings.compression, contextBytesMax: settings.compressionContextBytesMax,
    ratioMax: settings.inflateRatioMax, freeBytes: settings.inflateFreeBytes, metrics)
  /// Apart, so that one service that stands still holds up nobody who needs the other.
  let storeReplays = ReplayReads()
  let hubReplays = ReplayReads()
  private var newcomers = Newcomers()
  /// For what the handshakes of sockets are answered with.
  var handshakes = SHA1Series()
  /// See `StateFold.countMax`.
  var foldCount = 0
  /// BUDGET: one snapshot at a time is on its way from a loop to the store.
  var isKeepingSnapshot = false
  /// Bytes of publications that wait for their channel to be opened, in all channels.
  var waitingBytes = 0

  func start() {
    upstreams.start()
    if index == 0 { identityFeed.start() }
    sweep()
  }

  // MARK: connections

  func accepted(_ descriptor: consuming Descriptor, _ peer: PeerIdentity) {
    let connection = Connection(descriptor, peer, on: self)
    if let limit = seat(connection) {
      metrics.limits.reached(limit)
      return turnAway(connection, limit)
    }
    connections.add(connection)
    metrics.accepted.add()
    let readsFirst = newcomers.readsNext()
    newcomers.came(connection.start(readsFirst: readsFirst))
  }

  /// A connection that came to another loop, and asks for a session of this one.
  func take(_ moved: MovedConnection) {
    guard let descriptor = moved.takeDescriptor(), !isDraining else { return }
    let connection = Connection(descriptor, moved, on: self)
    connections.add(connection)
    metrics.connections.add(1)
    metrics.engine.moved.add()
    // It has been let in, and leaves its seat on the other loop about now.
    if !moved.isRelayed { _ = count(connection) }
    connection.start(with: moved)
  }

  func ended(_ connection: Connection) {
    if connections.remove(connection) {
      metrics.connections.add(-1)
      if let account = connection.account { settings.ledgers.addresses.leave(account) }
    } else {
      turnedAway -= 1
    }
  }

  /// Counts a newcomer, or says which limit of connections keeps it out.
  private func seat(_ connection: Connection) -> LimitName? {
    guard connection.isBound else {
      metrics.connections.add(1)
      return nil
    }
    guard metrics.connections.addOne(below: settings.connectionsMax) else { return .connections }
    // A proxy's connections are those of its clients, who are known later.
    if settings.proxies.contains(connection.peer) || count(connection) { return nil }
    metrics.connections.add(-1)
    return .connectionsPerAddress
  }

  /// Counts a connection for its client's address, once. False where that has as many as it may.
  func count(_ connection: Connection) -> Bool {
    guard connection.isBound, connection.account == nil else { return true }
    let key = AddressKey(connection.client)
    guard settings.ledgers.addresses.enter(key, most: settings.connectionsPerAddressMax) else {
      return false
    }
    connection.account = key
    return true
  }

  /// Whether the limits of clients bind this peer.
  func binds(_ peer: PeerIdentity) -> Bool { !(settings.exemptsLoopback && peer.isLoopback) }

  /// What a client's session is held to; nil for one that no limit binds.
  func account(of client: PeerIdentity) -> ClientAccount? {
    binds(client) ? ClientAccount(settings.ledgers, AddressKey(client)) : nil
  }

  /// Other limits, in force from now on as far as `Limit.Uptake` says so.
  func adopt(_ limits: Config.Limits, _ compression: CompressionSettings) {
    var next = settings
    next.adopt(limits)
    next.compression = compression
    settings = next
    memory.adopt(next.memoryMax)
    self.compression.adopt(
      compression, contextBytesMax: next.compressionContextBytesMax,
      ratioMax: next.inflateRatioMax, freeBytes: next.inflateFreeBytes)
  }

  /// BUDGET: newcomers that are being told why they can't come in; more are closed unanswered.
  private static let turnedAwayMax = 256

  private func turnAway(_ connection: Connection, _ limit: LimitName) {
    metrics.refusedConnections.add()
    turnedAway += 1
    guard turnedAway <= Self.turnedAwayMax else {
      turnedAway -= 1
      return
    }
    let refusal: Refusal = limit == .connections ? .tooManyConnections : .tooManyOfAddress
    connection.turnAway(refusalOfNewcomers(refusal))
  }

  /// What is said to a connection that is not read from.
  func refusalOfNewcomers(_ refusal: Refusal) -> [UInt8] {
    Response.error(refusal).bytes(
      date: date.text(Int(loop.wallMilliseconds / 1000)), closes: true,
      isHead: false)
  }

  /// The head of 200 with JSON, to a request that asks for nothing beside it.
  func appendPlainHead(_ id: RequestID, length: Int, to bytes: inout [UInt8]) {
    plainAnswers.appendHead(
      id, length: length, second: Int(loop.wallMilliseconds / 1000),
      strict: settings.strictTransportSecurity, to: &bytes)
  }

  func takeRequestID() -> RequestID {
    nextRequest &+= 1
    return RequestID(number: nextRequest)
  }

  func takeClientNumber() -> UInt64 {
    nextClient &+= 1
    if nextClient == 0 { nextClient = 1 }
    return nextClient
  }

  /// Once a second: deadlines and pings of all connections together, so that none has a timer.
  private func sweep() {
    sweepCount &+= 1
    lookAtConnections()
    channels.sweep()
    if sweepCount % 10 == 0, index == 0 {
      settings.ledgers.addresses.forgetIdle(loop.now)
      settings.ledgers.users.forgetIdle(loop.now)
      settings.ledgers.sessions.forgetIdle(loop.now)
      settings.reconnects.forgetOld(loop.now)
    }
    loop.after(.seconds(1)) { [self] in sweep() }
  }

  /// Whether every client moves, is still who it was, and may do what it does. Most of many are quiet
  /// and are passed over until their next heartbeat; unless an order or another rule may be for them.
  private func lookAtConnections() {
    let due = settings.authenticator.due(&seenOrders)
    if due.looksAgain {
      // Read first: what is replaced meanwhile is looked at again.
      let version = settings.rulesVersion()
      for channel in channels.all { channel.adopt(settings.policy(channel.name), ofVersion: version) }
    }
    let now = Authenticator.now
    var held = MemoryTally()
    let mayPass = due.isNothing
    for connection in connections.all {
      if mayPass, connection.isQuiet(loop.now) { continue }
      connection.sweep(loop.now)
      connection.checkIdentity(now, due)
      connection.session?.checkPatience(loop.now)
      connection.tally(&held)
      connection.noteQuiet(loop.now)
    }
    engines.sweep(now, due, &held)
    memory.counted(held)
  }

  func tallyClients() -> MemoryTally {
    var held = MemoryTally()
    for connection in connections.all { connection.tally(&held) }
    engines.tally(&held)
    return held
  }

  // MARK: channels

  /// The channel on this loop, made if need be. Nil where no more channels can be kept.
  ///
  /// - Parameter owner: whose clients it is made for, where limits bind them.
  /// - Parameter known: what `existing` says, where that was asked.
  func channel(
    _ name: ChannelName, for owner: AddressKey? = nil, known: LocalChannel? = nil
  ) -> Result<LocalChannel, Refusal> {
    guard !name.isReserved else { return .failure(.permissionDenied) }
    if let known = known ?? channels[name] {
      return known.isNamed ? .success(known) : .failure(.unknownChannel(name))
    }
    guard channels.hasRoom(for: owner) else { return .failure(.noRoomForChannel) }
    // Read first: of rules that are replaced meanwhile the channel must not pass for one of the new.
    let version = settings.rulesVersion()
    guard let policy = settings.policy(name) else { return .failure(.unknownChannel(name)) }
    let made: AnyChannel
    do throws(ChannelOptionsError) {
      made = try settings.registry.make(
        policy.type, channel: name, options: policy.options, history: policy.history)
    } catch {
      logger.error("a channel can't be made", ["channel": .text(name.text), "reason": .text(error.description)])
      return .failure(.internalError)
    }
    let channel = LocalChannel(name, policy, ofVersion: version, self, made)
    channels.insert(channel, for: owner)
    return .success(channel)
  }

  func existing(_ name: ChannelName) -> LocalChannel? { channels[name] }

  /// What the rules say of a channel, by what its own object knows where that is of the same rules.
  func policy(_ name: ChannelName, _ known: LocalChannel?) -> ChannelPolicy? {
    guard let known, known.isNamed, known.rulesVersion == settings.rulesVersion() else {
      return settings.policy(name)
    }
    return known.policy
  }

  /// A plugin that folded a history which is gone begins anew. The rule made it before, so it can
  /// be made again; a plugin that refuses all the same keeps what it had and says so.
  func rebuildPlugin(_ channel: LocalChannel) {
    guard channel.plugin != nil else { return }
    do throws(ChannelOptionsError) {
      channel.plugin = try settings.registry.make(
        channel.policy.type, channel: channel.name, options: channel.policy.options,
        history: channel.policy.history)
    } catch {
      logger.error(
        "a channel's state can't be built anew",
        ["channel": .text(channel.name.text), "reason": .text(error.description)])
    }
  }

  /// Asks the hub for the channel's number, and for its publications where somebody here wants them:
  /// a gateway that back ends publish through does not get all that they say once more.
  func attach(_ channel: LocalChannel) {
    channel.lookAgain()
    let isWanted = channel.wantsPublications
    guard channel.handle == .none || isWanted && !channel.isSubscribed, !channel.isOpening,
      let hub = upstreams.hub
    else { return }
    channel.isOpening = true
    let isKept = channel.policy.history == .memory
    let request = OpenChannel(
      remainingMs: settings.publishMaxMs, name: channel.name,
      flags: isWanted ? [.subscribe, .publish, .count] : [.publish, .count],
      isDurable: channel.policy.isDurable,
      historyCount: isKept ? channel.policy.historyCount : 0,
      historyMs: isKept ? channel.policy.historyMs : 0,
      subscribers: channel.willReport())
    hub.request(request, expecting: ChannelOpened.self, within: settings.publishMax) {
      [self] result in
      switch result {
      case .success(let answer):
        channel.isSubscribed = isWanted
        opened(channel, answer)
      case .failure(let failure):
        channel.isOpening = false
        if failure.code.isPassing {
          retryAttach(channel)
        } else {
          channel.openingRefused(Refusal(failure))
        }
      }
    }
  }

  private func retryAttach(_ channel: LocalChannel) {
    loop.after(.milliseconds(100)) { [self] in
      attach(channel)
    }
  }

  private func opened(_ channel: LocalChannel, _ answer: ChannelOpened) {
    let number = Int(answer.handle.number)
    while byNumber.count <= number { byNumber.append(nil) }
    byNumber[number] = channel
    channel.opened(answer)
    // Somebody may have come while it was opened for publishers alone.
    if !channel.isSubscribed, channel.wantsPublications { attach(channel) }
  }

  private func find(_ handle: ChannelHandle) -> LocalChannel? {
    let number = Int(handle.number)
    guard number < byNumber.count, let channel = byNumber[number], channel.handle == handle else {
      return nil
    }
    return channel
  }

  /// Has the hub forget that this loop has the channel open. False where it can't be told now.
  func detach(_ channel: LocalChannel) -> Bool {
    guard channel.handle != .none else { return true }
    guard let hub = upstreams.hub, hub.send(CloseChannel(handle: channel.handle)) == .sent else {
      return false
    }
    byNumber[Int(channel.handle.number)] = nil
    return true
  }

  /// Asks another service and waits as long as the configuration lets it. That no answer came in
  /// time is counted.
  func ask<M: WireMessage, R: WireMessage>(
    _ link: Link, _ message: M, expecting reply: R.Type,
    _ completion: @escaping (Result<R, Refusal>) -> Void
  ) {
    link.request(message, expecting: reply, within: settings.publishMax) { [metrics] result in
      if case .failure(let failure) = result { metrics.limits.reached(failure) }
      completion(result.mapError { Refusal($0) })
    }
  }

  // MARK: news from the hub

  func hubOpened(_ link: Link) {
    relayAsker.hubOpened(link)
    for channel in channels.all where !channel.isIdle || channel.policy.isDurable {
      attach(channel)
    }
  }

  func hubLost() {
    relayServer.hubLost()
    byNumber.removeAll()
    for channel in channels.all { channel.detached() }
  }

  /// The store may be another than before: every channel that it keeps compares its head.
  func storeOpened(_ link: Link) {
    for channel in channels.all where channel.policy.isDurable { channel.catchUp() }
    if index == 0 { identityFeed.storeOpened() }
  }

  func presenceOpened(_ link: Link) { presence.linkOpened(link) }

  /// Whether nobody here wants more of a publication than its place, which is noted then: a gateway
  /// that back ends publish through gets all that they say once more.
  func passesOver(publication body: borrowing Span<UInt8>) throws(FrameError) -> Bool {
    guard let channel = find(try Publication.handle(of: body)) else { return true }
    guard channel.isUnheard else { return false }
    return channel.notes(try Publication.position(of: body))
  }

  func received(_ publication: Wire.Publication) {
    guard let channel = find(publication.handle) else { return }
    let tags = ArrivalTags(publication.eventType, publication.meta)
    channel.received(
      Arrival(
        position: publication.position, timeMs: publication.timeMs,
        publisher: publication.publisher, payload: publication.payload, tags: tags,
        isForOthers: publication.flags.contains(.forOthers) || tags?.isForOthers == true))
  }

  /// The hub could not send us everything of this channel.
  func received(_ gap: Gap) {
    guard let channel = find(gap.handle) else { return }
    if channel.policy.history == .none {
      // What came before it stands before it.
      channel.flushGathered()
      channel.forEachLive {
        $0.session.tell(.gap(channel.name, dropped: gap.dropped))
      }
    } else {
      channel.catchUp()
    }
  }

  func received(_ count: SubscriberCount) {
    find(count.handle)?.subscriberTotal = Int(count.subscribers)
  }

  /// The hub left out publications: every channel with a history compares its head, or does so
  /// again if it is about to.
  func missedPublications() {
    for channel in channels.all where channel.policy.history != .none { channel.catchUp() }
  }

  // MARK: draining

  /// Stops and tells every client to come back, spread over a while.
  func drain(_ finished: @escaping () -> Void) {
    isDraining = true
    engines.drain()
    for connection in connections.all { connection.drain() }
    let deadline = loop.now + .seconds(5)
    waitForEmpty(deadline, finished)
  }

  private func waitForEmpty(_ deadline: Instant, _ finished: @escaping () -> Void) {
    if connections.isEmpty || loop.now >= deadline {
      for connection in connections.all { connection.close() }
      return loop.atTurnEnd { [self] in
        presence.tellNow()
        upstreams.stop()
        loop.after(.milliseconds(10), finished)
      }
    }
    loop.after(.milliseconds(10)) { [self] in waitForEmpty(deadline, finished) }
  }
}
