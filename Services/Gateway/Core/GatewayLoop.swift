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
  let logger: Logger
  let metrics: GatewayMetrics
  let identity: LinkIdentity
  let index: Int
  /// By the hub's channel number.
  private var byNumber: [LocalChannel?] = []
  private var changedSubscribers: [LocalChannel] = []
  private(set) var connections: [ObjectIdentifier: Connection] = [:]
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
  private(set) lazy var artifacts = ArtifactDoor(self)
  private(set) lazy var publishing = Publishing(self)
  private(set) lazy var identityFeed = IdentityFeed(self)
  private(set) lazy var health = HealthReport(self)
  private(set) lazy var engines = EngineSessions(self)
  private(set) lazy var emulated = EmulatedStreams(self)
  private(set) lazy var memory = LoopMemory(self)
  private(set) lazy var compression = LoopCompression(
    settings.compression, contextBytesMax: settings.compressionContextBytesMax,
    ratioMax: settings.inflateRatioMax, freeBytes: settings.inflateFreeBytes, metrics)
  /// Apart, so that one service that stands still holds up nobody who needs the other.
  private let storeReplays = ReplayReads()
  private let hubReplays = ReplayReads()
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
    if connection.isBound, let limit = limitReached(connection) {
      metrics.limits.reached(limit)
      return turnAway(connection, limit)
    }
    connections[ObjectIdentifier(connection)] = connection
    metrics.connections.add(1)
    metrics.accepted.add()
    connection.start()
  }

  /// A connection that came to another loop, and asks for a session of this one.
  func take(_ moved: MovedConnection) {
    guard let descriptor = moved.takeDescriptor(), !isDraining else { return }
    let connection = Connection(descriptor, moved, on: self)
    connections[ObjectIdentifier(connection)] = connection
    metrics.connections.add(1)
    metrics.engine.moved.add()
    // It has been let in, and leaves its seat on the other loop about now.
    if !moved.isRelayed { _ = count(connection) }
    connection.start(with: moved)
  }

  func ended(_ connection: Connection) {
    if connections.removeValue(forKey: ObjectIdentifier(connection)) != nil {
      metrics.connections.add(-1)
      if let account = connection.account { settings.ledgers.addresses.leave(account) }
    } else {
      turnedAway -= 1
    }
  }

  /// The limit of connections that keeps a newcomer out.
  private func limitReached(_ connection: Connection) -> LimitName? {
    guard metrics.connections.value < Int64(settings.connectionsMax) else { return .connections }
    // A proxy's connections are those of its clients, who are known later.
    guard !settings.proxies.contains(connection.peer) else { return nil }
    return count(connection) ? nil : .connectionsPerAddress
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

  /// What a client's session is held to; nil for one that no limit binds.
  func account(of client: PeerIdentity) -> ClientAccount? {
    settings.binds(client) ? ClientAccount(settings.ledgers, AddressKey(client)) : nil
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
      date: HTTPDate.text(secondsSince1970: Int(loop.wallMilliseconds / 1000)), closes: true,
      isHead: false)
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

  /// Whether every client moves, is still who it was, and may do what it does. In one pass: with
  /// thousands of idle clients, fetching what is known of each is what a sweep costs.
  private func lookAtConnections() {
    let due = settings.authenticator.due(&seenOrders)
    if due.looksAgain {
      for channel in channels.all { channel.adopt(settings.policy(channel.name)) }
    }
    let now = Authenticator.now
    var held = MemoryTally()
    for connection in connections.values {
      connection.sweep(loop.now)
      connection.checkIdentity(now, due)
      connection.session?.checkPatience(loop.now)
      held.add(connection.heldBytes)
    }
    engines.sweep(now, due, &held)
    memory.counted(held)
  }

  func tallyConnections() -> MemoryTally {
    var held = MemoryTally()
    for connection in connections.values { held.add(connection.heldBytes) }
    engines.tally(&held)
    return held
  }

  func forEachChannelHolding(_ body: (LocalChannel) -> Void) {
    guard memory.heldByChannels > 0 else { return }
    for channel in channels.all where channel.heldBytes > 0 { body(channel) }
  }

  // MARK: channels

  /// The channel on this loop, made if need be. Nil where no more channels can be kept.
  ///
  /// - Parameter owner: whose clients it is made for, where limits bind them.
  func channel(_ name: ChannelName, for owner: AddressKey? = nil) -> Result<LocalChannel, Refusal> {
    guard !name.isReserved else { return .failure(.permissionDenied) }
    if let known = channels[name] {
      return known.isNamed ? .success(known) : .failure(.unknownChannel(name))
    }
    guard channels.hasRoom(for: owner) else { return .failure(.limitExceeded) }
    guard let policy = settings.policy(name) else { return .failure(.unknownChannel(name)) }
    let made: AnyChannel
    do throws(ChannelOptionsError) {
      made = try settings.registry.make(
        policy.type, channel: name, options: policy.options, history: policy.history)
    } catch {
      logger.error("a channel can't be made", ["channel": .text(name.text), "reason": .text(error.description)])
      return .failure(.internalError)
    }
    let channel = LocalChannel(name, policy, self, made)
    channels.insert(channel, for: owner)
    return .success(channel)
  }

  func existing(_ name: ChannelName) -> LocalChannel? { channels[name] }

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

  /// Asks the hub for the channel's number and publications.
  func attach(_ channel: LocalChannel) {
    guard channel.handle == .none, !channel.isOpening, let hub = upstreams.hub else { return }
    channel.isOpening = true
    let isKept = channel.policy.history == .memory
    let request = OpenChannel(
      remainingMs: settings.publishMaxMs, name: channel.name, flags: [.subscribe, .publish, .count],
      isDurable: channel.policy.isDurable,
      historyCount: isKept ? channel.policy.historyCount : 0,
      historyMs: isKept ? channel.policy.historyMs : 0,
      subscribers: channel.willReport())
    hub.request(request, expecting: ChannelOpened.self, within: settings.publishMax) {
      [self] result in
      switch result {
      case .success(let answer): opened(channel, answer)
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
  }

  private func find(_ handle: ChannelHandle) -> LocalChannel? {
    let number = Int(handle.number)
    guard number < byNumber.count, let channel = byNumber[number], channel.handle == handle else {
      return nil
    }
    return channel
  }

  func subscribersChanged(_ channel: LocalChannel) {
    if changedSubscribers.isEmpty { loop.atTurnEnd { [self] in reportSubscribers() } }
    changedSubscribers.append(channel)
  }

  private func reportSubscribers() {
    for channel in changedSubscribers {
      guard channel.handle != .none, let count = channel.takeSubscriberReport() else { continue }
      let report = SubscriberCount(handle: channel.handle, subscribers: count)
      if upstreams.hub?.send(report) != .sent { channel.reportWasRefused() }
    }
    changedSubscribers.removeAll(keepingCapacity: changedSubscribers.count < 1024)
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

  /// Reads a channel's history where it is kept: at the event store or at the hub.
  func readHistory(
    _ channel: LocalChannel, after: Offset, count: UInt32, bytes: UInt32, isReverse: Bool = false,
    _ completion: @escaping (Result<EventPage, Failure>) -> Void
  ) {
    readHistory(
      channel.name, channel.policy, after: after, count: count, bytes: bytes,
      isReverse: isReverse, completion)
  }

  func readHistory(
    _ name: ChannelName, _ policy: ChannelPolicy, after: Offset, count: UInt32, bytes: UInt32,
    isReverse: Bool = false, _ completion: @escaping (Result<EventPage, Failure>) -> Void
  ) {
    if policy.isDurable {
      guard let store = upstreams.eventstore else {
        return loop.atTurnEnd { completion(.failure(Failure(.unavailable))) }
      }
      let request = ReadStream(
        remainingMs: settings.publishMaxMs, stream: name, after: after, count: count, bytes: bytes,
        isReverse: isReverse)
      store.request(request, expecting: StreamPage.self, within: settings.publishMax) { [metrics] in
        if case .failure(let failure) = $0 { metrics.limits.reached(failure) }
        completion($0.map(\.page))
      }
    } else {
      guard let hub = upstreams.hub else {
        return loop.atTurnEnd { completion(.failure(Failure(.unavailable))) }
      }
      let request = ReadHistory(
        remainingMs: settings.publishMaxMs, name: name, after: after, count: count, bytes: bytes,
        isReverse: isReverse)
      hub.request(request, expecting: HistoryPage.self, within: settings.publishMax) { [metrics] in
        if case .failure(let failure) = $0 { metrics.limits.reached(failure) }
        completion($0.map(\.page))
      }
    }
  }

  /// Where clients of such channels wait for their pages.
  func replays(_ policy: ChannelPolicy) -> ReplayReads {
    policy.isDurable ? storeReplays : hubReplays
  }

  /// The client has taken what it was sent.
  func drained(_ session: ClientSession) {
    storeReplays.drained(session)
    hubReplays.drained(session)
  }

  func ended(_ session: ClientSession) {
    storeReplays.ended(session)
    hubReplays.ended(session)
  }

  // MARK: news from the hub

  func hubOpened(_ link: Link) {
    for channel in channels.all where !channel.isIdle || channel.policy.isDurable {
      attach(channel)
    }
  }

  func hubLost() {
    byNumber.removeAll()
    for channel in channels.all { channel.detached() }
  }

  /// The store may be another than before: every channel that it keeps compares its head.
  func storeOpened(_ link: Link) {
    for channel in channels.all where channel.policy.isDurable { channel.catchUp() }
    if index == 0 { identityFeed.storeOpened() }
  }

  func presenceOpened(_ link: Link) { presence.linkOpened(link) }

  func received(_ publication: Wire.Publication) {
    guard let channel = find(publication.handle) else { return }
    channel.received(
      Arrival(
        position: publication.position, timeMs: publication.timeMs,
        publisher: publication.publisher, payload: publication.payload,
        isForOthers: publication.flags.contains(.forOthers)))
  }

  /// The hub could not send us everything of this channel.
  func received(_ gap: Gap) {
    guard let channel = find(gap.handle) else { return }
    if channel.policy.history == .none {
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
    for connection in connections.values { connection.drain() }
    let deadline = loop.now + .seconds(5)
    waitForEmpty(deadline, finished)
  }

  private func waitForEmpty(_ deadline: Instant, _ finished: @escaping () -> Void) {
    if connections.isEmpty || loop.now >= deadline {
      for connection in connections.values { connection.close() }
      return loop.atTurnEnd { [self] in
        upstreams.stop()
        loop.after(.milliseconds(10), finished)
      }
    }
    loop.after(.milliseconds(10)) { [self] in waitForEmpty(deadline, finished) }
  }
}
