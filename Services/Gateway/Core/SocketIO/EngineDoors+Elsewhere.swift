internal import Bytes
internal import Crypto
internal import EngineIO
internal import HTTPCodec
internal import Identity
internal import Link
internal import Wire

// Requests for sessions of other gateways. Whoever reads one says whom it names; the gateway that holds the
// session says whether that is its client.

extension EngineDoors {
  /// A request for a session that another gateway holds, on its way there.
  struct Elsewhere {
    var relay: Relay
    var isPoll: Bool { relay.action == .poll }
    /// What whoever names somebody by something that is not good is answered, where the session does not
    /// know it either.
    var refusal: Response?
  }

  /// Nil where the id is none that another gateway can have given.
  func elsewhere(_ id: EngineSessionID, _ path: EnginePath, _ head: HTTPRequestHead) -> Elsewhere? {
    guard let place = EngineSessions.place(of: id), place.gateway != gateway.identity.instance else {
      return nil
    }
    var relay = Relay(
      remainingMs: 0, place: place, door: path == .socketIO ? .socketIO : .engineIO,
      action: Self.action(head), session: id.reveal())
    guard let given = head.headers.first("authorization") else { return Elsewhere(relay: relay) }
    relay.credential = SHA256.digest([UInt8](given.utf8))
    do throws(Turned) {
      relay.name = try signIn(head)?.user.map { .user($0) } ?? .anonymous
    } catch {
      relay.name = .refused
      return Elsewhere(relay: relay, refusal: error.response)
    }
    return Elsewhere(relay: relay)
  }

  private static func action(_ head: HTTPRequestHead) -> Relay.Action {
    guard head.method == .post else { return .poll }
    return bodyKind(head) == .octetStream ? .sayOctets : .say
  }

  /// Has the session's gateway carry out the request, and answers with what it says.
  func ask(_ elsewhere: Elsewhere, _ exchange: HTTPExchange, _ body: [UInt8] = []) {
    var relay = elsewhere.relay
    relay.body = body
    // A poll is answered by the session's next ping at the latest.
    let engine = gateway.settings.engine.engine
    let limit =
      relay.action == .poll
      ? engine.pingInterval + engine.pingTimeout + .seconds(5) : gateway.settings.publishMax
    gateway.relayAsker.ask(relay, for: exchange, within: limit) { result in
      switch result {
      case .success(let relayed) where relay.action == .poll && relayed.status == 200:
        exchange.respond(PollPayload(bytes: relayed.body, isPlain: relayed.isPlain))
      case .success(let relayed): exchange.respond(Self.answer(relayed))
      case .failure(let failure):
        exchange.respond(answer(failure, elsewhere))
      }
    }
  }

  private static func answer(_ relayed: Relayed) -> Response {
    var response = Response(HTTPStatus(Int(relayed.status)), relayed.contentType, relayed.body)
    response.fields.append(("Cache-Control", "no-store"))
    return response
  }

  /// A client whose session can't be reached is told that there is none, so that it begins another one.
  private func answer(_ failure: Failure, _ elsewhere: Elsewhere) -> Response {
    switch failure.code {
    case .notAuthenticated: elsewhere.refusal ?? Self.refused(.badRequest)
    case .forbidden: Self.refused(.badRequest)
    case .tooLarge: .error(.tooLarge(Relay.bodyBytesMax))
    case .overloaded, .limitReached: .error(.overloaded)
    case .unavailable, .deadlineExceeded, .draining: .error(.unavailable)
    default: Self.refused(.unknownSession)
    }
  }
}

extension EngineClient {
  /// Whether a request that came to another gateway is this session's: one that names somebody has to name
  /// whom the handshake named.
  func admit(_ relay: Relay) throws(Failure) {
    if relay.credential.isEmpty { return }
    if let authorization, SHA256.digest([UInt8](authorization.utf8)) == relay.credential { return }
    switch relay.name {
    case .nobody: return
    case .user(let user): if identity?.user == user { return }
    case .anonymous: if identity?.user == nil { return }
    case .refused: throw Failure(.notAuthenticated)
    }
    throw Failure(.forbidden)
  }
}
