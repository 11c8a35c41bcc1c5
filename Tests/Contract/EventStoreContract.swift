import Bytes
import Crypto
import Link
import Platform
import TestKit
import Testing
import Wire

extension Contracts {
  /// What every event store promises to those who link to it.
  @Suite(.enabled(if: ServiceCluster.canRun([.eventstore, .hub]))) struct EventStore {
    private func store(_ body: (ServiceCluster, TestLoop, Guest) throws -> Void) throws {
      try ServiceCluster.run([.eventstore]) { cluster in
        let loop = try TestLoop()
        try body(cluster, loop, try Guest(loop, cluster, .eventstore).connected())
      }
    }

    private func append(
      _ stream: String, _ texts: [String], key: String = "", expected: UInt64? = nil
    ) -> Append {
      Append(
        remainingMs: 5000, stream: channel(stream), expected: expected.map { Offset($0) }, key: key,
        client: 3, user: "u",
        events: texts.map { NewEvent(payload: Payload(text: $0), eventType: "t", meta: [1]) })
    }

    private func read(
      _ stream: String, after: UInt64 = 0, count: UInt32 = 1000, bytes: UInt32 = 1 << 20,
      isReverse: Bool = false
    ) -> ReadStream {
      ReadStream(
        remainingMs: 5000, stream: channel(stream), after: Offset(after), count: count,
        bytes: bytes,
        isReverse: isReverse)
    }

    /// Whether a stream has its epoch before its first event, and histories can be removed: not in
    /// builds that know no removals.
    private func beginsEarly(_ guest: Guest) throws -> Bool {
      try guest.link.peer?.knowsRemovals ?? false
    }

    @Test func whatIsAppendedIsReadAsItWas() throws {
      try store { _, _, guest in
        let first = try guest.ask(append("a", ["1", "2"]), Appended.self)
        let second = try guest.ask(append("a", ["3"]), Appended.self)
        #expect(first.first == Offset(1) && first.count == 2 && !first.isDuplicate)
        #expect(second.first == Offset(3) && second.epoch == first.epoch)
        let page = try guest.ask(read("a"), StreamPage.self).page
        #expect(page.events.map(\.payload.text) == ["1", "2", "3"])
        #expect(page.events.map(\.offset.value) == [1, 2, 3])
        #expect(page.epoch == first.epoch && page.head == Offset(3) && page.floor == .zero)
        let event = try #require(page.events.first)
        #expect(event.publisher == Publisher(client: 3, user: "u") && event.eventType == "t")
        #expect(event.meta == [1] && event.timeMs == first.timeMs && first.timeMs > 0)
      }
    }

    private func events(_ after: UInt64, _ prefix: String, waitMs: UInt32 = 0) -> ReadEvents {
      ReadEvents(
        remainingMs: 5000, waitMs: waitMs, after: after, prefix: prefix, count: 100, bytes: 1 << 20)
    }

    @Test func aReadOfAllStreamsWaitsForTheCommitItAsksFor() throws {
      try store { _, loop, guest in
        guard try guest.link.peer?.knowsEventsInOrder ?? false else { return }
        _ = try guest.ask(append("a:1", ["1"]), Appended.self)
        let first = try guest.ask(events(0, "a:", waitMs: 4000), EventsPage.self)
        #expect(first.events.map(\.position) == [1] && first.through == 1 && first.head == 1)
        let waiting = try guest.asking(events(1, "a:", waitMs: 4000), EventsPage.self)
        for _ in 0..<3 { _ = try guest.ask(append("b", ["x"]), Appended.self) }
        #expect(waiting.result == nil)
        _ = try guest.ask(append("a:2", ["2", "3"]), Appended.self)
        try loop.wait("the commit", within: .seconds(3)) { waiting.result != nil }
        let page = try #require(try waiting.result?.get())
        #expect(page.events.map(\.position) == [5, 6] && page.store == first.store)
        #expect(page.events.map(\.stream) == [channel("a:2"), channel("a:2")])
        // Nothing for it: it learns how far all was looked at.
        let empty = try guest.asking(events(6, "a:", waitMs: 300), EventsPage.self)
        _ = try guest.ask(append("b", ["x"]), Appended.self)
        try loop.wait("its time", within: .seconds(3)) { empty.result != nil }
        let nothing = try #require(try empty.result?.get())
        #expect(nothing.events.isEmpty && nothing.through == 7 && !nothing.hasMore)
      }
    }

    @Test func aLinkMayHaveSoManyReadsWaitAndNotOneMore() throws {
      try store { _, loop, guest in
        guard try guest.link.peer?.knowsEventsInOrder ?? false else { return }
        let most = 1_024
        let waiting = try (0...most).map { _ in
          try guest.asking(events(0, "", waitMs: 4000), EventsPage.self)
        }
        try loop.wait("one too many", within: .seconds(4)) { waiting.contains { $0.result != nil } }
        var refused: [ErrorCode] = []
        for answer in waiting {
          if case .failure(let failure) = answer.result { refused.append(failure.code) }
        }
        #expect(refused == [.overloaded])
        _ = try guest.ask(append("a", ["1"]), Appended.self)
        try loop.wait("the others", within: .seconds(4)) { waiting.allSatisfy { $0.result != nil } }
        let given = waiting.filter { (try? $0.result?.get())?.events.count == 1 }
        #expect(given.count == most)
      }
    }

    @Test func aProducersRefusalsSayTheNumberThatGoesWithThem() throws {
      try store { _, _, guest in
        guard try guest.link.peer?.knowsProducers ?? false else { return }
        func produce(_ epoch: UInt64, _ sequence: UInt64) throws -> Failure? {
          var message = append("a", ["x"])
          message.producer = ProducerMark(id: "p", epoch: epoch, sequence: sequence)
          do { _ = try guest.ask(message, Appended.self) } catch let failure as Failure { return failure }
          return nil
        }
        for sequence in [UInt64(0), 1, 1] { #expect(try produce(7, sequence) == nil) }
        let gap = try #require(try produce(7, 9))
        #expect(gap.code == .sequenceGap && gap.number == 2)
        let older = try #require(try produce(6, 0))
        #expect(older.code == .fenced && older.number == 7)
        let page = try guest.ask(read("a"), StreamPage.self).page
        #expect(page.head == Offset(2))
      }
    }

    @Test func everyKindOfPayloadKeepsItsBytes() throws {
      try store { _, _, guest in
        let payloads =
          PayloadKind.allCases.map { Payload($0, [UInt8]("{\"x\":1}".utf8)) }
          + [Payload(.binary, []), Payload(.binary, (0...255).map { UInt8($0) })]
        var message = append("a", [])
        message.events = payloads.map { NewEvent(payload: $0) }
        _ = try guest.ask(message, Appended.self)
        #expect(try guest.ask(read("a"), StreamPage.self).page.events.map(\.payload) == payloads)
      }
    }

    /// Taken and passed over it would look like a check.
    @Test func aPrincipalIsRefusedSinceNobodyHereWouldLookAtIt() throws {
      try store { _, _, guest in
        let principal = OpenPrincipal(number: 1, user: "ada")
        let refusal = try guest.refusal(principal, Appended.self)
        #expect(refusal == .unexpectedKind)
      }
    }

    @Test func anExpectedOffsetIsHeldOrNothingIsWritten() throws {
      try store { _, _, guest in
        #expect(
          try guest.refusal(append("a", ["x"], expected: 1), Appended.self) == .offsetConflict)
        _ = try guest.ask(append("a", ["1"], expected: 0), Appended.self)
        #expect(
          try guest.refusal(append("a", ["x"], expected: 0), Appended.self) == .offsetConflict)
        _ = try guest.ask(append("a", ["2"], expected: 1), Appended.self)
        #expect(
          try guest.ask(read("a"), StreamPage.self).page.events.map(\.payload.text) == ["1", "2"])
      }
    }

    @Test func ofManyAtOnceOnlyOneMeetsItsExpectation() throws {
      try store { _, loop, guest in
        let answers = try (0..<50).map {
          try guest.asking(append("a", ["\($0)"], expected: 0), Appended.self)
        }
        try loop.wait("all answers") { answers.allSatisfy { $0.result != nil } }
        #expect(answers.filter { (try? $0.result?.get()) != nil }.count == 1)
        #expect(try guest.ask(read("a"), StreamPage.self).page.head == Offset(1))
      }
    }

    @Test func theSameKeyIsAnsweredWithTheFirstOffsetsAlsoAfterARestart() throws {
      try store { cluster, loop, guest in
        let first = try guest.ask(append("a", ["x", "y"], key: "k"), Appended.self)
        let again = try guest.ask(append("a", ["x", "y"], key: "k"), Appended.self)
        #expect(again.isDuplicate && again.first == first.first && again.count == 2)
        #expect(
          try guest.refusal(append("a", ["z"], key: "k"), Appended.self) == .idempotencyConflict)
        #expect(try guest.ask(append("b", ["z"], key: "k"), Appended.self).first == Offset(1))
        try cluster.restart(.eventstore)
        try loop.wait("the link again") { guest.opened == 2 }
        let later = try guest.ask(append("a", ["x", "y"], key: "k"), Appended.self)
        #expect(later.isDuplicate && later.first == first.first && later.epoch == first.epoch)
        #expect(try guest.ask(read("a"), StreamPage.self).page.head == Offset(2))
      }
    }

    @Test func pagesAreCutByCountAndBytesBothWays() throws {
      try store { _, _, guest in
        _ = try guest.ask(append("a", (1...10).map { "number \($0)" }), Appended.self)
        let page = try guest.ask(read("a", after: 2, count: 3), StreamPage.self).page
        #expect(page.events.map(\.offset.value) == [3, 4, 5] && page.hasMore)
        let byBytes = try guest.ask(read("a", bytes: 20), StreamPage.self).page
        #expect((1...2).contains(byBytes.events.count) && byBytes.hasMore)
        #expect(try guest.ask(read("a", bytes: 0), StreamPage.self).page.events.count == 1)
        let back = try guest.ask(read("a", count: 2, isReverse: true), StreamPage.self).page
        #expect(back.events.map(\.offset.value) == [10, 9] && back.hasMore)
        let before = try guest.ask(read("a", after: 2, count: 5, isReverse: true), StreamPage.self)
          .page
        #expect(before.events.map(\.offset.value) == [1] && !before.hasMore)
        let head = try guest.ask(read("a", count: 0), StreamPage.self).page
        #expect(head.events.isEmpty && head.head == Offset(10))
        let none = try guest.ask(read("none"), StreamPage.self).page
        let isEarly = try beginsEarly(guest)
        #expect(isEarly == (none.epoch != nil) && none.events.isEmpty && none.head == .zero)
      }
    }

    /// Whoever waits at an empty stream can say where he is, and goes on from there.
    @Test func anEmptyStreamHasTheEpochThatItsFirstEventGetsThroughRestarts() throws {
      try store { cluster, loop, guest in
        guard try beginsEarly(guest) else { return }
        let before = try guest.ask(read("a", count: 0), StreamPage.self).page
        let other = try guest.ask(read("b", count: 0), StreamPage.self).page
        #expect(before.epoch != nil && other.epoch != nil && before.epoch != other.epoch)
        try cluster.kill(.eventstore)
        try cluster.restart(.eventstore)
        let again = try Guest(loop, cluster, .eventstore).connected()
        let first = try again.ask(append("a", ["1"]), Appended.self)
        #expect(first.epoch == before.epoch && first.first == Offset(1))
        #expect(try again.ask(read("b", count: 0), StreamPage.self).page.epoch == other.epoch)
        let list = try again.ask(
          ListStreams(remainingMs: 1000, prefix: "", after: "", limit: 10), StreamList.self)
        #expect(list.streams.map(\.name.text) == ["a"])
      }
    }

    @Test func aRemovedHistoryIsGoneThroughRestartsAndItsOffsetsGoOn() throws {
      try store { cluster, loop, guest in
        guard try beginsEarly(guest) else { return }
        let first = try guest.ask(append("a", ["1", "2"], key: "once"), Appended.self)
        _ = try guest.ask(append("b", ["other"]), Appended.self)
        let request = RemoveHistory(remainingMs: 5000, name: channel("a"))
        let removed = try guest.ask(request, HistoryRemoved.self).head
        #expect(removed.floor == Offset(2) && removed.head == Offset(2) && removed.epoch == first.epoch)
        try cluster.kill(.eventstore)
        try cluster.restart(.eventstore)
        let again = try Guest(loop, cluster, .eventstore).connected()
        let page = try again.ask(read("a"), StreamPage.self).page
        #expect(page.events.isEmpty && page.floor == Offset(2) && page.epoch == first.epoch)
        #expect(try again.ask(append("a", ["1", "2"], key: "once"), Appended.self).isDuplicate)
        _ = try again.ask(append("a", ["3"], expected: 2), Appended.self)
        let rest = try again.ask(read("a"), StreamPage.self).page
        #expect(rest.events.map(\.payload.text) == ["3"] && rest.floor == Offset(2))
        let back = try again.ask(read("a", isReverse: true), StreamPage.self).page
        #expect(back.events.map(\.offset.value) == [3])
        #expect(try again.ask(read("b"), StreamPage.self).page.events.count == 1)
      }
    }

    @Test func nothingIsRemovedWhereNothingIs() throws {
      try store { _, _, guest in
        guard try beginsEarly(guest) else { return }
        let request = RemoveHistory(remainingMs: 5000, name: channel("none"))
        let removed = try guest.ask(request, HistoryRemoved.self).head
        #expect(removed.floor == .zero && removed.head == .zero && removed.epoch != nil)
        let list = try guest.ask(
          ListStreams(remainingMs: 1000, prefix: "", after: "", limit: 10), StreamList.self)
        #expect(list.streams.isEmpty)
      }
    }

    @Test func aPageOfAnySizeAskedForFitsAFrame() throws {
      try store { _, _, guest in
        let large = String(repeating: "x", count: 1 << 20)
        for _ in 0..<20 { _ = try guest.ask(append("a", [large]), Appended.self) }
        let page = try guest.ask(read("a", count: .max, bytes: .max), StreamPage.self).page
        #expect(page.hasMore && page.events.count >= 1)
        #expect(guest.ends.isEmpty)
      }
    }

    @Test func headsAndListsTellWhatThereIs() throws {
      try store { _, _, guest in
        for name in ["b:2", "a:1", "b:1"] { _ = try guest.ask(append(name, ["x"]), Appended.self) }
        let heads = try guest.ask(
          ReadHeads(remainingMs: 1000, names: [channel("none"), channel("a:1")]), HeadsPage.self
        ).heads
        let isEarly = try beginsEarly(guest)
        #expect(
          heads.map(\.head.value) == [0, 1] && heads[1].epoch != nil
            && (heads[0].epoch != nil) == isEarly)
        func list(_ prefix: String, after: String = "", limit: UInt32 = 10) throws -> StreamList {
          try guest.ask(
            ListStreams(remainingMs: 1000, prefix: prefix, after: after, limit: limit),
            StreamList.self)
        }
        #expect(try list("").streams.map(\.name.text) == ["a:1", "b:1", "b:2"])
        let first = try list("b:", limit: 1)
        #expect(first.streams.map(\.name.text) == ["b:1"] && first.hasMore)
        let rest = try list("b:", after: "b:1")
        #expect(rest.streams.map(\.name.text) == ["b:2"] && !rest.hasMore)
      }
    }

    @Test func aProbeIsARealCommit() throws {
      try store { _, _, guest in
        let empty = try guest.ask(Probe(remainingMs: 2000), Probed.self)
        _ = try guest.ask(append("a", ["1", "2"]), Appended.self)
        let full = try guest.ask(Probe(remainingMs: 2000), Probed.self)
        #expect(empty.events == 0 && full.events == 2)
        #expect(empty.bytes > 0 && full.bytes >= empty.bytes)
      }
    }

    @Test func anAppendOfNothingIsRefused() throws {
      try store { _, _, guest in
        let refusal = try guest.refusal(append("a", []), Appended.self)
        #expect(refusal == .badRequest && guest.isOpen)
      }
    }

    @Test(arguments: [Role.presence, .hub, .eventstore]) func otherRolesAreRefused(role: Role)
      throws
    {
      try store { cluster, loop, _ in
        let guest = try Guest(loop, cluster, .eventstore, as: role)
        try loop.wait("a refusal") { guest.lastFailure?.contains("no business") == true }
      }
    }

    @Test func whatWasAcknowledgedIsThereAfterAKill() throws {
      try store { cluster, loop, guest in
        for number in 1...100 { _ = try guest.ask(append("a", ["\(number)"]), Appended.self) }
        let before = try guest.ask(read("a"), StreamPage.self).page
        try cluster.restart(.eventstore)
        try loop.wait("the link again") { guest.opened == 2 }
        #expect(try guest.ask(read("a"), StreamPage.self).page == before)
      }
    }

    @Test func aSecondStoreOnTheSameDirectoryIsRefused() throws {
      try store { cluster, _, guest in
        let second = try cluster.runToEnd(
          .eventstore, ["--data", "\(cluster.storeDirectory)"],
          listen: "unix:\(cluster.directory)/run/second.sock")
        #expect(second.end != .exited(0))
        #expect(second.said.contains { $0.contains("\(cluster.storeDirectory)") }, "\(second.said)")
        #expect(try guest.ask(append("a", ["x"]), Appended.self).first == Offset(1))
      }
    }

    @Test func terminatedItAnswersWhatItTookAndEndsWithZero() throws {
      try store { cluster, loop, guest in
        let answers = try (0..<200).map { try guest.asking(append("a", ["\($0)"]), Appended.self) }
        loop.run(for: .milliseconds(5))
        try cluster.send(.terminate, .eventstore)
        try loop.wait("an answer to each") { answers.allSatisfy { $0.result != nil } }
        #expect(try cluster.waitForEnd(.eventstore, within: .seconds(12)) == .exited(0))
        try cluster.start(.eventstore)
        try cluster.waitUntilReady(.eventstore)
        try loop.wait("the link again") { guest.opened == 2 }
        let acked = answers.compactMap { try? $0.result?.get().first.value }.max() ?? 0
        #expect(try guest.ask(read("a"), StreamPage.self).page.head.value >= acked)
      }
    }

    // MARK: announcements

    @Test func everyCommitIsAnnouncedToTheHubInOrderAlsoAfterHubsAndStoresWereAway() throws {
      try ServiceCluster.run([.hub, .eventstore]) { cluster in
        let loop = try TestLoop()
        let listener = try Guest(loop, cluster, .hub).connected()
        let writer = try Guest(loop, cluster, .eventstore).connected()
        let open = OpenChannel(
          remainingMs: 5000, name: channel("log"), flags: .subscribe, isDurable: true,
          historyCount: 0, historyMs: 0, subscribers: 1)
        func heard() -> [UInt64] { listener.publications.compactMap { $0.position?.offset.value } }
        _ = try listener.ask(open, ChannelOpened.self)
        _ = try writer.ask(append("log", ["1", "2"]), Appended.self)
        try loop.wait("2 heard", state: { "\(heard())" }) { heard() == [1, 2] }
        let first = try #require(listener.publications.first)
        #expect(first.payload.text == "1" && first.publisher.user == "u" && first.eventType == "t")

        // Committed while there is no hub: announced to the one that comes.
        try cluster.kill(.hub)
        _ = try writer.ask(append("log", ["3", "4"]), Appended.self)
        try cluster.start(.hub)
        try cluster.waitUntilReady(.hub)
        try loop.wait("the link again") { listener.opened == 2 }
        _ = try listener.ask(open, ChannelOpened.self)
        _ = try writer.ask(append("log", ["5"]), Appended.self)
        try loop.wait("5 heard", state: { "\(heard())" }) { heard().last == 5 }
        let afterHub = heard().dropFirst(2)
        #expect(Array(afterHub) == afterHub.sorted() && Set(afterHub).count == afterHub.count)

        // And by a store that was killed in between.
        try cluster.restart(.eventstore)
        try loop.wait("the link again") { writer.opened == 2 }
        _ = try writer.ask(append("log", ["6"]), Appended.self)
        try loop.wait("6 heard", state: { "\(heard())" }) { heard().last == 6 }
        // What the first hub had passed on and not confirmed before it was killed, the second passes on too.
        let secondHub = heard().dropFirst(2)
        #expect(Set(secondHub).count == secondHub.count, "nothing is passed on twice: \(heard())")
      }
    }

    // MARK: artifacts

    @Test func anArtifactIsStoredUnderItsHashOnceAndFetchedWholeAndInPart() throws {
      try store { _, loop, guest in
        let content = (0..<600_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let hash = SHA256.digest(content)
        try put(content, hash, transfer: 1, guest, loop)
        let again = try guest.ask(
          PutArtifact(remainingMs: 5000, transfer: 2, sha256: hash, size: UInt64(content.count)),
          ArtifactReady.self)
        #expect(again.isStored)
        #expect(try get(hash, 0, .max, transfer: 3, guest, loop) == content)
        #expect(try get(hash, 1000, 500, transfer: 4, guest, loop) == Array(content[1000..<1500]))
        let found = try guest.ask(
          FindArtifact(remainingMs: 1000, sha256: hash), ArtifactStreams.self)
        #expect(found.isStored && found.size == UInt64(content.count) && found.streams.isEmpty)
        let absent = FindArtifact(remainingMs: 1000, sha256: [UInt8](repeating: 1, count: 32))
        #expect(!(try guest.ask(absent, ArtifactStreams.self).isStored))
      }
    }

    @Test func contentOfAnotherHashIsRefusedAndNotKept() throws {
      try store { _, loop, guest in
        let content = [UInt8](repeating: 5, count: 1000)
        let wrong = [UInt8](repeating: 9, count: 32)
        #expect(throws: Failure.self) { try put(content, wrong, transfer: 1, guest, loop) }
        let missing = try guest.refusal(
          GetArtifact(
            remainingMs: 1000, transfer: 2, sha256: wrong, offset: 0, count: 10, credit: 1000),
          ArtifactFound.self)
        #expect(missing == .notFound)
      }
    }

    @Test func aStreamThatAnnouncesAnArtifactIsFoundByItsHashAlsoAfterARestart() throws {
      try store { cluster, loop, guest in
        let content = [UInt8]("content".utf8)
        let hash = SHA256.digest(content)
        try put(content, hash, transfer: 1, guest, loop)
        var message = append("vault", [])
        message.events = [NewEvent(payload: Payload(json: "{}"), eventType: "artifact", meta: hash)]
        _ = try guest.ask(message, Appended.self)
        let find = FindArtifact(remainingMs: 1000, sha256: hash)
        func names() throws -> [String] {
          try guest.ask(find, ArtifactStreams.self).streams.map(\.text)
        }
        try loop.wait("it is found") { try names() == ["vault"] }
        try cluster.restart(.eventstore)
        try loop.wait("the link again") { guest.opened == 2 }
        try loop.wait("it is found again") { try names() == ["vault"] }
        #expect(try get(hash, 0, .max, transfer: 9, guest, loop) == content)
      }
    }

    private func put(
      _ content: [UInt8], _ hash: [UInt8], transfer: UInt32, _ guest: Guest, _ loop: TestLoop
    ) throws {
      let ready = try guest.ask(
        PutArtifact(
          remainingMs: 5000, transfer: transfer, sha256: hash, size: UInt64(content.count)),
        ArtifactReady.self)
      #expect(!ready.isStored && ready.credit > 0)
      var sent = 0
      let before = guest.transferCredit
      while sent < content.count {
        try loop.wait("credit to send") {
          Int(ready.credit) + guest.transferCredit - before > sent || !guest.cancelled.isEmpty
        }
        let room = Int(ready.credit) + guest.transferCredit - before - sent
        let part = content[sent..<min(content.count, sent + min(room, Limits.chunkBytesMax))]
        try guest.link.send(ArtifactChunk(transfer: transfer, content: Array(part)))
        sent += part.count
      }
      let stored = try guest.ask(EndArtifact(transfer: transfer), ArtifactStored.self)
      #expect(stored.size == UInt64(content.count))
    }

    private func get(
      _ hash: [UInt8], _ offset: UInt64, _ count: UInt64, transfer: UInt32, _ guest: Guest,
      _ loop: TestLoop
    ) throws -> [UInt8] {
      _ = try guest.ask(
        GetArtifact(
          remainingMs: 5000, transfer: transfer, sha256: hash, offset: offset, count: count,
          credit: 8 << 20),
        ArtifactFound.self)
      try loop.wait("the end of the transfer") { guest.endedTransfers.contains(transfer) }
      return guest.chunks.filter { $0.transfer == transfer }.flatMap(\.content)
    }
  }
}
