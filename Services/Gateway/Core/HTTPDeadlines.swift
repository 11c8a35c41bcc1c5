internal import Config
internal import Platform

/// When a conversation has waited long enough. Pure.
///
/// Looked at once a second. The client is given its time for the first head, for every head, for a
/// body and for taking its answers; what is slow on our own side costs it nothing.
struct HTTPDeadlines {
  /// Where the conversation stands.
  struct Standing {
    /// Bytes of bodies taken in, and of answers handed to the kernel, since the beginning.
    var received: UInt64 = 0
    var sent: UInt64 = 0
    var isAnswerQueued = false
    /// An answer's next piece is still to come from a service.
    var isStreaming = false
    var isHeadBegun = false
    var isReadingBody = false
    /// The body's next piece is not read, since the store has not taken those before.
    var isBodyHeldBack = false
    /// No request is under way.
    var isIdle = false
  }

  struct Limits {
    var firstHead: Duration
    var head: Duration
    var body: Duration
    var idle: Duration
    var bytesPerSecond: Int
  }

  enum Verdict: Equatable {
    case nothing
    /// Half an answer is worth nothing: the client must see that it has not got the whole.
    case abort(LimitName?)
    case headIsLate(LimitName)
    case bodyIsLate(LimitName)
    /// The body is not taken further by our own side.
    case bodyIsStuck
    case close(LimitName)
  }

  private let accepted: Instant
  private var hasAsked = false
  private var headBegan: Instant
  /// When bytes last went either way.
  private var lastActive: Instant
  private var bodyPace = Pace()
  private var answerPace = Pace()

  init(_ now: Instant) {
    accepted = now
    headBegan = now
    lastActive = now
  }

  mutating func bytesWent(_ now: Instant) { lastActive = now }

  /// A head's whole time runs from here.
  mutating func headBegins(_ now: Instant) { headBegan = now }

  mutating func headEnded() { hasAsked = true }

  mutating func bodyBegan() { bodyPace.rest() }

  /// What is late of the answers: asked first, whatever else the conversation does.
  mutating func ofAnswer(_ now: Instant, _ standing: Standing, _ limits: Limits) -> Verdict {
    guard standing.isAnswerQueued else {
      answerPace.rest()
      return standing.isStreaming && now.since(lastActive) > limits.idle
        ? .abort(nil) : .nothing
    }
    let isSlow = answerPace.isTooSlow(
      standing.sent, now, window: limits.idle, bytesPerSecond: limits.bytesPerSecond)
    guard isSlow else { return .nothing }
    return .abort(answerPace.stoodStill ? .httpIdleTimeout : .transferRate)
  }

  /// What is late of the request that is being read, or of the next one.
  mutating func ofRequest(_ now: Instant, _ standing: Standing, _ limits: Limits) -> Verdict {
    if standing.isReadingBody { return ofBody(now, standing, limits) }
    bodyPace.rest()
    if !hasAsked, now.since(accepted) > limits.firstHead {
      return standing.isHeadBegun ? .headIsLate(.wsHandshakeTimeout) : .close(.wsHandshakeTimeout)
    }
    if standing.isHeadBegun {
      return now.since(headBegan) > limits.head ? .headIsLate(.httpHeadTimeout) : .nothing
    }
    let isOver = standing.isIdle && !standing.isAnswerQueued && now.since(lastActive) > limits.idle
    return isOver ? .close(.httpIdleTimeout) : .nothing
  }

  private mutating func ofBody(_ now: Instant, _ standing: Standing, _ limits: Limits) -> Verdict {
    guard !standing.isBodyHeldBack else {
      bodyPace.rest()
      return now.since(lastActive) > limits.body ? .bodyIsStuck : .nothing
    }
    let isSlow = bodyPace.isTooSlow(
      standing.received, now, window: limits.body, bytesPerSecond: limits.bytesPerSecond)
    guard isSlow else { return .nothing }
    return .bodyIsLate(bodyPace.stoodStill ? .httpBodyTimeout : .transferRate)
  }
}
