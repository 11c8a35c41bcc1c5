public import Bytes
internal import Crypto
public import Loop
internal import Platform
internal import TLS
public import WebSocketCodec

/// Where a client connects, and as whom.
public struct ClientOptions: Sendable {
  public var url: ServerURL
  /// The key of the HTTP API; nil to come as anybody.
  public var key: String?
  /// What to sign in with; nil to come as anybody. Asked for each connection, on the client's
  /// thread, so that one that lost its token in time comes back with the next. Sent in a field of
  /// the head, never in an address.
  public var token: (@Sendable () -> String?)?
  /// Whether compression is offered.
  public var compression = ClientCompression.auto
  /// Whom to believe where `url` says https.
  public var trust = ClientTrust.system
  /// Whether joins, leaves and presence are sent.
  public var wantsPresence = false
  /// How long connecting may take.
  public var connectWithin = Duration.seconds(10)

  public init(url: ServerURL, key: String? = nil) {
    self.url = url
    self.key = key
  }
}

/// A client with one WebSocket for all its channels, on the caller's loop.
///
/// Carries out what `ClientSession` decides. `receive` is called on the loop with each event, in
/// order; it may call any method here.
public final class RealtimeClient {
  private let loop: EventLoop
  private let options: ClientOptions
  private var session: ClientSession
  private var security: ClientSecurity
  private var connection: WebSocketConnection?
  private var timer: TimerID?
  private let receive: (ClientEvent) -> Void
  /// Set by the first `open`; a client that nobody opened holds nothing.
  private var isCarryingOut = false
  private var queued: [ClientSession.Action] = []

  public init(
    _ options: ClientOptions, on loop: EventLoop, receive: @escaping (ClientEvent) -> Void
  ) {
    self.loop = loop
    self.options = options
    self.receive = receive
    security = ClientSecurity(options.url, options.trust)
    session = ClientSession(
      wantsPresence: options.wantsPresence, keyPrefix: base64URL(SystemRandom.bytes(12)))
  }

  /// Begins to connect, and keeps at it.
  public func open() { carryOut(session.open()) }

  /// Subscribes to a channel, once however often it is asked for. See `ClientSession.subscribe`.
  public func subscribe(_ channel: ChannelName, since: Since? = nil) {
    carryOut(session.subscribe(channel, since: since))
  }

  public func unsubscribe(_ channel: ChannelName) { carryOut(session.unsubscribe(channel)) }

  /// Publishes, now or once connected; the outcome comes as `.emitted` or `.emitFailed`.
  ///
  /// - Limits: `ClientSession.emitsMax` and `emitBytesMax` wait at most.
  public func emit(_ channel: ChannelName, _ payload: Payload, key: String? = nil)
    throws(EmitFailure) -> EmitID
  {
    let (id, actions) = try session.emit(channel, payload, key: key)
    carryOut(actions)
    return id
  }

  /// Ends for good; what waits for an answer fails.
  public func close() { carryOut(session.close()) }

  public var channels: [ChannelName] { session.channels }
  public var isClosed: Bool { session.isClosed }
  public var waitingEmits: Int { session.waitingEmits }

  // MARK: -

  /// In order, also when an event's receiver asks for more in the middle.
  private func carryOut(_ actions: [ClientSession.Action]) {
    queued += actions
    guard !isCarryingOut else { return }
    isCarryingOut = true
    while !queued.isEmpty {
      let batch = queued
      queued = []
      for action in batch { carryOut(action) }
    }
    isCarryingOut = false
    arm()
  }

  private func carryOut(_ action: ClientSession.Action) {
    switch action {
    case .connect(let path): connect(path)
    case .send(let text): connection?.send(.text, text)
    case .ping: connection?.ping()
    case .disconnect:
      let leaving = connection
      connection = nil
      leaving?.close()
    case .tell(let event): receive(event)
    }
  }

  private var terms: WebSocketOpening.Terms {
    WebSocketOpening.Terms(
      key: options.key, token: options.token?(),
      offersCompression: options.compression.isOffered(to: options.url))
  }

  private func connect(_ path: String) {
    do {
      connection = try WebSocketConnection(
        to: options.url, path: path, terms, security: &security, on: loop,
        within: options.connectWithin, owner: self)
    } catch let error as TLSError {
      queued += session.refusedForGood(.unsendable(error.reason))
    } catch {
      queued += session.refusedForGood(.unsendable("the address can't be asked for"))
    }
  }

  private func arm() {
    if let timer { loop.cancel(timer) }
    timer = session.nextDeadline.map { deadline in
      loop.at(deadline) { [weak self] in
        guard let self else { return }
        let random = Double.random(in: 0..<1)
        carryOut(session.deadlineReached(now: SystemClock.monotonic(), random: random))
      }
    }
  }
}

extension RealtimeClient: WebSocketOwner {
  public func webSocketOpened(_ connection: WebSocketConnection) {
    guard connection === self.connection else { return }
    carryOut(session.connected(now: loop.now))
  }

  public func webSocketReceived(
    _ connection: WebSocketConnection, _ kind: WebSocketMessageKind, _ bytes: [UInt8]
  ) {
    guard connection === self.connection else { return }
    session.heard(now: loop.now)
    // Everything on a many-channel socket is text.
    if kind == .text { carryOut(session.received(bytes)) }
  }

  public func webSocketHeard(_ connection: WebSocketConnection) {
    guard connection === self.connection else { return }
    session.heard(now: loop.now)
  }

  public func webSocketEnded(_ connection: WebSocketConnection, _ end: WebSocketEnd) {
    guard connection === self.connection else { return }
    self.connection = nil
    switch ClientSession.verdict(end) {
    case .forGood(let reason): carryOut(session.refusedForGood(reason))
    case .tryAgain(let reason):
      let random = Double.random(in: 0..<1)
      carryOut(session.lost(reason: reason, now: SystemClock.monotonic(), random: random))
    }
  }
}

@available(*, unavailable)
extension RealtimeClient: Sendable {}
