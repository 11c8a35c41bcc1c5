internal import Bytes
internal import Config
internal import Loop
internal import Observe
internal import Platform
internal import WebSocketCodec

/// `/ws/echo`: every message comes back as it was.
final class EchoSession {
  private let connection: Connection
  private let compression: SocketCompression?
  private var reader: WebSocketReader
  private var keepAlive: SocketKeepAlive
  private let teller: QualityTeller?
  private var watch = SocketWatch()
  private var isHeldBack = false

  init(
    _ connection: Connection, _ compression: SocketCompression?, _ teller: QualityTeller?
  ) {
    self.connection = connection
    self.compression = compression
    let settings = connection.gateway.settings
    reader = WebSocketReader(
      role: .server, limits: settings.echo,
      compression: compression == nil ? .none : .permessageDeflate)
    self.teller = teller
    keepAlive = SocketKeepAlive(connection.gateway.loop.now, begins: teller != nil)
  }

  func received(_ bytes: borrowing Span<UInt8>) -> Int {
    var offset = 0
    let stream = connection.stream
    do throws(WebSocketError) {
      while let event = try next(bytes, &offset) {
        switch event {
        case .message(let kind, let payload): echo(kind, payload)
        case .ping(let payload):
          stream.send { WebSocketFrame.append(.pong, payload.span, into: &$0) }
        case .pong: receivedPong()
        case .close(let code, _):
          stream.send { WebSocketFrame.close(code, into: &$0) }
          stream.closeAfterWriting()
          return bytes.count
        }
      }
    } catch {
      gateway.metrics.limits.reached(error, messageLimit: .echoMessageBytes)
      close(error.closeCode, error.reason)
      return bytes.count
    }
    if connection.isBound, watch.exceeds(gateway.settings.rates.frames, reader, gateway.loop.now) {
      gateway.metrics.limits.reached(.framesPerSecond)
      close(.policyViolation, "rate_limited")
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

  private func next(
    _ bytes: borrowing Span<UInt8>, _ offset: inout Int
  ) throws(WebSocketError) -> WebSocketEvent? {
    guard let compression else { return try reader.next(bytes, from: &offset) }
    return try compression.next(&reader, bytes, &offset, &watch)
  }

  private func echo(_ kind: WebSocketMessageKind, _ payload: [UInt8]) {
    let compressor = compression?.compressor
    connection.stream.send {
      if let compressor {
        compressor.append(kind == .text ? .text : .binary, payload.span, into: &$0)
      } else {
        WebSocketFrame.append(kind, payload, into: &$0)
      }
    }
  }

  private func receivedPong() {
    guard let answer = keepAlive.receivedPong(gateway.loop.now) else { return }
    gateway.metrics.heartbeats.record(answer, keepAlive.meter)
    tellQuality()
  }

  private func tellQuality() {
    guard let json = teller?.message(keepAlive.meter, gateway.loop.now)?.json else { return }
    connection.stream.send { WebSocketFrame.append(.text, json, into: &$0) }
  }

  private var gateway: GatewayLoop { connection.gateway }

  private func close(_ code: WebSocketCloseCode, _ reason: String) {
    connection.stream.send { WebSocketFrame.close(code, reason: reason, into: &$0) }
    connection.stream.closeAfterWriting()
  }

  func drained() {
    isHeldBack = false
    connection.stream.resumeReading()
  }

  func sweep(_ now: Instant) {
    let settings = gateway.settings
    if isHeldBack { watch.isHeldBack() } else if watch.isStalled(
      reader, now, window: settings.messageMax, bytesPerSecond: settings.transferRate)
    {
      gateway.metrics.limits.reached(.wsFrameTimeout)
      return close(.policyViolation, "the message did not come in time")
    }
    let stream = connection.stream
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

  func drain() { close(.serviceRestart, "the gateway restarts") }
}
