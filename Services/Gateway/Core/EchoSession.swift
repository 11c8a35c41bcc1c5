internal import Bytes
internal import Loop
internal import Platform
internal import WebSocketCodec

/// `/ws/echo`: every message comes back as it was.
final class EchoSession {
  private let connection: Connection
  private var reader: WebSocketReader
  private var keepAlive: SocketKeepAlive

  init(_ connection: Connection) {
    self.connection = connection
    let settings = connection.gateway.settings
    reader = WebSocketReader(
      role: .server, limits: WebSocketLimits(messageBytesMax: settings.echoBytesMax))
    keepAlive = SocketKeepAlive(connection.gateway.loop.now)
  }

  func received(_ bytes: borrowing Span<UInt8>) -> Int {
    var offset = 0
    let stream = connection.stream
    do throws(WebSocketError) {
      while let event = try reader.next(bytes, from: &offset) {
        switch event {
        case .message(let kind, let payload):
          stream.send { WebSocketFrame.append(kind, payload, into: &$0) }
        case .ping(let payload):
          stream.send { WebSocketFrame.append(.pong, payload.span, into: &$0) }
        case .pong: _ = keepAlive.receivedPong(connection.gateway.loop.now)
        case .close(let code, _):
          stream.send { WebSocketFrame.close(code, into: &$0) }
          stream.closeAfterWriting()
          return bytes.count
        }
      }
    } catch {
      stream.send { WebSocketFrame.close(error.closeCode, reason: error.reason, into: &$0) }
      stream.closeAfterWriting()
      return bytes.count
    }
    // A client that sends faster than it reads is held back by the kernel's buffers.
    if stream.queuedBytes > connection.gateway.settings.echoBytesMax {
      stream.tellWhenEmpty()
      stream.pauseReading()
    }
    return offset
  }

  func drained() { connection.stream.resumeReading() }

  func sweep(_ now: Instant) {
    let settings = connection.gateway.settings
    switch keepAlive.sweep(now, every: settings.pingEvery, within: settings.pongMax) {
    case .nothing: break
    case .ping: connection.stream.send { WebSocketFrame.append(.ping, [UInt8]().span, into: &$0) }
    case .close: connection.close()
    }
  }

  func drain() {
    connection.stream.send { WebSocketFrame.close(.serviceRestart, into: &$0) }
    connection.stream.closeAfterWriting()
  }
}
