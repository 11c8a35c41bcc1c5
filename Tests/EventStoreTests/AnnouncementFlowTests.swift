import Testing

@testable import EventStoreCore

/// One test for each arrow of the announcer, and for what has no arrow.
struct AnnouncementFlowTests {
  @Test func withoutAHubNothingIsAskedAndNothingIsSent() {
    var flow = AnnouncementFlow(confirmed: 7)
    #expect(flow.isIdle && !flow.wantsPage)
    let isSent = flow.committed(8)
    #expect(!isSent && flow.committed == 8 && flow.isIdle, "nothing that could be announced")
  }

  @Test func aFoundHubIsCaughtUpFromWhatIsConfirmedThenEventsGoOutLive() {
    var flow = AnnouncementFlow(confirmed: 7)
    _ = flow.committed(8)
    flow.hubFound()
    #expect(flow.wantsPage && !flow.isIdle)
    flow.asked(1)
    #expect(flow.mode == .reading(question: 1) && flow.accepts(1))
    let isSent = flow.read(8)
    flow.pageRead(through: 8, hasMore: false)
    #expect(isSent && flow.mode == .live && flow.confirmed == 7)
    flow.confirmed(8, in: flow.era)
    let next = flow.committed(9)
    #expect(next && flow.sent == 9 && flow.confirmed == 8 && !flow.isIdle)
    flow.confirmed(9, in: flow.era)
    #expect(flow.isIdle)
  }

  @Test func aPageThatIsNotTheLastIsFollowedByAnother() {
    var flow = reading(after: 0)
    _ = flow.read(1)
    flow.pageRead(through: 1, hasMore: true)
    #expect(flow.wantsPage && flow.sent == 1)
    flow.asked(2)
    // Committed while the page was on its way: it may not be on it.
    _ = flow.committed(3)
    _ = flow.read(2)
    flow.pageRead(through: 2, hasMore: false)
    #expect(flow.wantsPage && flow.sent == 2)
  }

  /// Credit runs out while the second page is on its way: it begins after what was sent then, so
  /// taking it would leave out what was refused.
  @Test func aPageThatWasAskedForBeforeFallingBehindIsPassedOver() {
    var flow = reading(after: 0)
    _ = flow.read(1)
    _ = flow.read(2)
    flow.pageRead(through: 2, hasMore: true)
    flow.asked(2)
    flow.fellBehind()
    #expect(flow.sent == 0 && !flow.accepts(2))
    flow.asked(3)
    #expect(!flow.accepts(2) && flow.accepts(3))
    let late = flow.readFailed(2)
    #expect(!late && flow.accepts(3), "an old question's failure ends no new one")
  }

  @Test func aRefusalInTheMiddleOfAPageSendsNoMoreOfItAndBeginsAgainAfterTheConfirmed() {
    var flow = reading(after: 4)
    let first = flow.read(5)
    flow.fellBehind()
    let second = flow.read(6)
    flow.pageRead(through: 6, hasMore: false)
    #expect(first && !second && flow.mode == .behind && flow.sent == 4 && flow.confirmed == 4)
  }

  @Test func aRefusalInTheMiddleOfALiveBatchSendsNoMoreOfIt() {
    var flow = live(at: 4)
    let sent = [5, 6].map { flow.committed($0) }
    flow.fellBehind()
    let rest = [7, 8].map { flow.committed($0) }
    #expect(sent == [true, true] && rest == [false, false])
    #expect(flow.sent == 4 && flow.committed == 8 && flow.wantsPage)
  }

  @Test func anAnswerToWhatWasSentBeforeFallingBehindConfirmsNothing() {
    var flow = live(at: 4)
    let era = flow.era
    _ = flow.committed(5)
    _ = flow.committed(6)
    // 5 was refused, 6 went through.
    flow.fellBehind()
    flow.confirmed(6, in: era)
    #expect(flow.confirmed == 4)
  }

  @Test func nothingBeyondWhatWasSentIsEverConfirmed() {
    var flow = live(at: 4)
    _ = flow.committed(5)
    flow.confirmed(99, in: flow.era)
    #expect(flow.confirmed == 5)
  }

  @Test func aHubLostBetweenBatchesIsCaughtUpWhenItIsBack() {
    var flow = live(at: 4)
    _ = flow.committed(5)
    flow.hubLost()
    let isSent = flow.committed(6)
    #expect(!isSent && !flow.wantsPage && flow.isIdle)
    flow.hubFound()
    #expect(flow.wantsPage && flow.sent == 4)
  }

  @Test func aHubLostWhileReadingMakesThePageWorthless() {
    var flow = reading(after: 0)
    flow.hubLost()
    #expect(!flow.accepts(1))
    flow.hubFound()
    #expect(!flow.accepts(1) && flow.wantsPage)
  }

  /// The reader may be ahead of the news: what a page brought is committed "again" later.
  @Test func anEventThatAPageBroughtIsPassedOverSilentlyWhenItsCommitIsTold() {
    var flow = reading(after: 0)
    _ = flow.read(1)
    _ = flow.read(2)
    flow.pageRead(through: 2, hasMore: false)
    let sent = [1, 2, 3].map { flow.committed($0) }
    #expect(sent == [false, false, true] && flow.mode == .live)
  }

  @Test func aGapInWhatIsCommittedIsReadFromTheOutbox() {
    var flow = live(at: 4)
    let isSent = flow.committed(6)
    #expect(!isSent && flow.wantsPage && flow.sent == 4)
  }

  @Test func aReadThatFailedIsAskedAgain() {
    var flow = reading(after: 0)
    let isAwaited = flow.readFailed(1)
    #expect(isAwaited && flow.wantsPage && flow.sent == 0)
  }

  @Test func whatIsPassedOverAtAPagesEndIsConfirmedWithWhatWasSentBeforeIt() {
    var flow = reading(after: 0)
    _ = flow.read(1)
    flow.pageRead(through: 5, hasMore: false)
    #expect(flow.confirmed == 0 && flow.sent == 5)
    flow.confirmed(1, in: flow.era)
    #expect(flow.confirmed == 5 && flow.isIdle)
    var silent = reading(after: 3)
    silent.pageRead(through: 9, hasMore: false)
    #expect(silent.confirmed == 9 && silent.isIdle)
  }

  @Test func rewindingSendsAgainThoughItWasConfirmed() {
    var flow = live(at: 9)
    flow.rewind(to: 5)
    #expect(flow.sent == 5 && flow.confirmed == 5 && flow.wantsPage)
  }

  private func reading(after position: Int64) -> AnnouncementFlow {
    var flow = AnnouncementFlow(confirmed: position)
    flow.hubFound()
    flow.asked(1)
    return flow
  }

  private func live(at position: Int64) -> AnnouncementFlow {
    var flow = reading(after: position)
    flow.pageRead(through: position, hasMore: false)
    return flow
  }
}
