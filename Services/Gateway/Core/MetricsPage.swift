internal import Bytes
internal import HTTPCodec
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// `GET /metrics`: what this gateway counts, and behind it what the services it is linked to do.
///
/// A service that does not answer in time, or is of a version that can't, is left out and says so by
/// `sapphire_gateway_peer_up`. Anyone may ask, so asking costs little: one round of questions is under
/// way at a time, all who ask meanwhile share it, and its answers are kept for a second. Loop-confined.
final class MetricsPage {
  private unowned let gateway: GatewayLoop
  private var texts: [Role: [UInt8]] = [:]
  private var foundAt: Instant?
  private var unanswered = 0
  /// BUDGET: those who share a round are bounded by the connections of the loop.
  private var waiting: [() -> Void] = []

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private static let answerMax = Duration.seconds(1)
  private static let keptMax = Duration.seconds(1)
  private static let peers: [Role] = [.hub, .eventstore, .presence]

  func answer(_ exchange: HTTPExchange) {
    if let foundAt, gateway.loop.now.since(foundAt) < Self.keptMax {
      return exchange.respond(page())
    }
    waiting.append { [self] in exchange.respond(page()) }
    guard waiting.count == 1 else { return }
    texts = [:]
    unanswered = Self.peers.count
    ask(.hub, gateway.upstreams.hub)
    ask(.eventstore, gateway.upstreams.eventstore)
    ask(.presence, gateway.upstreams.presence)
  }

  private func ask(_ role: Role, _ link: Link?) {
    guard let link, link.peer?.knowsMetrics ?? false else { return answered(role, nil) }
    let request = ReadMetrics(remainingMs: 1_000)
    link.request(request, expecting: MetricsText.self, within: Self.answerMax) { [self] result in
      answered(role, try? result.get().text)
    }
  }

  private func answered(_ role: Role, _ text: [UInt8]?) {
    texts[role] = text
    unanswered -= 1
    guard unanswered == 0 else { return }
    foundAt = gateway.loop.now
    let waiting = waiting
    self.waiting = []
    for answer in waiting { answer() }
  }

  private func page() -> Response {
    let name = "sapphire_gateway_peer_up"
    var text = gateway.settings.renderMetrics()
    text += "# HELP \(name) Whether the service said what it counts.\n# TYPE \(name) gauge\n"
    for role in Self.peers {
      text += "\(name){service=\"gateway\",peer=\"\(role.name)\"} \(texts[role] == nil ? 0 : 1)\n"
    }
    var bytes = [UInt8](text.utf8)
    for role in Self.peers { bytes += texts[role] ?? [] }
    return Response(.ok, Metrics.contentType, bytes)
  }
}
