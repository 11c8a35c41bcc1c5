internal import Bytes
internal import Centrifuge
internal import HTTPCodec
internal import JSON
internal import Link
internal import Synchronization
internal import Wire

/// Which loop of the process holds the stream of a name. One for all loops. Any thread.
final class EmulationBook: Sendable {
  private let loops = Mutex<[SessionToken: Int]>([:])

  func add(_ name: SessionToken, _ loop: Int) { loops.withLock { $0[name] = loop } }
  func remove(_ name: SessionToken) { loops.withLock { $0[name] = nil } }
  func loop(of name: SessionToken) -> Int? { loops.withLock { $0[name] } }
}

/// The streams of one loop whose clients speak by `POST /emulation`. Loop-confined.
///
/// The name of a stream is secret: whoever knows it speaks for its client.
final class EmulatedStreams {
  private unowned let gateway: GatewayLoop
  private var streams: [SessionToken: CentrifugeStream] = [:]

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private var book: EmulationBook { gateway.settings.emulation }

  /// What clients know this gateway by.
  static func node(_ gateway: GatewayLoop) -> String { ClientIDText.text(gateway.identity.instance) }

  func add(_ name: SessionToken, _ stream: CentrifugeStream) {
    streams[name] = stream
    book.add(name, gateway.index)
  }

  func remove(_ name: SessionToken) {
    streams[name] = nil
    book.remove(name)
  }

  /// Commands for a stream of this loop; one that has ended meanwhile gets none.
  func received(_ name: SessionToken, _ commands: [UInt8]) { streams[name]?.received(commands) }

  enum Delivery { case delivered, unknown, overloaded }

  /// Gives commands to the stream of that name, whichever loop of the process holds it.
  func deliver(_ name: SessionToken, _ commands: [UInt8]) -> Delivery {
    guard let loop = book.loop(of: name) else { return .unknown }
    guard loop != gateway.index else {
      received(name, commands)
      return .delivered
    }
    return gateway.post(.emulated(name, commands), to: loop) ? .delivered : .overloaded
  }

  /// Answers `POST /emulation`: 204 where the stream is there, here or at another gateway; 404 where it
  /// isn't.
  func answer(_ exchange: HTTPExchange, _ head: HTTPRequestHead, _ body: [UInt8]) {
    let type = head.headers.first("content-type") ?? ""
    let message: CentrifugeEmulation
    do throws(CentrifugeDecodeError) {
      let isProtobuf = type.hasPrefix("application/octet-stream")
      message = try CentrifugeEmulation.decode(isProtobuf ? .protobuf : .json, body.span)
    } catch { return exchange.respond(.error(.badRequest("the body is no {node, session, data}"))) }
    guard let node = Self.gateway(ofNode: message.node), let name = SessionToken(message.session) else {
      return exchange.respond(.error(.noSuchStream))
    }
    guard node == gateway.identity.instance else { return ask(node, message, exchange) }
    switch deliver(name, message.data) {
    case .delivered: exchange.respond(Response(.noContent, "", []))
    case .unknown: exchange.respond(.error(.noSuchStream))
    case .overloaded: exchange.respond(.error(.overloaded))
    }
  }

  private func ask(_ node: UInt64, _ message: CentrifugeEmulation, _ exchange: HTTPExchange) {
    let relay = Relay(
      remainingMs: 0, place: RelayPlace(gateway: node, lane: RelayPlace.anyLane), door: .emulation,
      action: .say, session: message.session, body: message.data)
    gateway.relayAsker.ask(relay, for: exchange, within: gateway.settings.publishMax) { result in
      switch result {
      case .success: exchange.respond(Response(.noContent, "", []))
      case .failure(let failure) where failure.code == .notFound || failure.code == .linkLost:
        exchange.respond(.error(.noSuchStream))
      case .failure(let failure): exchange.respond(.error(Refusal(failure)))
      }
    }
  }

  /// The gateway that clients know by that text.
  static func gateway(ofNode text: String) -> UInt64? {
    guard text.utf8.count == 16, let number = UInt64(text, radix: 16),
      ClientIDText.text(number) == text
    else { return nil }
    return number
  }
}

extension Refusal {
  static let noSuchStream = Refusal(
    104, "not_found", "no gateway has a stream of that session: connect again", .notFound)
}
