internal import Platform

/// When a socket is pinged and when it counts as gone. Pure.
///
///     quiet ──(pingEvery)──▶ pinged ──(pong)──▶ quiet
///                              └──(pongMax without a sign of life)──▶ gone
///
/// A ping stands behind what was sent before it, so a slow peer may take long to answer: that it
/// takes what stands before the ping is a sign of life as well. What its kernel takes of the rest
/// is one only while more is waiting, since a kernel has room for some even when nobody reads.
struct SocketKeepAlive {
  enum Action { case nothing, ping, close }

  private var lastPing: Instant
  private var isAwaitingPong = false
  private var lastSign: Instant
  /// What the peer had taken when it was looked at last, and will have with the ping.
  private var taken: UInt64 = 0
  private var takenWithPing: UInt64 = 0
  private(set) var roundTrip: Duration?

  init(_ now: Instant) {
    lastPing = now
    lastSign = now
  }

  /// - Parameters:
  ///   - isBlocked: whether the kernel has room for nothing more.
  ///   - progress: asked when a ping is sent, and as long as it has no answer.
  mutating func sweep(
    _ now: Instant, every: Duration, within: Duration, isBlocked: Bool = false,
    progress: () -> Sockets.Progress? = { nil }
  ) -> Action {
    if isAwaitingPong {
      if let progress = progress(), progress.taken > taken {
        if taken < takenWithPing || isBlocked { lastSign = now }
        taken = progress.taken
      }
      return now.since(lastSign) >= within ? .close : .nothing
    }
    guard now.since(lastPing) >= every else { return .nothing }
    lastPing = now
    lastSign = now
    isAwaitingPong = true
    if let progress = progress() {
      taken = progress.taken
      takenWithPing = progress.taken &+ progress.pending
    }
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
