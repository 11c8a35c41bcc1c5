internal import Bytes
internal import Centrifuge
internal import HTTPCodec
internal import JSON
internal import Link
internal import Synchronization

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

  /// Answers `POST /emulation`: 204 where the stream is there, 404 where it isn't.
  func answer(_ exchange: HTTPExchange, _ head: HTTPRequestHead, _ body: [UInt8]) {
    let type = head.headers.first("content-type") ?? ""
    let message: CentrifugeEmulation
    do throws(CentrifugeDecodeError) {
      let isProtobuf = type.hasPrefix("application/octet-stream")
      message = try CentrifugeEmulation.decode(isProtobuf ? .protobuf : .json, body.span)
    } catch { return exchange.respond(.error(.badRequest("the body is no {node, session, data}"))) }
    guard message.node == Self.node(gateway), let name = SessionToken(message.session),
      let loop = book.loop(of: name)
    else { return exchange.respond(.error(.noSuchStream)) }
    if loop == gateway.index {
      received(name, message.data)
    } else if !gateway.post(.emulated(name, message.data), to: loop) {
      return exchange.respond(.error(.overloaded))
    }
    exchange.respond(Response(.noContent, "", []))
  }
}

extension Refusal {
  static let noSuchStream = Refusal(
    104, "not_found", "this gateway has no stream of that session: connect again", .notFound)
}
