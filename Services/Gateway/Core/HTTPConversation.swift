internal import Bytes
internal import Config
internal import Crypto
internal import EngineIO
internal import HTTPCodec
internal import Loop
internal import Observe
internal import Platform
internal import WebSocketCodec

/// Requests and answers on one connection, in order, however long each answer takes (RFC 9112 §9.3).
///
/// Reads ahead up to a bound of requests under way, so that a pipelining client does not wait for
/// the hub request by request; reads no further while the client leaves its answers unread.
///
///     reading ──▶ isClosing: no further request is read, answers due still go out
///                 ──▶ isClosed: the last answer is queued; the stream ends once it is written
///
/// Loop-confined.
final class HTTPConversation: Conversation {
  let connection: Connection
  private let gateway: GatewayLoop
  private var reader: HTTPRequestReader
  private var current: Reading?
  private var exchanges: [HTTPExchange] = []
  private var isClosing = false
  private var isClosed = false
  private var isAnswering = false
  /// Requests wait to be read until answers have gone out.
  private var isPaused = false
  /// The client sends nothing more, and may still read.
  private var hasPeerFinished = false
  private var deadlines: HTTPDeadlines
  private var receivedBytes: UInt64 = 0
  private var sentBytes: UInt64 = 0
  private var requests = 0

  /// BUDGET: requests under way on one connection; more are read when some are answered.
  static let exchangesMax = 64
  /// BUDGET: of a body that nobody will look at.
  private static let unusedBodyBytesMax = 64 * 1024
  /// A queue no longer than this may be left to the stream's own deadline for closing.
  static let closingBytesMax = 64 * 1024

  /// A request whose body is on its way.
  private struct Reading {
    var exchange: HTTPExchange
    var decoder: HTTPBodyDecoder
    var sink: Sink

    var upload: ArtifactUpload? {
      if case .artifact(let upload) = sink { upload } else { nil }
    }
  }

  private enum Sink {
    case collect([UInt8])
    case artifact(ArtifactUpload)
    /// Nobody wants this body; the request is carried out once it has passed.
    case discard
  }

  init(_ connection: Connection) {
    self.connection = connection
    gateway = connection.gateway
    reader = HTTPRequestReader(limits: gateway.settings.head)
    deadlines = HTTPDeadlines(gateway.loop.now)
  }

  // MARK: reading

  func received(_ bytes: borrowing Span<UInt8>) -> Int {
    deadlines.bytesWent(gateway.loop.now)
    var offset = 0
    do throws(HTTPError) {
      while offset < bytes.count, !isClosing {
        if current != nil {
          guard try readBody(bytes, &offset) else { break }
          continue
        }
        guard hasRoom else {
          isPaused = true
          stream.pauseReading()
          stream.tellWhenEmpty()
          break
        }
        if reader.isIdle { deadlines.headBegins(gateway.loop.now) }
        guard let head = try reader.next(bytes, from: &offset) else { break }
        gateway.metrics.requests.add()
        deadlines.headEnded()
        if exchanges.isEmpty, connection.canMove, let loop = gateway.engines.otherLoop(of: head) {
          let rest = [UInt8](copying: bytes.extracting(offset..<bytes.count))
          return leave(for: loop, head, rest, bytes.count)
        }
        if begin(head) { return offset }
      }
    } catch {
      gateway.metrics.limits.reached(error)
      fail(Self.refusal(error))
    }
    return isClosing ? bytes.count : offset
  }

  /// Goes on with a request that another loop has read.
  func goOn(with head: HTTPRequestHead) {
    deadlines.headEnded()
    _ = begin(head)
  }

  /// The request is for a session of another loop, and the connection goes there with it.
  private func leave(
    for loop: Int, _ head: HTTPRequestHead, _ rest: [UInt8], _ count: Int
  ) -> Int {
    if connection.move(to: loop, head, rest) {
      isClosed = true
      isClosing = true
    } else {
      fail(.overloaded)
    }
    return count
  }

  /// Whether another request may be read: answers that a client leaves unread are not added to.
  private var hasRoom: Bool {
    exchanges.count < Self.exchangesMax && stream.queuedBytes <= gateway.settings.queueBytesMax
  }

