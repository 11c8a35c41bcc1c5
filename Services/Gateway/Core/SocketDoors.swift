internal import Bytes
internal import Config
internal import Crypto
internal import HTTPCodec
internal import Identity
internal import Loop
internal import WebSocketCodec

/// Turns an accepted handshake into the session that its address asks for.
enum SocketDoors {
  /// Whether the connection is a socket now; if not, the exchange has been answered.
  static func open(
    _ route: Route, _ head: HTTPRequestHead, _ key: String, _ exchange: HTTPExchange,
    _ connection: Connection
  ) -> Bool {
    let gateway = connection.gateway
    let target = head.target
    func refuse(_ refusal: Refusal) -> Bool {
      exchange.closes = true
      exchange.respond(.error(refusal))
      return false
    }
    // RFC 6455 §9.1: what breaks the grammar fails the handshake; what isn't known is passed over.
    guard let offers = WebSocketExtension.parse(head.headers.all("sec-websocket-extensions")) else {
      return refuse(.badRequest("Sec-WebSocket-Extensions is not a list of extensions"))
    }
    if case .engine(let path) = route {
      return EngineDoors(connection.gateway).upgrade(path, head, exchange, connection) {
        // Nothing of what was offered is taken up where the session can't use it.
        accept(key, $0 ? offers : [], exchange, connection)
      }
    }
    if route == .echo {
      guard gateway.settings.isEchoOn else {
        return refuse(Refusal(104, "not_found", "echo is off here: diagnostics.echo", .notFound))
      }
      let authenticator = gateway.settings.authenticator
      if authenticator.settings.isRequired {
        do throws(Refusal) {
          guard try authenticator.identity(head) != nil else { throw .signInFirst }
        } catch { return refuse(error) }
      }
      let compression = accept(key, offers, exchange, connection)
      connection.become(
        EchoSession(connection, compression, QualityTeller(target, gateway)))
      return true
    }
    if case .centrifuge(let isUnidirectional) = route {
      return CentrifugeDoors.openSocket(
        head, exchange, connection, isUnidirectional: isUnidirectional
      ) {
        accept(key, offers, exchange, connection, subprotocol: $0)
      }
    }
    var names: [ChannelName] = []
    var refused: [String] = []
    for text in texts(route) {
      guard let name = ChannelName(text) else {
        // A browser's page can't read why a handshake failed, so a socket that can carry the
        // reason is opened to say it.
        if case .manyChannels = route {
          refused.append(text)
          continue
        }
        return refuse(.unknownChannel(text))
      }
      if !names.contains(name) { names.append(name) }
    }
    guard names.count <= gateway.settings.channelsPerConnectionMax else {
      gateway.metrics.limits.reached(.channelsPerConnection)
      return refuse(.limitExceeded)
    }
    guard let since = Subscription.Since.of(target.query("since"), names) else {
      return refuse(.badRequest("since is \"start\", EPOCH:OFFSET, or a position vector"))
    }
    var door: ClientSession.Door
    switch route {
    case .manyChannels:
      door = ClientSession.Door(style: .manyChannels, encoding: .envelope, welcomes: true)
    default:
      guard let only = names.first else { return refuse(.unknownChannel("")) }
      let isEnvelope = target.isOn("envelope")
      let isEvents = if case .events = route { true } else { false }
      door = ClientSession.Door(
        style: .oneChannel(only), encoding: isEnvelope ? .envelope : .raw,
        welcomes: isEvents || isEnvelope || target.isOn("presence"))
    }
    door.wantsPresence = target.isOn("presence")
    guard let who = signIn(head, gateway.settings.authenticator, door, refuse: {
      exchange.closes = true
      exchange.respond(.refusedToken($0))
    }) else { return false }
    let compression = accept(key, offers, exchange, connection)
    let session = ClientSession(
      gateway, door, session: target.query("session").flatMap { SessionToken($0) },
      client: connection.client, identity: who.identity)
    let isRaw = door.style != .manyChannels
    let socket = SocketSession(
      connection, session, compression, QualityTeller(target, gateway),
      acknowledges: isRaw && target.isOn("ack"))
    connection.become(socket)
    if let refusal = who.refusal {
      session.turnAway(socket, refusal)
      return true
    }
    session.open(socket, names.map { ($0, since[$0] ?? .now) })
    for text in refused.prefix(gateway.settings.channelsPerConnectionMax) {
      session.tell(.error(id: nil, .unknownChannel(text), channel: text))
    }
    return true
  }

  /// Who comes, or why not; nil where that has been answered.
  ///
  /// A page can't read why a handshake failed, so a ticket that opens nothing is told on the socket.
  private static func signIn(
    _ head: HTTPRequestHead, _ authenticator: Authenticator, _ door: ClientSession.Door,
    refuse: (Refusal) -> Void
  ) -> (identity: Identity?, refusal: Refusal?)? {
    do throws(Refusal) {
      let identity = try authenticator.identity(head)
      // On a socket of several channels the first message may say it.
      guard identity != nil || door.style == .manyChannels
        || !authenticator.settings.isRequired
      else { throw .signInFirst }
      return (identity, nil)
    } catch {
      if error == .ticketInvalid { return (nil, error) }
      refuse(error)
      return nil
    }
  }

  private static func texts(_ route: Route) -> [String] {
    switch route {
    case .manyChannels(let texts): texts
    case .oneChannel(let text), .events(let text): [text]
    default: []
    }
  }

  /// Completes the handshake; nil where the connection goes without compression.
  private static func accept(
    _ key: String, _ offers: [WebSocketExtension], _ exchange: HTTPExchange,
    _ connection: Connection, subprotocol: String? = nil
  ) -> SocketCompression? {
    connection.becameSocket(exchange)
    let agreed = connection.gateway.compression.agree(offers)
    let accept = base64(SHA1.digest(WebSocketHandshake.acceptInput(key: key)))
    var answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    answer += "Sec-WebSocket-Accept: \(accept)\r\n"
    if let agreed { answer += "Sec-WebSocket-Extensions: \(agreed.answer.headerValue)\r\n" }
    if let subprotocol { answer += "Sec-WebSocket-Protocol: \(subprotocol)\r\n" }
    connection.stream.send([UInt8]("\(answer)\(RequestID.field): \(exchange.id)\r\n\r\n".utf8))
    return agreed?.compression
  }
}

extension HTTPTarget {
  /// Whether a switch such as `?ack=1` is on.
  func isOn(_ name: String) -> Bool {
    switch query(name) {
    case "1", "true", "yes", "on": true
    default: false
    }
  }
}
