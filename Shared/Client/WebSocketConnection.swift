internal import Bytes
internal import Crypto
internal import HTTPCodec
public import Loop
internal import Platform
public import WebSocketCodec

/// How a WebSocket connection ended.
public enum WebSocketEnd: Equatable, Sendable {
  /// It never stood: no connection, or no proper answer.
  case unreachable(reason: String)
  /// The server answered the opening with this status.
  case refused(status: Int)
  /// The server closed it, with a code if it gave one.
  case closed(code: UInt16?, reason: String)
  /// It was lost, or ended here because of what the server sent.
  case lost(reason: String)
}

/// What a connection tells its owner, on the loop; nothing after `webSocketEnded`.
public protocol WebSocketOwner: AnyObject {
  func webSocketOpened(_ connection: WebSocketConnection)
  func webSocketReceived(
    _ connection: WebSocketConnection, _ kind: WebSocketMessageKind, _ bytes: [UInt8])
  /// A pong came: the server is there.
  func webSocketHeard(_ connection: WebSocketConnection)
  func webSocketEnded(_ connection: WebSocketConnection, _ end: WebSocketEnd)
}

/// One WebSocket to a server, from connecting to its end. Loop-confined.
///
/// Answers pings by itself. Queues without bound: the owner asks `queuedBytes` first.
public final class WebSocketConnection: StreamOwner {
  private let loop: EventLoop
  private weak var owner: (any WebSocketOwner)?
  private var connector: Connector?
  private var transform: (any StreamTransform)?
  private var stream: Stream?
  private var opening: WebSocketOpening
  private var reader: WebSocketReader
  private var compression: ConnectionCompression?
  private var isOpen = false
  private var end: WebSocketEnd?
  private var deadline: TimerID?
  private var maskSource = SystemRandom()

  /// BUDGET: the longest message taken from a server: an echo of 16 MiB in base64, and its envelope.
  public static let messageBytesMax = 32 << 20

  /// Begins to connect; the answer has to come within `within`.
  ///
  /// - Errors: a path that can't stand in a request.
  public convenience init(
    to url: ServerURL, path: String, key: String?, trust: ClientTrust = .system,
    on loop: EventLoop, within: Duration, owner: any WebSocketOwner
  ) throws {
    var security = ClientSecurity(url, trust)
    try self.init(
      to: url, path: path, WebSocketOpening.Terms(key: key), security: &security, on: loop,
      within: within, owner: owner)
  }

  /// As the other, for one of several connections to the same server.
  init(
    to url: ServerURL, path: String, _ terms: WebSocketOpening.Terms,
    security: inout ClientSecurity, on loop: EventLoop, within: Duration,
    owner: any WebSocketOwner
  ) throws {
    self.loop = loop
    self.owner = owner
    transform = try security.transform()
    opening = try WebSocketOpening(url: url, path: path, terms: terms, nonce: SystemRandom.bytes(16))
    reader = Self.reader(.none)
    deadline = loop.after(within) { [weak self] in
      self?.finish(.unreachable(reason: "no answer within \(within.components.seconds) s"))
    }
    connector = Connector(to: url.address, on: loop, within: within) {
      [weak self] descriptor, error in
      self?.connected(descriptor, error)
    }
  }

  private static func reader(_ compression: WebSocketCompression) -> WebSocketReader {
    WebSocketReader(
      role: .client, limits: WebSocketLimits(messageBytesMax: messageBytesMax),
      compression: compression)
  }

  public var queuedBytes: Int { stream?.queuedBytes ?? 0 }

  /// Sends one message in one frame, compressed where that was agreed and of use. Before the connection stands and after its end: nothing.
  public func send(_ kind: WebSocketMessageKind, _ bytes: [UInt8]) {
    guard isOpen, let stream else { return }
    let mask = nextMask()
    guard let compressed = compression?.compressed(bytes) else {
      return stream.send { WebSocketFrame.append(kind, bytes, mask: mask, into: &$0) }
    }
    stream.send {
      WebSocketFrame.append(
        kind == .text ? .text : .binary, compressed.span, isCompressed: true, mask: mask, into: &$0)
    }
  }

  public func ping() { control(.ping, []) }

  /// Says goodbye and closes once that is written.
  public func close() {
    guard end == nil else { return }
    if isOpen, let stream {
      let mask = nextMask()
      stream.send { WebSocketFrame.close(.normal, mask: mask, into: &$0) }
      end = .closed(code: 1000, reason: "closed here")
      stream.closeAfterWriting()
      // A server that does not read must not keep the connection.
      loop.after(.seconds(2)) { [weak stream] in stream?.close() }
    } else {
      finish(.lost(reason: "closed here"))
    }
  }

