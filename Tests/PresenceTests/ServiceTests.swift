import Bytes
import Link
import Loop
import Observe
import Platform
import PresenceCore
import Testing
import Wire

/// The service as gateways meet it: frames over real sockets, on one loop that the test turns.
@Suite struct ServiceTests {
  @Test func aLeaseIsAnsweredWithItsLength() throws {
    let host = try Host()
    let gateway = try host.attach(1)
    #expect(gateway.leased == 10_000)
  }

  @Test func aWatcherIsToldWhoIsThereAndWhoComesAndGoes() throws {
    let host = try Host()
    let (a, b) = (try host.attach(1), try host.attach(2))
    a.report([MemberEvent(.joined, hall, client: 1, user: "ada")])
    b.report([])
    b.watch(hall)
    try host.turn("the first snapshot") { b.pages.contains(where: \.isLast) }
    #expect(b.pages.flatMap(\.members).map(\.key) == [.user("ada")])
    a.send([MemberEvent(.joined, hall, client: 2, session: "s", info: [1])])
    try host.turn("the join") { !b.changes.isEmpty }
    let joined = MemberChange(.joined, Member(key: .session("s"), client: 2, info: [1]))
    #expect(b.changes.flatMap(\.changes) == [joined])
    // Leaves are withheld until the service has run for a moment.
    try host.turn("a complete snapshot") { b.pages.contains { !$0.isRebuilding } }
    a.send([MemberEvent(.left, hall, client: 2)])
    try host.turn("the leave") { b.changes.count == 2 }
    #expect(b.changes.last?.changes.map(\.what) == [.left])
    #expect(b.changes.last?.changes.map(\.member.key) == [.session("s")])
  }

  @Test func aListIsReadWithoutWatchingOrAttaching() throws {
    let host = try Host()
    let a = try host.attach(1)
    a.report([
      MemberEvent(.joined, hall, client: 1, user: "ada"),
      MemberEvent(.joined, hall, client: 2, user: "ada"),
      MemberEvent(.joined, hall, client: 3),
    ])
    let reader = try host.connect(9, role: .operations)
    var list: PresenceList?
    try host.turn("three connections") {
      if list == nil { reader.read(hall, count: 10) }
      list = reader.lists.last
      return list?.connections == 3
    }
    #expect(list?.total == 2)
    #expect(list?.members.map(\.key) == [.user("ada"), .client(3)])
    #expect(list?.next == 0)
  }

  @Test func aLostGatewaysMembersLeaveAfterTheGraceOfItsLink() throws {
    let host = try Host {
      $0.linkGrace = .milliseconds(50)
      $0.sweepInterval = .milliseconds(10)
    }
    let (a, b) = (try host.attach(1), try host.attach(2))
    a.report([MemberEvent(.joined, hall, client: 1)])
    b.report([])
    b.watch(hall)
    try host.turn("a complete snapshot") { b.pages.contains { $0.isLast && !$0.isRebuilding } }
    a.link?.close(.draining)
    try host.turn("the leave") { b.changes.contains { $0.changes.map(\.what) == [.left] } }
  }

  @Test func aResumedSessionIsNeverShownAsGone() throws {
    let host = try Host { $0.resumeGrace = .milliseconds(50) }
    let (a, b) = (try host.attach(1), try host.attach(2))
    a.report([
      MemberEvent(.joined, hall, client: 1, session: "s"),
      MemberEvent(.joined, hall, client: 2, session: "witness"),
    ])
    b.report([])
    b.watch(hall)
    try host.turn("a complete snapshot") { b.pages.contains { $0.isLast && !$0.isRebuilding } }
    a.send([MemberEvent(.lost, hall, client: 1), MemberEvent(.lost, hall, client: 2)])
    b.send([MemberEvent(.joined, hall, client: 7, session: "s")])
    try host.turn("the witness leaves") { !b.changes.isEmpty }
    #expect(b.changes.flatMap(\.changes).map(\.member.key) == [.session("witness")])
  }

  @Test func aMissingBatchMakesAReportDue() throws {
    let host = try Host()
    let a = try host.attach(1)
    a.report([])
    a.sequence += 1
    a.send([MemberEvent(.joined, hall, client: 1)])
    try host.turn("the request") { a.reportsRequested == 1 }
  }

  @Test func aNewerLinkOfALoopFencesTheOlder() throws {
    let host = try Host()
    let old = try host.attach(1)
    let new = try host.attach(1)
    try host.turn("the end of the older link") { old.end != nil }
    #expect(old.end?.code == .fenced)
    #expect(new.end == nil)
  }

  @Test func onlyGatewaysGetALease() throws {
    let host = try Host()
    let reader = try host.connect(9, role: .operations)
    reader.takeLease()
    try host.turn("the refusal") { reader.refusal != nil }
    #expect(reader.refusal == .roleForbidden)
  }

