internal import Loop
internal import Platform

/// When a client that only listens is sent a heartbeat, and when it counts as gone: all the answer it
/// gives is that its kernel takes what it is sent.
struct ListenerWatch {
  enum Action { case nothing, beat, gone }

  private var beat = HeartbeatWatch()
  private var lastBeat: Instant

  init(_ now: Instant) { lastBeat = now }

  /// Once a second. After `.beat` the heartbeat is to be sent, and `sent` to be called.
  mutating func sweep(
    _ stream: Stream, _ now: Instant, every: Duration, within limit: Duration
  ) -> Action {
    // What waits behind a full kernel is judged by `TakingWatch`.
    if stream.queuedBytes > 0 {
      beat.isOver()
    } else if beat.isUnderWay, beat.isUnanswered(stream.progress(), now, within: limit) {
      return .gone
    }
    guard now.since(lastBeat) >= every else { return .nothing }
    lastBeat = now
    // To a client that has yet to take something, more would tell nothing.
    return stream.queuedBytes == 0 ? .beat : .nothing
  }

  mutating func sent(_ stream: Stream, _ now: Instant) { beat.began(stream.progress(), now) }
}

/// Whether a client takes anything of what is queued for it. Pure.
struct TakingWatch {
  private var queued = 0
  private var given: UInt64 = 0
  private var takenAt: Instant

  init(_ now: Instant) { takenAt = now }

  /// Asked once a second: whether nothing of a queue that isn't empty has gone for so long.
  ///
  /// - Parameter given: bytes that had waited elsewhere and came into the queue since the beginning:
  ///   they do only when it has been taken.
  mutating func hasStalled(
    _ queuedBytes: Int, given: UInt64 = 0, _ now: Instant, within limit: Duration
  ) -> Bool {
    if queuedBytes == 0 || queuedBytes < queued || given != self.given { takenAt = now }
    (queued, self.given) = (queuedBytes, given)
    return queuedBytes > 0 && now.since(takenAt) >= limit
  }
}

/// Whether a heartbeat is taken by the client's kernel, which is all the answer that an answer
/// without end can have: a client that vanished, or that reads nothing while its kernel has no more
/// room, takes none. Pure.
struct HeartbeatWatch {
  private(set) var isUnderWay = false
  private var taken: UInt64 = 0
  private var movedAt = Instant(nanoseconds: 0)

  /// - Parameter progress: nil where the kernel does not tell; then nothing is watched.
  mutating func began(_ progress: Sockets.Progress?, _ now: Instant) {
    guard let progress else { return }
    if !isUnderWay {
      taken = progress.taken
      movedAt = now
    }
    isUnderWay = true
  }

  mutating func isOver() { isUnderWay = false }

  /// Asked once a second while a heartbeat is under way: whether something waits, and nothing of it
  /// has been taken for so long. A heartbeat is over as soon as nothing waits.
  mutating func isUnanswered(
    _ progress: Sockets.Progress?, _ now: Instant, within limit: Duration
  ) -> Bool {
    guard let progress, progress.pending > 0 else {
      isUnderWay = false
      return false
    }
    if progress.taken != taken {
      taken = progress.taken
      movedAt = now
    }
    return now.since(movedAt) >= limit
  }
}
