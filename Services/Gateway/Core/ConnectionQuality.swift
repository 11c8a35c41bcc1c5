/// How well a connection carries its heartbeats, and the score that makes one number of it. Pure.
///
/// The score is 100 less
///
/// - 9 for each doubling of *round trip + 2 × jitter* above 20 ms, evenly between two doublings and
///   at most 70 in all: nothing up to 20 ms, 9 at 40 ms, about 50 at a second;
/// - 10 for each of the last 20 heartbeats that was not answered in time;
/// - 15 for each time that the session came back within the last five minutes;
///
/// and never below 0. More of any of these never makes it larger.
struct ConnectionQuality: Equatable, Sendable {
  /// Smoothed, in milliseconds (RFC 6298 §2: seven eighths of what it was, one of the latest).
  var roundTripMs: Double
  /// In milliseconds (RFC 3550 §6.4.1, of round trips): it moves by a sixteenth towards the
  /// difference of the last two.
  var jitterMs: Double
  /// Of the last heartbeats, at most `HeartbeatMeter.recentMax`.
  var heartbeats: Int
  /// Those that were not answered in time.
  var late: Int
  /// Times that the session came back within `ReconnectLedger.memory`.
  var reconnects: Int

  /// The share of the last heartbeats that were not answered in time, 0 to 1.
  var loss: Double { heartbeats == 0 ? 0 : Double(late) / Double(heartbeats) }

  /// 0 to 100.
  var score: Int {
    let lost = Self.slowness(roundTripMs + 2 * jitterMs) + 10 * Double(late) + 15 * Double(reconnects)
    return Int(max(0, 100 - lost).rounded())
  }

  /// The score in a word.
  var grade: Grade {
    switch score {
    case 80...: .excellent
    case 55...: .good
    case 30...: .fair
    default: .poor
    }
  }

  enum Grade: String, Sendable { case excellent, good, fair, poor }

  private static func slowness(_ milliseconds: Double) -> Double {
    var bound = 20.0
    var points = 0.0
    guard milliseconds > bound else { return 0 }
    while points < 70 {
      if milliseconds < 2 * bound { return min(70, points + 9 * (milliseconds / bound - 1)) }
      points += 9
      bound *= 2
    }
    return 70
  }
}

/// Makes a connection's quality of its heartbeats, in 16 bytes: every connection has one. Pure.
struct HeartbeatMeter: Sendable {
  /// In milliseconds.
  private var smoothed: Float = 0
  private var jitter: Float = 0
  /// The latest round trip; negative before the first.
  private var latest: Float = -1
  /// One bit for each of the last heartbeats, the latest lowest, set where its answer was late; above
  /// them one bit that marks how many there are.
  private var recent: UInt32 = 1

  static let recentMax = 20

  /// A heartbeat was answered, in time or after it was counted as late.
  mutating func answered(after time: Duration, isLate: Bool) {
    let parts = time.components
    let sample = Float(
      max(0, Double(parts.seconds) * 1_000 + Double(parts.attoseconds) / 1e15))
    if latest < 0 {
      smoothed = sample
    } else {
      smoothed += (sample - smoothed) / 8
      jitter += (abs(sample - latest) - jitter) / 16
    }
    latest = sample
    if !isLate { push(0) }
  }

  /// The time for an answer is over.
  mutating func missed() { push(1) }

  private mutating func push(_ bit: UInt32) {
    recent = recent << 1 | bit
    let marker: UInt32 = 1 << UInt32(Self.recentMax)
    if recent >= marker << 1 { recent = recent & (marker - 1) | marker }
  }

  private var heartbeats: Int { UInt32.bitWidth - 1 - recent.leadingZeroBitCount }

  /// BUDGET: the jitter that is told; more than that is no connection.
  private static let jitterMsMax: Float = 1_000_000

  var jitterTime: Duration {
    .nanoseconds(Int64(Double(min(jitter, Self.jitterMsMax)) * 1e6))
  }

  /// Nil before the first answer.
  func quality(reconnects: Int) -> ConnectionQuality? {
    guard latest >= 0 else { return nil }
    return ConnectionQuality(
      roundTripMs: Double(smoothed), jitterMs: Double(jitter), heartbeats: heartbeats,
      late: recent.nonzeroBitCount - 1, reconnects: reconnects)
  }
}
