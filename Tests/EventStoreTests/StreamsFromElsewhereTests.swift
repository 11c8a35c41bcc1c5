import Archive
import Bytes
import SQLite
import Testing
import Wire

@testable import EventStoreCore

/// Imports: all of a stream or nothing, with the chain that it has elsewhere.
struct StreamsFromElsewhereTests {
  private let elsewhere: [StoredEvent] = (1...9).map { (number: UInt64) -> StoredEvent in
    let publisher = Publisher(client: number % 3, user: number % 2 == 0 ? "ada" : "")
    let payload = number == 6 ? Payload(.binary, [0, 255]) : Payload(text: "\(number)")
    return StoredEvent(
      offset: Offset(number), timeMs: Int64(number) * 7 - 20, publisher: publisher,
      eventType: number == 5 ? "move" : "", meta: number == 4 ? [1] : [], payload: payload)
  }

  private func chain(_ events: some Sequence<StoredEvent>) -> StreamChain {
    var chain = StreamChain()
    for event in events { chain.add(event) }
    return chain
  }

  private func begin(
    _ stream: String, after floor: Int = 0, _ store: EventStore, _ temporary: TemporaryStore
  ) throws -> UInt64 {
    let outcome = try store.carryOut(
      .begin(
        name(stream), first: Offset(UInt64(floor + 1)), chain: chain(elsewhere.prefix(floor)).bytes,
        time: 5), at: temporary.now)
    guard case .ready(let id, let next, _) = outcome else {
      Issue.record("\(outcome)")
      return 0
    }
    #expect(next == Offset(UInt64(floor + 1)))
    return id
  }

