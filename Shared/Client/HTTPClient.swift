internal import HTTPCodec
public import Loop
internal import Platform
internal import TLS

/// A small HTTP/1.1 client: one connection to one server, kept alive, one request at a time.
///
/// Requests wait in order. A request that a kept connection refuses by ending before it answers is
/// sent once more on a new one; others are never repeated here. Loop-confined.
public final class HTTPClient: StreamOwner {
  public typealias Completion = (Result<HTTPResponse, HTTPFailure>) -> Void

  private struct Exchange {
    var request: HTTPRequest
    var assembler: HTTPAnswerReader
    var deadline: TimerID
    /// Bytes of a streamed body that are still to be sent.
    var bodyLeft = 0
    var isOnKeptConnection = false
    let completion: Completion
  }

  private struct Waiting {
    var request: HTTPRequest
    var deadline: Instant
    let completion: Completion
  }

  private let loop: EventLoop
  private let url: ServerURL
  private let key: String?
  private var security: ClientSecurity
  private var connector: Connector?
  private var stream: Stream?
  private var exchange: Exchange?
  private var waiting: [Waiting] = []

  /// BUDGET: requests that wait for the one connection.
  public static let waitingMax = 256
  /// BUDGET: bytes of a streamed body that are read ahead of the socket.
  static let bodyAheadBytes = 256 * 1024

  /// - Parameters:
  ///   - key: sent with every request as `X-API-Key`; nil for none.
  ///   - trust: whom to believe where `url` says https.
  public init(_ url: ServerURL, key: String?, trust: ClientTrust = .system, on loop: EventLoop) {
    self.url = url
    security = ClientSecurity(url, trust)
    self.key = key
    self.loop = loop
  }

  /// Sends a request; `completion` is called once, on the loop, within `within`.
  public func send(
    _ request: HTTPRequest, within: Duration, completion: @escaping Completion
  ) {
    guard waiting.count < Self.waitingMax else { return completion(.failure(.queueFull)) }
    var request = request
    if let key { request.fields.append(("X-API-Key", key)) }
    let deadline = SystemClock.monotonic() + within
    waiting.append(Waiting(request: request, deadline: deadline, completion: completion))
    if exchange == nil { loop.atTurnEnd { [weak self] in self?.begin() } }
  }

  /// Ends the connection; what waits fails.
  public func close() {
    let failed = waiting
    waiting = []
    for item in failed { item.completion(.failure(.lost(reason: "closed here"))) }
    finish(.failure(.lost(reason: "closed here")))
    dropConnection()
  }

  // MARK: one exchange

  private func begin() {
    guard exchange == nil, !waiting.isEmpty else { return }
    let next = waiting.removeFirst()
    let timer = loop.at(next.deadline) { [weak self] in self?.timedOut() }
    let assembler = HTTPAnswerReader(
      answering: next.request.method, bytesMax: next.request.responseBytesMax)
    exchange = Exchange(
      request: next.request, assembler: assembler, deadline: timer, completion: next.completion)
    if let stream, stream.isOpen {
      exchange?.isOnKeptConnection = true
      write(on: stream)
    } else {
      connect(before: next.deadline)
    }
  }

  private func connect(before deadline: Instant) {
    let within = deadline.since(SystemClock.monotonic())
    connector = Connector(to: url.address, on: loop, within: within) {
      [weak self] descriptor, error in
      self?.connected(descriptor, error)
    }
  }

  private func connected(_ descriptor: consuming Descriptor?, _ error: SystemError?) {
    connector = nil
    guard exchange != nil else { return }
    guard let descriptor else {
      return finish(.failure(.unreachable(reason: error?.reason ?? "no connection")))
    }
    do {
      let stream = Stream(descriptor, on: loop, transform: try security.transform())
      try stream.start(self)
      self.stream = stream
      write(on: stream)
    } catch {
      finish(.failure(.unreachable(reason: Self.reason(error))))
    }
  }

