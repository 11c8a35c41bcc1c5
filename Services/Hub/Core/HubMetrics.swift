internal import Observe

/// What a hub counts.
struct HubMetrics: Sendable {
  let links: Gauge
  let channels: Gauge
  let publications: Counter
  let deliveries: Counter
  let dropped: Counter
  let relays: Counter
  private let queued: Gauge
  private let all: Metrics

  init(_ metrics: Metrics) {
    all = metrics
    links = metrics.gauge("sapphire_hub_links", "Links that are open.")
    channels = metrics.gauge("sapphire_hub_channels", "Channels that a link has open.")
    publications = metrics.counter(
      "sapphire_hub_publications_total", "Publications ordered or passed on.")
    deliveries = metrics.counter(
      "sapphire_hub_deliveries_total", "Publications handed to a link.")
    dropped = metrics.counter(
      "sapphire_hub_dropped_total", "Publications a link had no credit for.")
    relays = metrics.counter(
      "sapphire_hub_relays_total", "Requests passed on to the gateway that holds their session.")
    queued = metrics.gauge(
      "sapphire_hub_queue_bytes", "What waits to be taken by the other ends of links.")
  }

  /// All of it as Prometheus text.
  ///
  /// - Parameter queuedBytes: what waits in links now.
  func text(queuedBytes: Int) -> [UInt8] {
    queued.set(queuedBytes)
    return [UInt8](all.render().utf8)
  }
}
