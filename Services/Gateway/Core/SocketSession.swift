internal import Bytes
internal import Config
internal import Loop
internal import Observe
internal import Platform
internal import WebSocketCodec
internal import Wire

/// A WebSocket as the carrier of a session: frames, pings, close codes, and the pace of both sides.
final class SocketSession: Carrier {
  private let connection: Connection
  private let gateway: GatewayLoop
  let session: ClientSession
  let compression: SocketCompression?
  private var reader: WebSocketReader
  private var keepAlive: SocketKeepAlive
  private let teller: QualityTeller?
  private var watch = SocketWatch()
  /// On a socket of one channel each message is acknowledged by its number.
  private let acknowledges: Bool
  private var acknowledged: Int64 = 0
  private(set) var isClosing = false
  private var isHeldBack = false
  /// The channels of the address are being opened.
  private var isOpening = true
  private var isHeldForOpening = false

  private var stream: Stream { connection.stream }

  init(
    _ connection: Connection, _ session: ClientSession, _ compression: SocketCompression?,
    _ teller: QualityTeller?, acknowledges: Bool
  ) {
    self.connection = connection
    self.session = session
    self.compression = compression
    self.acknowledges = acknowledges
    gateway = connection.gateway
    reader = WebSocketReader(
      role: .server, limits: gateway.settings.message,
      compression: compression == nil ? .none : .permessageDeflate)
    self.teller = teller
    keepAlive = SocketKeepAlive(gateway.loop.now, begins: teller != nil)
  }

  // MARK: what the client is sent

  var directStream: Stream? { stream }
  var queuedBytes: Int { stream.queuedBytes }
  var isBlocked: Bool { stream.isBlocked }
  func tellWhenEmpty() { stream.tellWhenEmpty() }

  /// The connection keeps a context: what others share is compressed for it alone.
  func deliver(_ publications: EncodedPublications, of subscription: Subscription) {
    guard let compressor = compression?.compressor else { return stream.send(publications.bytes) }
    stream.send { compressor.append(frames: publications.bytes.span, into: &$0) }
  }

  /// Never compressed: what is told holds secrets such as the session's name, and an attacker may
  /// write what stands beside it.
  func tell(_ message: ServerMessage) {
    guard !isClosing else { return }
    let json = message.json
    stream.send { WebSocketFrame.append(.text, json, into: &$0) }
  }

  /// The queue is empty after it had been full.
  func drained() {
    if isHeldBack {
      isHeldBack = false
      stream.resumeReading()
    }
    session.drained()
  }

  // MARK: what the client sends

  func received(_ bytes: borrowing Span<UInt8>) -> Int {
    if isOpening, holdWhileOpening() { return 0 }
    var offset = 0
    do throws(WebSocketError) {
      while !isClosing, let event = try next(bytes, &offset) {
        switch event {
        case .message(let kind, let payload): received(kind, payload)
        case .ping(let payload):
          stream.send { WebSocketFrame.append(.pong, payload.span, into: &$0) }
        case .pong: receivedPong()
        case .close(let code, _): return answerClose(code, bytes.count)
        }
      }
    } catch {
      gateway.metrics.limits.reached(error, messageLimit: .wsMessageBytes)
      close(error.closeCode, error.reason)
      return bytes.count
    }
    if connection.isBound, watch.exceeds(gateway.settings.rates.frames, reader, gateway.loop.now) {
      gateway.metrics.limits.reached(.framesPerSecond)
      close(.policyViolation, "rate_limited")
      return bytes.count
    }
    // A client that does not read its answers is not read either.
    if stream.queuedBytes > session.queueBytesMax {
      isHeldBack = true
      stream.tellWhenEmpty()
      stream.pauseReading()
    }
    return isClosing ? bytes.count : offset
  }

  private func next(
    _ bytes: borrowing Span<UInt8>, _ offset: inout Int
  ) throws(WebSocketError) -> WebSocketEvent? {
    guard let compression else { return try reader.next(bytes, from: &offset) }
    return try compression.next(&reader, bytes, &offset, &watch)
  }

