internal import Config
internal import Crypto
internal import EngineIO
internal import HTTPCodec
internal import Loop
internal import WebSocketCodec

/// What a request's head decides: whether it is let in, which door it is for, and where its body goes.
extension HTTPConversation {
  /// What follows from a head alone.
  func read(_ asked: consuming HTTPRequestHead) -> AskedHead {
    var head = asked
    let route = Route.find(
      &head, gateway.settings.routes(), socketIO: gateway.settings.engine.path)
    let client = gateway.settings.proxies.client(of: connection.client, head.headers)
    return AskedHead(head, route, client)
  }

  /// Whether the connection is another protocol's from here on.
  ///
  /// - Parameter isKnown: another like it was let in on this connection before.
  /// - Parameter bytes: what has come behind the head from `offset` on, which moves behind the body
  ///   if that was read here.
  func begin(
    _ asked: AskedHead, isKnown: Bool, _ bytes: borrowing Span<UInt8>, _ offset: inout Int
  ) -> Bool {
    let head = asked.head
    let exchange = HTTPExchange(self, asked)
    exchanges.append(exchange)
    countRequest(exchange)
    if !isKnown, let refusal = refusal(head) {
      exchange.hidesFromOrigin = true
      turnAway(exchange, .error(refusal), closes: true)
      return false
    }
    if !isKnown { keep(asked) }
    if let refusal = overrun(exchange) {
      turnAway(exchange, .error(refusal), closes: head.framing != .none)
      return false
    }
    if asked.isPublish {
      if publish(exchange, asked, bytes, &offset) { return false }
    } else if asked.route.isSocket, head.method != .options {
      return upgrade(head, exchange)
    } else if case .engine(let path) = asked.route, head.method != .options {
      return engine(path, head, exchange)
    }
    let hasBody = head.framing != .none
    if let refused = RequestHandler(gateway).refusal(head, exchange) {
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

  /// Carries out the call that is made most, if all of its body is there; false if not.
  private func publish(
    _ exchange: HTTPExchange, _ asked: AskedHead, _ bytes: borrowing Span<UInt8>,
    _ offset: inout Int
  ) -> Bool {
    guard case .length(let count) = asked.head.framing, count <= bytes.count - offset,
      count <= gateway.settings.bodyBytesMax, !asked.head.expectsContinue
    else { return false }
    guard let key = exchange.foundKey, key.rule != nil else {
      turnAway(exchange, .error(.unauthorized), closes: true)
      return true
    }
    let body = bytes.extracting(offset..<offset + count)
    offset += count
    receivedBytes &+= UInt64(count)
    exchange.receivedBytes = UInt64(count)
    gateway.memory.grew(by: count)
    if exchange.closes { isClosing = true }
    exchange.publish(body, key)
    return true
  }

  /// Waits for a request's body, if it has one.
  func read(_ reading: Reading, _ head: HTTPRequestHead) {
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
  func engine(
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
        let decoder = try engineDecoder(head)
        client.data(exchange, kind)
        read(Reading(exchange: exchange, decoder: decoder, sink: .collect([])), head)
      case .elsewhere(let elsewhere) where elsewhere.isPoll:
        guard !hasBody else { throw EngineDoors.Turned(response: EngineDoors.refused(.badRequest)) }
        isClosing = exchange.closes
        doors.ask(elsewhere, exchange)
      case .elsewhere(let elsewhere):
        let decoder = try engineDecoder(head)
        exchange.takesBody = { [weak exchange] in
          if let exchange { doors.ask(elsewhere, exchange, $0) }
        }
        read(Reading(exchange: exchange, decoder: decoder, sink: .collect([])), head)
      }
    } catch {
      turnAway(exchange, error.response, closes: hasBody)
    }
    return false
  }

  func engineDecoder(_ head: HTTPRequestHead) throws(EngineDoors.Turned) -> HTTPBodyDecoder {
    let bytesMax = gateway.settings.engine.engine.maxHttpBufferSize
    guard let decoder = try? HTTPBodyDecoder(head.framing, bytesMax: bytesMax) else {
      gateway.metrics.limits.reached(.httpBodyBytes)
      throw EngineDoors.Turned(response: .error(.tooLarge(bytesMax)))
    }
    return decoder
  }

  /// The last one that a connection may carry is told so.
  func countRequest(_ exchange: HTTPExchange) {
    requests += 1
    guard requests >= gateway.settings.requestsMax, !exchange.closes else { return }
    gateway.metrics.limits.reached(.requestsPerConnection)
    exchange.closes = true
  }

  /// Hosts and origins that are not served, whatever they ask for, and heads that say twice who
  /// somebody is.
  func refusal(_ head: HTTPRequestHead) -> Refusal? {
    let access = gateway.settings.access
    if let name = AccessRules.repeatedField(head.headers) {
      return .badRequest("the field \(name) may stand there once only")
    }
    let host = head.authority
    guard access.allows(host: host) else {
      return Refusal(
        421, "misdirected", "this host is not served here: add it to gateway.hosts",
        .misdirectedRequest)
    }
    guard let origin = head.headers.first("origin") else { return nil }
    let scheme = gateway.settings.proxies.scheme(
      of: connection.peer, isSecure: gateway.settings.tls != nil, head.headers)
    guard access.allows(origin: origin, host: host, scheme: scheme) else {
      return Refusal(
        103, "origin_refused", "this origin is not let in: add it to gateway.origins", .forbidden)
    }
    return nil
  }

  /// Why a request without a key has come too soon after others of its address.
  func overrun(_ exchange: HTTPExchange) -> Refusal? {
    let isBound =
      exchange.client == connection.client ? connection.isBound : gateway.binds(exchange.client)
    guard isBound, exchange.key == nil,
      let wait = gateway.settings.ledgers.addresses.request(
        AddressKey(exchange.client), gateway.loop.now, gateway.settings.rates.requests)
    else { return nil }
    gateway.metrics.limits.reached(.requestsPerSecond)
    return .rateLimited("requests", wait)
  }

  /// Answers from the head alone. A body is not waited for, so the connection ends with it.
  func turnAway(_ exchange: HTTPExchange, _ answer: Response, closes: Bool) {
    if closes { exchange.closes = true }
    if exchange.closes { isClosing = true }
    exchange.respond(answer)
  }

  /// Decides where the body goes.
  func reading(_ head: HTTPRequestHead, _ exchange: HTTPExchange) throws(Refusal)
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

  func upgrade(_ head: HTTPRequestHead, _ exchange: HTTPExchange) -> Bool {
    let headers = head.headers
    let request = WebSocketHandshake.Request(
      method: head.method.rawValue, isHTTP11: head.version == .http11,
      hasBody: head.framing != .none,
      namesWebSocket: headers.list("upgrade", contains: "websocket"),
      namesUpgrade: headers.list("connection", contains: "upgrade"),
      version: headers.only("sec-websocket-version"), key: headers.only("sec-websocket-key"))
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
}
