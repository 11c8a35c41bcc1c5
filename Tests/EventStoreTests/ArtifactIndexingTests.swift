import Testing

@testable import EventStoreCore

struct ArtifactIndexingTests {
  @Test func theFirstThatIsNotDoneHoldsTheConfirmationBack() {
    var indexing = ArtifactIndexing()
    #expect(indexing.first == nil)
    let taken = [5, 9, 7].map { indexing.add(entry($0)) }
    let again = indexing.add(entry(9))
    #expect(taken == [true, true, true] && !again)
    var firsts: [Int64?] = [indexing.first]
    for position in [7, 5, 9] as [Int64] {
      indexing.done(position)
      firsts.append(indexing.first)
    }
    #expect(firsts == [5, 5, 9, nil])
  }

  @Test func whatFailedStaysAndIsTriedAgainInOrder() {
    var indexing = ArtifactIndexing()
    for position in [3, 1, 2] as [Int64] { _ = indexing.add(entry(position)) }
    let news = [3, 1, 77].map { indexing.failed($0) }
    #expect(news == [true, false, false], "told once for a round, and not of what is not here")
    let again = indexing.takeWaiting().map(\.position)
    let then = indexing.takeWaiting()
    #expect(again == [1, 3] && then.isEmpty && indexing.first == 1)
  }

  @Test func pastTheBoundTheFirstLeftOutIsReadAgainOnceThereIsRoom() {
    var indexing = ArtifactIndexing(countMax: 4)
    for position in 1...7 as ClosedRange<Int64> { _ = indexing.add(entry(position)) }
    let early = indexing.takeLeftOut()
    #expect(early == nil)
    for position in 1...4 as ClosedRange<Int64> { indexing.done(position) }
    #expect(indexing.first == 5, "not confirmed though it is not kept")
    let (from, then) = (indexing.takeLeftOut(), indexing.takeLeftOut())
    #expect(from == 5 && then == nil && indexing.first == nil)
  }

  @Test func manyInOrderCostTheSameEach() {
    var indexing = ArtifactIndexing()
    for position in 1...50_000 as ClosedRange<Int64> { _ = indexing.add(entry(position)) }
    for position in 1...50_000 as ClosedRange<Int64> { indexing.done(position) }
    #expect(indexing.first == nil)
  }

  private func entry(_ position: Int64) -> ArtifactIndexing.Entry {
    ArtifactIndexing.Entry(position: position, sha256: [], stream: name("a"))
  }
}
