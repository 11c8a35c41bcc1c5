internal import Observe

/// What the gateway counts, over all its loops.
struct GatewayMetrics: Sendable {
  let connections: Gauge
  let accepted: Counter
  let refusedConnections: Counter
  let channels: Gauge
  let clientMemory: Gauge
  let publications: Counter
  let deliveries: Counter
  let replayed: Counter
  let deltas: Counter
  let dropped: Counter
  let cutOff: Counter
  let unrecoverable: CounterFamily<ControlMessage.UnrecoverableReason>
  let gapFilled: Counter
  let requests: Counter
  let messages: Counter
  let heartbeats: HeartbeatMetrics
  let acked: Counter
  let slow: SlowMetrics
  let compression: CompressionMetrics
  let limits: LimitCounters
  let identity: IdentityMetrics
  let tls: TLSMetrics
  let engine: EngineMetrics
  let relays: RelayMetrics
  let hooks: HookMetrics
  let folds: FoldMetrics

  init(_ metrics: Metrics) {
    connections = metrics.gauge("sapphire_gateway_connections", "Connections that are open.")
    accepted = metrics.counter("sapphire_gateway_accepted_total", "Connections accepted.")
    refusedConnections = metrics.counter(
      "sapphire_gateway_refused_total", "Connections closed at once for want of room.")
    channels = metrics.gauge(
      "sapphire_gateway_channels", "Channels known to the loops; one counts once a loop.")
    clientMemory = metrics.gauge(
      "sapphire_gateway_client_memory_bytes",
      "What clients make the gateway hold: unfinished messages and bodies, queues, held publications.")
    publications = metrics.counter(
      "sapphire_gateway_publications_total", "Publications that came to a loop.")
    deliveries = metrics.counter(
      "sapphire_gateway_deliveries_total", "Live publications handed to clients.")
    deltas = metrics.counter(
      "sapphire_gateway_deltas_total",
      "Deltas made, each for all subscribers that have the same publication before it.")
    replayed = metrics.counter(
      "sapphire_gateway_replayed_total", "Publications sent to clients that came back.")
    dropped = metrics.counter(
      "sapphire_gateway_dropped_total", "Publications that slow clients did not get.")
    cutOff = metrics.counter(
      "sapphire_gateway_cut_off_total", "Slow clients of durable channels that were cut off.")
    unrecoverable = metrics.counters(
      "sapphire_gateway_unrecoverable_total", "Times a position could not be continued.",
      by: ControlMessage.UnrecoverableReason.self)
    gapFilled = metrics.counter(
      "sapphire_gateway_gap_filled_total",
      "Publications read from the history since they had not come from the hub.")
    requests = metrics.counter("sapphire_gateway_requests_total", "HTTP requests.")
    messages = metrics.counter(
      "sapphire_gateway_messages_total", "Messages that clients sent on sockets.")
    heartbeats = HeartbeatMetrics(metrics)
    slow = SlowMetrics(metrics)
    compression = CompressionMetrics(metrics)
    limits = LimitCounters(metrics)
    identity = IdentityMetrics(metrics)
    tls = TLSMetrics(metrics)
    engine = EngineMetrics(metrics)
    relays = RelayMetrics(metrics)
    hooks = HookMetrics(metrics)
    folds = FoldMetrics(metrics)
    acked = metrics.counter(
      "sapphire_gateway_acked_total", "Publications whose publisher was told that they stand.")
  }
}

extension SlowLadder.Step: MetricLabel {
  static let labelName = "step"
}

/// What slow clients waited for and did not get, over all loops.
struct SlowMetrics: Sendable {
  let publications: CounterFamily<SlowLadder.Step>
  let clients: CounterFamily<SlowLadder.Step>
  /// By number of lane: every parcel is noted in one.
  private let waited: [Histogram]

  func waited(in lane: Lane) -> Histogram { waited[lane.rawValue] }

  init(_ metrics: Metrics) {
    publications = metrics.counters(
      "sapphire_gateway_slow_publications_total",
      "Publications of slow clients: had to wait, replaced by later ones, left out, left to the history.",
      by: SlowLadder.Step.self)
    clients = metrics.counters(
      "sapphire_gateway_slow_clients_total", "Times a channel took that step for a slow client.",
      by: SlowLadder.Step.self)
    let family = metrics.histograms(
      "sapphire_gateway_lane_wait_seconds",
      "What had to wait for a client: from then until it was given to its connection.", .seconds,
      by: LaneLabel.self)
    waited = Lane.allCases.map { family[LaneLabel($0)] }
  }
}

/// What became of tokens and tickets, over all loops.
struct IdentityMetrics: Sendable {
  let accepted: Counter
  let refused: Counter
  let signedOut: Counter

  init(_ metrics: Metrics) {
    accepted = metrics.counter(
      "sapphire_gateway_credentials_accepted_total", "Tokens and tickets that were good.")
    refused = metrics.counter(
      "sapphire_gateway_credentials_refused_total",
      "Tokens and tickets that were wrong, over, used or revoked.")
    signedOut = metrics.counter(
      "sapphire_gateway_signed_out_total",
      "Connections ended since their right had ended, or by a back end.")
  }
}
