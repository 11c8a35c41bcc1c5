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
    for text in route.channelTexts {
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
      return refuse(.tooManyChannels(gateway.settings.channelsPerConnectionMax))
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
    var identity: Identity?
    var turnedAway: Refusal?
    switch signIn(head, gateway, door) {
    case .nobody: break
    case .somebody(let found): identity = found
    case .turnedAway(let refusal): turnedAway = refusal
    case .refused(let refusal): return refuse(refusal)
    }
    let compression = accept(key, offers, exchange, connection)
    let session = ClientSession(
      gateway, door, session: target.query("session").flatMap { SessionToken($0) },
      client: connection.client, identity: identity)
    session.noteForHooks(head.headers)
    let isRaw = door.style != .manyChannels
    let socket = SocketSession(
      connection, session, compression,
      target.query.isEmpty ? nil : QualityTeller(target, gateway),
      acknowledges: isRaw && target.isOn("ack"))
    connection.become(socket)
    if let turnedAway {
      session.turnAway(socket, turnedAway)
      return true
    }
    session.open(socket, names.map { ($0, since[$0] ?? .now) })
    connection.noteQuiet(gateway.loop.now)
    for text in refused.prefix(gateway.settings.channelsPerConnectionMax) {
      session.tell(.error(id: nil, .unknownChannel(text), channel: text))
    }
    return true
  }

  /// Who comes, or why not.
  private enum Comer {
    case nobody
    case somebody(Identity)
    /// A page can't read why a handshake failed, so a ticket that opens nothing is told on the socket.
    case turnedAway(Refusal)
    case refused(Refusal)
  }

  private static func signIn(
    _ head: HTTPRequestHead, _ gateway: GatewayLoop, _ door: ClientSession.Door
  ) -> Comer {
    let authenticator = gateway.settings.authenticator
    do throws(Refusal) {
      if let identity = try authenticator.identity(head) { return .somebody(identity) }
      // On a socket of several channels the first message may say it.
      let mayBeNobody =
        !authenticator.settings.isRequired || door.style == .manyChannels || gateway.asksWhoComes
      return mayBeNobody ? .nobody : .refused(.signInFirst)
    } catch {
      return error == .ticketInvalid ? .turnedAway(error) : .refused(error)
    }
  }

  private static let beginning = [UInt8](
    """
    HTTP/1.1 101 Switching Protocols\r
    Upgrade: websocket\r
    Connection: Upgrade\r
    Sec-WebSocket-Accept:\u{20}
    """.utf8)
  private static let idField = [UInt8]("\r\n\(RequestID.field): ".utf8)
  private static let end = [UInt8]("\r\n\r\n".utf8)

  /// Completes the handshake; nil where the connection goes without compression.
  private static func accept(
    _ key: String, _ offers: [WebSocketExtension], _ exchange: HTTPExchange,
    _ connection: Connection, subprotocol: String? = nil
  ) -> SocketCompression? {
    connection.becameSocket(exchange)
    let agreed = connection.gateway.compression.agree(offers)
    let accepted = connection.gateway.handshakes.digest(WebSocketHandshake.acceptInput(key: key))
    connection.stream.send { answer in
      answer.append(contentsOf: beginning)
      appendBase64(accepted, to: &answer)
      if let agreed { add("Sec-WebSocket-Extensions", agreed.answer.headerValue, to: &answer) }
      if let subprotocol { add("Sec-WebSocket-Protocol", subprotocol, to: &answer) }
      answer.append(contentsOf: idField)
      exchange.id.append(to: &answer)
      answer.append(contentsOf: end)
    }
    return agreed?.compression
  }

  private static func add(_ name: String, _ value: String, to answer: inout [UInt8]) {
    answer.append(contentsOf: "\r\n".utf8)
    answer.append(contentsOf: name.utf8)
    answer.append(contentsOf: ": ".utf8)
    answer.append(contentsOf: value.utf8)
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
