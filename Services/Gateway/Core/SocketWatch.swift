internal import Platform
internal import WebSocketCodec

/// What one socket's client may do in a time, and whether its unfinished message moves. Pure.
struct SocketWatch {
  private var frames = RateMeter()
  private var unfoldedBytes = 0
  private var seenFrames: UInt32 = 0
  private var seenMessages: UInt32 = 0
  /// Of the unfinished message. Kept apart: most of many sockets have none.
  private var pace: [Pace] = []

  /// BUDGET: what a compressed message unfolds to counts as a frame for each of so many bytes:
  /// a few bytes on the wire may be a thousand times the work.
  static let bytesPerFrame = 65_536

  /// A compressed message has unfolded to so many bytes.
  mutating func unfolded(_ count: Int) { unfoldedBytes += count }

  /// Whether more frames have come since the last call than the rate allows. Once for each read,
  /// however many frames it held.
  mutating func exceeds(_ rate: Rate, _ reader: borrowing WebSocketReader, _ now: Instant) -> Bool {
    let count = reader.frameCount &- seenFrames
    seenFrames = reader.frameCount
    let work = unfoldedBytes / Self.bytesPerFrame
    unfoldedBytes %= Self.bytesPerFrame
    return !frames.take(Int(count) + work, now, rate)
  }

  /// Whether a message was begun and does not come on. Control frames between its fragments are
  /// no progress.
  mutating func isStalled(
    _ reader: borrowing WebSocketReader, _ now: Instant, window: Duration, bytesPerSecond: Int
  ) -> Bool {
    guard !reader.isIdle, reader.messageCount == seenMessages else {
      seenMessages = reader.messageCount
      pace = []
      return false
    }
    if pace.isEmpty { pace = [Pace()] }
    return pace[0].isTooSlow(
      UInt64(clamping: reader.heldBytes), now, window: window, bytesPerSecond: bytesPerSecond)
  }

  /// The client is not read at the moment: it can't come on.
  mutating func isHeldBack() { pace = [] }
}
