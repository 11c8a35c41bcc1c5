import Bytes
import Link
import Platform
import TestKit
import Testing
import Wire

extension Contracts {
  /// What every hub promises to those who link to it.
  @Suite(.enabled(if: ServiceCluster.canRun([.hub]))) struct Hub {
    /// A hub, and as many gateways on one loop.
    private func hub(
      gateways count: Int = 1, _ body: (ServiceCluster, TestLoop, [Guest]) throws -> Void
    ) throws {
      try ServiceCluster.run([.hub]) { cluster in
        let loop = try TestLoop()
        let guests = try (0..<count).map { _ in try Guest(loop, cluster, .hub) }
        for guest in guests { try guest.connected() }
        try body(cluster, loop, guests)
      }
    }

    private func open(
      _ name: String, _ flags: OpenFlags = [.subscribe, .publish], durable: Bool = false,
      history: UInt32 = 0, clients: UInt32 = 1
    ) -> OpenChannel {
      OpenChannel(
        remainingMs: 5000, name: channel(name), flags: flags, isDurable: durable,
        historyCount: history, historyMs: history == 0 ? 0 : 60_000, subscribers: clients)
    }

    private func publish(
      _ handle: ChannelHandle, _ text: String, key: String = "", expected: UInt64? = nil,
      flags: Publish.Flags = []
    ) -> Publish {
      Publish(
        remainingMs: 5000, handle: handle, flags: flags, timeMs: 5,
        publisher: Publisher(client: 9, user: "u"),
        eventType: "t", key: key, expected: expected.map { Offset($0) },
        payload: Payload(text: text))
    }

    private func read(
      _ name: String, after: UInt64 = 0, count: UInt32 = 100, bytes: UInt32 = 1 << 20,
      isReverse: Bool = false
    )
      -> ReadHistory
    {
      ReadHistory(
        remainingMs: 5000, name: channel(name), after: Offset(after), count: count, bytes: bytes,
        isReverse: isReverse)
    }

    @Test func aPublicationReachesEveryLinkThatSubscribesAndNoOther() throws {
      try hub(gateways: 3) { _, loop, guests in
        let first = try guests[0].ask(open("a"), ChannelOpened.self)
        let second = try guests[1].ask(open("a"), ChannelOpened.self)
        let third = try guests[2].ask(open("a", [.publish]), ChannelOpened.self)
        #expect(first.handle == second.handle && second.handle == third.handle)
        #expect(first.epoch == nil && third.subscribers == 3)
        let done = try guests[2].ask(publish(third.handle, "x"), Published.self)
        #expect(done.position == nil && done.subscribers == 3)
        try loop.wait("the publication") {
          guests[0].publications.count == 1 && guests[1].publications.count == 1
        }
        let publication = try #require(guests[0].publications.first)
        #expect(publication.payload == Payload(text: "x") && publication.timeMs == 5)
        #expect(
          publication.publisher == Publisher(client: 9, user: "u") && publication.eventType == "t")
        #expect(publication.position == nil && publication.origin != 0)
        #expect(guests[2].publications.isEmpty)
      }
    }

    @Test func aPublisherThatSubscribesGetsItsOwn() throws {
      try hub { _, loop, guests in
        let handle = try guests[0].ask(open("a"), ChannelOpened.self).handle
        _ = try guests[0].ask(publish(handle, "x"), Published.self)
        try loop.wait("it") { guests[0].publications.count == 1 }
      }
    }

