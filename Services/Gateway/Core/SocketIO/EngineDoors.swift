internal import Bytes
internal import Config
internal import EngineIO
internal import HTTPCodec
internal import Identity
internal import Loop
internal import WebSocketCodec

/// The door of Engine.IO: what a request under `/socket.io/` or `/engine.io/` is for.
struct EngineDoors {
  let gateway: GatewayLoop

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private var settings: EngineSettings { gateway.settings.engine.engine }

  // MARK: answers

  static func answer(_ type: String, _ body: [UInt8]) -> Response {
    var response = Response(.ok, type, body)
    response.fields.append(("Cache-Control", "no-store"))
    return response
  }

  /// The answer to a poll.
  static func poll(_ payload: [UInt8]) -> Response { answer("text/plain; charset=UTF-8", payload) }

  static func refused(_ refusal: EngineRefusal) -> Response {
    Response(HTTPStatus(refusal.status), "application/json", refusal.body)
  }

  // MARK: requests

  /// What a request wants, once its head was found good.
  enum Wish {
    /// A session that long polling carries, made when the request's turn comes.
    case handshake(Identity?)
    case poll(EngineClient)
    case data(EngineClient, EngineBodyKind)
    /// Another gateway holds the session.
    case elsewhere(Elsewhere)
    case upgrade
  }

  /// Why a request is not served.
  struct Turned: Error { var response: Response }

  /// Judges a request by its head.
  func judge(_ path: EnginePath, _ head: HTTPRequestHead) throws(Turned) -> Wish {
    let request: EngineRequest
    do throws(EngineRefusal) {
      request = try Self.request(head, settings.transports)
    } catch { throw Turned(response: Self.refused(error)) }
    switch request {
    case .handshake(.webSocket), .session(_, .webSocket): return .upgrade
    case .handshake(.polling): return .handshake(try signIn(head))
    case .session(let id, .polling):
      if let elsewhere = elsewhere(id, path, head) { return .elsewhere(elsewhere) }
      let client = try client(id, path, head)
      return head.method == .post ? .data(client, Self.bodyKind(head)) : .poll(client)
    }
  }

  static func bodyKind(_ head: HTTPRequestHead) -> EngineBodyKind {
    let type = head.headers.first("content-type")?.lowercased() ?? ""
    return type.hasPrefix("application/octet-stream") ? .octetStream : .text
  }

  private static func request(
    _ head: HTTPRequestHead, _ transports: Set<EngineTransport>
  ) throws(EngineRefusal) -> EngineRequest {
    let wantsSocket = head.wantsUpgrade && head.upgrades.contains { $0.lowercased() == "websocket" }
    let method: EngineRequest.Method =
      switch head.method {
      case .get: wantsSocket ? .upgrade : .get
      case .post: .post
      default: .other
      }
    return try EngineRequest(
      query: head.target.query.map { ($0.name, $0.value) }, method: method, transports: transports)
  }

  func signIn(_ head: HTTPRequestHead) throws(Turned) -> Identity? {
    do throws(Refusal) {
      return try gateway.settings.authenticator.identity(head)
    } catch { throw Turned(response: .error(error)) }
  }

  /// The session of that id, for whoever may use it: its id is its secret, and a request that names
  /// somebody has to name whom the handshake named.
  private func client(
    _ id: EngineSessionID, _ path: EnginePath, _ head: HTTPRequestHead
  ) throws(Turned) -> EngineClient {
    guard let client = gateway.engines.client(id), client.path == path else {
      throw Turned(response: Self.refused(.unknownSession))
    }
    guard let given = head.headers.first("authorization"), given != client.authorization else {
      return client
    }
    guard try signIn(head)?.user == client.identity?.user else {
      throw Turned(response: Self.refused(.badRequest))
    }
    return client
  }

  // MARK: long polling

  /// Opens a session for an exchange whose turn has come.
  func open(_ path: EnginePath, _ exchange: HTTPExchange, _ head: HTTPRequestHead, _ who: Identity?) {
    guard let id = gateway.engines.makeID() else { return exchange.respond(.error(.internalError)) }
    var opening: [EngineAction] = []
    let client = EngineClient(
      gateway, path, id, over: .polling, head, exchange.client, who, &opening)
    if let refusal = client.open(exchange, opening) { exchange.respond(.error(refusal)) }
  }

  // MARK: WebSockets

  /// Turns an accepted handshake into a session's carrier. False where it was answered otherwise.
  func upgrade(
    _ path: EnginePath, _ head: HTTPRequestHead, _ exchange: HTTPExchange, _ connection: Connection,
    accept: (_ isCompressible: Bool) -> SocketCompression?
  ) -> Bool {
    do throws(Turned) {
      let request: EngineRequest
      do throws(EngineRefusal) {
        request = try Self.request(head, settings.transports)
      } catch { throw Turned(response: Self.refused(error)) }
      switch request {
      case .handshake: try begin(path, head, exchange, connection, accept)
      case .session(let id, _):
        // Frames don't go by way of another gateway: the client stays with polling, which does.
        if elsewhere(id, path, head) != nil { throw Turned(response: Self.refused(.badRequest)) }
        let client = try client(id, path, head)
        // What went over polling is not compressed, so what comes after it is not either.
        let socket = EngineSocket(connection, accept(false))
        connection.become(socket)
        client.probe(socket)
      }
      return true
    } catch {
      exchange.closes = true
      exchange.respond(error.response)
      return false
    }
  }

  private func begin(
    _ path: EnginePath, _ head: HTTPRequestHead, _ exchange: HTTPExchange, _ connection: Connection,
    _ accept: (Bool) -> SocketCompression?
  ) throws(Turned) {
    let who = try signIn(head)
    guard let id = gateway.engines.makeID() else {
      throw Turned(response: .error(.internalError))
    }
    let socket = EngineSocket(connection, accept(gateway.settings.engine.compressesSockets))
    connection.become(socket)
    var opening: [EngineAction] = []
    let client = EngineClient(
      gateway, path, id, over: .webSocket, head, exchange.client, who, &opening)
    client.open(socket, opening)
  }
}
