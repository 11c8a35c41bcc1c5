import Bytes
import PresenceCore
import Testing

/// Gateways that die, freeze, come back or speak out of turn (reliability rows 42, 125, 126; D9, D10).
@Suite struct LeaseTests {
  /// Gateway `a` has ann; `b` watches and stays alive.
  private func annAndWatcher() -> (Scene, a: LinkID, b: LinkID) {
    var scene = Scene()
    let a = scene.attach("a", reporting: [joining("c1", user: "ann", session: "s")])
    let b = scene.attach("b")
    scene.watch(on: b)
    #expect(scene.events(on: b) == [.joined(user("ann"))])
    return (scene, a, b)
  }

  @Test func aKilledGatewaysMembersLeaveWithinSixSeconds() {
    var (scene, a, b) = annAndWatcher()
    scene.close(a)
    scene.advance(by: .milliseconds(4_900), alive: [b])
    #expect(scene.keys(on: b) == [user("ann")])
    scene.advance(by: .milliseconds(1_100), alive: [b])
    #expect(scene.events(on: b) == [.left(user("ann"))])
  }

  @Test func aFrozenGatewaysMembersLeaveWithinElevenSeconds() {
    var (scene, _, b) = annAndWatcher()
    scene.advance(by: .milliseconds(9_900), alive: [b])
    #expect(scene.keys(on: b) == [user("ann")])
    scene.advance(by: .milliseconds(1_100), alive: [b])
    #expect(scene.events(on: b) == [.left(user("ann"))])
  }

  @Test func aGatewayStoppedForLessThanItsLeaseLosesNobody() {
    var (scene, a, b) = annAndWatcher()
    scene.advance(by: .milliseconds(9_500), alive: [b])
    scene.advance(by: .seconds(20), alive: [a, b])
    #expect(scene.events(on: b) == [])
  }

  @Test func oneLinkRenewsTheLeaseOfAllLanes() {
    var scene = Scene()
    let first = scene.attach("a", lane: 0)
    let second = scene.attach("a", lane: 1, reporting: [joining("c1", user: "ann")])
    scene.watch(on: first)
    scene.advance(by: .seconds(30), alive: [first])
    #expect(scene.keys(on: first) == [user("ann")])
    scene.close(second)
    scene.advance(by: .seconds(6), alive: [first])
    #expect(scene.keys(on: first) == [])
  }

  @Test func aGatewayThatThawsReportsAgain() {
    var (scene, a, b) = annAndWatcher()
    scene.advance(by: .seconds(12), alive: [b])
    #expect(scene.events(on: b) == [.left(user("ann"))])
    scene.leave("c1", on: a)
    scene.turn()
    #expect(scene.answers == [.requestReport(from: a)])
    scene.send([.joined(joining("c2", user: "bob"))], .wholeReport, on: a)
    scene.turn()
    #expect(scene.events(on: b) == [.joined(user("bob"))])
  }

  @Test func aLinkThatComesBackInTimeShowsNothing() {
    var (scene, a, b) = annAndWatcher()
    scene.close(a)
    scene.advance(by: .seconds(4), alive: [b])
    let again = scene.attach(
      "a", contact: .again, reporting: [joining("c1", user: "ann", session: "s")])
    scene.advance(by: .seconds(20), alive: [again, b])
    #expect(scene.events(on: b) == [])
  }

  @Test func whoIsMissingFromAReportLeavesAfterTheGrace() {
    var (scene, a, b) = annAndWatcher()
    scene.close(a)
    let again = scene.attach("a", contact: .again)
    scene.advance(by: .milliseconds(4_900), alive: [again, b])
    #expect(scene.keys(on: b) == [user("ann")])
    scene.advance(by: .milliseconds(200), alive: [again, b])
    #expect(scene.keys(on: b) == [])
  }

  @Test func aReportThatNeverEndsKeepsNobody() {
    var (scene, a, b) = annAndWatcher()
    scene.close(a)
    let again = scene.open("a", contact: .again)
    scene.send([.joined(joining("c2", user: "bob"))], .opensReport, on: again)
    scene.advance(by: .milliseconds(10_500), alive: [again, b])
    #expect(scene.keys(on: b) == [user("bob")])
  }

  @Test func aReportMayTakeManyBatches() {
    var (scene, a, b) = annAndWatcher()
    scene.close(a)
    let again = scene.open("a", contact: .again)
    scene.send([.joined(joining("c2", user: "bob"))], .opensReport, on: again)
    scene.send([.joined(joining("c1", user: "ann", session: "s"))], on: again)
    scene.send([.joined(joining("c3", user: "cat"))], .closesReport, on: again)
    scene.advance(by: .seconds(20), alive: [again, b])
    #expect(scene.keys(on: b) == [user("ann"), user("bob"), user("cat")])
  }

  // MARK: Fencing

