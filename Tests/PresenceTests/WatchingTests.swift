import Bytes
import PresenceCore
import Testing

/// Snapshots, changes and slow watchers (reliability P16, rows 124, 127).
@Suite struct WatchingTests {
  @Test func anEmptyChannelHasAnEmptySnapshot() {
    var scene = Scene()
    let link = scene.attach("a")
    scene.watch(on: link)
    #expect(scene.observers[link]?.view(lobby).isComplete == true)
    #expect(scene.observers[link]?.view(lobby).snapshots == 1)
    #expect(scene.keys(on: link) == [])
  }

  @Test func onlyWatchersOfAChannelAreTold() {
    var scene = Scene()
    let a = scene.attach("a")
    let b = scene.attach("b")
    scene.watch(on: a)
    scene.join(joining("c1", user: "ann", in: channelName("other")), on: a)
    scene.turn()
    #expect(scene.observers[a]?.view(lobby).changes == 0)
    #expect(scene.observers[b]?.views.isEmpty == true)
    scene.board.unwatched(lobby, by: a)
    scene.join(joining("c1", user: "ann"), on: a)
    scene.turn()
    #expect(scene.keys(on: a) == [])
  }

  @Test func aLargeSnapshotComesInPagesAndStaysRightUnderChurn() {
    var scene = Scene {
      $0.pageEntriesMax = 10
      $0.linkBytesPerTurn = 1
    }
    let a = scene.attach("a", reporting: (0..<100).map { joining("c\($0)", user: "u\($0)") })
    let b = scene.attach("b")
    scene.board.watched(lobby, by: b)
    for step in 0..<10 {
      scene.leave("c\(step)", on: a)
      scene.leave("c\(99 - step)", on: a)
      scene.join(joining("n\(step)", user: "n\(step)"), on: a)
      scene.endTurn()
      #expect(scene.observers[b]?.view(lobby).isComplete == false)
    }
    scene.turn()
    let members = (10..<90).map { user("u\($0)") } + (0..<10).map { user("n\($0)") }
    #expect(scene.observers[b]?.view(lobby).isComplete == true)
    #expect(scene.observers[b]?.view(lobby).snapshots == 1)
    #expect(scene.keys(on: b) == Set(members))
    scene.expectNoBreaches()
  }

  @Test func pagesAndChangesKeepToTheirSize() {
    var scene = Scene { $0.messageBytesMax = 10_000 }
    let a = scene.attach("a")
    scene.watch(on: a)
    let info = String(repeating: "i", count: 4_000)
    let joins = (0..<50).map { joining("c\($0)", user: "u\($0)", info: info) }
    scene.send(joins.map { .joined($0) }, on: a)
    var changes = 0
    var actions = scene.endTurn()
    for case .sendChanges(let batch, _) in actions {
      #expect(batch.changes.count <= 2)
      changes += batch.changes.count
    }
    #expect(changes == 50)
    scene.board.watched(lobby, by: a)
    var members = 0
    actions = scene.endTurn()
    for case .sendPage(let page, _) in actions {
      #expect(page.entries.count <= 2)
      members += page.entries.count
    }
    #expect(members == 50)
  }

  @Test func aStalledLinkIsGivenNothingAndCatchesUpByChanges() {
    var scene = Scene()
    let a = scene.attach("a")
    scene.watch(on: a)
    scene.board.linkStalled(a)
    for index in 0..<100 {
      scene.join(joining("c\(index)", user: "u\(index)"), on: a)
      scene.turn()
    }
    #expect(scene.keys(on: a) == [])
    #expect(scene.board.totals.pendingBytes > 0)
    scene.board.linkDrained(a)
    scene.turn()
    #expect(scene.keys(on: a).count == 100)
    #expect(scene.observers[a]?.view(lobby).snapshots == 1)
    #expect(scene.board.totals.pendingBytes == 0)
    scene.expectNoBreaches()
  }

