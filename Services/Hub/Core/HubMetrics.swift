internal import Observe

/// What a hub counts.
struct HubMetrics: Sendable {
  let links: Gauge
  let channels: Gauge
  let publications: Counter
  let deliveries: Counter
  let dropped: Counter

  init(_ metrics: Metrics) {
    links = metrics.gauge("sapphire_hub_links", "Links that are open.")
    channels = metrics.gauge("sapphire_hub_channels", "Channels that a link has open.")
    publications = metrics.counter(
      "sapphire_hub_publications_total", "Publications ordered or passed on.")
    deliveries = metrics.counter(
      "sapphire_hub_deliveries_total", "Publications handed to a link.")
    dropped = metrics.counter(
      "sapphire_hub_dropped_total", "Publications a link had no credit for.")
  }
}