  @Test func aNewRunOfAGatewayOutdatesTheOld() {
    var (scene, a, b) = annAndWatcher()
    let new = scene.attach("a", incarnation: 2)
    #expect(scene.answers == [.fence(a, current: Incarnation(2))])
    scene.join(joining("c7", user: "late"), on: a)
    scene.leave("c1", on: a)
    scene.board.receivedHeartbeat(from: a, now: scene.now)
    scene.turn()
    #expect(scene.keys(on: b) == [user("ann")])
    scene.join(joining("c1", user: "ann", session: "s"), on: new)
    scene.turn()
    scene.leave("c1", on: a)
    scene.close(a)
    scene.advance(by: .seconds(20), alive: [new, b])
    #expect(scene.events(on: b) == [])
    #expect(scene.board.stats(of: lobby) == PresenceStats(connections: 1, members: 1))
  }

  @Test func anOldRunOfAGatewayIsFencedWithTheCurrentIncarnation() {
    var (scene, _, b) = annAndWatcher()
    let old = scene.attach("a", incarnation: 0, reporting: [joining("c5", user: "ghost")])
    #expect(scene.answers == [.fence(old, current: Incarnation(1))])
    scene.turn()
    #expect(scene.keys(on: b) == [user("ann")])
  }

  @Test func aRestartedGatewaysClientsResumeElsewhereUnseen() {
    var (scene, a, b) = annAndWatcher()
    scene.close(a)
    let new = scene.attach("a", incarnation: 2)
    scene.advance(by: .seconds(3), alive: [new, b])
    scene.join(joining("x", user: "ann", session: "s"), on: b)
    scene.advance(by: .seconds(20), alive: [new, b])
    #expect(scene.events(on: b) == [])
  }

  @Test func aRestartDoesNotProlongTheGraceOfTheOldRun() {
    var (scene, a, b) = annAndWatcher()
    scene.close(a)
    scene.advance(by: .seconds(4), alive: [b])
    let new = scene.attach("a", incarnation: 2)
    scene.advance(by: .seconds(2), alive: [new, b])
    #expect(scene.keys(on: b) == [])
  }

  @Test func aSecondLinkOfALaneFencesTheFirst() {
    var (scene, a, b) = annAndWatcher()
    let newer = scene.attach(
      "a", contact: .again, reporting: [joining("c1", user: "ann", session: "s")])
    #expect(scene.answers == [.fence(a, current: Incarnation(1))])
    scene.leave("c1", on: a)
    scene.close(a)
    scene.advance(by: .seconds(20), alive: [newer, b])
    #expect(scene.events(on: b) == [])
  }

  // MARK: Order

  @Test func repeatedBatchesCountOnce() {
    var (scene, a, b) = annAndWatcher()
    let join = scene.send([.joined(joining("c2", user: "bob"))], on: a)
    scene.turn()
    scene.leave("c2", on: a)
    scene.turn()
    scene.board.receivedBatch(join, from: a, now: scene.now)
    scene.turn()
    #expect(scene.events(on: b) == [.joined(user("bob")), .left(user("bob"))])
    #expect(scene.board.counters.batchesIgnored == 1)
    #expect(scene.answers == [])
  }

  @Test(arguments: ["another gateway", "an older run", "a newer run"])
  func aLinkSpeaksForItsOwnRunAlone(sender: String) {
    var (scene, a, b) = annAndWatcher()
    let leave = PresenceLeave(channel: lobby, client: clientID("c1"), manner: .goodbye)
    let incarnations: [String: UInt64] = ["an older run": 0, "a newer run": 2]
    let batch = PresenceBatch(
      gateway: gatewayID(sender == "another gateway" ? "b" : "a"),
      incarnation: Incarnation(incarnations[sender] ?? 1), sequence: 2, events: [.left(leave)])
    scene.board.receivedBatch(batch, from: a, now: scene.now)
    scene.turn()
    #expect(scene.keys(on: b) == [user("ann")])
    #expect(scene.board.counters.batchesIgnored == 1)
  }

  @Test func aDelayedLeaveAfterARejoinIsIgnored() {
    var (scene, a, b) = annAndWatcher()
    let leave = scene.send(
      [.left(PresenceLeave(channel: lobby, client: clientID("c1"), manner: .goodbye))], on: a)
    scene.join(joining("c1", user: "ann", session: "s"), on: a)
    scene.turn()
    scene.board.receivedBatch(leave, from: a, now: scene.now)
    scene.turn()
    #expect(scene.keys(on: b) == [user("ann")])
  }

  @Test func aMissingBatchMakesAReportDue() {
    var (scene, a, b) = annAndWatcher()
    scene.lose(on: a)
    scene.join(joining("c2", user: "bob"), on: a)
    scene.join(joining("c3", user: "cat"), on: a)
    scene.turn()
    #expect(scene.answers == [.requestReport(from: a)])
    #expect(scene.keys(on: b) == [user("ann")])
    scene.send([.joined(joining("c3", user: "cat"))], .wholeReport, on: a)
    scene.advance(by: .seconds(6), alive: [a, b])
    #expect(scene.keys(on: b) == [user("cat")])
  }

  @Test func batchesBeforeAReportAreIgnored() {
    var scene = Scene()
    let link = scene.open("a")
    scene.join(joining("c1", user: "ann"), on: link)
    scene.turn()
    #expect(scene.board.stats(of: lobby).members == 0)
  }