  @Test func whoFallsTooFarBehindGetsASnapshotAndOthersDoNot() {
    var scene = Scene { $0.pendingChangesPerChannelMax = 64 }
    let slow = scene.attach("a")
    let quick = scene.attach("b")
    scene.watch(on: slow)
    scene.watch(on: quick)
    scene.board.linkStalled(slow)
    for index in 0..<500 {
      scene.join(joining("c\(index)", user: "u\(index)"), on: quick)
      if index >= 10 { scene.leave("c\(index - 10)", on: quick) }
      scene.turn()
    }
    scene.board.linkDrained(slow)
    scene.turn()
    #expect(scene.keys(on: slow) == scene.keys(on: quick))
    #expect(scene.keys(on: slow).count == 10)
    #expect(scene.observers[slow]?.view(lobby).snapshots == 2)
    #expect(scene.observers[quick]?.view(lobby).snapshots == 1)
    scene.expectNoBreaches()
  }

  @Test func pendingBytesOfAllChannelsAreBoundedAtTheCostOfStalledLinks() {
    var scene = Scene { $0.pendingBytesMax = 20_000 }
    let slow = scene.attach("a")
    let quick = scene.attach("b")
    let channels = (0..<20).map { channelName("channel-\($0)") }
    for channel in channels {
      scene.watch(channel, on: slow)
      scene.watch(channel, on: quick)
    }
    scene.board.linkStalled(slow)
    for index in 0..<100 {
      for channel in channels {
        scene.join(joining("c\(index)", user: "u\(index)", in: channel), on: quick)
      }
      scene.turn()
      #expect(scene.board.totals.pendingBytes <= 20_000)
    }
    scene.board.linkDrained(slow)
    scene.turn()
    for channel in channels {
      #expect(scene.keys(on: slow, channel).count == 100)
      #expect(scene.observers[quick]?.view(channel).snapshots == 1)
    }
    scene.expectNoBreaches()
  }

  @Test func watchingAgainStartsOver() {
    var scene = Scene()
    let a = scene.attach("a", reporting: [joining("c1", user: "ann")])
    scene.watch(on: a)
    scene.watch(on: a)
    #expect(scene.observers[a]?.view(lobby).snapshots == 2)
    scene.expectNoBreaches()
  }

  @Test func readersPageThroughAChannelWithoutWatching() {
    var scene = Scene { $0.pageEntriesMax = 7 }
    _ = scene.attach("a", reporting: (0..<20).map { joining("c\($0)", user: "u\($0)") })
    var keys: Set<MemberKey> = []
    var next: Int? = 0
    while let start = next {
      let page = scene.board.members(of: lobby, from: start)
      #expect(page.entries.count <= 7)
      keys.formUnion(page.entries.map(\.key))
      next = page.next
    }
    #expect(keys.count == 20)
  }

  // MARK: Bounds

  @Test(arguments: [
    (4_096, true), (4_097, false), (1_000_000, false),
  ])
  func infoHasABound(count: Int, isAdmitted: Bool) {
    var scene = Scene()
    let link = scene.attach("a")
    scene.join(
      joining("c1", user: "ann", info: String(repeating: "i", count: count)), on: link)
    scene.turn()
    #expect(scene.board.stats(of: lobby).members == (isAdmitted ? 1 : 0))
    let refusal = PresenceAction.refuseJoin(clientID("c1"), in: lobby, .infoTooLong, to: link)
    #expect(scene.answers == (isAdmitted ? [] : [refusal]))
  }