  private func received(_ kind: WebSocketMessageKind, _ payload: [UInt8]) {
    gateway.metrics.messages.add()
    switch session.door.style {
    case .oneChannel(let name): receivedPayload(kind, payload, name)
    case .manyChannels:
      guard kind == .text else {
        return tell(
          .error(id: nil, .badRequest("this socket takes JSON text messages"), channel: nil))
      }
      do throws(ClientMessage.Malformed) {
        session.received(try ClientMessage.parse(payload))
      } catch {
        tell(.error(id: error.id, .badRequest(error.message), channel: nil))
      }
    }
  }

  private func receivedPong() {
    guard let answer = keepAlive.receivedPong(gateway.loop.now) else { return }
    gateway.metrics.heartbeats.record(answer, keepAlive.meter)
    tellQuality()
  }

  /// Not before the welcome, which is the first of all.
  private func tellQuality() {
    guard !session.isOpening, session.awaitsSignIn == nil else { return }
    if let message = teller?.message(keepAlive.meter, gateway.loop.now) { tell(message) }
  }

  /// On a socket of one channel every message is one payload.
  private func receivedPayload(
    _ kind: WebSocketMessageKind, _ bytes: [UInt8], _ name: ChannelName
  ) {
    var id: MessageID?
    if acknowledges {
      acknowledged += 1
      id = .number(acknowledged)
    }
    session.publish(name, Payload(kind == .text ? .uncheckedText : .binary, bytes), key: "", id)
  }

  // MARK: the beginning

  /// What a client sends right after the handshake waits until its channels are open, so that a
  /// subscriber gets its own first publications too. Bounded: a channel that can't be opened now
  /// must not keep its client from being heard.
  private func holdWhileOpening() -> Bool {
    guard session.isOpening else {
      isOpening = false
      return false
    }
    if !isHeldForOpening {
      isHeldForOpening = true
      stream.pauseReading()
      gateway.loop.after(Self.openingMax) { [self] in channelsAnswered() }
    }
    return true
  }

  private static let openingMax = Duration.seconds(2)

  func channelsAnswered() {
    isOpening = false
    guard isHeldForOpening else { return }
    isHeldForOpening = false
    if !isClosing { stream.resumeReading() }
  }

  // MARK: the end

  private func answerClose(_ code: WebSocketCloseCode?, _ count: Int) -> Int {
    isClosing = true
    // A browser that leaves the page says 1001, one that calls `close()` nothing or 1000.
    let isGoodbye = code == nil || code == .normal || code == .goingAway
    session.leaves(isGoodbye ? .left : .lost)
    stream.send { WebSocketFrame.close(code, into: &$0) }
    stream.closeAfterWriting()
    return count
  }

  func end(_ reason: SessionEnd) {
    switch reason {
    case .refused(let refusal): close(WebSocketCloseCode(refusal.closeCode), refusal.name)
    case .unavailable(let refusal): close(.tryAgainLater, refusal.name)
    // What is queued can't be delivered in time: the close goes behind it and the rest is lost.
    case .slowConsumer:
      close(WebSocketCloseCode(4008), "slow consumer: come back with your position")
    case .draining: close(.serviceRestart, "the gateway restarts")
    }
  }

  private func close(_ code: WebSocketCloseCode, _ reason: String) {
    guard !isClosing else { return }
    isClosing = true
    stream.send { WebSocketFrame.close(code, reason: reason, into: &$0) }
    stream.closeAfterWriting()
    gateway.loop.after(.seconds(2)) { [connection] in connection.close() }
  }

  func sweep(_ now: Instant) {
    let settings = gateway.settings
    if isHeldBack || isHeldForOpening { watch.isHeldBack() } else if watch.isStalled(
      reader, now, window: settings.messageMax, bytesPerSecond: settings.transferRate)
    {
      gateway.metrics.limits.reached(.wsFrameTimeout)
      return close(.policyViolation, "the message did not come in time")
    }
    switch keepAlive.sweep(
      now, every: teller?.interval(settings.pingEvery) ?? settings.pingEvery,
      within: settings.pongMax, isBlocked: stream.isBlocked, progress: { stream.progress() })
    {
    case .nothing: break
    case .ping: stream.send { WebSocketFrame.append(.ping, [UInt8]().span, into: &$0) }
    case .late:
      gateway.metrics.heartbeats.late.add()
      tellQuality()
    case .close:
      gateway.metrics.limits.reached(.pongTimeout)
      connection.close()
    }
  }

  func drain() { session.drain() }

  func ended() {
    isClosing = true
    session.ended()
  }
}
