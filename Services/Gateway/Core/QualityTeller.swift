internal import HTTPCodec
internal import Loop
internal import Observe
internal import Platform

/// What a client that asked for it by `?quality=1` is told of its connection. Loop-confined; other
/// connections have none, and pay for no more than that.
final class QualityTeller {
  private let session: SessionToken?
  private let reconnects: ReconnectLedger

  /// Who wants to know is asked this often; others as `limits.pingInterval` has it.
  private static let pingEvery = Duration.seconds(5)

  /// Nil where the address doesn't ask for it.
  init?(_ target: HTTPTarget, _ gateway: GatewayLoop) {
    guard target.isOn("quality") else { return nil }
    session = target.query("session").flatMap { SessionToken($0) }
    reconnects = gateway.settings.reconnects
    if let session { reconnects.returned(session, gateway.loop.now) }
  }

  func interval(_ usual: Duration) -> Duration { min(usual, Self.pingEvery) }

  /// Nil before anything is known.
  func message(_ meter: HeartbeatMeter, _ now: Instant) -> ServerMessage? {
    meter.quality(reconnects: session.map { reconnects.count($0, now) } ?? 0).map { .quality($0) }
  }
}

/// What becomes of heartbeats, over all loops.
struct HeartbeatMetrics: Sendable {
  let roundTrip: Histogram
  let jitter: Histogram
  let late: Counter
  let score: Histogram

  init(_ metrics: Metrics) {
    roundTrip = metrics.histogram(
      "sapphire_gateway_round_trip_seconds", "From a WebSocket ping to its pong.", .seconds)
    jitter = metrics.histogram(
      "sapphire_gateway_jitter_seconds",
      "Smoothed difference of successive round trips of a connection, at each pong.", .seconds)
    late = metrics.counter(
      "sapphire_gateway_late_pongs_total", "WebSocket pings that were not answered within 2 s.")
    score = metrics.histogram(
      "sapphire_gateway_quality_score", "Scores of connections, 0 to 100, at each pong.",
      Histogram.Buckets(bounds: [10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100]))
  }

  func record(_ answer: SocketKeepAlive.Answer, _ meter: HeartbeatMeter) {
    roundTrip.record(answer.roundTrip)
    jitter.record(meter.jitterTime)
    if answer.isLate { late.add() }
    if let quality = meter.quality(reconnects: 0) { score.record(UInt64(quality.score)) }
  }
}