  /// Why no connection could be begun.
  static func reason(_ error: any Error) -> String {
    (error as? SystemError)?.reason ?? (error as? TLSError)?.reason ?? "\(error)"
  }

  private func write(on stream: Stream) {
    guard let request = exchange?.request else { return }
    do throws(HTTPError) {
      stream.send(try request.head(host: url.authority))
    } catch {
      return finish(.failure(.unsendable(reason: error.reason)))
    }
    switch request.body {
    case .none: break
    case .bytes(let bytes): stream.send(bytes)
    case .stream(let count, _):
      exchange?.bodyLeft = count
      writeBody()
    }
  }

  /// Gives the socket more of a streamed body, until it is full or the body ends.
  private func writeBody() {
    guard let stream, let exchange, exchange.bodyLeft > 0,
      case .stream(_, let next) = exchange.request.body
    else { return }
    while let left = self.exchange?.bodyLeft, left > 0, stream.queuedBytes < Self.bodyAheadBytes {
      guard let piece = next(), !piece.isEmpty, piece.count <= left else {
        finish(.failure(.unsendable(reason: "the body ended early or can't be read")))
        return dropConnection()
      }
      stream.send(piece)
      self.exchange?.bodyLeft = left - piece.count
    }
    // When the socket is full, `streamDrained` goes on; else the flush of this turn makes room.
    if !stream.isBlocked { loop.atTurnEnd { [weak self] in self?.writeBody() } }
  }

  private func finish(_ result: Result<HTTPResponse, HTTPFailure>) {
    guard let done = exchange else { return }
    exchange = nil
    loop.cancel(done.deadline)
    done.completion(result)
    if !waiting.isEmpty { loop.atTurnEnd { [weak self] in self?.begin() } }
  }

  private func timedOut() {
    dropConnection()
    finish(.failure(.timedOut))
  }

  private func dropConnection() {
    connector?.cancel()
    connector = nil
    let dropped = stream
    stream = nil
    dropped?.close()
  }

  // MARK: stream

  public func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    guard stream === self.stream, exchange != nil else {
      // An answer that nobody asked for: the connection can't be trusted any more.
      dropConnection()
      return bytes.count
    }
    var offset = 0
    do throws(HTTPError) {
      guard let response = try exchange?.assembler.received(bytes, from: &offset) else {
        return bytes.count
      }
      complete(HTTPResponse(response))
    } catch {
      dropConnection()
      finish(.failure(.malformed(reason: error.reason)))
    }
    return bytes.count
  }

  private func complete(_ response: HTTPResponse) {
    // An answer before the body was sent leaves the connection in the middle of a message.
    let isKept = exchange?.assembler.keepsAlive == true && exchange?.bodyLeft == 0
    if !isKept { dropConnection() }
    finish(.success(response))
  }

  public func streamDrained(_ stream: Stream) { writeBody() }

  public func streamEnded(_ stream: Stream, _ end: StreamEnd) {
    guard stream === self.stream else { return }
    self.stream = nil
    guard let exchange else { return }
    if exchange.isOnKeptConnection, !exchange.assembler.hasBegun, exchange.request.isRepeatable {
      self.exchange?.isOnKeptConnection = false
      return connect(before: SystemClock.monotonic() + .seconds(10))
    }
    var assembler = exchange.assembler
    if end == .peerClosed, let last = try? assembler.receivedEnd() { return finish(.success(HTTPResponse(last))) }
    finish(.failure(.lost(reason: Self.reason(end))))
  }

  private static func reason(_ end: StreamEnd) -> String {
    switch end {
    case .peerClosed, .closedHere: "the connection was closed"
    case .failed(let code): SystemError(code: code, call: "recv").reason
    case .unreadTooLong: "the answer is too long"
    case .broken(let reason): reason
    }
  }
}

extension HTTPRequest {
  /// A streamed body can be read only once.
  fileprivate var isRepeatable: Bool {
    if case .stream = body { false } else { true }
  }
}

@available(*, unavailable)
extension HTTPClient: Sendable {}
