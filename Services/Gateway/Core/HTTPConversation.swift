internal import Bytes
internal import Crypto
internal import HTTPCodec
internal import Loop
internal import Observe
internal import Platform
internal import WebSocketCodec

/// Requests and answers on one connection, in order, however long each answer takes (RFC 9112 §9.3).
///
/// Reads ahead up to a bound of requests under way, so that a pipelining client does not wait for
/// the hub request by request. Loop-confined.
final class HTTPConversation {
  private let connection: Connection
  private let gateway: GatewayLoop
  private var reader = HTTPRequestReader()
  private var current: Reading?
  private var exchanges: [HTTPExchange] = []
  private var isClosing = false
  private var began: Instant
  private var lastActive: Instant

  /// BUDGET: requests under way on one connection; more are read when some are answered.
  static let exchangesMax = 64

  /// A request whose body is on its way.
  private struct Reading {
    var exchange: HTTPExchange
    var decoder: HTTPBodyDecoder
    var sink: Sink
  }

  private enum Sink {
    case collect([UInt8])
    case artifact(ArtifactUpload)
    case discard
  }

  init(_ connection: Connection) {
    self.connection = connection
    gateway = connection.gateway
    began = gateway.loop.now
    lastActive = began
  }

  // MARK: reading

  func received(_ bytes: borrowing Span<UInt8>) -> Int {
    lastActive = gateway.loop.now
    var offset = 0
    do throws(HTTPError) {
      while offset < bytes.count, !isClosing {
        if current != nil {
          guard try readBody(bytes, &offset) else { break }
          continue
        }
        guard exchanges.count < Self.exchangesMax else {
          connection.stream.pauseReading()
          break
        }
        if reader.isIdle { began = gateway.loop.now }
        guard let head = try reader.next(bytes, from: &offset) else { break }
        gateway.metrics.requests.add()
        if try begin(head) { return offset }
      }
    } catch {
      refuse(error)
      return bytes.count
    }
    return isClosing ? bytes.count : offset
  }

  /// Takes body bytes; false when more are needed.
  private func readBody(_ bytes: borrowing Span<UInt8>, _ offset: inout Int) throws(HTTPError)
    -> Bool
  {
    guard var reading = current else { return true }
    // The body is moved out and back, so that collecting does not copy what is there already.
    current = nil
    while let event = try reading.decoder.next(bytes, from: &offset) {
      switch event {
      case .bytes(let range):
        switch reading.sink {
        case .collect(var body):
          reading.sink = .discard
          body.append(copying: bytes.extracting(range))
          reading.sink = .collect(body)
        case .artifact(let upload): upload.received(bytes.extracting(range))
        case .discard: break
        }
      case .end:
        finish(reading)
        return true
      }
    }
    current = reading
    if case .artifact(let upload) = reading.sink, upload.isHoldingBack {
      connection.stream.pauseReading()
    }
    return false
  }

  private func finish(_ reading: Reading) {
    switch reading.sink {
    case .collect(let body): reading.exchange.finishRequest(body)
    case .artifact(let upload): upload.ended()
    case .discard: break
    }
  }

  /// Whether the connection is another protocol's from here on.
  private func begin(_ head: HTTPRequestHead) throws(HTTPError) -> Bool {
    let route = Route(head.target)
    let exchange = HTTPExchange(self, head, route)
    let access = gateway.settings.access
    guard access.allows(host: head.authority) else {
      exchanges.append(exchange)
      exchange.closes = true
      exchange.respond(
        .error(
          Refusal(
            421, "misdirected", "this host is not served here: add it to gateway.hosts",
            .misdirectedRequest)))
      return false
    }
    let origin = head.headers.first("origin")
    guard access.allows(origin: origin, host: head.authority) else {
      exchanges.append(exchange)
      exchange.closes = true
      exchange.respond(
        .error(
          Refusal(
            103, "origin_refused", "this origin is not let in: add it to gateway.origins",
            .forbidden)))
      return false
    }
    if route.isSocket { return upgrade(head, route, exchange) }
    exchanges.append(exchange)
    if head.expectsContinue, head.framing != .none {
      connection.stream.send([UInt8]("HTTP/1.1 100 Continue\r\n\r\n".utf8))
    }
    try accept(head, route, exchange)
    return false
  }

  /// Decides where the body goes, then lets it come.
  private func accept(_ head: HTTPRequestHead, _ route: Route, _ exchange: HTTPExchange)
    throws(HTTPError)
  {
    var sink = Sink.collect([])
    var bytesMax = gateway.settings.bodyBytesMax
    if case .vault(let sha256) = route, head.method == .put {
      bytesMax = gateway.settings.artifactBytesMax
      if let upload = gateway.artifacts.beginUpload(sha256, head, exchange, connection.stream) {
        sink = .artifact(upload)
      } else {
        sink = .discard
      }
    }
    let decoder: HTTPBodyDecoder
    do throws(HTTPError) {
      decoder = try HTTPBodyDecoder(head.framing, bytesMax: bytesMax)
    } catch {
      exchange.closes = true
      exchange.respond(.error(Refusal(155, "too_large", "the body is over \(bytesMax) bytes", error.status)))
      isClosing = true
      return
    }
    let reading = Reading(exchange: exchange, decoder: decoder, sink: sink)
    if head.framing == .none { finish(reading) } else { current = reading }
  }

  // MARK: upgrading

