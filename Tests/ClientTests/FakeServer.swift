import Bytes
import Client
import Crypto
import Deflate
import HTTPCodec
import Loop
import Platform
import WebSocketCodec

/// A server on the test's own loop: it takes connections and does what the test says.
final class FakeServer {
  let url: Client.ServerURL
  private var listener: Listener?
  private(set) var connections: [FakeConnection] = []
  var isOpenConnectionCount: Int { connections.filter(\.isOpen).count }

  /// - Parameter extensions: what it answers to every handshake, whatever was offered.
  init(
    on loop: EventLoop, extensions: String? = nil,
    handle: @escaping (FakeConnection, String, [UInt8]) -> Void
  ) throws {
    let descriptor = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0))
    let address = try Sockets.localAddress(descriptor)
    guard case .tcp(let host, let port) = address else {
      throw SystemError(code: 0, call: "not TCP")
    }
    url = Client.ServerURL(scheme: "http", host: host, port: port)
    listener = try Listener(descriptor, address: address, on: loop) { [weak self] descriptor, _ in
      let stream = Stream(descriptor, on: loop)
      let connection = FakeConnection(stream, extensions, handle)
      self?.connections.append(connection)
      try? stream.start(connection)
    }
  }

  func close() { listener?.close() }
}

/// One connection: HTTP until it is upgraded, then WebSocket.
final class FakeConnection: StreamOwner {
  let stream: Stream
  private(set) var isOpen = true
  private let handle: (FakeConnection, String, [UInt8]) -> Void
  private var requests = HTTPRequestReader()
  private var head: HTTPRequestHead?
  private var body: HTTPBodyDecoder?
  private var content: [UInt8] = []
  private var frames: WebSocketReader?
  /// Requests that were complete, as `METHOD /target`.
  private(set) var seen: [String] = []
  private var fields: HTTPHeaders?
  private let extensions: String?
  private let inflater = MessageInflater(context: .keptBetweenMessages)
  /// Messages that came compressed.
  private(set) var inflations = 0

  init(
    _ stream: Stream, _ extensions: String?,
    _ handle: @escaping (FakeConnection, String, [UInt8]) -> Void
  ) {
    self.stream = stream
    self.extensions = extensions
    self.handle = handle
  }

  func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    var offset = 0
    do {
      while offset < bytes.count {
        if frames != nil {
          while let event = try next(bytes, &offset) { handle(event) }
        } else if try !receivedHTTP(bytes, &offset) {
          break
        }
      }
    } catch {
      stream.close()
    }
    return bytes.count
  }

  private func next(_ bytes: borrowing Span<UInt8>, _ offset: inout Int) throws -> WebSocketEvent? {
    try frames?.next(bytes, from: &offset) { compressed, bytesMax, output throws(WebSocketError) in
      inflations += 1
      do throws(InflateError) {
        try inflater.inflate(compressed, into: &output, bytesMax: bytesMax)
      } catch { throw .invalidCompression }
    }
  }

  /// Whether it may go on with what follows.
  private func receivedHTTP(_ bytes: borrowing Span<UInt8>, _ offset: inout Int) throws -> Bool {
    if head == nil {
      guard let next = try requests.next(bytes, from: &offset) else { return false }
      head = next
      body = try HTTPBodyDecoder(next.framing, bytesMax: 64 << 20)
    }
    guard let head else { return false }
    while let event = try body?.next(bytes, from: &offset) {
      switch event {
      case .bytes(let range): content += [UInt8](copying: bytes.extracting(range))
      case .end: complete(head)
      }
    }
    return self.head == nil
  }

  private func complete(_ head: HTTPRequestHead) {
    let name = "\(head.method.rawValue) \(head.rawTarget)"
    let taken = content
    fields = head.headers
    self.head = nil
    body = nil
    content = []
    seen.append(name)
    if head.wantsUpgrade {
      let key = head.headers.first("sec-websocket-key") ?? ""
      let accept = base64(SHA1.digest(WebSocketHandshake.acceptInput(key: key)))
      let answer = [
        "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Accept: \(accept)",
      ] + (extensions.map { ["Sec-WebSocket-Extensions: \($0)"] } ?? []) + ["", ""]
      stream.send([UInt8](answer.joined(separator: "\r\n").utf8))
      frames = WebSocketReader(role: .server, compression: .permessageDeflate)
    }
    handle(self, name, taken)
  }

  private func handle(_ event: WebSocketEvent) {
    switch event {
    case .message(_, let bytes): handle(self, "message", bytes)
    case .ping(let payload): stream.send { WebSocketFrame.append(.pong, payload.span, into: &$0) }
    case .pong: break
    case .close: stream.close()
    }
  }

  /// The values of a field of the last request.
  func lastFields(_ name: String) -> String { fields?.all(name).joined(separator: ",") ?? "" }

  func answer(_ status: Int, _ body: String, fields: String = "") {
    stream.send(
      [UInt8](
        "HTTP/1.1 \(status) X\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)".utf8))
  }

  func tell(_ text: String) {
    stream.send { WebSocketFrame.append(.text, [UInt8](text.utf8), into: &$0) }
  }

  func tell(_ text: String, by deflater: MessageDeflater) {
    let compressed = deflater.compress([UInt8](text.utf8))
    stream.send { WebSocketFrame.append(.text, compressed.span, isCompressed: true, into: &$0) }
  }

  func streamDrained(_ stream: Stream) {}
  func streamEnded(_ stream: Stream, _ end: StreamEnd) { isOpen = false }
}

/// Turns the loop until `condition` holds; false once `within` has passed.
func eventually(_ loop: EventLoop, within: Duration = .seconds(10), _ condition: () -> Bool) -> Bool
{
  let deadline = SystemClock.monotonic() + within
  while !condition() {
    guard SystemClock.monotonic() < deadline else { return false }
    loop.turn(waiting: .milliseconds(50))
  }
  return true
}