    @Test func orderAndOffsetsAreTheSameForAllAndInTheHistory() throws {
      try hub(gateways: 3) { _, loop, guests in
        let opened = try guests.map { try $0.ask(open("a", history: 5000), ChannelOpened.self) }
        let epoch = try #require(opened[0].epoch)
        #expect(opened.allSatisfy { $0.epoch == epoch && $0.head == .zero })
        var answers: [Guest.Answer<Published>] = []
        for number in 0..<1000 {
          answers.append(
            try guests[number % 2].asking(publish(opened[0].handle, "\(number)"), Published.self))
        }
        try loop.wait("all") {
          answers.allSatisfy { $0.result != nil }
            && guests.allSatisfy { $0.publications.count == 1000 }
        }
        let offsets = try answers.map { try #require(try $0.result?.get().position?.offset.value) }
        #expect(offsets.sorted() == Array(1...1000))
        for guest in guests {
          #expect(guest.publications.map { $0.position?.offset.value } == (1...1000).map { $0 })
          #expect(guest.publications.allSatisfy { $0.position?.epoch == epoch })
        }
        #expect(guests[0].publications.map(\.payload) == guests[2].publications.map(\.payload))
        for (number, offset) in offsets.enumerated() {
          #expect(guests[0].publications[Int(offset) - 1].payload.text == "\(number)")
        }
        let page = try guests[0].ask(read("a", count: 2000), HistoryPage.self).page
        #expect(page.events.map(\.payload) == guests[0].publications.map(\.payload))
        #expect(page.head == Offset(1000) && page.epoch == epoch && page.floor == .zero)
      }
    }

    @Test func historyIsPagedBothWaysAndTrimmedByCount() throws {
      try hub { _, _, guests in
        let handle = try guests[0].ask(open("a", history: 5), ChannelOpened.self).handle
        for number in 1...8 { _ = try guests[0].ask(publish(handle, "\(number)"), Published.self) }
        let page = try guests[0].ask(read("a", count: 3), HistoryPage.self).page
        #expect(page.events.map(\.payload.text) == ["4", "5", "6"])
        #expect(page.hasMore && page.floor == Offset(3) && page.head == Offset(8))
        let rest = try guests[0].ask(read("a", after: 6), HistoryPage.self).page
        #expect(rest.events.map(\.offset.value) == [7, 8] && !rest.hasMore)
        let back = try guests[0].ask(read("a", count: 2, isReverse: true), HistoryPage.self).page
        #expect(back.events.map(\.offset.value) == [8, 7] && back.hasMore)
        let head = try guests[0].ask(read("a", count: 0), HistoryPage.self).page
        #expect(head.events.isEmpty && head.head == Offset(8))
      }
    }

    @Test func aPageOfAnySizeAskedForFitsAFrame() throws {
      try hub { _, _, guests in
        let handle = try guests[0].ask(open("a", history: 100), ChannelOpened.self).handle
        let large = String(repeating: "x", count: 1 << 20)
        for _ in 0..<20 { _ = try guests[0].ask(publish(handle, large), Published.self) }
        let page = try guests[0].ask(read("a", count: .max, bytes: .max), HistoryPage.self).page
        #expect(page.hasMore && page.events.count >= 8)
        #expect(guests[0].ends.isEmpty)
      }
    }

    @Test func theSameKeyIsAnsweredWithTheFirstPositionAndAnotherPayloadRefused() throws {
      try hub { _, loop, guests in
        for (name, history) in [("kept", UInt32(10)), ("unkept", 0)] {
          let handle = try guests[0].ask(open(name, history: history), ChannelOpened.self).handle
          let first = try guests[0].ask(publish(handle, "x", key: "k"), Published.self)
          let again = try guests[0].ask(publish(handle, "x", key: "k"), Published.self)
          #expect(!first.isDuplicate && again.isDuplicate && again.position == first.position)
          let conflict = try guests[0].refusal(publish(handle, "y", key: "k"), Published.self)
          #expect(conflict == .idempotencyConflict)
        }
        loop.run(for: .milliseconds(50))
        #expect(guests[0].publications.count == 2)
      }
    }

    @Test func anExpectedOffsetIsHeldOrRefused() throws {
      try hub { _, _, guests in
        let kept = try guests[0].ask(open("a", history: 10), ChannelOpened.self).handle
        _ = try guests[0].ask(publish(kept, "1", expected: 0), Published.self)
        #expect(
          try guests[0].refusal(publish(kept, "2", expected: 0), Published.self) == .offsetConflict)
        #expect(try guests[0].refusal(publish(kept, "2", expected: 1), Published.self) == nil)
        let unkept = try guests[0].ask(open("b"), ChannelOpened.self).handle
        #expect(
          try guests[0].refusal(publish(unkept, "1", expected: 0), Published.self) == .noHistory)
      }
    }

    @Test func countsFollowClientsAndLinks() throws {
      try hub(gateways: 2) { _, loop, guests in
        let handle = try guests[0].ask(
          open("a", [.subscribe, .count], clients: 2), ChannelOpened.self
        )
        .handle
        _ = try guests[1].ask(open("a", clients: 3), ChannelOpened.self)
        try loop.wait("5", state: { "\(guests[0].counts)" }) {
          guests[0].counts.last?.subscribers == 5
        }
        try guests[1].link.send(SubscriberCount(handle: handle, subscribers: 10))
        try loop.wait("12") { guests[0].counts.last?.subscribers == 12 }
        let list = try guests[0].ask(
          CountChannels(remainingMs: 1000, prefix: "", after: "", limit: 10), ChannelCounts.self)
        #expect(list.channels == [.init(name: channel("a"), subscribers: 12)] && list.total == 1)
        _ = try guests[0].ask(open("ab", clients: 1), ChannelOpened.self)
        for (name, total) in [("a", 1), ("ab", 1), ("abc", 0)] as [(String, UInt32)] {
          let one = try guests[0].ask(
            CountChannels(remainingMs: 1000, prefix: name, after: "", limit: 1, isExact: true),
            ChannelCounts.self)
          #expect(one.total == total && one.channels.allSatisfy { $0.name.text == name })
        }
        guests[1].stop()
        try loop.wait("2") { guests[0].counts.last?.subscribers == 2 }
      }
    }

    @Test func aRemovedHistoryIsGoneAndItsOffsetsGoOn() throws {
      try hub(gateways: 2) { _, _, guests in
        let opened = try guests[0].ask(open("a", history: 10), ChannelOpened.self)
        guard try guests[0].link.peer?.knowsRemovals ?? false else { return }
        for text in ["1", "2"] { _ = try guests[0].ask(publish(opened.handle, text), Published.self) }
        let request = RemoveHistory(remainingMs: 1000, name: channel("a"))
        let removed = try guests[1].ask(request, HistoryRemoved.self).head
        #expect(removed.floor == Offset(2) && removed.head == Offset(2) && removed.epoch == opened.epoch)
        let third = try guests[0].ask(publish(opened.handle, "3"), Published.self)
        #expect(third.position?.offset == Offset(3) && third.position?.epoch == opened.epoch)
        let page = try guests[0].ask(
          ReadHistory(remainingMs: 1000, name: channel("a"), after: .zero, count: 10, bytes: 1000),
          HistoryPage.self
        ).page
        #expect(page.events.map(\.offset.value) == [3] && page.floor == Offset(2))
        let none = RemoveHistory(remainingMs: 1000, name: channel("none"))
        #expect(try guests[0].ask(none, HistoryRemoved.self).head.epoch == nil)
      }
    }

    @Test func headsTellWhereChannelsStand() throws {
      try hub { _, _, guests in
        let opened = try guests[0].ask(open("a", history: 10), ChannelOpened.self)
        _ = try guests[0].ask(publish(opened.handle, "x"), Published.self)
        let heads = try guests[0].ask(
          ReadHeads(remainingMs: 1000, names: [channel("none"), channel("a")]), HeadsPage.self
        ).heads
        #expect(heads.map(\.name.text) == ["none", "a"])
        #expect(
          heads[0].epoch == nil && heads[1].epoch == opened.epoch && heads[1].head == Offset(1))
      }
    }

    @Test func aClosedNumberIsStaleAndGivenOutAgainWithAnotherGeneration() throws {
      try hub { _, loop, guests in
        let old = try guests[0].ask(open("a"), ChannelOpened.self).handle
        #expect(try guests[0].ask(CloseChannel(handle: old), ChannelClosed.self).handle == old)
        #expect(try guests[0].refusal(publish(old, "x"), Published.self) == .staleHandle)
        let new = try guests[0].ask(open("b"), ChannelOpened.self).handle
        #expect(new != old)
        #expect(try guests[0].refusal(publish(old, "x"), Published.self) == .staleHandle)
        #expect(
          try guests[0].refusal(
            publish(ChannelHandle(number: 4_000_000, generation: 1), "x"), Published.self)
            == .staleHandle)
        loop.run(for: .milliseconds(50))
        #expect(guests[0].publications.isEmpty)
      }
    }

    @Test func aHistoryOutlivesThoseWhoHaveTheChannelOpen() throws {
      try hub { _, _, guests in
        let opened = try guests[0].ask(open("a", history: 10), ChannelOpened.self)
        _ = try guests[0].ask(publish(opened.handle, "x"), Published.self)
        _ = try guests[0].ask(CloseChannel(handle: opened.handle), ChannelClosed.self)
        let again = try guests[0].ask(open("a", history: 10), ChannelOpened.self)
        #expect(again.epoch == opened.epoch && again.head == Offset(1))
      }
    }

    @Test func onlyTheEventStoreSequencesAndEachOffsetIsPassedOnOnce() throws {
      try hub { cluster, loop, guests in
        let store = try Guest(loop, cluster, .hub, as: .eventstore).connected()
        let handle = try guests[0].ask(open("log", durable: true), ChannelOpened.self).handle
        func announce(_ offset: UInt64) -> Publish {
          Publish(
            remainingMs: 5000, handle: .none, name: "log", flags: .sequenced, timeMs: 5,
            publisher: Publisher(), eventType: "",
            position: Position(epoch: Epoch("e")!, offset: Offset(offset)),
            payload: Payload(text: "\(offset)"))
        }
        for offset in [1, 2, 2, 1, 3] as [UInt64] {
          _ = try store.ask(announce(offset), Published.self)
        }
        try loop.wait("three") { guests[0].publications.count == 3 }
        #expect(guests[0].publications.map { $0.position?.offset.value } == [1, 2, 3])
        #expect(try guests[0].refusal(announce(4), Published.self) == .roleForbidden)
        #expect(try guests[0].refusal(publish(handle, "x"), Published.self) == .badRequest)
        loop.run(for: .milliseconds(50))
        #expect(guests[0].publications.count == 3)
      }
    }

    @Test func whatSkipsTheHistoryOfADurableChannelIsPassedOnWithoutAPosition() throws {
      try hub { _, loop, guests in
        let handle = try guests[0].ask(open("log", durable: true), ChannelOpened.self).handle
        let published = try guests[0].ask(publish(handle, "x", flags: .skipHistory), Published.self)
        #expect(published.position == nil && published.subscribers == 1)
        try loop.wait("it") { guests[0].publications.count == 1 }
        #expect(guests[0].publications.first?.position == nil)
      }
    }

    @Test func aLinkThatCannotKeepUpLosesAloneAndIsToldHowMany() throws {
      try hub(gateways: 3) { _, loop, guests in
        let (publisher, slow, quick) = (guests[0], guests[1], guests[2])
        let handle = try publisher.ask(open("a", [.publish], clients: 0), ChannelOpened.self).handle
        _ = try slow.ask(open("a"), ChannelOpened.self)
        _ = try quick.ask(open("a"), ChannelOpened.self)
        slow.consumption = .later
        let large = String(repeating: "x", count: 1 << 20)
        let total = 48
        // The quick one has each before the next: on a busy machine it might not keep up either.
        for number in 1...total {
          _ = try publisher.ask(publish(handle, large), Published.self)
          try loop.wait("the quick one has it") { quick.publications.count == number }
        }
        #expect(slow.publications.count < total)
        slow.consumption = .now
        try slow.releaseAll()
        try loop.wait("a gap") { !slow.gaps.isEmpty }
        #expect(slow.gaps.first?.handle == handle)
        #expect(slow.publications.count + Int(slow.gaps.reduce(0) { $0 + $1.dropped }) == total)
        #expect(quick.gaps.isEmpty)
        _ = try publisher.ask(publish(handle, "after"), Published.self)
        try loop.wait("what follows") { slow.publications.last?.payload.text == "after" }
      }
    }

    @Test(arguments: [Role.presence, .hub]) func otherRolesAreRefused(role: Role) throws {
      try ServiceCluster.run([.hub]) { cluster in
        let loop = try TestLoop()
        let guest = try Guest(loop, cluster, .hub, as: role)
        try loop.wait("a refusal") { guest.lastFailure?.contains("no business") == true }
        // The hub's own hello may have opened this end already; the hub took nothing from it.
        #expect(guest.ends.allSatisfy { $0.code == .roleForbidden && $0.isPeers })
      }
    }

    @Test func aRestartedHubHasOtherEpochs() throws {
      try hub { cluster, loop, guests in
        let before = try guests[0].ask(open("a", history: 10), ChannelOpened.self)
        _ = try guests[0].ask(publish(before.handle, "x"), Published.self)
        try cluster.restart(.hub)
        try loop.wait("the link again") { guests[0].opened == 2 }
        let after = try guests[0].ask(open("a", history: 10), ChannelOpened.self)
        #expect(after.head == .zero && after.epoch != nil && after.epoch != before.epoch)
      }
    }

    @Test func aKindThatAHubDoesNotKnowIsRefusedAndTheLinkStands() throws {
      try hub { _, _, guests in
        let refusal = try guests[0].refusal(Probe(remainingMs: 1), Probed.self)
        #expect(refusal == .unexpectedKind && guests[0].isOpen)
      }
    }

    /// Taken and passed over it would look like a check.
    @Test func aPrincipalIsRefusedSinceNobodyHereWouldLookAtIt() throws {
      try hub { _, _, guests in
        let principal = OpenPrincipal(number: 1, user: "ada")
        let refusal = try guests[0].refusal(principal, Published.self)
        #expect(refusal == .unexpectedKind)
      }
    }

    @Test func terminatedItSaysGoodbyeAndEndsWithZero() throws {
      try hub { cluster, loop, guests in
        try cluster.send(.terminate, .hub)
        try loop.wait("goodbye") { !guests[0].ends.isEmpty }
        #expect(guests[0].ends.first?.code == .draining)
        #expect(try cluster.waitForEnd(.hub, within: .seconds(5)) == .exited(0))
      }
    }
  }
}
