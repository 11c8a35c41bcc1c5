import Platform
import Testing

@testable import GatewayCore

private func quality(
  roundTrip: Double = 0, jitter: Double = 0, late: Int = 0, reconnects: Int = 0
) -> ConnectionQuality {
  ConnectionQuality(
    roundTripMs: roundTrip, jitterMs: jitter, heartbeats: HeartbeatMeter.recentMax, late: late,
    reconnects: reconnects)
}

/// S002-05.
struct ConnectionQualityTests {
  @Test func theScoreIsWhatTheFormulaSays() {
    #expect(quality().score == 100)
    #expect(quality(roundTrip: 20).score == 100)
    #expect(quality(roundTrip: 10, jitter: 5).score == 100)
    #expect(quality(roundTrip: 30).score == 96)
    #expect(quality(roundTrip: 40).score == 91)
    #expect(quality(roundTrip: 20, jitter: 10).score == 91)
    #expect(quality(roundTrip: 80).score == 82)
    #expect(quality(roundTrip: 1_000).score == 50)
    #expect(quality(roundTrip: 1e9).score == 30)
    #expect(quality(late: 3).score == 70)
    #expect(quality(reconnects: 2).score == 70)
    #expect(quality(roundTrip: 40, late: 1, reconnects: 1).score == 66)
  }

  @Test func theScoreStaysBetweenNoughtAndAHundred() {
    for roundTrip in [0, 1e-9, 19.999, 20, 1e3, 1e300, .infinity, -5] {
      for jitter in [0, 1e-9, 1e12, .infinity] {
        for late in [0, 1, 20] {
          for reconnects in [0, 1, 8, 1_000_000] {
            let score = quality(
              roundTrip: roundTrip, jitter: jitter, late: late, reconnects: reconnects
            ).score
            #expect((0...100).contains(score))
          }
        }
      }
    }
  }

  /// Nothing that is worse is ever told as better.
  @Test func theScoreNeverGrowsWithWhatIsWorse() {
    let seed = UInt64.random(in: 0...(.max))
    var random = SplitMix(seed)
    for _ in 0..<20_000 {
      let base = quality(
        roundTrip: Double(random.next() % 4_000_000) / 1_000, jitter: Double(random.next() % 1_000),
        late: Int(random.next() % 20), reconnects: Int(random.next() % 8))
      var worse = base
      switch random.next() % 4 {
      case 0: worse.roundTripMs += Double(random.next() % 10_000) / 100
      case 1: worse.jitterMs += Double(random.next() % 10_000) / 100
      case 2: worse.late += 1
      default: worse.reconnects += 1
      }
      #expect(worse.score <= base.score, "seed \(seed): \(base) and \(worse)")
    }
  }

  @Test func theGradeIsTheScoreInAWord() {
    #expect(quality().grade == .excellent)
    #expect(quality(late: 2).grade == .excellent)
    #expect(quality(late: 3).grade == .good)
    #expect(quality(reconnects: 3).grade == .good)
    #expect(quality(late: 5).grade == .fair)
    #expect(quality(late: 7).grade == .fair)
    #expect(quality(late: 8).grade == .poor)
  }

  private struct SplitMix {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }
}

/// S002-04.
struct HeartbeatMeterTests {
  @Test func nothingIsSaidBeforeTheFirstAnswer() {
    var meter = HeartbeatMeter()
    #expect(meter.quality(reconnects: 0) == nil)
    meter.missed()
    #expect(meter.quality(reconnects: 0) == nil)
  }

  @Test func theFirstAnswerIsTakenAsItIs() throws {
    var meter = HeartbeatMeter()
    meter.answered(after: .milliseconds(80), isLate: false)
    let quality = try #require(meter.quality(reconnects: 3))
    #expect(quality == .init(roundTripMs: 80, jitterMs: 0, heartbeats: 1, late: 0, reconnects: 3))
  }

