import Link
import Loop
import Platform
import TestKit
import Testing
import Wire

extension ServiceTests {
  /// What networks do to the links between services (rows 40, 44 to 46): a proxy stands before each
  /// service that others link to.
  struct LinkFaults {
    static let linked: [ServiceKind] = [.hub, .eventstore, .presence]

    static func options(_ proxied: [ServiceKind] = linked) -> ServiceCluster.Options {
      var options = ServiceTests.options()
      options.proxied = Set(proxied)
      return options
    }

    // MARK: one frame lost

    /// Row 40: the last publication is lost on its way from the hub, and nothing comes after it.
    @Test func aLastPublicationThatTheHubLostComesWithinFiveSeconds() throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options([.hub])) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        for channel in ["log:x", "eph:x", "live:x"] {
          let socket = try loop.socket(address, "/ws/events/\(channel)")
          func texts() -> [String] {
            socket.messages.map { String(decoding: $0.bytes, as: UTF8.self) }
          }
          try loop.wait("the welcome") { texts().count == 1 }
          _ = socket.takeMessages()
          try Self.publish("1", channel, loop, cluster)
          try loop.wait("the first") { texts() == ["1"] }
          let before = try cluster.proxy(to: .hub).swallowed
          try cluster.proxy(to: .hub).swallow(FrameLoss(.publication, .fromService, role: .gateway))
          try Self.publish("2", channel, loop, cluster)
          try loop.wait(
            "the second on \(channel), or word of it", within: .seconds(5), state: { "\(texts())" }
          ) {
            texts().count == 2
          }
          #expect(try cluster.proxy(to: .hub).swallowed == before + 1)
          let last = texts().last ?? ""
          #expect(
            channel == "live:x" ? last.contains(#""type":"gap""#) : last == "2",
            "\(channel): \(last)")
          socket.vanish()
        }
      }
    }

    /// Row 40, again and again: the link that is made anew for it loses frames, too.
    @Test func wordOfALossComesThoughTheNewLinkLosesFramesAsWell() throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options([.hub])) { cluster in
        let loop = try TestLoop()
        let socket = try loop.socket(try cluster.gateway(), "/ws/events/live:x")
        func texts() -> [String] {
          socket.messages.map { String(decoding: $0.bytes, as: UTF8.self) }
        }
        try loop.wait("the welcome") { texts().count == 1 }
        let proxy = try cluster.proxy(to: .hub)
        for loss in [
          FrameLoss(.publication, .fromService, role: .gateway),
          FrameLoss(.openChannel, .toService, role: .gateway),
          FrameLoss(.channelOpened, .fromService, role: .gateway),
        ] { proxy.swallow(loss) }
        let before = proxy.swallowed
        // On the socket itself: another loop would have to open the channel first.
        socket.send("lost")
        let lostAt = SystemClock.monotonic()
        try loop.wait("word of it", within: .seconds(10), state: { "\(texts())" }) {
          texts().last?.contains(#""type":"gap""#) == true
        }
        print("fig: word came \(SystemClock.monotonic().since(lostAt)) after three losses in a row")
        #expect(proxy.swallowed == before + 3)
      }
    }

    /// Row 40: what is lost is the store's announcement of it, or the hub's confirmation.
    @Test func aLastAnnouncementThatWasLostComesWithinFiveSeconds() throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options([.hub])) { cluster in
        let loop = try TestLoop()
        let socket = try loop.socket(try cluster.gateway(), "/ws/events/log:x")
        func texts() -> [String] {
          socket.messages.map { String(decoding: $0.bytes, as: UTF8.self) }
        }
        try loop.wait("the welcome") { texts().count == 1 }
        _ = socket.takeMessages()
        let proxy = try cluster.proxy(to: .hub)
        for (number, loss) in [
          (1, FrameLoss(.publish, .toService, role: .eventstore)),
          (2, FrameLoss(.published, .fromService, role: .eventstore)),
        ] {
          proxy.swallow(loss)
          try Self.publish("\(number)", "log:x", loop, cluster)
          try loop.wait("number \(number)", within: .seconds(5), state: { "\(texts())" }) {
            texts().count == number
          }
          try loop.wait("the loss") { proxy.swallowed == number }
        }
        #expect(texts() == ["1", "2"])
      }
    }

    /// One frame of every kind is lost while traffic runs: the next heartbeat ends its link, and what
    /// follows is as after any loss of a link. In the end everyone has everything, or word of it.
    @Test func aLostFrameOfAnyKindIsMadeUpFor() throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options()) { cluster in
        let fleet = try Fleet(cluster, producers: 2, observers: 6)
        try fleet.waitForProgress()
        for (kind, direction, service) in Self.losses {
          try cluster.proxy(to: service).swallow(FrameLoss(kind, direction))
          fleet.loop.run(for: .milliseconds(20))
        }
        // Newcomers and their leaving make the rest of what there is to lose.
        let newcomers = (0..<4).map {
          Observer("newcomer \($0)", fleet.loop, cluster, Channels.all)
        }
        fleet.loop.run(for: .seconds(1))
        for newcomer in newcomers { newcomer.stop() }
        fleet.loop.run(for: .seconds(1))
        let swallowed = try Self.linked.reduce(0) { try $0 + cluster.proxy(to: $1).swallowed }
        print("\(swallowed) of \(Self.losses.count) frames were lost")
        #expect(swallowed >= 8)
        try Self.waitUntilLinksLast(fleet)
        try fleet.settle()
      }
    }

    /// No frame is lost any more, and every loss has been noticed: with the next heartbeat, at most.
    private static func waitUntilLinksLast(_ fleet: Fleet) throws {
      let proxies = try linked.map { try fleet.cluster.proxy(to: $0) }
      for proxy in proxies { proxy.heal() }
      var ended = proxies.map(\.ended)
      var since = SystemClock.monotonic()
      try fleet.loop.wait("links that last", within: .seconds(20), state: { "\(ended)" }) {
        let now = SystemClock.monotonic()
        if ended != proxies.map(\.ended) { (ended, since) = (proxies.map(\.ended), now) }
        return now.since(since) > Link.heartbeat + .milliseconds(500)
      }
    }

    private static let losses: [(Kind, LinkDirection, ServiceKind)] = [
      (.publication, .fromService, .hub), (.publish, .toService, .hub),
      (.published, .fromService, .hub),
      (.openChannel, .toService, .hub), (.channelOpened, .fromService, .hub),
      (.subscriberCount, .toService, .hub), (.readHistory, .toService, .hub),
      (.historyPage, .fromService, .hub), (.heartbeat, .fromService, .hub),
      (.append, .toService, .eventstore), (.appended, .fromService, .eventstore),
      (.readStream, .toService, .eventstore), (.streamPage, .fromService, .eventstore),
      (.lease, .toService, .presence), (.leased, .fromService, .presence),
      (.presenceBatch, .toService, .presence),
    ]

    // MARK: bad networks

    enum Weather: String, CaseIterable, CustomTestStringConvertible {
      case slow, trickling, overtaking, breaking
      var testDescription: String { rawValue }
    }

    /// Row 44: correct, only slower.
    @Test(arguments: Weather.allCases) func aBadNetworkMakesNothingWrong(weather: Weather) throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options()) { cluster in
        let fleet = try Fleet(cluster, producers: 2, observers: 4)
        try fleet.waitForProgress()
        let proxies = try Self.linked.map { try cluster.proxy(to: $0) }
        switch weather {
        case .slow: for proxy in proxies { proxy.set { $0.delay = .milliseconds(200) } }
        case .trickling: for proxy in proxies { proxy.set { $0.segmentBytes = 1 } }
        case .overtaking: for proxy in proxies { proxy.set { $0.jitter = .milliseconds(30) } }
        case .breaking:
          var random = SeededGenerator()
          for _ in 0..<6 * ServiceTests.scale {
            proxies.randomElement(using: &random)?.cut()
            fleet.loop.run(for: .milliseconds(Int64.random(in: 20...200, using: &random)))
          }
          print("cuts drawn from \(random)")
        }
        try fleet.waitForProgress(within: .seconds(20))
        fleet.loop.run(for: .milliseconds(300) * ServiceTests.scale)
        // Whoever comes now reads histories through it as well.
        let late = Observer("a latecomer", fleet.loop, cluster, Channels.durable)
        try fleet.loop.wait("a latecomer at the head", within: .seconds(20)) {
          Channels.durable.allSatisfy { late.marks($0).count >= fleet.observers[0].marks($0).count }
        }
        for problem in late.problems { Issue.record("\(problem)") }
        late.stop()
        for proxy in proxies { proxy.heal() }
        try fleet.settle()
      }
    }

    /// Row 41: a client brings a position that its loop has not seen yet, and while the loop asks
    /// whether it exists the hub brings that and more.
    @Test func whoIsAheadOfItsLoopMissesNothingThatComesMeanwhile() throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options([.hub, .eventstore])) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        let publisher = try loop.socket(address, "/ws/log:x?ack=1&envelope=1")
        func texts(_ socket: TestSocket) -> [String] {
          socket.messages.map { String(decoding: $0.bytes, as: UTF8.self) }
        }
        func acks() -> [String] { texts(publisher).filter { $0.contains(#""type":"ack""#) } }
        publisher.send("1")
        try loop.wait("the first", state: { "\(texts(publisher))" }) { texts(publisher).count == 3 }
        let epoch = acks().first?.split(separator: #""epoch":""#).last?.prefix { $0 != "\"" } ?? ""
        // Stored and acknowledged after 400 ms, here from the hub after 680 ms; an answer of the
        // store to a question of then comes later still.
        try cluster.proxy(to: .eventstore).set { $0.delay = .milliseconds(200) }
        try cluster.proxy(to: .hub).set { $0.delay = .milliseconds(240) }
        for number in 2...10 { publisher.send("\(number)") }
        try loop.wait("all stored") { acks().count == 10 }
        let sockets = (1...9).map { TestSocket(loop, address, "/ws/log:x?since=\(epoch):\($0)") }
        try loop.wait("all that follows", state: { "\(sockets.map(texts))" }) {
          zip(1...9, sockets).allSatisfy { $1.messages.count >= 10 - $0 }
        }
        for (from, socket) in zip(1...9, sockets) {
          #expect(texts(socket) == ((from + 1)...10).map { "\($0)" }, "since \(from)")
        }
      }
    }

    // MARK: partitions

    /// Rows 45 and 46: a link that passes nothing, in one direction or both, is given up by both
    /// ends within three heartbeats; nobody says meanwhile that all is well, and what was
    /// acknowledged is there afterwards.
    @Test(arguments: Partition.allCases.prefix(ServiceTests.isLong ? 3 : 1))
    func bothEndsGiveUpALinkThatPassesNothing(partition: Partition) throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options()) { cluster in
        let fleet = try Fleet(cluster, producers: 2, observers: 6)
        try fleet.waitForProgress()
        let proxies = try Self.linked.map { try cluster.proxy(to: $0) }
        let ends = proxies.map { $0.ended + $0.links }
        for (kind, proxy) in zip(Self.linked, proxies) {
          proxy.set { $0.held = partition.held(before: kind) }
        }
        // Three heartbeats of silence, noticed with the next.
        try fleet.loop.wait(
          "the end of every link", within: .milliseconds(4500),
          state: { "\(proxies.map(\.ended)) of \(ends)" }
        ) { zip(proxies, ends).allSatisfy { $0.ended >= $1 } }
        let health = try fleet.loop.http(try cluster.gateway(), "GET", "/ready")
        #expect(health.status == 503, "\(health.text)")
        for proxy in proxies { proxy.heal() }
        try fleet.waitUntilReady(within: .seconds(8))
        try fleet.settle()
      }
    }

    enum Partition: String, CaseIterable, CustomTestStringConvertible {
      case oneWay, theOtherWay, bothWays
      var testDescription: String { rawValue }

      /// The store's links pass nothing in the direction in which the others' do.
      func held(before kind: ServiceKind) -> Set<LinkDirection> {
        switch self {
        case .bothWays: Set(LinkDirection.allCases)
        case .oneWay: [kind == .eventstore ? .fromService : .toService]
        case .theOtherWay: [kind == .eventstore ? .toService : .fromService]
        }
      }
    }

    static func publish(
      _ text: String, _ channel: String, _ loop: TestLoop, _ cluster: ServiceCluster
    )
      throws
    {
      let answer = try loop.http(
        try cluster.gateway(), "POST", "/api/publish",
        fields: ["X-API-Key: \(cluster.options.key ?? "")"],
        body: #"{"channel":"\#(channel)","data":"\#(text)"}"#)
      guard answer.status == 200, !answer.text.contains("error") else {
        throw ClusterFailure("publishing on \(channel): \(answer.text)")
      }
    }
  }
}
