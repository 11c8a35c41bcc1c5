import Bytes
import Link
import Platform
import TestKit
import Testing
import Wire

extension Contracts {
  /// What every presence service promises to gateways.
  @Suite(.enabled(if: ServiceCluster.canRun([.presence]))) struct Presence {
    private func presence(
      gateways count: Int = 2, _ body: (ServiceCluster, TestLoop, [Guest]) throws -> Void
    ) throws {
      try ServiceCluster.run([.presence]) { cluster in
        let loop = try TestLoop()
        let guests = try (0..<count).map { _ in try Guest(loop, cluster, .presence) }
        for guest in guests { try attach(guest) }
        try body(cluster, loop, guests)
      }
    }

    private func attach(_ guest: Guest, again: Bool = false) throws {
      try guest.connected()
      _ = try guest.ask(Lease(remainingMs: 1000, lane: 0, hasBeenAttached: again), Leased.self)
    }

    private func event(
      _ what: MemberEvent.What, _ client: UInt64, user: String = "", session: String = ""
    ) -> MemberEvent {
      MemberEvent(
        what, channel("room"), client: client, user: user, session: session,
        info: [])
    }

    private func report(
      _ guest: Guest, _ sequence: UInt64, _ events: [MemberEvent], whole: Bool = false
    )
      throws
    {
      try guest.link.send(
        PresenceBatch(sequence: sequence, part: whole ? .wholeReport : .next, events: events))
    }

    private func list(_ guest: Guest) throws -> PresenceList {
      try guest.ask(
        ReadPresence(remainingMs: 1000, channel: channel("room"), count: 100), PresenceList.self)
    }

    private func wait(
      _ loop: TestLoop, _ guest: Guest, members: UInt32, within: Duration = .seconds(5)
    )
      throws
    {
      var last: PresenceList?
      try loop.wait("\(members) members", within: within, state: { "\(String(describing: last))" })
      {
        last = try list(guest)
        return last?.total == members
      }
    }

    @Test func aLeaseIsGrantedForAtLeastThreeRenewals() throws {
      try ServiceCluster.run([.presence]) { cluster in
        let guest = try Guest(try TestLoop(), cluster, .presence).connected()
        let leased = try guest.ask(
          Lease(remainingMs: 1000, lane: 0, hasBeenAttached: false), Leased.self)
        #expect(leased.durationMs >= 3000)
      }
    }

    @Test func joinsAndLeavesAreSeenByThoseWhoWatchAndThoseWhoRead() throws {
      try presence { _, loop, guests in
        try guests[1].link.send(WatchPresence(channel: channel("room")))
        try loop.wait("the first page") { guests[1].pages.last?.isLast == true }
        try report(guests[0], 1, [event(.joined, 1, user: "ada"), event(.joined, 2)], whole: true)
        try wait(loop, guests[1], members: 2)
        try loop.wait("two joins") { guests[1].changes.filter { $0.what == .joined }.count == 2 }
        // Until every gateway can have reported, leaves come as another snapshot.
        try loop.wait("a complete snapshot") {
          guests[1].pages.contains { !$0.isRebuilding && $0.isLast }
        }
        try report(guests[0], 2, [event(.left, 1, user: "ada")])
        try loop.wait("a leave", state: { "\(guests[1].changes)" }) {
          guests[1].changes.contains { $0.what == .left && $0.member.key == .user("ada") }
        }
        try wait(loop, guests[1], members: 1)
        #expect(guests[0].changes.isEmpty, "who does not watch is told nothing")
      }
    }

    @Test func oneUserOnSeveralConnectionsIsOneMember() throws {
      try presence { _, loop, guests in
        try report(
          guests[0], 1, [event(.joined, 1, user: "ada"), event(.joined, 2, user: "ada")],
          whole: true)
        try report(guests[1], 1, [event(.joined, 3, user: "ada")], whole: true)
        try wait(loop, guests[0], members: 1)
        try loop.wait("three connections") { try list(guests[0]).connections == 3 }
        try report(guests[0], 2, [event(.left, 1, user: "ada"), event(.left, 2, user: "ada")])
        try loop.wait("one connection") { try list(guests[0]).connections == 1 }
        #expect(try list(guests[0]).total == 1)
      }
    }

    @Test func oneWhoIsLostAndComesBackInTimeIsNotShownToLeave() throws {
      try presence { _, loop, guests in
        try guests[1].link.send(WatchPresence(channel: channel("room")))
        try report(guests[0], 1, [event(.joined, 1, session: "s-1")], whole: true)
        try loop.wait("a join") {
          !guests[1].changes.isEmpty || guests[1].pages.contains { !$0.members.isEmpty }
        }
        try report(guests[0], 2, [event(.lost, 1, session: "s-1")])
        loop.run(for: .milliseconds(300))
        try report(guests[0], 3, [event(.joined, 2, session: "s-1")])
        loop.run(for: .milliseconds(300))
        #expect(!guests[1].changes.contains { $0.what == .left })
        #expect(try list(guests[1]).total == 1)
      }
    }

    @Test func oneWhoIsLostAndStaysAwayLeavesAfterTheGrace() throws {
      try presence { _, loop, guests in
        try report(guests[0], 1, [event(.joined, 1, session: "s-1")], whole: true)
        try wait(loop, guests[1], members: 1)
        try report(guests[0], 2, [event(.lost, 1, session: "s-1")])
        try wait(loop, guests[1], members: 0, within: .seconds(7))
      }
    }

    @Test func aGatewayThatGoesTakesItsMembersWithIt() throws {
      try presence { _, loop, guests in
        try report(guests[0], 1, [event(.joined, 1)], whole: true)
        try report(guests[1], 1, [event(.joined, 2)], whole: true)
        try wait(loop, guests[1], members: 2)
        guests[0].stop()
        try wait(loop, guests[1], members: 1, within: .seconds(12))
      }
    }

    @Test func afterARestartGatewaysReportAgainAndEverybodyIsThere() throws {
      try presence { cluster, loop, guests in
        try report(guests[0], 1, [event(.joined, 1)], whole: true)
        try wait(loop, guests[1], members: 1)
        try cluster.restart(.presence)
        try loop.wait("the links again") { guests.allSatisfy { $0.opened == 2 && $0.isOpen } }
        for guest in guests { try attach(guest, again: true) }
        try report(guests[0], 1, [event(.joined, 1)], whole: true)
        try report(guests[1], 1, [event(.joined, 2)], whole: true)
        try wait(loop, guests[1], members: 2)
      }
    }

    @Test func anOlderIncarnationIsFenced() throws {
      try ServiceCluster.run([.presence]) { cluster in
        let loop = try TestLoop()
        let new = try Guest(loop, cluster, .presence, instance: 7, incarnation: 2)
        try attach(new)
        let old = try Guest(loop, cluster, .presence, instance: 7, incarnation: 1).connected()
        _ = try? old.ask(Lease(remainingMs: 1000, lane: 0, hasBeenAttached: false), Leased.self)
        try loop.wait("fenced", state: { "\(old.ends)" }) {
          old.ends.contains { $0.code == .fenced }
        }
        #expect(new.isOpen && new.ends.isEmpty)
      }
    }

    @Test func aLinkThatHasNoLeaseIsNotHeard() throws {
      try presence(gateways: 1) { cluster, loop, guests in
        let mute = try Guest(loop, cluster, .presence).connected()
        try report(mute, 1, [event(.joined, 9)], whole: true)
        loop.run(for: .milliseconds(200))
        #expect(try list(guests[0]).total == 0)
      }
    }

    @Test(arguments: [Role.hub, .eventstore, .worker]) func otherRolesAreRefused(role: Role) throws
    {
      try ServiceCluster.run([.presence]) { cluster in
        let loop = try TestLoop()
        let guest = try Guest(loop, cluster, .presence, as: role)
        try loop.wait("a refusal") { guest.lastFailure?.contains("no business") == true }
      }
    }

    @Test func terminatedItEndsWithZero() throws {
      try presence { cluster, loop, guests in
        try cluster.send(.terminate, .presence)
        try loop.wait("goodbye") { guests.allSatisfy { !$0.ends.isEmpty } }
        #expect(try cluster.waitForEnd(.presence, within: .seconds(5)) == .exited(0))
      }
    }
  }
}
