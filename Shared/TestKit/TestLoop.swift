internal import Bytes
public import Loop
public import Platform
public import WebSocketCodec

/// An event loop that a test turns by hand, always until something holds or a deadline passes.
public final class TestLoop {
  public let loop: EventLoop

  public init() throws { loop = try EventLoop() }

  /// Turns until `isDone`. The deadline counts from here; `what` completes "did not see …".
  ///
  /// - Errors: `ClusterFailure` with `what` and what `state` says, once `limit` has passed.
  public func wait(
    _ what: String, within limit: Duration = .seconds(10), state: () -> String = { "" },
    until isDone: () throws -> Bool
  ) throws {
    let deadline = SystemClock.monotonic() + limit
    while try !isDone() {
      guard SystemClock.monotonic() < deadline else {
        throw ClusterFailure("did not see \(what) within \(limit): \(state())")
      }
      loop.turn(waiting: .milliseconds(5))
    }
  }

  /// Turns for a while, for what has to go on meanwhile or must not happen.
  public func run(for duration: Duration) {
    let deadline = SystemClock.monotonic() + duration
    while SystemClock.monotonic() < deadline { loop.turn(waiting: .milliseconds(5)) }
  }
}

/// A WebSocket as a test needs it: it may send what no client should, and remembers everything.
///
/// Knows nothing of channels. Answers pings unless told not to. Test only; on one loop.
public final class TestSocket: StreamOwner {
  public enum End: Equatable, Sendable {
    case refused(status: Int)
    case closed(code: UInt16?, reason: String)
    case lost
  }

  public private(set) var isOpen = false
  public private(set) var end: End?
  /// Messages not yet taken, in order.
  public private(set) var messages: [(kind: WebSocketMessageKind, bytes: [UInt8])] = []
  public private(set) var pings = 0
  public var answersPings = true
  /// Told of each message instead of keeping it.
  public var received: ((WebSocketMessageKind, [UInt8]) -> Void)?
  public var ended: (End) -> Void = { _ in }

  private let loop: EventLoop
  private let request: [UInt8]
  private var connector: Connector?
  private var stream: Stream?
  private var head: [UInt8] = []
  private var closing: End?
  private var reader = WebSocketReader(
    role: .client, limits: WebSocketLimits(messageBytesMax: 64 << 20))

  /// Begins to connect to `path` at `address`. `fields` are added to the request as they are.
  public init(
    _ loop: TestLoop, _ address: SocketAddress, _ path: String, fields: [String] = [],
    host: String? = nil
  ) {
    self.loop = loop.loop
    let lines = [
      "GET \(path) HTTP/1.1", "Host: \(host ?? address.authority)", "Upgrade: websocket",
      "Connection: Upgrade", "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    request = [UInt8]((lines + fields).map { $0 + "\r\n" }.joined().utf8) + [13, 10]
    connector = Connector(to: address, on: loop.loop, within: .seconds(10)) {
      [weak self] descriptor, error in
      guard let self else { return }
      guard let descriptor else { return finish(.lost) }
      connected(descriptor)
    }
  }

  private func connected(_ descriptor: consuming Descriptor) {
    connector = nil
    let stream = Stream(descriptor, on: loop)
    self.stream = stream
    do throws(SystemError) {
      try stream.start(self)
      stream.send(request)
    } catch { finish(.lost) }
  }

  // MARK: sending

  public func send(_ text: String) { send(.text, [UInt8](text.utf8)) }

  public func send(_ kind: WebSocketMessageKind, _ bytes: [UInt8]) {
    stream?.send { WebSocketFrame.append(kind, bytes, mask: 0x1234_5678, into: &$0) }
  }

  /// One frame as it is told, whether that is allowed or not.
  public func sendFrame(
    _ opcode: WebSocketOpcode, _ bytes: [UInt8], isFinal: Bool = true, isMasked: Bool = true
  ) {
    stream?.send {
      let mask: UInt32? = isMasked ? 0x1234_5678 : nil
      WebSocketFrame.header(opcode, count: bytes.count, isFinal: isFinal, mask: mask, into: &$0)
      var payload: [UInt8] = []
      WebSocketFrame.append(.binary, bytes, mask: mask, into: &payload)
      $0 += payload.suffix(bytes.count)
    }
  }

  public func sendBytes(_ bytes: [UInt8]) { stream?.send(bytes) }

  public func sendClose(_ code: UInt16) {
    stream?.send { WebSocketFrame.close(WebSocketCloseCode(code), mask: 1, into: &$0) }
  }

  /// Gone, without a word.
  public func vanish() {
    stream?.abort()
    if stream == nil { finish(.lost) }
  }

  public func pauseReading() { stream?.pauseReading() }
  public func resumeReading() { stream?.resumeReading() }

  /// The messages so far, which are forgotten here.
  public func takeMessages() -> [(kind: WebSocketMessageKind, bytes: [UInt8])] {
    let taken = messages
    messages = []
    return taken
  }

  // MARK: stream

  public func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    var offset = 0
    if !isOpen {
      while offset < bytes.count, !head.suffix(4).elementsEqual([13, 10, 13, 10]) {
        head.append(bytes[offset])
        offset += 1
      }
      guard head.suffix(4).elementsEqual([13, 10, 13, 10]) else { return offset }
      let status = Int(String(decoding: head.dropFirst(9).prefix(3), as: UTF8.self)) ?? 0
      guard status == 101 else {
        closing = .refused(status: status)
        stream.close()
        return bytes.count
      }
      isOpen = true
    }
    do throws(WebSocketError) {
      while let event = try reader.next(bytes, from: &offset) { handle(event, stream) }
    } catch {
      closing = .closed(code: nil, reason: "the server broke the protocol: \(error)")
      stream.close()
      return bytes.count
    }
    return offset
  }

