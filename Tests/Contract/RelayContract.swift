import Link
import TestKit
import Testing
import Wire

extension Contracts {
  /// What a hub promises to gateways that ask each other for sessions.
  @Suite(.enabled(if: ServiceCluster.canRun([.hub]))) struct Relays {
    private func hub(
      gateways count: Int, as role: Role = .gateway,
      _ body: (ServiceCluster, TestLoop, [Guest]) throws -> Void
    ) throws {
      try ServiceCluster.run([.hub]) { cluster in
        let loop = try TestLoop()
        let guests = try (0..<count).map { _ in try Guest(loop, cluster, .hub, as: role) }
        for guest in guests { try guest.connected() }
        // A hub of a release before this one doesn't know them, and says so.
        guard try guests[0].link.peer?.knowsRelays ?? false else { return }
        try body(cluster, loop, guests)
      }
    }

    private func relay(
      to guest: Guest, lane: UInt16 = 0, number: UInt32 = 1, remainingMs: UInt32 = 5000,
      body: [UInt8] = []
    ) -> Relay {
      Relay(
        remainingMs: remainingMs, number: number,
        place: RelayPlace(gateway: guest.instance, lane: lane), door: .socketIO, action: .poll,
        session: "s", body: body)
    }

    /// The guest takes relays, and the hub knows it: frames of one link are dealt with in order.
    private func take(_ guest: Guest, lane: UInt16 = 0) throws {
      try guest.link.send(TakeRelays(lane: lane))
      _ = try guest.ask(ReadHeads(remainingMs: 1000, names: []), HeadsPage.self)
    }

    @Test func passesARelayOnAndItsAnswerBack() throws {
      try hub(gateways: 2) { _, loop, guests in
        let (asker, owner) = (guests[0], guests[1])
        try take(owner)
        var asked = relay(to: owner, number: 70, body: [1, 2, 3])
        asked.name = .user("ada")
        let answer = try asker.asking(asked, Relayed.self)
        try loop.wait("the relay") { owner.relays.count == 1 }
        let (header, relay) = try #require(owner.relays.first)
        asked.number = relay.number
        #expect(relay == asked, "all but its number goes on as it is")
        let reply = Relayed(status: 200, contentType: "text/plain", body: [4, 5])
        try owner.link.reply(reply, to: header.correlation)
        try loop.wait("the answer") { answer.result != nil }
        #expect(try answer.result?.get() == reply)
        let refused = try asker.asking(self.relay(to: owner, number: 71), Relayed.self)
        try loop.wait("the relay") { owner.relays.count == 2 }
        try owner.link.fail(owner.relays[1].header, .forbidden)
        try loop.wait("the refusal") { refused.result != nil }
        #expect(throws: Failure(.forbidden)) { try refused.result?.get() }
      }
    }

    @Test func lanesLeadToTheLinksThatTookThem() throws {
      try hub(gateways: 1) { cluster, loop, guests in
        let asker = guests[0]
        let lanes = try (0..<2).map { _ in try Guest(loop, cluster, .hub, instance: 77).connected() }
        for (lane, guest) in lanes.enumerated() { try take(guest, lane: UInt16(lane)) }
        var answers = [try asker.asking(relay(to: lanes[1], lane: 1, number: 1), Relayed.self)]
        try loop.wait("it") { lanes[1].relays.count == 1 }
        answers.append(
          try asker.asking(relay(to: lanes[0], lane: RelayPlace.anyLane, number: 2), Relayed.self))
        try loop.wait("it") { lanes[0].relays.count == 1 }
        #expect(lanes[1].relays.count == 1)
        #expect(try asker.refusal(relay(to: lanes[0], lane: 2, number: 3), Relayed.self) == .notFound)
        #expect(answers.allSatisfy { $0.result == nil })
      }
    }

    @Test func aGatewayThatIsNotThereIsNotFound() throws {
      try hub(gateways: 2) { _, loop, guests in
        #expect(
          try guests[0].refusal(relay(to: guests[1]), Relayed.self) == .notFound,
          "one that has not said so takes no relays")
        try take(guests[1])
        guests[1].stop()
        try loop.wait("the link's end") { !guests[1].isOpen }
        try loop.wait("it is forgotten") {
          (try? guests[0].refusal(relay(to: guests[1]), Relayed.self)) == .notFound
        }
      }
    }

    @Test func theOwnersDeathIsToldToWhoAsked() throws {
      try hub(gateways: 2) { _, loop, guests in
        try take(guests[1])
        let answer = try guests[0].asking(relay(to: guests[1]), Relayed.self, within: .seconds(30))
        try loop.wait("the relay") { guests[1].relays.count == 1 }
        guests[1].stop()
        try loop.wait("the answer") { answer.result != nil }
        #expect(throws: Failure(.linkLost)) { try answer.result?.get() }
      }
    }

    @Test func theAskersEndIsToldToTheOwner() throws {
      try hub(gateways: 2) { _, loop, guests in
        try take(guests[1])
        let answer = try guests[0].asking(relay(to: guests[1], number: 9), Relayed.self)
        try loop.wait("the relay") { guests[1].relays.count == 1 }
        let number = guests[1].relays[0].relay.number
        try guests[0].link.send(EndRelay(number: 9, why: .hurry))
        try guests[0].link.send(EndRelay(number: 8, why: .gone))
        try loop.wait("the first") { guests[1].endedRelays.count == 1 }
        #expect(guests[1].endedRelays == [EndRelay(number: number, why: .hurry)])
        #expect(answer.result == nil)
        guests[0].stop()
        try loop.wait("the second") { guests[1].endedRelays.count == 2 }
        #expect(guests[1].endedRelays[1] == EndRelay(number: number, why: .gone))
      }
    }

    @Test func whatIsLateIsGivenUpAtBothEnds() throws {
      try hub(gateways: 2) { _, loop, guests in
        try take(guests[1])
        let answer = try guests[0].asking(
          relay(to: guests[1], remainingMs: 50), Relayed.self, within: .seconds(10))
        try loop.wait("the end") { guests[1].endedRelays.count == 1 }
        try loop.wait("the answer") { answer.result != nil }
        #expect(throws: Failure(.deadlineExceeded)) { try answer.result?.get() }
        // An answer after that is nobody's, and the number is free.
        try guests[1].link.reply(Relayed(status: 200), to: guests[1].relays[0].header.correlation)
        _ = try guests[0].asking(relay(to: guests[1]), Relayed.self)
        try loop.wait("another") { guests[1].relays.count == 2 }
      }
    }

    @Test func aNumberThatIsInUseIsRefused() throws {
      try hub(gateways: 2) { _, loop, guests in
        try take(guests[1])
        let first = try guests[0].asking(relay(to: guests[1], number: 5), Relayed.self)
        try loop.wait("the relay") { guests[1].relays.count == 1 }
        #expect(try guests[0].refusal(relay(to: guests[1], number: 5), Relayed.self) == .overloaded)
        #expect(first.result == nil)
      }
    }

    @Test func onlyGatewaysAsk() throws {
      try hub(gateways: 1, as: .operations) { cluster, loop, guests in
        let owner = try Guest(loop, cluster, .hub).connected()
        try take(owner)
        #expect(try guests[0].refusal(relay(to: owner), Relayed.self) == .roleForbidden)
        try guests[0].link.send(TakeRelays(lane: 0))
        #expect(try owner.refusal(relay(to: guests[0]), Relayed.self) == .notFound)
      }
    }
  }
}