  /// Goes on reading, if nothing holds it back.
  func resumeReading() {
    guard !isClosed else { return }
    if let current {
      if let upload = current.upload, upload.isHoldingBack { return }
    } else if !hasRoom {
      return
    }
    if isPaused {
      isPaused = false
      // A head that was left half-read has its whole time again.
      deadlines.headBegins(gateway.loop.now)
    }
    stream.resumeReading()
  }

  /// Takes body bytes; false when more are needed.
  private func readBody(_ bytes: borrowing Span<UInt8>, _ offset: inout Int) throws(HTTPError)
    -> Bool
  {
    guard var reading = current else { return true }
    // The body is moved out and back, so that collecting does not copy what is there already.
    current = nil
    do throws(HTTPError) {
      while let event = try reading.decoder.next(bytes, from: &offset) {
        switch event {
        case .bytes(let range): take(bytes.extracting(range), &reading)
        case .end:
          finish(reading)
          return true
        }
      }
    } catch {
      current = reading
      throw error
    }
    current = reading
    if let upload = reading.upload, upload.isHoldingBack { stream.pauseReading() }
    return false
  }

  private func take(_ bytes: borrowing Span<UInt8>, _ reading: inout Reading) {
    receivedBytes &+= UInt64(bytes.count)
    reading.exchange.receivedBytes &+= UInt64(bytes.count)
    switch reading.sink {
    case .collect(var body):
      reading.sink = .discard
      body.append(copying: bytes)
      gateway.memory.grew(by: bytes.count)
      reading.sink = .collect(body)
    case .artifact(let upload):
      gateway.memory.grew(by: bytes.count)
      upload.received(bytes)
    case .discard: break
    }
  }

  private func finish(_ reading: Reading) {
    reading.exchange.start = nil
    if reading.exchange.closes { isClosing = true }
    switch reading.sink {
    case .collect(let body): reading.exchange.finishRequest(body)
    case .artifact(let upload): upload.ended()
    case .discard: reading.exchange.finishRequest([])
    }
  }

  // MARK: what the head decides

  /// Whether the connection is another protocol's from here on.
  private func begin(_ asked: HTTPRequestHead) -> Bool {
    let (route, head) = Route.find(asked, gateway.settings.routes())
    let client = gateway.settings.proxies.client(of: connection.client, head.headers)
    let exchange = HTTPExchange(self, head, route, client)
    exchanges.append(exchange)
    countRequest(exchange)
    if let refusal = refusal(head) {
      exchange.hidesFromOrigin = true
      turnAway(exchange, .error(refusal), closes: true)
      return false
    }
    if let refusal = overrun(head, client) {
      turnAway(exchange, .error(refusal), closes: head.framing != .none)
      return false
    }
    if exchange.route.isSocket, head.method != .options { return upgrade(head, exchange) }
    if case .engine(let path) = exchange.route, head.method != .options {
      return engine(path, head, exchange)
    }
    let hasBody = head.framing != .none
    if let refused = RequestHandler(gateway).refusal(head, exchange.route) {
      turnAway(exchange, refused, closes: hasBody)
      return false
    }
    do throws(Refusal) {
      read(try reading(head, exchange), head)
    } catch {
      turnAway(exchange, .error(error), closes: hasBody)
    }
    return false
  }

  /// Waits for a request's body, if it has one.
  private func read(_ reading: Reading, _ head: HTTPRequestHead) {
    guard head.framing != .none else { return finish(reading) }
    current = reading
    deadlines.bodyBegan()
    guard head.expectsContinue else { return }
    // RFC 9110 §15.2.1: it may not stand before the answers that are still due.
    reading.exchange.whenFirst { [weak self] in
      self?.write([UInt8]("HTTP/1.1 100 Continue\r\n\r\n".utf8))
    }
  }

