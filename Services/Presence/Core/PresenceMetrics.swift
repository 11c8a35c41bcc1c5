package import Observe

/// What a presence service counts, brought up to date at the end of each turn that had work.
package struct PresenceMetrics: Sendable {
  private let connections: Gauge
  private let channels: Gauge
  private let gateways: Gauge
  private let links: Gauge
  private let lingering: Gauge
  private let pendingBytes: Gauge
  private let joins: Counter
  private let leaves: Counter
  private let resumes: Counter
  private let refusals: Counter
  private let reports: Counter
  private let fenced: Counter
  private let lapsed: Counter
  private let snapshots: Counter
  let telling: TellingMetrics

  private let all: Metrics

  /// All of it as Prometheus text.
  var text: [UInt8] { [UInt8](all.render().utf8) }

  package init(_ metrics: Metrics) {
    all = metrics
    connections = metrics.gauge(
      "sapphire_presence_connections", "Connections in channels, lost ones included.")
    channels = metrics.gauge(
      "sapphire_presence_channels", "Channels with members or watchers.")
    gateways = metrics.gauge("sapphire_presence_gateways", "Gateway processes that are known.")
    links = metrics.gauge("sapphire_presence_links", "Links of gateways that are attached.")
    lingering = metrics.gauge(
      "sapphire_presence_lost_connections", "Lost connections that may still resume.")
    pendingBytes = metrics.gauge(
      "sapphire_presence_pending_bytes", "Changes kept for watchers that are behind.")
    joins = metrics.counter("sapphire_presence_joins_total", "Connections that came.")
    leaves = metrics.counter("sapphire_presence_leaves_total", "Connections that went.")
    resumes = metrics.counter(
      "sapphire_presence_resumes_total", "Lost connections that were carried on in time.")
    refusals = metrics.counter(
      "sapphire_presence_refusals_total", "Joins, watches and links over a limit.")
    reports = metrics.counter(
      "sapphire_presence_reports_requested_total", "Reports asked of gateways.")
    fenced = metrics.counter("sapphire_presence_fenced_total", "Links that a newer one outdated.")
    lapsed = metrics.counter("sapphire_presence_leases_lapsed_total", "Leases that ran out.")
    telling = TellingMetrics(metrics)
    snapshots = metrics.counter(
      "sapphire_presence_snapshots_forced_total", "Watchers that had fallen too far behind.")
  }

  func update(_ totals: PresenceTotals, _ now: PresenceCounters, since before: PresenceCounters) {
    connections.set(totals.connections)
    channels.set(totals.channels)
    gateways.set(totals.gateways)
    links.set(totals.links)
    lingering.set(totals.lostConnections)
    pendingBytes.set(totals.pendingBytes)
    // Counters of the board only grow.
    joins.add(now.joins &- before.joins)
    leaves.add(now.leaves &- before.leaves)
    resumes.add(now.resumes &- before.resumes)
    refusals.add(now.refusals &- before.refusals)
    reports.add(now.reportsRequested &- before.reportsRequested)
    fenced.add(now.linksFenced &- before.linksFenced)
    lapsed.add(now.leasesLapsed &- before.leasesLapsed)
    snapshots.add(now.snapshotsForced &- before.snapshotsForced)
  }
}
