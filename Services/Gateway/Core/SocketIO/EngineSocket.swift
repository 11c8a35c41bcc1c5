internal import Bytes
internal import Config
internal import EngineIO
internal import Loop
internal import Observe
internal import Platform
internal import WebSocketCodec
internal import Wire

/// A WebSocket that carries an Engine.IO session, or wants to. Loop-confined.
///
/// Heartbeats are the session's own: this sends no pings.
final class EngineSocket: Conversation {
  private let connection: Connection
  private let gateway: GatewayLoop
  let compression: SocketCompression?
  private var receiver: SocketReceiver
  private var client: EngineClient?
  private var id = EngineCarrierID(0)
  private var isClosing = false
  private var isHeldBack = false

  var stream: Stream { connection.stream }

  init(_ connection: Connection, _ compression: SocketCompression?) {
    self.connection = connection
    self.compression = compression
    gateway = connection.gateway
    receiver = SocketReceiver(
      connection,
      WebSocketLimits(
        messageBytesMax: gateway.settings.engine.engine.maxHttpBufferSize,
        fragmentsMax: gateway.settings.message.fragmentsMax),
      compression, messageLimit: .wsMessageBytes, nil)
  }

  /// What comes from here on is for that session.
  func carries(_ client: EngineClient, as id: EngineCarrierID) {
    self.client = client
    self.id = id
  }

  // MARK: what the client is sent

  /// Never compressed: answers hold secrets beside what others wrote.
  func send(_ frame: EngineFrame) {
    guard !isClosing else { return }
    switch frame {
    case .text(let bytes): stream.send { WebSocketFrame.append(.text, bytes, into: &$0) }
    case .binary(let bytes): stream.send { WebSocketFrame.append(.binary, bytes, into: &$0) }
    }
  }

  /// The session has ended, or does without this socket.
  func close() {
    client = nil
    close(.normal, "")
  }

  private func close(_ code: WebSocketCloseCode, _ reason: String) {
    guard !isClosing else { return }
    isClosing = true
    stream.send { WebSocketFrame.close(code, reason: reason, into: &$0) }
    stream.closeAfterWriting()
    gateway.loop.after(.seconds(2)) { [connection] in connection.close() }
  }

  func drained() {
    client?.socketDrained(id)
    guard isHeldBack, waitingBytes <= gateway.settings.queueBytesMax / 2 else { return }
    isHeldBack = false
    stream.resumeReading()
  }

  // MARK: what the client sends

  private var waitingBytes: Int {
    stream.queuedBytes + (client?.application?.session?.waitingControlBytes ?? 0)
  }

  func received(_ bytes: borrowing Span<UInt8>) -> Int {
    var offset = 0
    do throws(SocketReceiver.Fault) {
      while !isClosing, let event = try receiver.next(bytes, &offset) {
        switch event {
        case .message(let kind, let payload):
          gateway.metrics.messages.add()
          client?.socketReceived(id, kind == .text, payload)
        case .ping(let payload): stream.send { WebSocketFrame.append(.pong, payload.span, into: &$0) }
        case .pong: break
        case .close(let code, _): return answerClose(code, bytes.count)
        }
      }
      if let fault = receiver.checkRate() { throw fault }
      receiver.noteGrowth(bytes.count)
    } catch {
      close(error.code, error.reason)
      leave(.lost, as: .failed)
      return bytes.count
    }
    // A client that does not read its answers is not read either.
    if waitingBytes > gateway.settings.queueBytesMax {
      isHeldBack = true
      stream.tellWhenEmpty()
      stream.pauseReading()
    }
    return isClosing ? bytes.count : offset
  }

  private func answerClose(_ code: WebSocketCloseCode?, _ count: Int) -> Int {
    // What the session would close it with is said by this answer.
    isClosing = true
    stream.send { WebSocketFrame.close(code, into: &$0) }
    stream.closeAfterWriting()
    // A browser that leaves the page says 1001, one that calls `close()` nothing or 1000.
    let isGoodbye = code == nil || code == .normal || code == .goingAway
    leave(isGoodbye ? .left : .lost, as: .closed)
    return count
  }

  private func leave(_ what: MemberEvent.What, as loss: EngineSession.Loss) {
    let left = client
    client = nil
    left?.socketEnds(id, what, as: loss)
  }

  var memoryOwner: ClientSession? { client?.application?.session }
  var heldBytes: Int { receiver.heldBytes }

  func letGoForMemory() {
    close(.messageTooBig, SocketReceiver.noMemory)
    receiver.forget()
    leave(.lost, as: .failed)
  }

  func sweep(_ now: Instant) {
    switch receiver.sweep(now, stream, isHeldBack: isHeldBack, pings: false) {
    case .nothing, .ping, .late: break
    case .close(let fault):
      close(fault.code, fault.reason)
      leave(.lost, as: .failed)
    case .drop: connection.close()
    }
  }

  func ended() {
    isClosing = true
    leave(.lost, as: .closed)
  }
}