  /// A request of Engine.IO; its refusals are that protocol's own.
  private func engine(
    _ path: EnginePath, _ head: HTTPRequestHead, _ exchange: HTTPExchange
  ) -> Bool {
    let hasBody = head.framing != .none
    guard gateway.settings.engine.serves(path) else {
      turnAway(exchange, RequestHandler.notFound, closes: hasBody)
      return false
    }
    let doors = EngineDoors(gateway)
    do throws(EngineDoors.Turned) {
      switch try doors.judge(path, head) {
      case .upgrade: return upgrade(head, exchange)
      case .handshake where hasBody, .poll where hasBody:
        throw EngineDoors.Turned(response: EngineDoors.refused(.badRequest))
      case .handshake(let who):
        isClosing = exchange.closes
        doors.open(path, exchange, head, who)
      case .poll(let client):
        isClosing = exchange.closes
        client.poll(exchange)
      case .data(let client, let kind):
        let bytesMax = gateway.settings.engine.engine.maxHttpBufferSize
        guard let decoder = try? HTTPBodyDecoder(head.framing, bytesMax: bytesMax) else {
          gateway.metrics.limits.reached(.httpBodyBytes)
          throw EngineDoors.Turned(response: .error(.tooLarge(bytesMax)))
        }
        client.data(exchange, kind)
        read(Reading(exchange: exchange, decoder: decoder, sink: .collect([])), head)
      }
    } catch {
      turnAway(exchange, error.response, closes: hasBody)
    }
    return false
  }

  /// The last one that a connection may carry is told so.
  private func countRequest(_ exchange: HTTPExchange) {
    requests += 1
    guard requests >= gateway.settings.requestsMax, !exchange.closes else { return }
    gateway.metrics.limits.reached(.requestsPerConnection)
    exchange.closes = true
  }

  /// Hosts and origins that are not served, whatever they ask for, and heads that say twice who
  /// somebody is.
  private func refusal(_ head: HTTPRequestHead) -> Refusal? {
    let access = gateway.settings.access
    if let name = AccessRules.repeatedField(head.headers) {
      return .badRequest("the field \(name) may stand there once only")
    }
    guard access.allows(host: head.authority) else {
      return Refusal(
        421, "misdirected", "this host is not served here: add it to gateway.hosts",
        .misdirectedRequest)
    }
    let scheme = gateway.settings.proxies.scheme(
      of: connection.peer, isSecure: gateway.settings.tls != nil, head.headers)
    guard access.allows(origin: head.headers.first("origin"), host: head.authority, scheme: scheme)
    else {
      return Refusal(
        103, "origin_refused", "this origin is not let in: add it to gateway.origins", .forbidden)
    }
    return nil
  }

  /// Why a request without a key has come too soon after others of its address.
  private func overrun(_ head: HTTPRequestHead, _ client: PeerIdentity) -> Refusal? {
    guard gateway.settings.binds(client),
      !gateway.settings.access.keys.contains(APIKeys.offered(head.headers)),
      let wait = gateway.settings.ledgers.addresses.request(
        AddressKey(client), gateway.loop.now, gateway.settings.rates.requests)
    else { return nil }
    gateway.metrics.limits.reached(.requestsPerSecond)
    return .rateLimited("requests", wait)
  }

  /// Answers from the head alone. A body is not waited for, so the connection ends with it.
  private func turnAway(_ exchange: HTTPExchange, _ answer: Response, closes: Bool) {
    if closes { exchange.closes = true }
    if exchange.closes { isClosing = true }
    exchange.respond(answer)
  }

  /// Decides where the body goes.
  private func reading(_ head: HTTPRequestHead, _ exchange: HTTPExchange) throws(Refusal)
    -> Reading
  {
    var isUpload = false
    var sink = Sink.discard
    let isForToken = RequestHandler.tokenForTicket(head, exchange.route) != nil
    switch exchange.route {
    case .vault: isUpload = head.method == .put
    case .api where head.method == .post && !isForToken: sink = .collect([])
    case .centrifugeStream where head.method == .post, .emulation: sink = .collect([])
    default: break
    }
    let bytesMax =
      isUpload ? gateway.settings.artifactBytesMax
      : isForToken ? Self.unusedBodyBytesMax : gateway.settings.bodyBytesMax
    let decoder: HTTPBodyDecoder
    do throws(HTTPError) {
      decoder = try HTTPBodyDecoder(head.framing, bytesMax: bytesMax)
    } catch {
      gateway.metrics.limits.reached(isUpload ? .vaultFileBytes : .httpBodyBytes)
      throw Refusal(155, "too_large", "the body is over \(bytesMax) bytes", error.status)
    }
    if isUpload, case .vault(let sha256) = exchange.route {
      sink = .artifact(try gateway.artifacts.beginUpload(sha256, head, exchange))
    }
    return Reading(exchange: exchange, decoder: decoder, sink: sink)
  }

