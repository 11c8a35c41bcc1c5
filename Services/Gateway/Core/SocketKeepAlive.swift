internal import Loop
internal import Observe
internal import Platform
internal import WebSocketCodec

/// When a socket is pinged and when it counts as gone. Pure.
///
///     quiet ──(pingEvery)──▶ pinged ──(pong)──▶ quiet
///                              └──(pongMax)──▶ gone
struct SocketKeepAlive {
  enum Action { case nothing, ping, close }

  private var lastPing: Instant
  private var isAwaitingPong = false
  private(set) var roundTrip: Duration?

  init(_ now: Instant) { lastPing = now }

  mutating func sweep(_ now: Instant, every: Duration, within: Duration) -> Action {
    let since = now.since(lastPing)
    if isAwaitingPong { return since >= within ? .close : .nothing }
    guard since >= every else { return .nothing }
    lastPing = now
    isAwaitingPong = true
    return .ping
  }

  /// The time since the ping; nil for a pong that nobody asked for (RFC 6455 §5.5.3).
  mutating func receivedPong(_ now: Instant) -> Duration? {
    guard isAwaitingPong else { return nil }
    isAwaitingPong = false
    roundTrip = now.since(lastPing)
    return roundTrip
  }
}