  private func upgrade(_ head: HTTPRequestHead, _ route: Route, _ exchange: HTTPExchange) -> Bool {
    exchanges.append(exchange)
    let request = WebSocketHandshake.Request(
      method: head.method.rawValue, isHTTP11: head.version == .http11,
      hasBody: head.framing != .none, values: { head.headers.all($0) })
    switch WebSocketHandshake.validate(request) {
    case .reject(let status, let reason, let fields):
      exchange.closes = true
      var response = Response.error(
        Refusal(107, "bad_handshake", reason, HTTPStatus(status)))
      response.fields += fields.map { ($0.name, $0.value) }
      exchange.respond(response)
      isClosing = true
      return false
    case .accept(let key):
      // Answers still owed would come after the upgrade: such a client is turned away.
      guard exchanges.count == 1 else {
        exchange.closes = true
        exchange.respond(.error(.badRequest("an upgrade must not follow unanswered requests")))
        isClosing = true
        return false
      }
      return SocketDoors.open(route, head, key, exchange, connection)
    }
  }

  // MARK: answering

  /// Writes the answers that are due, in the order of their requests.
  func answered() {
    guard !isClosed else { return }
    var wrote = 0
    while wrote < exchanges.count, let bytes = exchanges[wrote].response {
      connection.stream.send(bytes)
      let closes = exchanges[wrote].closes
      wrote += 1
      if closes { return closeAfter(wrote) }
    }
    guard wrote > 0 else { return }
    exchanges.removeFirst(wrote)
    if gateway.isDraining, exchanges.isEmpty, current == nil { return closeAfter(0) }
    connection.stream.resumeReading()
  }

  private var isClosed = false

  private func closeAfter(_ wrote: Int) {
    isClosed = true
    isClosing = true
    exchanges.removeAll()
    connection.stream.closeAfterWriting()
  }

  private func refuse(_ error: HTTPError) {
    isClosing = true
    let exchange = HTTPExchange(self)
    exchange.closes = true
    exchanges.append(exchange)
    exchange.respond(.error(Refusal(107, "bad_request", error.reason, error.status)))
  }

  func write(_ bytes: [UInt8]) { connection.stream.send(bytes) }
  var dateText: String { HTTPDate.text(secondsSince1970: Int(gateway.loop.wallMilliseconds / 1000)) }
  var owner: GatewayLoop { gateway }
  var stream: Stream { connection.stream }

  func drained() {
    for exchange in exchanges { exchange.drained?() }
  }

  func resumeReading() { connection.stream.resumeReading() }

  func sweep(_ now: Instant) {
    let settings = gateway.settings
    if current != nil {
      if now.since(lastActive) > settings.bodyMax { refuse(.truncatedBody) }
    } else if !reader.isIdle {
      if now.since(began) > settings.headMax { timedOut() }
    } else if exchanges.isEmpty, now.since(lastActive) > settings.idleMax {
      connection.close()
    }
  }

  private func timedOut() {
    isClosing = true
    let exchange = HTTPExchange(self)
    exchange.closes = true
    exchanges.append(exchange)
    exchange.respond(
      .error(Refusal(107, "request_timeout", "the request head did not come in time", .requestTimeout)))
  }

  func drain() {
    if exchanges.isEmpty, current == nil { connection.stream.closeAfterWriting() }
  }

  func ended() {
    isClosed = true
    if let reading = current, case .artifact(let upload) = reading.sink { upload.cancelled() }
    for exchange in exchanges { exchange.abandoned?() }
    exchanges = []
  }
}

/// One request and its answer. Keep it until it is answered; answering twice does nothing.
final class HTTPExchange {
  private weak var conversation: HTTPConversation?
  let route: Route
  let head: HTTPRequestHead?
  var closes: Bool
  /// The whole answer, once it is there.
  private(set) var response: [UInt8]?
  /// For answers that stream: called when the client's queue has emptied.
  var drained: (() -> Void)?
  /// The client has gone before the answer was complete.
  var abandoned: (() -> Void)?
  private var isStreaming = false

  init(_ conversation: HTTPConversation, _ head: HTTPRequestHead, _ route: Route) {
    self.conversation = conversation
    self.head = head
    self.route = route
    closes = !head.keepAlive
  }

  /// For bytes that are no request.
  init(_ conversation: HTTPConversation) {
    self.conversation = conversation
    head = nil
    route = .notFound
    closes = true
  }

  func finishRequest(_ body: [UInt8]) {
    guard let conversation else { return }
    RequestHandler(conversation.owner).handle(self, body)
  }

  func respond(_ answer: Response) {
    guard response == nil, !isStreaming, let conversation else { return }
    var answer = answer
    if let origin = head?.headers.first("origin"), answer.status.rawValue != 403 {
      answer.fields.append(("Access-Control-Allow-Origin", origin))
      answer.fields.append(("Vary", "Origin"))
    }
    response = answer.bytes(
      date: conversation.dateText, closes: closes, isHead: head?.method == .head)
    conversation.answered()
  }

  /// Begins an answer whose body is written piece by piece with `stream`. Only for the request at
  /// the head of the line: others answer when it is done.
  func beginStreaming(_ head: [UInt8]) -> Stream? {
    guard response == nil, let conversation else { return nil }
    isStreaming = true
    conversation.write(head)
    return conversation.stream
  }

  func endStreaming() {
    guard isStreaming else { return }
    response = []
    conversation?.answered()
  }
}
