import Platform
import Testing

@Suite struct ClockTests {
  @Test func instantsSaturateAtBothEnds() {
    #expect(Instant.distantFuture + .seconds(1) == .distantFuture)
    #expect(Instant(nanoseconds: 5) + .nanoseconds(-6) == Instant(nanoseconds: 0))
    #expect(
      Instant(nanoseconds: 5) + .seconds(Int64.max) == Instant(nanoseconds: 5 + UInt64(Int64.max)))
    #expect(Instant(nanoseconds: .max - 5) + .nanoseconds(-6) == Instant(nanoseconds: .max - 11))
  }

  @Test func timeSinceALaterMomentIsZero() {
    let (early, late) = (Instant(nanoseconds: 1), Instant(nanoseconds: 9))
    #expect(late.since(early) == .nanoseconds(8))
    #expect(early.since(late) == .zero)
    #expect(Instant.distantFuture.since(Instant(nanoseconds: 0)) == .nanoseconds(Int64.max))
  }

  @Test(arguments: [
    (Duration.seconds(Int64.max), Int64.max), (.seconds(Int64.min), .min),
    (.milliseconds(-1), -1_000_000), (.zero, 0), (.microseconds(3), 3_000),
  ])
  func durationsAreClampedToNanoseconds(duration: Duration, nanoseconds: Int64) {
    #expect(duration.nanosecondsClamped == nanoseconds)
  }

  @Test func theMonotonicClockDoesNotRunBackwards() {
    var last = SystemClock.monotonic()
    for _ in 0..<1_000 {
      let now = SystemClock.monotonic()
      #expect(now >= last)
      last = now
    }
  }
}
