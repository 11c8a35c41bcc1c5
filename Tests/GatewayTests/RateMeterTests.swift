import Platform
import Testing

@testable import GatewayCore

/// A meter that an expectation may hold: `#expect` takes its operands as values.
private final class Meter {
  private var meter = RateMeter()
  func take(_ count: Int, _ now: Instant, _ rate: Rate) -> Bool { meter.take(count, now, rate) }
  func wait(_ now: Instant, _ rate: Rate) -> Duration { meter.wait(now, rate) }
}

/// Rates of clients and addresses, and the pace of what is under way: decisions about moments.
struct RateMeterTests {
  private let start: UInt64 = 5_000_000_000
  private func at(_ milliseconds: UInt64) -> Instant {
    Instant(nanoseconds: start + milliseconds * 1_000_000)
  }

  @Test func aBurstComesAtOnceAndThenTheSteadyRate() {
    let rate = Rate(perSecond: 10, burst: .seconds(2))
    let meter = Meter()
    var taken = 0
    while meter.take(1, at(0), rate) { taken += 1 }
    #expect(taken == 20)
    #expect(!meter.take(1, at(99), rate))
    #expect(meter.take(1, at(100), rate) && !meter.take(1, at(100), rate))
    #expect(meter.wait(at(100), rate) == .milliseconds(100))
    #expect(meter.wait(at(200), rate) == .zero)
  }

  @Test func whatIsNotUsedIsSavedUpToTheBurstAndNoFurther() {
    let rate = Rate(perSecond: 10, burst: .milliseconds(500))
    let meter = Meter()
    for moment in [UInt64(0), 3_600_000] {
      var taken = 0
      while meter.take(1, at(moment), rate) { taken += 1 }
      #expect(taken == 5)
    }
  }

