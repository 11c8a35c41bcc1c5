internal import Config
internal import HTTPCodec
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// Clients' requests for sessions of other gateways: each is carried out there and answered here.
///
/// What a request is answered with where that can't be is its door's to say. Bounded by
/// `limits.relayedRequests` for all loops together, by the link's credit, and in time. Loop-confined.
final class RelayAsker {
  private unowned let gateway: GatewayLoop
  private var last: UInt32 = 0

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private var metrics: RelayMetrics { gateway.metrics.relays }

  /// The hub has come, or come back: it learns which loop this is.
  func hubOpened(_ link: Link) {
    guard link.peer?.knowsRelays ?? false else { return }
    link.send(TakeRelays(lane: UInt16(clamping: gateway.index)))
  }

  /// Asks the gateway that holds the session.
  ///
  /// - Errors: `.limitReached` where too many are under way already, `.notFound` where no gateway of that
  ///   name is known, `.linkLost` where it, the hub, or this one's link has gone meanwhile.
  func ask(
    _ relay: Relay, for exchange: HTTPExchange, within limit: Duration,
    _ answered: @escaping (Result<Relayed, Failure>) -> Void
  ) {
    guard let hub = gateway.upstreams.hub else { return answered(.failure(Failure(.unavailable))) }
    guard hub.peer?.knowsRelays ?? false else { return answered(.failure(Failure(.notFound))) }
    guard relay.body.count <= Relay.bodyBytesMax else { return answered(.failure(Failure(.tooLarge))) }
    guard metrics.asked.addOne(below: gateway.settings.relaysMax) else {
      gateway.metrics.limits.reached(.relayedRequests)
      return answered(.failure(Failure(.limitReached)))
    }
    last &+= 1
    let number = last
    var relay = relay
    relay.number = number
    relay.remainingMs = UInt32(clamping: limit.millisecondsClamped)
    metrics.total.add()
    exchange.abandoned = { [weak hub] in hub?.send(EndRelay(number: number, why: .gone)) }
    if relay.action == .poll {
      // A client that only closes its sending side waits on, as it does where its session is.
      exchange.hurried = { [unowned gateway, weak hub] in
        if gateway.isDraining { hub?.send(EndRelay(number: number, why: .hurry)) }
      }
    }
    gateway.memory.grew(by: relay.body.count)
    hub.request(relay, expecting: Relayed.self, within: limit) { [metrics, weak hub] result in
      metrics.asked.add(-1)
      (exchange.abandoned, exchange.hurried) = (nil, nil)
      if case .failure(let failure) = result, failure.code == .deadlineExceeded {
        hub?.send(EndRelay(number: number, why: .gone))
      }
      answered(result)
    }
  }
}

/// What became of requests for sessions of other gateways, over all loops.
struct RelayMetrics: Sendable {
  let asked: Gauge
  let served: Gauge
  let total: Counter

  init(_ metrics: Metrics) {
    asked = metrics.gauge(
      "sapphire_gateway_relays_asked", "Requests that are being carried out by another gateway.")
    served = metrics.gauge(
      "sapphire_gateway_relays_served", "Requests of other gateways that are being carried out.")
    total = metrics.counter(
      "sapphire_gateway_relays_total", "Requests given to the gateway that holds their session.")
  }
}
