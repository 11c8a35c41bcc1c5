internal import Platform

/// When a socket is pinged and when it counts as gone. Pure.
///
///     quiet ──(pingEvery)──▶ pinged ──(pong)──▶ quiet
///                              └──(pongMax without a sign of life)──▶ gone
///
/// An answer that takes longer than `answerMax` is late: it counts as lost for the quality of the
/// connection, told by the sweep that finds it, and the connection goes on.
///
/// A ping stands behind what was sent before it, so a slow peer may take long to answer: that it
/// takes what stands before the ping is a sign of life as well. What its kernel takes of the rest
/// is one only while more is waiting, since a kernel has room for some even when nobody reads.
struct SocketKeepAlive {
  enum Action { case nothing, ping, late, close }

  /// The time in which a heartbeat is to be answered.
  static let answerMax = Duration.seconds(2)

  private var lastPing: Instant
  private var isAwaitingPong = false
  /// The ping that waits for its answer has been counted as late.
  private var isLate = false
  /// The next sweep pings.
  private var isDue = false
  private var lastSign: Instant
  /// What the peer had taken when it was looked at last, and will have with the ping.
  private var taken: UInt64 = 0
  private var takenWithPing: UInt64 = 0
  private(set) var meter = HeartbeatMeter()

  /// - Parameter begins: whether the first ping goes out with the first sweep.
  init(_ now: Instant, begins: Bool = false) {
    lastPing = now
    lastSign = now
    isDue = begins
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
      if now.since(lastSign) >= within { return .close }
      guard !isLate, now.since(lastPing) > Self.answerMax else { return .nothing }
      isLate = true
      meter.missed()
      return .late
    }
    guard isDue || now.since(lastPing) >= every else { return .nothing }
    lastPing = now
    lastSign = now
    isAwaitingPong = true
    isLate = false
    isDue = false
    if let progress = progress() {
      taken = progress.taken
      takenWithPing = progress.taken &+ progress.pending
    }
    return .ping
  }

  /// When the next ping is due; nil while one is under way, or the next sweep pings.
  func nextPing(every: Duration) -> Instant? {
    isAwaitingPong || isDue ? nil : lastPing + every
  }

  /// What an answer says of its ping.
  struct Answer: Equatable {
    var roundTrip: Duration
    /// It came too late, and no sweep has told that.
    var isLate: Bool
  }

  /// Nil for a pong that nobody asked for (RFC 6455 §5.5.3).
  mutating func receivedPong(_ now: Instant) -> Answer? {
    guard isAwaitingPong else { return nil }
    isAwaitingPong = false
    let roundTrip = now.since(lastPing)
    let isNews = !isLate && roundTrip > Self.answerMax
    if isNews { meter.missed() }
    meter.answered(after: roundTrip, isLate: isLate || isNews)
    return Answer(roundTrip: roundTrip, isLate: isNews)
  }
}