  @Test func everyCountHasABoundAndAReason() {
    var scene = Scene {
      $0.channelsMax = 2
      $0.membersPerChannelMax = 3
      $0.connectionsPerMemberMax = 2
      $0.connectionsMax = 6
      $0.infoBytesTotalMax = 10
      $0.gatewaysMax = 2
      $0.lanesPerGatewayMax = 1
      $0.watchesPerLinkMax = 1
    }
    let a = scene.attach("a")
    let other = channelName("other")
    let joins = [
      joining("c1", user: "ann", info: "0123456789"), joining("c2", user: "ann"),
      joining("c3", user: "ann"), joining("c4", user: "bob", info: "x"),
      joining("c5", user: "bob"), joining("c6", user: "cat"), joining("c7", user: "dan"),
      joining("c8", in: other), joining("c9", in: channelName("third")), joining("c10", in: other),
      joining("c11", in: other),
    ]
    scene.send(joins.map { .joined($0) }, on: a)
    scene.watch(on: a)
    scene.watch(other, on: a)
    let second = scene.open("a", lane: 1)
    _ = scene.open("b")
    let third = scene.open("c")
    scene.turn()
    let refused = { (client: String, channel: ChannelName, refusal: PresenceRefusal) in
      PresenceAction.refuseJoin(clientID(client), in: channel, refusal, to: a)
    }
    #expect(
      scene.answers == [
        refused("c3", lobby, .tooManyConnectionsOfMember), refused("c4", lobby, .infoMemoryFull),
        refused("c7", lobby, .channelFull), refused("c9", channelName("third"), .tooManyChannels),
        refused("c11", other, .tooManyConnections), .refuseWatch(other, .tooManyWatches, to: a),
        .refuseLink(second, .tooManyLanes), .refuseLink(third, .tooManyGateways),
      ])
  }

  @Test func pastTheBoundALostConnectionLeavesAtOnce() {
    var scene = Scene { $0.lingeringMax = 1 }
    let link = scene.attach(
      "a", reporting: [joining("c1", user: "ann"), joining("c2", user: "bob")])
    scene.watch(on: link)
    scene.leave("c1", lobby, .lost, on: link)
    scene.leave("c2", lobby, .lost, on: link)
    scene.turn()
    #expect(scene.keys(on: link) == [user("ann")])
  }

  @Test func whatIsNotUsedIsNotKept() {
    var scene = Scene()
    let link = scene.attach("a")
    for index in 0..<100 {
      let channel = channelName("channel-\(index)")
      scene.watch(channel, on: link)
      scene.join(joining("c\(index)", user: "ann", info: "info", in: channel), on: link)
      scene.turn()
      scene.leave("c\(index)", channel, on: link)
      scene.turn()
      scene.board.unwatched(channel, by: link)
      scene.turn()
    }
    scene.close(link)
    scene.advance(by: .seconds(700))
    #expect(scene.board.totals == PresenceTotals())
    #expect(scene.board.deadline == nil)
  }

  // MARK: Load

  /// Row 124 by count: what is sent grows with what happens, not with who is there.
  @Test func tenThousandJoinsAndLeavesCostWhatTheyChange() {
    var scene = Scene { $0.pendingChangesPerChannelMax = 200_000 }
    let a = scene.attach("a", reporting: (0..<99_900).map { joining("c\($0)", user: "u\($0)") })
    let watchers = (0..<4).map { scene.attach("w\($0)") }
    for link in watchers { scene.watch(on: link) }
    #expect(scene.keys(on: watchers[0]).count == 99_900)
    let before = scene.actionCount
    for turn in 0..<100 {
      var events: [PresenceEvent] = []
      for index in (turn * 100)..<(turn * 100 + 100) {
        events.append(.joined(joining("n\(index)", user: "n\(index)")))
        events.append(
          .left(PresenceLeave(channel: lobby, client: clientID("c\(index)"), manner: .goodbye)))
      }
      scene.send(events, on: a)
      scene.turn()
    }
    #expect(scene.actionCount - before == 100 * watchers.count)
    for link in watchers {
      #expect(scene.observers[link]?.view(lobby).changes == 20_000)
      #expect(scene.observers[link]?.view(lobby).snapshots == 1)
      #expect(scene.keys(on: link).count == 99_900)
    }
    #expect(scene.board.totals.pendingBytes == 0)
    scene.expectNoBreaches()
  }
}