  @Test func whatIsRefusedCostsNothing() {
    let rate = Rate(perSecond: 1, burst: .seconds(1))
    let meter = Meter()
    #expect(meter.take(1, at(0), rate))
    for _ in 0..<1_000 { #expect(!meter.take(1, at(1), rate)) }
    #expect(meter.take(1, at(1_000), rate))
  }

  @Test func severalAreTakenTogetherOrNotAtAll() {
    let rate = Rate(perSecond: 100, burst: .seconds(1))
    let meter = Meter()
    #expect(!meter.take(101, at(0), rate) && meter.take(100, at(0), rate))
    #expect(!meter.take(2, at(10), rate) && meter.take(1, at(10), rate))
    #expect(meter.take(0, at(10), rate))
    #expect(!meter.take(.max, at(10_000), rate), "no sum overflows")
  }

  @Test func atLeastOneIsAllowedHoweverShortTheBurst() {
    let rate = Rate(perSecond: 1, burst: .milliseconds(100))
    let meter = Meter()
    #expect(meter.take(1, at(0), rate) && !meter.take(1, at(999), rate))
    #expect(meter.take(1, at(1_000), rate))
  }

  @Test(arguments: [1, 3, 1_000, 10_000_000])
  func overALongTimeTheRateIsKept(perSecond: Int) {
    let rate = Rate(perSecond: perSecond, burst: .seconds(1))
    let meter = Meter()
    var taken = 0
    // Asked far more often than allowed, in steps of 10 ms over 5 s.
    for step in 0..<500 {
      while taken < 200_000, meter.take(max(1, perSecond / 1_000), at(UInt64(step) * 10), rate) {
        taken += max(1, perSecond / 1_000)
      }
    }
    #expect(taken <= perSecond * 6 + 1)
    #expect(taken >= min(perSecond * 5, 200_000))
  }

  // MARK: addresses

  @Test func ipv6IsCountedByItsNetworkAndIPv4ByItsAddress() {
    func key(_ text: String) -> AddressKey { AddressKey(.remote(address: text)) }
    #expect(key("192.0.2.7") == .ipv4(0xc000_0207))
    #expect(key("::ffff:192.0.2.7") == key("192.0.2.7"))
    #expect(key("192.0.2.7") != key("192.0.2.8"))
    #expect(key("2001:db8:1:2:3:4:5:6") == .ipv6(prefix: 0x2001_0db8_0001_0002))
    #expect(key("2001:db8:1:2::9") == key("2001:db8:1:2:ffff::1"))
    #expect(key("2001:db8:1:2::9") != key("2001:db8:1:3::9"))
    #expect(key("2001:db8::") == .ipv6(prefix: 0x2001_0db8_0000_0000))
    #expect(key("fe80::1%eth0") == key("fe80::2"))
    #expect(key("::1") == .ipv6(prefix: 0) && key("::") == .ipv6(prefix: 0))
    #expect(key("64:ff9b::192.0.2.1") == .ipv6(prefix: 0x0064_ff9b_0000_0000))
    for odd in ["", "1.2.3", "1.2.3.256", "1:2:3", "g::1", "1:2:3:4:5:6:7:8:9"] {
      #expect(key(odd) == .other, "\(odd)")
    }
    #expect(AddressKey(.local(pid: 1, uid: 2)) == .other)
  }

  @Test func anAddressHasSoManyConnectionsAndNoMore() {
    let ledger = AddressLedger()
    let (here, there) = (AddressKey.ipv4(1), AddressKey.ipv4(2))
    #expect(ledger.enter(here, most: 2) && ledger.enter(here, most: 2))
    #expect(!ledger.enter(here, most: 2) && ledger.enter(there, most: 2))
    ledger.leave(here)
    #expect(ledger.enter(here, most: 2))
  }

  @Test func anAddressKeepsItsRateAcrossConnectionsAndIsForgottenOnceItHasRested() {
    let ledger = AddressLedger()
    let key = AddressKey.ipv4(1)
    let rate = Rate(perSecond: 1, burst: .seconds(2))
    for _ in 0..<2 {
      #expect(ledger.enter(key, most: 1))
      #expect(ledger.request(key, at(0), rate) == nil)
      ledger.leave(key)
    }
    ledger.forgetIdle(at(10))
    #expect(ledger.count == 1)
    #expect(ledger.request(key, at(10), rate) == .milliseconds(990))
    ledger.forgetIdle(at(5_000))
    #expect(ledger.count == 0)
  }

  // MARK: pace

  @Test func whatStandsStillForAWholeWindowIsTooSlow() {
    var pace = Pace()
    func look(_ total: UInt64, _ moment: UInt64) -> Bool {
      pace.isTooSlow(total, at(moment), window: .seconds(10), bytesPerSecond: 1)
    }
    #expect(!look(1_000_000, 0) && !look(1_000_000, 9_999))
    #expect(look(1_000_000, 10_000) && pace.stoodStill)
  }

  @Test func aTrickleIsTooSlowHoweverMuchCameBefore() {
    var pace = Pace()
    var total: UInt64 = 0
    func look(_ moment: UInt64) -> Bool {
      pace.isTooSlow(total, at(moment), window: .seconds(10), bytesPerSecond: 100)
    }
    // A megabyte in the first second, then ten bytes a second.
    #expect(!look(0))
    total = 1_000_000
    for second in 1...10 { #expect(!look(UInt64(second) * 1_000)) }
    var end: Int?
    for second in 11...40 where end == nil {
      total += 10
      if look(UInt64(second) * 1_000) { end = second }
    }
    #expect(end == 20 && !pace.stoodStill)
  }

  @Test func whatKeepsThePaceGoesOnForEver() {
    var pace = Pace()
    for second in 0...UInt64(1_000) {
      let isSlow = pace.isTooSlow(
        second * 100, at(second * 1_000), window: .seconds(10), bytesPerSecond: 100)
      #expect(!isSlow)
    }
  }

  @Test func afterARestTheWholeWindowRunsAgain() {
    var pace = Pace()
    func look(_ moment: UInt64) -> Bool {
      pace.isTooSlow(7, at(moment), window: .seconds(10), bytesPerSecond: 1)
    }
    #expect(!look(0))
    pace.rest()
    #expect(!look(60_000) && !look(69_999) && look(70_000))
  }
}
