internal import Bytes
internal import Centrifuge
internal import Config
internal import Loop
internal import Platform
internal import WebSocketCodec
internal import Wire

/// A WebSocket that carries the Centrifuge protocol: one frame of it is one message. Pings are the
/// protocol's own, which pages of a browser can see. Loop-confined.
final class CentrifugeSocket: CentrifugeTransport, Conversation {
  private let connection: Connection
  private let centrifuge: CentrifugeSession
  private var receiver: SocketReceiver
  private var isHeldBack = false

  private var stream: Stream { connection.stream }
  private var gateway: GatewayLoop { connection.gateway }
  var session: ClientSession { centrifuge.session }
  var onlySession: ClientSession? { session }

  init(
    _ connection: Connection, _ session: ClientSession, _ form: CentrifugeForm,
    _ compression: SocketCompression?
  ) {
    self.connection = connection
    centrifuge = CentrifugeSession(session, form, connection.stream, compression)
    receiver = SocketReceiver(
      connection, connection.gateway.settings.message, compression, messageLimit: .wsMessageBytes,
      nil)
  }

  /// - Parameter connect: what the address says in place of a first message.
  func start(_ connect: [UInt8]?) {
    centrifuge.start(self)
    if let connect { centrifuge.received(connect) }
  }

  var emulation: (node: String, session: String)? { nil }

  // MARK: what the client is sent

  /// Never compressed: answers hold what is secret beside what others have written.
  func append(_ frame: [UInt8], to output: inout [UInt8]) {
    WebSocketFrame.append(
      centrifuge.encoding == .json ? .text : .binary, frame.span, into: &output)
  }

  private func send(_ opcode: WebSocketOpcode, _ payload: [UInt8]) {
    var frame: [UInt8] = []
    WebSocketFrame.append(opcode, payload.span, into: &frame)
    session.send(control: frame)
  }

  func receivedPong() { receiver.receivedPong() }

  /// The queue is empty after it had been full.
  func drained() {
    session.drained()
    guard isHeldBack, session.waitingControlBytes <= session.queueBytesMax / 2 else { return }
    isHeldBack = false
    stream.resumeReading()
  }

  // MARK: what the client sends

  func received(_ bytes: borrowing Span<UInt8>) -> Int {
    var offset = 0
    do throws(SocketReceiver.Fault) {
      while !centrifuge.isClosing, !session.isHeldByHook, let event = try receiver.next(bytes, &offset) {
        switch event {
        case .message(let kind, let payload): received(kind, payload)
        case .ping(let payload): send(.pong, payload)
        case .pong: break
        case .close(let code, _): return answerClose(code, bytes.count)
        }
      }
      if let fault = receiver.checkRate() { throw fault }
      receiver.noteGrowth(bytes.count)
    } catch {
      closeSocket(error.code, error.reason)
      return bytes.count
    }
    if session.isHeldByHook { waitForHook() }
    // A client that does not read its answers is not read either.
    if centrifuge.queuedBytes + session.waitingControlBytes > session.queueBytesMax {
      isHeldBack = true
      stream.tellWhenEmpty()
      stream.pauseReading()
    }
    return centrifuge.isClosing ? bytes.count : offset
  }

  /// What comes behind a command that a back end is asked about waits where it is.
  private func waitForHook() {
    stream.pauseReading()
    session.whenReleasedByHook { [self] in
      if !centrifuge.isClosing { stream.resumeReading() }
    }
  }

  private func received(_ kind: WebSocketMessageKind, _ payload: [UInt8]) {
    guard kind == .binary || centrifuge.encoding == .json else {
      return centrifuge.disconnect(.inappropriateProtocol)
    }
    centrifuge.received(payload)
  }

  // MARK: the end

  private func answerClose(_ code: WebSocketCloseCode?, _ count: Int) -> Int {
    // A browser that leaves the page says 1001, one that calls `close()` nothing or 1000.
    let isGoodbye = code == nil || code == .normal || code == .goingAway
    centrifuge.leaves()
    session.leaves(isGoodbye ? .left : .lost)
    stream.send { WebSocketFrame.close(code, into: &$0) }
    stream.closeAfterWriting()
    return count
  }

  func close(_ why: CentrifugeDisconnect) { sendClose(WebSocketCloseCode(why.code), why.reason) }

  /// For what breaks the rules of sockets, whose codes every client knows.
  private func closeSocket(_ code: WebSocketCloseCode, _ reason: String) {
    guard !centrifuge.isClosing else { return }
    session.commitLast(all: false)
    centrifuge.leaves()
    sendClose(code, reason)
  }

  private func sendClose(_ code: WebSocketCloseCode, _ reason: String) {
    stream.withholds = false
    stream.send { WebSocketFrame.close(code, reason: reason, into: &$0) }
    stream.closeAfterWriting()
    gateway.loop.after(.seconds(2)) { [connection] in connection.close() }
  }

  func sweep(_ now: Instant) {
    guard !centrifuge.isClosing else { return }
    switch receiver.sweep(now, stream, isHeldBack: isHeldBack || session.isHeldByHook) {
    case .nothing, .late: break
    case .ping:
      guard centrifuge.isConnected else { return }
      centrifuge.ping()
      // Who only listens answers no ping of the protocol.
      if centrifuge.form.isUnidirectional { send(.ping, []) }
    case .close(let fault): closeSocket(fault.code, fault.reason)
    case .drop: centrifuge.disconnect(.noPong)
    }
  }

  var heldBytes: Int { receiver.heldBytes + session.waitingBytes + centrifuge.heldBytes }

  func letGoForMemory() {
    if receiver.heldBytes >= stream.queuedBytes + session.waitingBytes {
      closeSocket(.messageTooBig, SocketReceiver.noMemory)
    } else {
      session.cutOff()
    }
    receiver.forget()
  }

  func drain() { session.drain() }
  func ended() { centrifuge.ended() }
}
