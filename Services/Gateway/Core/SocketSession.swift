internal import Bytes
internal import Config
internal import Loop
internal import Observe
internal import Platform
internal import WebSocketCodec
internal import Wire

/// A WebSocket as the carrier of a session: frames, pings, close codes, and the pace of both sides.
final class SocketSession: Carrier, Conversation {
  private let connection: Connection
  private let gateway: GatewayLoop
  let session: ClientSession
  var onlySession: ClientSession? { session }
  let compression: SocketCompression?
  private var receiver: SocketReceiver
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
    receiver = SocketReceiver(
      connection, gateway.settings.message, compression, messageLimit: .wsMessageBytes,
      teller)
  }

  // MARK: what the client is sent

  var directStream: Stream? { stream }
  func limitUnsent() { stream.limitUnsent() }
  var queuedBytes: Int { stream.queuedBytes }
  var isBlocked: Bool { stream.isBlocked }
  func tellWhenEmpty() { stream.tellWhenEmpty() }

  /// The connection keeps a context: what others share is compressed for it alone.
  func deliver(_ publications: EncodedPublications, of subscription: Subscription) {
    guard let compressor = compression?.compressor else { return stream.send(publications.bytes) }
    stream.send { compressor.append(frames: publications.bytes.span, into: &$0) }
  }

  func send(_ bytes: [UInt8], _ start: Int, _ end: Int) {
    if !isClosing { stream.sendShared(bytes, from: start, to: end) }
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
    session.drained()
    guard isHeldBack, session.waitingControlBytes <= session.queueBytesMax / 2 else { return }
    isHeldBack = false
    stream.resumeReading()
  }

  var hookDoor: HookDoor { HookDoor(transport: "websocket", name: "sapphire", encoding: "binary") }

  private func send(_ opcode: WebSocketOpcode, _ payload: [UInt8]) {
    var frame: [UInt8] = []
    WebSocketFrame.append(opcode, payload.span, into: &frame)
    session.send(control: frame)
  }

  // MARK: what the client sends

  func received(_ bytes: borrowing Span<UInt8>) -> Int {
    if isOpening, holdWhileOpening() { return 0 }
    var offset = 0
    do throws(SocketReceiver.Fault) {
      while !isClosing, !session.isHeldByHook, let event = try receiver.next(bytes, &offset) {
        switch event {
        case .message(let kind, let payload): received(kind, payload)
        case .ping(let payload): send(.pong, payload)
        case .pong: tellQuality()
        case .close(let code, _): return answerClose(code, bytes.count)
        }
      }
      receiver.noteGrowth(bytes.count)
      if let fault = receiver.checkRate() { throw fault }
    } catch {
      close(error.code, error.reason)
      return bytes.count
    }
    if session.isHeldByHook { waitForHook() }
    // A client that does not read its answers is not read either.
    if stream.queuedBytes + session.waitingControlBytes > session.queueBytesMax {
      isHeldBack = true
      stream.tellWhenEmpty()
      stream.pauseReading()
    }
    return isClosing ? bytes.count : offset
  }

  /// What comes behind a message that a back end is asked about waits where it is.
  private func waitForHook() {
    stream.pauseReading()
    session.whenReleasedByHook { [self] in if !isClosing { stream.resumeReading() } }
  }

  private func received(_ kind: WebSocketMessageKind, _ payload: [UInt8]) {
    gateway.metrics.messages.add()
    switch session.door.style {
    case .oneChannel(let name): receivedPayload(kind, payload, name)
    case .manyChannels:
      guard kind == .text else {
        return session.tell(
          .error(id: nil, .badRequest("this socket takes JSON text messages"), channel: nil))
      }
      do throws(ClientMessage.Malformed) {
        session.received(try ClientMessage.parse(payload))
      } catch {
        session.tell(.error(id: error.id, .badRequest(error.message), channel: nil))
      }
    }
  }

  /// Not before the welcome, which is the first of all.
  private func tellQuality() {
    guard !session.isOpening, session.awaitsSignIn == nil else { return }
    if let news = receiver.takeNews() { tell(news) }
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
    // What waits can't be delivered in time: the close goes before it.
    case .slowConsumer:
      close(WebSocketCloseCode(4008), "slow consumer: come back with your position")
    case .draining: close(.serviceRestart, "the gateway restarts", behindAll: true)
    }
  }

  /// - Parameter behindAll: whether publications that wait come before it, and not only answers.
  private func close(_ code: WebSocketCloseCode, _ reason: String, behindAll: Bool = false) {
    guard !isClosing else { return }
    session.commitLast(all: behindAll)
    isClosing = true
    stream.send { WebSocketFrame.close(code, reason: reason, into: &$0) }
    stream.closeAfterWriting()
    gateway.loop.after(.seconds(2)) { [connection] in connection.close() }
  }

  var heldBytes: Int { receiver.heldBytes + session.waitingBytes }

  func letGoForMemory() {
    if receiver.heldBytes >= stream.queuedBytes + session.waitingBytes {
      close(.messageTooBig, SocketReceiver.noMemory)
    } else {
      session.cutOff()
    }
    receiver.forget()
  }

  func sweep(_ now: Instant) {
    let isHeld = isHeldBack || isHeldForOpening || session.isHeldByHook
    switch receiver.sweep(now, stream, isHeldBack: isHeld) {
    case .nothing: break
    case .ping: send(.ping, [])
    case .late: tellQuality()
    case .close(let fault): close(fault.code, fault.reason)
    case .drop: connection.close()
    }
  }

  func quietUntil(_ now: Instant) -> Instant? {
    guard !isClosing, !isHeldBack, !isHeldForOpening,
      let rights = session.rightsHoldUntil(now, wall: Authenticator.now),
      let heartbeat = receiver.quietUntil()
    else { return nil }
    return min(rights, heartbeat)
  }

  func drain() { session.drain() }

  func ended() {
    isClosing = true
    session.ended()
  }
}
