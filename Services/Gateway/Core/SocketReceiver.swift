internal import Config
internal import Loop
internal import Observe
internal import Platform
internal import WebSocketCodec

/// The receiving half of a socket, whatever it is for: whole events out of bytes, the rate and pace
/// at which they may come, and whether the client is still there.
///
/// Decides and counts; what is sent and closed is its owner's. A value of its owner, loop-confined.
struct SocketReceiver {
  private let gateway: GatewayLoop
  private let compression: SocketCompression?
  /// The limit that a message too big has reached.
  private let messageLimit: LimitName
  private let isBound: Bool
  private var reader: WebSocketReader
  private var keepAlive: SocketKeepAlive
  private var watch = SocketWatch()
  private let teller: QualityTeller?
  /// A heartbeat has ended since the client was told last.
  private var hasNews = false

  init(
    _ connection: Connection, _ limits: WebSocketLimits, _ compression: SocketCompression?,
    messageLimit: LimitName, _ teller: QualityTeller?
  ) {
    gateway = connection.gateway
    isBound = connection.isBound
    self.compression = compression
    self.messageLimit = messageLimit
    reader = WebSocketReader(
      role: .server, limits: limits,
      compression: compression == nil ? .none : .permessageDeflate)
    self.teller = teller
    keepAlive = SocketKeepAlive(gateway.loop.now, begins: teller != nil)
  }

  /// Why an unfinished message is given up: what it is for can be had in smaller ones, or later.
  static let noMemory = "the gateway has no room for so much: come again"

  /// Why a socket is closed.
  struct Fault: Error {
    var code: WebSocketCloseCode
    var reason: String
  }

  /// The client's next whole event, from `offset` on; nil where more bytes have to come. A pong has
  /// been dealt with.
  mutating func next(
    _ bytes: borrowing Span<UInt8>, _ offset: inout Int
  ) throws(Fault) -> WebSocketEvent? {
    do throws(WebSocketError) {
      let event = try read(bytes, &offset)
      if case .pong = event { receivedPong() }
      return event
    } catch {
      gateway.metrics.limits.reached(error, messageLimit: messageLimit)
      throw Fault(code: error.closeCode, reason: error.reason)
    }
  }

  /// The client has answered a ping, be it of the socket or of the protocol that is spoken on it.
  mutating func receivedPong() {
    guard let answer = keepAlive.receivedPong(gateway.loop.now) else { return }
    gateway.metrics.heartbeats.record(answer, keepAlive.meter)
    hasNews = true
  }

  private mutating func read(
    _ bytes: borrowing Span<UInt8>, _ offset: inout Int
  ) throws(WebSocketError) -> WebSocketEvent? {
    guard let compression else { return try reader.next(bytes, from: &offset) }
    return try compression.next(&reader, bytes, &offset, &watch)
  }

  /// Bytes of a message that is not whole.
  var heldBytes: Int { reader.heldBytes }

  /// Nothing more is read: what has come of a message is forgotten.
  mutating func forget() { reader = WebSocketReader(role: .server) }

  /// BUDGET: an unfinished message is noted as growth from here on; smaller ones are found once a
  /// second.
  private static let smallBytes = 16 * 1024

  /// Behind each read: what it has left unfinished.
  ///
  /// - Parameter bytes: of the read.
  func noteGrowth(_ bytes: Int) {
    if reader.heldBytes > Self.smallBytes { gateway.memory.grew(by: bytes) }
  }

  /// Once behind each read: the fault of a client that sends more frames than it may.
  mutating func checkRate() -> Fault? {
    guard isBound, watch.exceeds(gateway.settings.rates.frames, reader, gateway.loop.now) else {
      return nil
    }
    gateway.metrics.limits.reached(.framesPerSecond)
    return Fault(code: .policyViolation, reason: "rate_limited")
  }

  /// What the client is told of its connection, if it wants to know and there is something new.
  mutating func takeNews() -> ServerMessage? {
    guard hasNews else { return nil }
    hasNews = false
    return teller?.message(keepAlive.meter, gateway.loop.now)
  }

  enum Due {
    case nothing, ping
    /// A heartbeat was not answered in time.
    case late
    case close(Fault)
    /// The client is gone.
    case drop
  }

  /// Until when a sweep finds nothing to do, unless the client sends something; nil where each has
  /// to look.
  func quietUntil() -> Instant? {
    guard reader.isIdle, !hasNews else { return nil }
    return keepAlive.nextPing(
      every: teller?.interval(gateway.settings.pingEvery) ?? gateway.settings.pingEvery)
  }

  /// Once a second: what has to be done.
  ///
  /// - Parameters:
  ///   - isHeldBack: whether the client is not read at the moment, so that it can't come on.
  ///   - pings: whether heartbeats are the WebSocket's own, and not those of a protocol on it.
  mutating func sweep(
    _ now: Instant, _ stream: Stream, isHeldBack: Bool, pings: Bool = true
  ) -> Due {
    // Read one by one: a copy of all settings would cost more than all else of a sweep.
    if isHeldBack { watch.isHeldBack() } else if watch.isStalled(
      reader, now, window: gateway.settings.messageMax,
      bytesPerSecond: gateway.settings.transferRate)
    {
      gateway.metrics.limits.reached(.wsFrameTimeout)
      return .close(
        Fault(code: .policyViolation, reason: "the message did not come in time"))
    }
    guard pings else { return .nothing }
    switch keepAlive.sweep(
      now, every: teller?.interval(gateway.settings.pingEvery) ?? gateway.settings.pingEvery,
      within: gateway.settings.pongMax, isBlocked: stream.isBlocked, progress: { stream.progress() })
    {
    case .nothing: return .nothing
    case .ping: return .ping
    case .late:
      gateway.metrics.heartbeats.late.add()
      hasNews = true
      return .late
    case .close:
      gateway.metrics.limits.reached(.pongTimeout)
      return .drop
    }
  }
}