  private func upgrade(_ head: HTTPRequestHead, _ exchange: HTTPExchange) -> Bool {
    let request = WebSocketHandshake.Request(
      method: head.method.rawValue, isHTTP11: head.version == .http11,
      hasBody: head.framing != .none, values: { head.headers.all($0) })
    switch WebSocketHandshake.validate(request) {
    case .reject(let status, let reason, let fields):
      var response = Response.error(Refusal(107, "bad_handshake", reason, HTTPStatus(status)))
      response.fields += fields.map { ($0.name, $0.value) }
      turnAway(exchange, response, closes: true)
      return false
    case .accept(let key):
      // Answers still owed would come after the upgrade: such a client is turned away.
      guard exchanges.count == 1 else {
        let refusal = Refusal.badRequest("an upgrade must not follow unanswered requests")
        turnAway(exchange, .error(refusal), closes: true)
        return false
      }
      guard connection.belongs(to: exchange.client) else {
        turnAway(exchange, .error(.tooManyOfAddress), closes: true)
        return false
      }
      return SocketDoors.open(exchange.route, head, key, exchange, connection)
    }
  }

  // MARK: answering

  /// Writes the answers that are due, in the order of their requests.
  func answered() {
    guard !isClosed, !isAnswering else { return }
    isAnswering = true
    defer { isAnswering = false }
    while let first = exchanges.first {
      if first.response == nil { first.becameFirst() }
      if isClosed { return }
      guard let bytes = first.response else { break }
      write(bytes)
      exchanges.removeFirst()
      note(first)
      if first.closes { return finishWriting() }
    }
    if gateway.isDraining || hasPeerFinished, exchanges.isEmpty, current == nil { return finishWriting() }
    resumeReading()
  }

  func isFirst(_ exchange: HTTPExchange) -> Bool { exchanges.first === exchange }

  /// What follows on this connection is another's, and no request any more. False if it has ended.
  func handOver(to feed: any EndlessAnswer) -> Bool {
    guard !isClosed else { return false }
    isClosed = true
    isClosing = true
    giveUpExchanges()
    feed.takes(connection)
    stream.resumeReading()
    return true
  }

  /// Nothing more is said. A queue that a slow client still has to read is given its time first.
  private func finishWriting() {
    isClosed = true
    isClosing = true
    giveUpExchanges()
    guard stream.queuedBytes > Self.closingBytesMax else { return stream.closeAfterWriting() }
    stream.tellWhenEmpty()
  }

  private func giveUpExchanges() {
    if let upload = current?.upload { upload.cancelled() }
    current = nil
    let left = exchanges
    exchanges = []
    for exchange in left {
      exchange.giveUp()
      note(exchange, end: "abandoned")
    }
  }

  private func note(_ exchange: HTTPExchange, end: String? = nil) {
    guard gateway.access.isOn, !exchange.isHandedOver else { return }
    gateway.access.note(exchange.accessEntry(now: gateway.loop.now, end: end))
  }

  /// Where the next request begins is not known any more: the one whose body failed is answered,
  /// or else what should have been one, and the connection ends.
  private func fail(_ refusal: Refusal) {
    isClosing = true
    let reading = current
    current = nil
    reading?.upload?.cancelled()
    let exchange = reading?.exchange ?? HTTPExchange(self, from: connection.client)
    gateway.httpLogger.debug(
      "a request was refused", ["id": .text(exchange.id.description), "reason": .text(refusal.message)])
    if reading == nil { exchanges.append(exchange) }
    exchange.closes = true
    if refusal.status == .contentTooLarge { exchange.bodyRefused?() } else { exchange.giveUp() }
    if exchange.response == nil {
      exchange.respond(.error(refusal))
    } else if exchanges.isEmpty {
      finishWriting()
    }
  }

  private static func refusal(_ error: HTTPError) -> Refusal {
    error == .bodyTooLarge
      ? Refusal(155, "too_large", error.reason, error.status)
      : Refusal(107, "bad_request", error.reason, error.status)
  }

