import Bytes
@testable import GatewayCore
import Testing
import Wire

@Suite struct PresenceObserverTests {
  @Test func nobodyIsToldBeforeTheFirstSnapshotIsWhole() {
    var observer = PresenceObserver()
    #expect(observer.received(page([1], isFirst: true, isLast: false)) == .news([]))
    #expect(observer.received(changes(after: 5, .joined(2))) == .news([]))
    #expect(!observer.isReady)
    #expect(observer.received(page([3], version: 6, isFirst: false)) == .ready)
    #expect(numbers(observer) == [1, 2, 3])
  }

  @Test func membersThatOnlyLookAlikeAreTwo() {
    var observer = PresenceObserver()
    let members = [
      Member(key: .user("caf\u{e9}"), client: 1), Member(key: .user("cafe\u{301}"), client: 2),
    ]
    #expect(observer.received(page(members: members)) == .ready)
    #expect(observer.count == 2)
  }

  @Test func changesAreTold() {
    var observer = ready([1])
    #expect(observer.received(changes(after: 5, .joined(2))) == .news([.joined(anonymous(2))]))
    #expect(observer.received(changes(after: 6, .left(1))) == .news([.left(anonymous(1))]))
    #expect(numbers(observer) == [2])
  }

  @Test func aChangeThatIsKnownAlreadyIsNotTold() {
    var observer = ready([1])
    #expect(observer.received(changes(after: 5, .joined(1), .left(9))) == .news([]))
  }

  @Test func otherInfoIsAnUpdate() {
    var observer = ready([1])
    let changed = Member(key: .client(1), client: 1, info: [1])
    let batch = PresenceChanges(
      channel: lobby, after: 5, changes: [MemberChange(.updated, changed)])
    #expect(observer.received(batch) == .news([.updated(changed)]))
  }

  @Test func aMemberKeepsTheClientItWasShownWith() {
    var observer = PresenceObserver()
    let first = Member(key: .session("s"), client: 7)
    let resumed = Member(key: .session("s"), client: 8)
    _ = observer.received(page(members: [first]))
    observer.startOver()
    #expect(observer.received(page(members: [resumed], version: 0)) == .news([]))
    let gone = PresenceChanges(channel: lobby, after: 0, changes: [MemberChange(.left, resumed)])
    #expect(observer.received(gone) == .news([.left(first)]))
  }

  @Test func whoeverLeftIsToldWithWhatWasKnownOfHim() {
    var observer = PresenceObserver()
    let ada = Member(key: .session("s"), client: 7, info: [1])
    _ = observer.received(page(members: [ada]))
    let gone = MemberChange(.left, Member(key: .session("s"), client: 0))
    let batch = PresenceChanges(channel: lobby, after: 5, changes: [gone])
    #expect(observer.received(batch) == .news([.left(ada)]))
  }

  @Test func aMissingChangeIsOutOfStepAndWhatFollowsIsPassedOver() {
    var observer = ready([1])
    #expect(observer.received(changes(after: 7, .joined(2))) == .outOfStep)
    #expect(observer.received(changes(after: 8, .joined(3))) == .news([]))
    #expect(numbers(observer) == [1])
  }

  @Test func overALostLinkEverybodyStaysAndOnlyTheDifferenceIsTold() {
    var observer = ready([1, 2])
    observer.startOver()
    #expect(numbers(observer) == [1, 2])
    let outcome = observer.received(page([2, 3], version: 0))
    #expect(outcome == .news([.joined(anonymous(3)), .left(anonymous(1))]))
  }

  @Test func aSnapshotOfAServiceThatRebuildsTakesNobodyAway() {
    var observer = ready([1, 2])
    observer.startOver()
    #expect(observer.received(page([2], version: 0, isRebuilding: true)) == .news([]))
    #expect(numbers(observer) == [1, 2])
    #expect(observer.received(page([2], version: 1)) == .news([.left(anonymous(1))]))
  }

  @Test func aMemberOfAnEarlierPageWhoLeavesBeforeTheLastIsGone() {
    var observer = ready([])
    _ = observer.received(page([1], version: 9, isLast: false))
    #expect(observer.received(changes(after: 9, .left(1))) == .news([.left(anonymous(1))]))
    #expect(observer.received(page([2], version: 10, isFirst: false)) == .news([.joined(anonymous(2))]))
    #expect(numbers(observer) == [2])
  }

  @Test func aSnapshotThatStartsAgainForgetsItsEarlierPages() {
    var observer = ready([1])
    _ = observer.received(page([1, 2], version: 9, isLast: false))
    #expect(observer.received(page([2], version: 12)) == .news([.left(anonymous(1))]))
  }

  @Test func pagesOfAWatchThatWasGivenUpArePassedOver() {
    var observer = PresenceObserver()
    #expect(observer.received(page([1], isFirst: false)) == .news([]))
    #expect(!observer.isReady)
    #expect(observer.count == 0)
  }

  // MARK: fixtures

  private let lobby = ChannelName("lobby") ?? { preconditionFailure("a valid name") }()

  private enum Change { case joined(UInt64), left(UInt64) }

  private func anonymous(_ number: UInt64) -> Member { Member(key: .client(number), client: number) }

  private func numbers(_ observer: PresenceObserver) -> [UInt64] {
    observer.members(.max).map(\.client).sorted()
  }

  private func ready(_ numbers: [UInt64]) -> PresenceObserver {
    var observer = PresenceObserver()
    _ = observer.received(page(numbers))
    return observer
  }

  private func page(
    _ numbers: [UInt64] = [], members: [Member] = [], version: UInt64 = 5, isFirst: Bool = true,
    isLast: Bool = true, isRebuilding: Bool = false
  ) -> PresencePage {
    PresencePage(
      channel: lobby, version: version, isFirst: isFirst, isLast: isLast,
      isRebuilding: isRebuilding, members: numbers.map(anonymous) + members)
  }

  private func changes(after version: UInt64, _ list: Change...) -> PresenceChanges {
    PresenceChanges(
      channel: lobby, after: version,
      changes: list.map {
        switch $0 {
        case .joined(let number): MemberChange(.joined, anonymous(number))
        case .left(let number): MemberChange(.left, anonymous(number))
        }
      })
  }
}