  private func handle(_ event: WebSocketEvent, _ stream: Stream) {
    switch event {
    case .message(let kind, let bytes):
      if let received { received(kind, bytes) } else { messages.append((kind, bytes)) }
    case .ping(let payload):
      pings += 1
      guard answersPings else { return }
      stream.send { WebSocketFrame.append(.pong, payload.span, mask: 1, into: &$0) }
    case .pong: break
    case .close(let code, let reason):
      closing = .closed(code: code?.rawValue, reason: reason)
      stream.send { WebSocketFrame.close(code, mask: 1, into: &$0) }
      stream.closeAfterWriting()
    }
  }

  public func streamDrained(_ stream: Stream) {}
  public func streamEnded(_ stream: Stream, _ end: StreamEnd) { finish(closing ?? .lost) }

  private func finish(_ end: End) {
    guard self.end == nil else { return }
    self.end = end
    isOpen = false
    stream = nil
    ended(end)
  }
}

/// One HTTP request on a connection of its own, and what came back.
public final class TestRequest: StreamOwner {
  public private(set) var status: Int?
  /// The header lines, in lower case up to their colon.
  public private(set) var fields: [String] = []
  public private(set) var body: [UInt8] = []
  /// The connection has ended: what came is all there is.
  public private(set) var isDone = false
  public var text: String { String(decoding: body, as: UTF8.self) }
  /// What has come of an answer that may have no end, head included.
  public var textSoFar: String { String(decoding: received, as: UTF8.self) }

  private let request: [UInt8]
  private var connector: Connector?
  private var stream: Stream?
  private var received: [UInt8] = []
  private let loop: EventLoop

  public convenience init(
    _ loop: TestLoop, _ address: SocketAddress, _ method: String, _ path: String,
    fields: [String] = [], body: [UInt8] = []
  ) {
    var lines = ["\(method) \(path) HTTP/1.1", "Host: \(address.authority)", "Connection: close"]
    if !body.isEmpty || method == "POST" { lines.append("Content-Length: \(body.count)") }
    let head = [UInt8]((lines + fields).map { $0 + "\r\n" }.joined().utf8) + [13, 10]
    self.init(loop, address, raw: head + body)
  }

  /// Sends these bytes, whatever they are.
  public init(_ loop: TestLoop, _ address: SocketAddress, raw request: [UInt8]) {
    self.loop = loop.loop
    self.request = request
    connector = Connector(to: address, on: loop.loop, within: .seconds(10)) {
      [weak self] descriptor, error in
      guard let self else { return }
      guard let descriptor else { return isDone = true }
      let stream = Stream(descriptor, on: self.loop)
      self.stream = stream
      try? stream.start(self)
      stream.send(request)
    }
  }

  public func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    received.append(copying: bytes)
    return bytes.count
  }

  public func streamDrained(_ stream: Stream) {}

  public func streamEnded(_ stream: Stream, _ end: StreamEnd) {
    self.stream = nil
    isDone = true
    guard let headEnd = Self.headEnd(received) else { return }
    let lines = String(decoding: received[..<headEnd], as: UTF8.self)
      .split(separator: "\r\n", omittingEmptySubsequences: true).map(String.init)
    status = lines.first.flatMap { Int($0.dropFirst(9).prefix(3)) }
    fields = lines.dropFirst().map { line in
      let parts = line.split(separator: ":", maxSplits: 1)
      return (parts.first ?? "").lowercased() + ":" + (parts.count > 1 ? parts[1] : "")
    }
    body = Array(received[headEnd...])
  }

  private static func headEnd(_ bytes: [UInt8]) -> Int? {
    guard bytes.count >= 4 else { return nil }
    for index in 0...(bytes.count - 4)
    where bytes[index..<(index + 4)].elementsEqual([13, 10, 13, 10]) {
      return index + 4
    }
    return nil
  }
}

extension TestLoop {
  /// A request and its answer.
  public func http(
    _ address: SocketAddress, _ method: String, _ path: String, fields: [String] = [],
    body: String = "", within limit: Duration = .seconds(10)
  ) throws -> TestRequest {
    let request = TestRequest(
      self, address, method, path, fields: fields, body: [UInt8](body.utf8))
    try wait("an answer to \(method) \(path)", within: limit) { request.isDone }
    return request
  }

  /// A socket that stands.
  public func socket(
    _ address: SocketAddress, _ path: String, fields: [String] = [],
    within limit: Duration = .seconds(10)
  ) throws -> TestSocket {
    let socket = TestSocket(self, address, path, fields: fields)
    try wait("\(path) open", within: limit, state: { "\(String(describing: socket.end))" }) {
      if let end = socket.end { throw ClusterFailure("\(path) did not open: \(end)") }
      return socket.isOpen
    }
    return socket
  }
}
