import Bytes
import Testing

@testable import HubCore

@Suite struct EpochSeriesTests {
  @Test func noEpochIsMadeTwice() {
    var series = EpochSeries(from: (7, .max - 1))
    var seen: Set<Epoch> = []
    for _ in 0..<1_000 { #expect(seen.insert(series.next()).inserted) }
    var other = EpochSeries()
    #expect(!seen.contains(other.next()))
  }
}