  /// RFC 6298 §2 with alpha an eighth; RFC 3550 §6.4.1 with a sixteenth.
  @Test func roundTripAndJitterAreSmoothed() throws {
    var meter = HeartbeatMeter()
    meter.answered(after: .milliseconds(80), isLate: false)
    meter.answered(after: .milliseconds(160), isLate: false)
    var quality = try #require(meter.quality(reconnects: 0))
    #expect(quality.roundTripMs == 90 && quality.jitterMs == 5)
    meter.answered(after: .milliseconds(80), isLate: false)
    quality = try #require(meter.quality(reconnects: 0))
    #expect(abs(quality.roundTripMs - 88.75) < 1e-4 && abs(quality.jitterMs - 9.6875) < 1e-4)
    #expect(meter.jitterTime > .microseconds(9_687) && meter.jitterTime < .microseconds(9_688))
  }

  @Test func aSteadyConnectionHasNoJitter() throws {
    var meter = HeartbeatMeter()
    for _ in 0..<100 { meter.answered(after: .microseconds(250), isLate: false) }
    let quality = try #require(meter.quality(reconnects: 0))
    #expect(quality.jitterMs == 0 && quality.roundTripMs == 0.25 && quality.score == 100)
    #expect(quality.heartbeats == HeartbeatMeter.recentMax)
  }

  @Test func lossIsThatOfTheLastTwentyHeartbeats() throws {
    var meter = HeartbeatMeter()
    meter.answered(after: .milliseconds(1), isLate: false)
    meter.missed()
    // The answer came all the same: it is a round trip and no second heartbeat.
    meter.answered(after: .seconds(3), isLate: true)
    var quality = try #require(meter.quality(reconnects: 0))
    #expect(quality.heartbeats == 2 && quality.late == 1 && quality.loss == 0.5)
    for _ in 0..<18 { meter.answered(after: .milliseconds(1), isLate: false) }
    quality = try #require(meter.quality(reconnects: 0))
    #expect(quality.heartbeats == 20 && quality.late == 1 && quality.loss == 0.05)
    meter.answered(after: .milliseconds(1), isLate: false)
    meter.answered(after: .milliseconds(1), isLate: false)
    quality = try #require(meter.quality(reconnects: 0))
    #expect(quality.heartbeats == 20 && quality.late == 0 && quality.loss == 0)
    for _ in 0..<25 { meter.missed() }
    #expect(meter.quality(reconnects: 0)?.loss == 1)
  }

  @Test func everyConnectionCanAffordOne() {
    #expect(MemoryLayout<HeartbeatMeter>.size <= 16)
  }
}

struct ReconnectLedgerTests {
  private func at(_ seconds: UInt64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

  @Test func aReconnectCountsForFiveMinutes() {
    let ledger = ReconnectLedger()
    let (session, other) = (SessionToken(), SessionToken())
    ledger.returned(session, at(10))
    ledger.returned(session, at(100))
    #expect(ledger.count(session, at(100)) == 2 && ledger.count(other, at(100)) == 0)
    #expect(ledger.count(session, at(309)) == 2)
    #expect(ledger.count(session, at(310)) == 1)
    ledger.forgetOld(at(399))
    #expect(ledger.sessions == 1)
    ledger.forgetOld(at(400))
    #expect(ledger.sessions == 0)
  }

  @Test func itIsBounded() {
    let ledger = ReconnectLedger()
    let session = SessionToken()
    for second in 0..<100 { ledger.returned(session, at(UInt64(second))) }
    #expect(ledger.count(session, at(100)) == ReconnectLedger.countMax)
    for _ in 0..<ReconnectLedger.sessionsMax { ledger.returned(SessionToken(), at(1)) }
    #expect(ledger.sessions == ReconnectLedger.sessionsMax)
    ledger.returned(session, at(101))
    #expect(ledger.sessions == ReconnectLedger.sessionsMax)
    #expect(ledger.count(session, at(101)) == ReconnectLedger.countMax)
  }
}