  // MARK: The service itself stops or starts

  @Test func nobodyLeavesBecauseTheServiceItselfWasStopped() {
    var (scene, a, b) = annAndWatcher()
    scene.join(joining("c2", user: "bob", session: "t"), on: a)
    scene.turn()
    scene.leave("c2", lobby, .lost, on: a)
    scene.turn()
    scene.now = scene.now + .seconds(60)
    scene.turn()
    // What waited in the sockets is read after the first turn.
    scene.join(joining("c3", user: "bob", session: "t"), on: b)
    scene.advance(by: .seconds(20), alive: [a, b])
    #expect(scene.keys(on: b) == [user("ann"), user("bob")])
    #expect(!scene.events(on: b).contains(.left(user("bob"))))
    scene.advance(by: .seconds(11), alive: [b])
    #expect(scene.keys(on: b) == [user("bob")])
  }

  @Test func afterAPauseWhatWaitsIsReadBeforeAnythingExpires() {
    var scene = Scene { $0.sweepInterval = .seconds(3600) }
    let link = scene.attach("a")
    scene.watch(on: link)
    scene.join(joining("c1", session: "s"), on: link)
    scene.leave("c1", lobby, .lost, on: link)
    scene.join(joining("c2", session: "other"), on: link)
    scene.leave("c2", lobby, .lost, on: link)
    scene.turn()
    scene.now = scene.now + .seconds(60)
    scene.turn()
    scene.now = scene.now + .milliseconds(900)
    scene.join(joining("c3", session: "s"), on: link)
    scene.turn()
    scene.now = scene.now + .milliseconds(200)
    scene.turn()
    #expect(
      scene.events(on: link) == [
        .joined(session("s")), .joined(session("other")), .left(session("other")),
      ])
  }

  @Test func aRestartedServiceShowsNoFalseLeaves() {
    var scene = Scene(.justNow)
    let b = scene.open("b", contact: .again)
    // The watcher has shown ann and bob to its clients before the service was restarted.
    scene.observers[b]?.received(
      PresencePage.complete(["ann", "bob"].map { entry($0) }, of: lobby))
    scene.observers[b]?.linkLost()
    scene.send([], .wholeReport, on: b)
    scene.watch(on: b)
    scene.advance(by: .seconds(3), alive: [b])
    #expect(scene.keys(on: b) == [user("ann"), user("bob")])
    let a = scene.attach("a", contact: .again, reporting: [joining("c1", user: "ann")])
    scene.advance(by: .seconds(6), alive: [a, b])
    #expect(scene.keys(on: b) == [user("ann"), user("bob")])
    #expect(scene.observers[b]?.view(lobby).isComplete == false)
    scene.advance(by: .seconds(2), alive: [a, b])
    #expect(scene.observers[b]?.view(lobby).isComplete == true)
    #expect(
      scene.events(on: b) == [.joined(user("ann")), .joined(user("bob")), .left(user("bob"))])
    scene.expectNoBreaches()
  }

  @Test func leavesWithheldWhileRebuildingAreMadeUpFor() {
    var scene = Scene(.justNow)
    let a = scene.attach("a", contact: .again, reporting: [joining("c1", user: "ann")])
    scene.watch(on: a)
    scene.leave("c1", on: a)
    scene.advance(by: .seconds(9), alive: [a])
    #expect(scene.keys(on: a) == [user("ann")])
    scene.advance(by: .seconds(1), alive: [a])
    #expect(scene.keys(on: a) == [])
    scene.expectNoBreaches()
  }

  @Test func theFirstStartOfAWholeSystemSettlesSoon() {
    var scene = Scene(.justNow)
    let a = scene.attach("a", contact: .first)
    scene.watch(on: a)
    scene.advance(by: .seconds(1), alive: [a])
    #expect(scene.observers[a]?.view(lobby).isComplete == true)
    scene.join(joining("c1", user: "ann"), on: a)
    scene.turn()
    scene.leave("c1", on: a)
    scene.turn()
    #expect(scene.keys(on: a) == [])
  }

  @Test func aGatewayWithAnOlderViewReopensTheRebuilding() {
    var scene = Scene(.justNow)
    let a = scene.attach("a", contact: .first)
    scene.watch(on: a)
    scene.advance(by: .seconds(2), alive: [a])
    let b = scene.attach("b", contact: .again)
    scene.watch(on: b)
    #expect(scene.observers[b]?.view(lobby).isComplete == false)
    scene.advance(by: .seconds(8), alive: [a, b])
    #expect(scene.observers[b]?.view(lobby).isComplete == true)
  }

  private func entry(_ name: String) -> PresenceEntry {
    PresenceEntry(key: user(name), client: clientID("c1"), info: [])
  }
}

extension PresencePage {
  static func complete(_ entries: [PresenceEntry], of channel: ChannelName) -> PresencePage {
    PresencePage(
      channel: channel, version: PresenceVersion(0), entries: entries, isFirst: true, isLast: true,
      completeness: .complete)
  }
}
