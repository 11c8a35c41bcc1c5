internal import Bytes
internal import Config
internal import Loop
internal import Observe
internal import Platform
internal import WebSocketCodec

/// `/ws/echo`: every message comes back as it was.
final class EchoSession: Conversation {
  private let connection: Connection
  private let compression: SocketCompression?
  private var receiver: SocketReceiver
  private var isHeldBack = false

  init(
    _ connection: Connection, _ compression: SocketCompression?, _ teller: QualityTeller?
  ) {
    self.connection = connection
    self.compression = compression
    receiver = SocketReceiver(
      connection, connection.gateway.settings.echo, compression, messageLimit: .echoMessageBytes,
      teller)
  }

  func received(_ bytes: borrowing Span<UInt8>) -> Int {
    var offset = 0
    let stream = connection.stream
    do throws(SocketReceiver.Fault) {
      while let event = try receiver.next(bytes, &offset) {
        switch event {
        case .message(let kind, let payload): echo(kind, payload)
        case .ping(let payload):
          stream.send { WebSocketFrame.append(.pong, payload.span, into: &$0) }
        case .pong: tellQuality()
        case .close(let code, _):
          stream.send { WebSocketFrame.close(code, into: &$0) }
          stream.closeAfterWriting()
          return bytes.count
        }
      }
      receiver.noteGrowth(bytes.count)
      if let fault = receiver.checkRate() { throw fault }
    } catch {
      close(error.code, error.reason)
      return bytes.count
    }
    // A client that sends faster than it reads is held back by the kernel's buffers.
    if stream.queuedBytes > gateway.settings.echo.messageBytesMax {
      isHeldBack = true
      stream.tellWhenEmpty()
      stream.pauseReading()
    }
    return offset
  }

  private func echo(_ kind: WebSocketMessageKind, _ payload: [UInt8]) {
    let compressor = compression?.compressor
    gateway.memory.grew(by: payload.count)
    connection.stream.send {
      if let compressor {
        compressor.append(kind == .text ? .text : .binary, payload.span, into: &$0)
      } else {
        WebSocketFrame.append(kind, payload, into: &$0)
      }
    }
  }

  private func tellQuality() {
    guard let json = receiver.takeNews()?.json else { return }
    connection.stream.send { WebSocketFrame.append(.text, json, into: &$0) }
  }

  private var gateway: GatewayLoop { connection.gateway }

  private func close(_ code: WebSocketCloseCode, _ reason: String) {
    connection.stream.send { WebSocketFrame.close(code, reason: reason, into: &$0) }
    connection.stream.closeAfterWriting()
  }

  var heldBytes: Int { receiver.heldBytes }

  func letGoForMemory() {
    let isReading = receiver.heldBytes >= connection.stream.queuedBytes
    receiver.forget()
    if isReading { return close(.messageTooBig, SocketReceiver.noMemory) }
    close(WebSocketCloseCode(4008), "slow consumer")
  }

  func drained() {
    isHeldBack = false
    connection.stream.resumeReading()
  }

  func sweep(_ now: Instant) {
    switch receiver.sweep(now, connection.stream, isHeldBack: isHeldBack) {
    case .nothing: break
    case .ping:
      connection.stream.send { WebSocketFrame.append(.ping, [UInt8]().span, into: &$0) }
    case .late: tellQuality()
    case .close(let fault): close(fault.code, fault.reason)
    case .drop: connection.close()
    }
  }

  func drain() { close(.serviceRestart, "the gateway restarts") }
}
