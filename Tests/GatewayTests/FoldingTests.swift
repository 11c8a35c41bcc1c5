import Platform
import Testing

@testable import GatewayCore

@Suite struct FoldingTests {
  @Test func aSnapshotIsDueAfterSoManyEventsAndNotTwiceAtOnce() {
    var folding = Folding()
    for _ in 1..<Folding.eventsBetween { folding.note() }
    #expect(!folding.isDue)
    folding.note()
    #expect(folding.isDue)
    folding.isKeeping = true
    #expect(!folding.isDue)
    // Another gateway has written one since.
    folding.isKeeping = false
    folding.knows(10)
    #expect(!folding.isDue && folding.applied == 10)
    folding.knows(.max)
    #expect(folding.isDue)
    folding.isGivenUp = true
    #expect(!folding.isDue)
  }

  @Test func whatIsBuiltIsCountedFromTheBeginningOn() {
    var folding = Folding()
    folding.note()
    folding.began(at: Instant(nanoseconds: 5))
    folding.began(at: Instant(nanoseconds: 9))
    folding.note()
    #expect(folding.built == 1 && folding.began == Instant(nanoseconds: 5))
  }
}