  // MARK: connecting

  private func connected(_ descriptor: consuming Descriptor?, _ error: SystemError?) {
    connector = nil
    guard end == nil else { return }
    guard let descriptor else {
      return finish(.unreachable(reason: error?.reason ?? "no connection"))
    }
    let stream = Stream(descriptor, on: loop, transform: transform)
    transform = nil
    self.stream = stream
    do throws(SystemError) {
      try stream.start(self)
      stream.send(opening.request)
    } catch {
      finish(.unreachable(reason: error.reason))
    }
  }

  // MARK: stream

  public func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    var offset = 0
    if !isOpen {
      switch opening.received(bytes, from: &offset) {
      case .needsMore: return offset
      case .open(let agreement): opened(agreement)
      case .refused(let status): finish(.refused(status: status))
      case .broken(let reason): finish(.unreachable(reason: reason))
      }
    }
    if isOpen, end == nil { receiveFrames(bytes, from: &offset) }
    return bytes.count
  }

  public func streamDrained(_ stream: Stream) {}

  public func streamEnded(_ stream: Stream, _ reason: StreamEnd) {
    let how: WebSocketEnd =
      switch reason {
      case .failed(let code): .lost(reason: SystemError(code: code, call: "recv").reason)
      case .peerClosed, .closedHere: .lost(reason: "the connection was closed")
      case .unreadTooLong: .lost(reason: "the answer is too long")
      case .broken(let reason): .lost(reason: reason)
      }
    finish(isOpen ? how : .unreachable(reason: Self.unopened(reason)))
    tellEnd()
  }

  private static func unopened(_ end: StreamEnd) -> String {
    if case .broken(let reason) = end { reason } else { "the connection was closed before an answer" }
  }

  private func opened(_ agreement: PermessageDeflate.Agreement?) {
    isOpen = true
    if let agreement {
      compression = ConnectionCompression(agreement)
      reader = Self.reader(.permessageDeflate)
    }
    if let deadline { loop.cancel(deadline) }
    deadline = nil
    owner?.webSocketOpened(self)
  }

  private func receiveFrames(_ bytes: borrowing Span<UInt8>, from offset: inout Int) {
    do throws(WebSocketError) {
      while end == nil, let event = try next(bytes, &offset) { handle(event) }
    } catch {
      let mask = nextMask()
      stream?.send {
        WebSocketFrame.close(error.closeCode, reason: error.reason, mask: mask, into: &$0)
      }
      finish(.lost(reason: "the server broke the protocol: \(error.reason)"))
    }
  }

  private func next(
    _ bytes: borrowing Span<UInt8>, _ offset: inout Int
  ) throws(WebSocketError) -> WebSocketEvent? {
    guard let compression else { return try reader.next(bytes, from: &offset) }
    return try reader.next(bytes, from: &offset, inflate: compression.inflate)
  }

  private func handle(_ event: WebSocketEvent) {
    switch event {
    case .message(let kind, let bytes): owner?.webSocketReceived(self, kind, bytes)
    case .ping(let payload):
      control(.pong, payload)
      owner?.webSocketHeard(self)
    case .pong: owner?.webSocketHeard(self)
    case .close(let code, let reason):
      let mask = nextMask()
      stream?.send { WebSocketFrame.close(code, mask: mask, into: &$0) }
      finish(.closed(code: code?.rawValue, reason: reason))
    }
  }

  // MARK: -

  private func control(_ opcode: WebSocketOpcode, _ payload: [UInt8]) {
    guard isOpen, end == nil, let stream else { return }
    let mask = nextMask()
    stream.send { WebSocketFrame.append(opcode, payload.span, mask: mask, into: &$0) }
  }

  private func nextMask() -> UInt32 { UInt32(truncatingIfNeeded: maskSource.next()) }

  /// Remembers how it ended and closes; the owner is told once the stream has ended.
  private func finish(_ reason: WebSocketEnd) {
    guard end == nil else { return }
    end = reason
    if let deadline { loop.cancel(deadline) }
    deadline = nil
    connector?.cancel()
    connector = nil
    if let stream {
      stream.closeAfterWriting()
      loop.after(.seconds(2)) { [weak stream] in stream?.close() }
    } else {
      loop.atTurnEnd { [self] in tellEnd() }
    }
  }

  private func tellEnd() {
    guard let end, let told = owner else { return }
    owner = nil
    stream = nil
    told.webSocketEnded(self, end)
  }
}

@available(*, unavailable)
extension WebSocketConnection: Sendable {}