  func write(_ bytes: [UInt8]) {
    deadlines.bytesWent(gateway.loop.now)
    sentBytes &+= UInt64(bytes.count)
    stream.send(bytes)
  }

  var dateText: String { HTTPDate.text(secondsSince1970: Int(gateway.loop.wallMilliseconds / 1000)) }
  var owner: GatewayLoop { gateway }
  var stream: Stream { connection.stream }

  func drained() {
    deadlines.bytesWent(gateway.loop.now)
    relieved()
  }

  private func relieved() {
    if isClosed { return stream.closeAfterWriting() }
    exchanges.first?.drained?()
    resumeReading()
  }

  // MARK: deadlines

  func sweep(_ now: Instant) {
    let standing = standing
    let limits = gateway.settings.deadlines
    carryOut(deadlines.ofAnswer(now, standing, limits))
    if !standing.isAnswerQueued, !standing.isStreaming, isClosed || isPaused { return relieved() }
    guard !isClosing, !isPaused else { return }
    carryOut(deadlines.ofRequest(now, standing, limits))
  }

  private var standing: HTTPDeadlines.Standing {
    let queued = stream.queuedBytes
    return HTTPDeadlines.Standing(
      received: receivedBytes, sent: sentBytes &- UInt64(clamping: queued),
      isAnswerQueued: queued > 0, isStreaming: exchanges.first?.isStreaming ?? false,
      isHeadBegun: !reader.isIdle, isReadingBody: current != nil,
      isBodyHeldBack: current?.upload?.isHoldingBack ?? false, isIdle: exchanges.isEmpty)
  }

  private func carryOut(_ verdict: HTTPDeadlines.Verdict) {
    let counters = gateway.metrics.limits
    switch verdict {
    case .nothing: break
    case .abort(let limit):
      if let limit { counters.reached(limit) }
      isClosing = true
      stream.abort()
    case .headIsLate(let limit):
      counters.reached(limit)
      fail(Self.timeout("the request head"))
    case .bodyIsLate(let limit):
      counters.reached(limit)
      fail(Self.timeout("the body"))
    case .bodyIsStuck: fail(.unavailable)
    case .close(let limit):
      counters.reached(limit)
      connection.close()
    }
  }

  private static func timeout(_ what: String) -> Refusal {
    Refusal(107, "request_timeout", "\(what) did not come in time", .requestTimeout)
  }

  // MARK: memory

  /// Of the body that is being read, and of requests and answers under way.
  var heldBytes: Int { heldBodyBytes + exchanges.reduce(0) { $0 + $1.heldBytes } }

  private var heldBodyBytes: Int {
    switch current?.sink {
    case .collect(let body): body.count
    case .artifact(let upload): upload.heldBytes
    case .discard, nil: 0
    }
  }

  /// A body that can't be held is refused; whoever doesn't take its answers gets no more of them.
  func letGoForMemory() {
    let body = heldBodyBytes
    guard body > 0, body >= stream.queuedBytes + heldBytes - body else { return stream.abort() }
    fail(.noMemory)
  }

  /// The clients whose answers wait for publications.
  var sessions: [ClientSession] { exchanges.compactMap(\.session) }

  func checkIdentity(_ now: Int64, _ due: Authenticator.Due) {
    for session in sessions { session.checkIdentity(now, due) }
  }

  func drain() {
    for exchange in exchanges { exchange.hurried?() }
    if exchanges.isEmpty, current == nil, !isClosed { finishWriting() }
  }

  /// The client sends nothing more (RFC 9112 §9.6). What it has asked is answered all the same,
  /// unless half a request is all there was; an answer without end goes on. Whether anything is still
  /// to be said.
  func peerFinished() -> Bool {
    guard current == nil, !exchanges.isEmpty || stream.queuedBytes > 0 else { return false }
    hasPeerFinished = true
    isClosing = true
    for exchange in exchanges where !exchange.route.isEndless { exchange.hurried?() }
    if exchanges.isEmpty, !isClosed { finishWriting() }
    return true
  }

  func ended() {
    isClosed = true
    giveUpExchanges()
  }
}