  private func send(
    _ events: some Sequence<StoredEvent>, to id: UInt64, _ store: EventStore, _ temporary: TemporaryStore
  ) throws {
    for event in events {
      let outcome = try store.carryOut(.events(id: id, [event]), at: temporary.now)
      #expect(
        outcome == .ready(id: id, next: event.offset.next, position: store.position), "\(outcome)")
    }
  }

  /// All that is kept of imports has no name, and goes.
  private func leavesNothing(_ store: EventStore, _ temporary: TemporaryStore) throws {
    for _ in 0..<3 { _ = try store.append(request("other", "x"), temporary) }
    for _ in 0..<50 {
      temporary.pass(milliseconds: 50)
      try store.maintain(at: temporary.now)
    }
    #expect(try store.connection.integer("SELECT count(*) FROM streams WHERE name IS NULL") == 0)
    #expect(
      try store.connection.integer(
        """
        SELECT (SELECT count(*) FROM places WHERE stream NOT IN (SELECT id FROM streams)) \
        + (SELECT count(*) FROM segments WHERE stream NOT IN (SELECT id FROM streams))
        """) == 0)
  }

  @Test(arguments: [(0, 0), (0, 1 << 20), (4, 0), (4, 1 << 20), (9, 0)])
  func whatWasImportedIsAsItWas(floor: Int, tail: Int) throws {
    let temporary = try TemporaryStore()
    temporary.options.keepInTail(tail)
    let store = try temporary.open()
    _ = try store.append(request("other", "before"), temporary)
    let id = try begin("a", after: floor, store, temporary)
    let events = elsewhere.dropFirst(floor)
    for event in events {
      try send([event], to: id, store, temporary)
      _ = try store.append(request("other", "between"), temporary)
      temporary.pass(milliseconds: 50)
      try store.maintain(at: temporary.now)
      // Nobody's yet.
      #expect(try StoreReader(of: store).streams().map(\.name.text) == ["other"])
    }
    let whole = chain(elsewhere)
    let done = try store.carryOut(.finish(id: id, last: Offset(9), chain: whole.bytes), at: temporary.now)
    guard case .finished(let head) = done else {
      Issue.record("\(done)")
      return
    }
    #expect(head.floor == Offset(UInt64(floor)) && head.head == Offset(9))
    let image = try temporary.image()
    for store in [store, try image.open()] {
      let reader = try StoreReader(of: store)
      #expect(try reader.read(name("a"), from: .zero).events == Array(events))
      #expect(try reader.read(name("a"), from: .zero).epoch == head.epoch)
      #expect(try reader.descriptions(prefix: "a").first?.sha256 == whole.bytes)
    }
    let closed = try temporary.image()
    #expect(StoreVerifier.verify(closed.directory, scratch: "/tmp", now: temporary.now).problem == nil)
    // It goes on as any stream does.
    let next = try store.append(request("a", "10", expected: 9), temporary)
    #expect(next.receipt?.first == Offset(10) && next.receipt?.epoch == head.epoch)
    try leavesNothing(store, temporary)
    #expect(try StoreReader(of: store).read(name("a"), from: .zero).offsets.count == events.count + 1)
  }

  @Test func theChainAtEachOffsetIsTold() throws {
    let temporary = try TemporaryStore()
    temporary.options.keepInTail(300)
    let store = try temporary.open()
    let id = try begin("a", store, temporary)
    try send(elsewhere, to: id, store, temporary)
    _ = try store.carryOut(.finish(id: id, last: Offset(9), chain: chain(elsewhere).bytes), at: temporary.now)
    _ = try store.fork(ForkRequest(of: name("a"), as: name("a@f"), at: Offset(5), time: 0), at: temporary.now)
    _ = try store.append(request("a@f", "own"), temporary)
    _ = try store.trim(name("a"), through: Offset(2), at: temporary.now)
    let reader = try StoreReader(of: store)
    for offset in 0...10 {
      let found = try reader.descriptions(prefix: "a", at: Offset(UInt64(offset))).map(\.sha256)
      let expected = chain(elsewhere.prefix(offset)).bytes
      #expect(found.first == ((2...9).contains(offset) ? expected : []), "offset \(offset)")
      if offset <= 5 { #expect(found.last == expected, "offset \(offset) of the fork") }
    }
  }

  @Test func whatIsNotWhatWasSaidLeavesNothing() throws {
    let temporary = try TemporaryStore()
    temporary.options.keepInTail(0)
    let store = try temporary.open()
    let whole = chain(elsewhere).bytes
    for (last, said) in [(Offset(8), whole), (Offset(9), chain(elsewhere.prefix(8)).bytes), (Offset(9), [])] {
      let id = try begin("a", store, temporary)
      try send(elsewhere, to: id, store, temporary)
      #expect(
        try store.carryOut(.finish(id: id, last: last, chain: said), at: temporary.now)
          == .refused(.chain))
      // It can't be tried again.
      #expect(
        try store.carryOut(.finish(id: id, last: Offset(9), chain: whole), at: temporary.now)
          == .refused(.unknown))
      #expect(try store.carryOut(.events(id: id, [elsewhere[0]]), at: temporary.now) == .refused(.unknown))
    }
    #expect(try StoreReader(of: store).streams().isEmpty)
    try leavesNothing(store, temporary)
  }

  @Test func eventsOutOfTheirOrderAndBeyondTheLimitsAreRefused() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    let id = try begin("a", store, temporary)
    func outcome(_ events: [StoredEvent]) throws -> ImportOutcome {
      try store.carryOut(.events(id: id, events), at: temporary.now)
    }
    #expect(try outcome([]) == .refused(.limits))
    #expect(try outcome([elsewhere[1]]) == .refused(.order))
    #expect(try outcome([elsewhere[0], elsewhere[2]]) == .refused(.order))
    #expect(try outcome([elsewhere[0], elsewhere[0]]) == .refused(.order))
    var long = elsewhere[0]
    long.eventType = String(repeating: "t", count: 256)
    #expect(try outcome([long]) == .refused(.limits))
    long = elsewhere[0]
    long.publisher.user = String(repeating: "u", count: 256)
    #expect(try outcome([long]) == .refused(.limits))
    // What was refused is no part of it.
    try send(elsewhere, to: id, store, temporary)
    let done = try store.carryOut(
      .finish(id: id, last: Offset(9), chain: chain(elsewhere).bytes), at: temporary.now)
    guard case .finished = done else {
      Issue.record("\(done)")
      return
    }
    let zeros = StreamChain().bytes
    for (first, chain) in [(Offset.zero, zeros), (Offset(.max), zeros), (Offset(1), [0])] {
      #expect(
        try store.carryOut(.begin(name("b"), first: first, chain: chain, time: 0), at: temporary.now)
          == .refused(.beginning))
    }
  }

  @Test func aNameThatIsTakenStaysWhatItIs() throws {
    let temporary = try TemporaryStore()
    temporary.options.keepInTail(0)
    let store = try temporary.open()
    let id = try begin("a", store, temporary)
    try send(elsewhere, to: id, store, temporary)
    _ = try store.append(request("a", "meanwhile"), temporary)
    let whole = chain(elsewhere).bytes
    #expect(
      try store.carryOut(.finish(id: id, last: Offset(9), chain: whole), at: temporary.now)
        == .refused(.nameTaken))
    #expect(
      try store.carryOut(.begin(name("a"), first: Offset(1), chain: StreamChain().bytes, time: 0), at: temporary.now)
        == .refused(.nameTaken))
    #expect(try StoreReader(of: store).read(name("a"), from: .zero).texts == ["meanwhile"])
    try leavesNothing(store, temporary)
  }

  @Test func whatIsGivenUpIsRemovedAfterAWhileAndAtTheStart() throws {
    let temporary = try TemporaryStore()
    temporary.options.keepInTail(0)
    let store = try temporary.open()
    let id = try begin("a", store, temporary)
    try send(elsewhere.prefix(5), to: id, store, temporary)
    let image = try temporary.image()
    temporary.pass(milliseconds: StagedImports.idleMs - 1)
    try store.maintain(at: temporary.now)
    try send(elsewhere[5...6], to: id, store, temporary)
    // Each word counts anew.
    temporary.pass(milliseconds: StagedImports.idleMs - 1)
    try store.maintain(at: temporary.now)
    try send([elsewhere[7]], to: id, store, temporary)
    temporary.pass(milliseconds: StagedImports.idleMs)
    try store.maintain(at: temporary.now)
    #expect(try store.carryOut(.events(id: id, [elsewhere[8]]), at: temporary.now) == .refused(.unknown))
    try leavesNothing(store, temporary)

    let restarted = try image.open()
    #expect(try restarted.carryOut(.events(id: id, [elsewhere[5]]), at: image.now) == .refused(.unknown))
    try leavesNothing(restarted, image)
  }

  @Test func onlySoManyAreOpenAtOnce() throws {
    let temporary = try TemporaryStore()
    let store = try temporary.open()
    for number in 0..<StagedImports.countMax { _ = try begin("a\(number)", store, temporary) }
    #expect(
      try store.carryOut(.begin(name("b"), first: Offset(1), chain: StreamChain().bytes, time: 0), at: temporary.now)
        == .refused(.tooMany))
  }

  /// The outbox passes over what is nobody's yet.
  @Test(arguments: [0, 1 << 20]) func theHubIsNotToldOfWhatIsStaged(tail: Int) throws {
    let temporary = try TemporaryStore()
    temporary.options.keepInTail(tail)
    let store = try temporary.open()
    _ = try store.append(request("other", "1"), temporary)
    let id = try begin("a", store, temporary)
    try send(elsewhere, to: id, store, temporary)
    _ = try store.append(request("other", "2"), temporary)
    let page = try StoreReader(of: store).unannounced(after: 0)
    #expect(page.announcements.map(\.position) == [1, 11] && page.through == 11 && page.corruptCount == 0)
  }

  @Test func theFlowReadsTheOutboxPastWhatIsStaged() {
    var flow = AnnouncementFlow(confirmed: 4)
    flow.hubFound()
    flow.asked(1)
    flow.pageRead(through: 4, hasMore: false)
    #expect(flow.mode == .live && flow.isIdle)
    flow.passOver(through: 9)
    #expect(flow.wantsPage && !flow.isIdle)
    flow.asked(2)
    flow.pageRead(through: 9, hasMore: false)
    #expect(flow.mode == .live && flow.confirmed == 9 && flow.isIdle)
    let isSent = flow.committed(10)
    #expect(isSent)
    // What was read already.
    flow.passOver(through: 7)
    #expect(flow.mode == .live)
  }
}