  private let hall = channelName("hall")
}

// MARK: Both ends

/// A service and its links on one loop.
private final class Host {
  let loop: EventLoop
  private let service: PresenceService
  private var links: [Link] = []
  private var gateways: [Gateway] = []

  init(_ adjust: (inout PresenceLimits) -> Void = { _ in }) throws {
    var limits = PresenceLimits()
    limits.firstContactSettle = .milliseconds(20)
    adjust(&limits)
    loop = try EventLoop()
    service = PresenceService(
      loop: loop, limits: limits, metrics: PresenceMetrics(Metrics()),
      logger: Logger(
        subsystem: "test", levels: LogLevels(.error), format: .human, sink: NoSink(),
        nowMs: { 0 }))
  }

  /// A link of the process `instance` whose hellos are exchanged.
  func connect(_ instance: UInt64, role: Role = .gateway) throws -> Gateway {
    var pair = try Sockets.pair()
    var first = Descriptor(owning: -1)
    swap(&first, &pair.first)
    var second = Descriptor(owning: -1)
    swap(&second, &pair.second)
    let gateway = Gateway()
    let ours = Link(
      first, on: loop, identity: identity(.presence, 99), overTCP: false, owner: service,
      accepts: PresenceService.accepts)
    let theirs = Link(
      second, on: loop, identity: identity(role, instance), overTCP: false, owner: gateway,
      accepts: { $0 == .presence })
    gateway.link = theirs
    links += [ours, theirs]
    gateways.append(gateway)
    ours.start()
    theirs.start()
    try turn("the hello") { theirs.isOpen }
    return gateway
  }

  func attach(_ instance: UInt64) throws -> Gateway {
    let gateway = try connect(instance)
    gateway.takeLease()
    try turn("the lease") { gateway.leased != nil }
    return gateway
  }

  private func identity(_ role: Role, _ instance: UInt64) -> LinkIdentity {
    LinkIdentity(role: role, instance: instance, incarnation: 1, software: "test", key: nil)
  }

  /// Turns the loop until `condition` holds, ten seconds at most.
  func turn(
    _ what: String, _ location: SourceLocation = #_sourceLocation, until condition: () -> Bool
  ) throws {
    let deadline = SystemClock.monotonic() + .seconds(10)
    while !condition() {
      try #require(
        SystemClock.monotonic() < deadline, "\(what) did not come", sourceLocation: location)
      loop.turn(waiting: .milliseconds(10))
    }
  }
}

/// A gateway's end of a link, and what came over it.
private final class Gateway: LinkOwner {
  var link: Link?
  var sequence: UInt64 = 0
  private(set) var leased: UInt32?
  private(set) var refusal: ErrorCode?
  private(set) var pages: [Wire.PresencePage] = []
  private(set) var changes: [Wire.PresenceChanges] = []
  private(set) var lists: [PresenceList] = []
  private(set) var reportsRequested = 0
  private(set) var end: LinkEnd?

  func takeLease() {
    link?.request(
      Lease(remainingMs: 1_000, lane: 0, hasBeenAttached: false), expecting: Leased.self,
      within: .seconds(1)
    ) { [weak self] in
      switch $0 {
      case .success(let leased): self?.leased = leased.durationMs
      case .failure(let failure): self?.refusal = failure.code
      }
    }
  }

  func report(_ events: [MemberEvent]) { send(events, .wholeReport) }

  func send(_ events: [MemberEvent], _ part: Wire.PresenceBatch.Part = .next) {
    sequence += 1
    link?.send(Wire.PresenceBatch(sequence: sequence, part: part, events: events))
  }

  func watch(_ channel: ChannelName) { link?.send(WatchPresence(channel: channel)) }

  func read(_ channel: ChannelName, count: UInt32) {
    link?.request(
      ReadPresence(remainingMs: 1_000, channel: channel, count: count),
      expecting: PresenceList.self, within: .seconds(1)
    ) { [weak self] in
      if case .success(let list) = $0 { self?.lists.append(list) }
    }
  }

  func linkOpened(_ link: Link) {}
  func linkReceived(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  {
    switch header.kind {
    case .presencePage: pages.append(try Wire.PresencePage(body: body))
    case .presenceChanges: changes.append(try Wire.PresenceChanges(body: body))
    case .requestReport: reportsRequested += 1
    default: break
    }
    return .now
  }
  func linkMissedPublications(_ link: Link) {}
  func linkRelieved(_ link: Link) {}
  func linkEnded(_ link: Link, _ end: LinkEnd) { self.end = end }
}

private struct NoSink: LogSink {
  func write(_ line: [UInt8]) {}
}
