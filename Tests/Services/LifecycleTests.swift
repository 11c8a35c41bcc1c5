import Platform
import TestKit
import Testing

extension ServiceTests {
  /// Starting and ending (P17, rows 43, 57, 60).
  struct Lifecycle {
    /// Each service waits for the others, in whatever order they come.
    @Test(arguments: orders) func everyOrderOfStartingWorks(order: [ServiceKind]) throws {
      try ServiceCluster.run([], ServiceTests.options()) { cluster in
        for kind in order { try cluster.start(kind) }
        let last = SystemClock.monotonic()
        for kind in order { try cluster.waitUntilReady(kind) }
        #expect(SystemClock.monotonic().since(last) < .seconds(5), "\(order)")
        try publishAndSee(cluster)
      }
    }

    /// A few orders; all of them with `LONG=1`.
    static var orders: [[ServiceKind]] {
      let all = permutations(ServiceKind.allCases)
      guard Processes.environment("LONG") != "1" else { return all }
      return [
        all[0], all[23], [.gateway, .presence, .eventstore, .hub],
        [.eventstore, .gateway, .hub, .presence],
      ]
    }

    private static func permutations(_ kinds: [ServiceKind]) -> [[ServiceKind]] {
      guard kinds.count > 1 else { return [kinds] }
      return kinds.flatMap { first in
        permutations(kinds.filter { $0 != first }).map { [first] + $0 }
      }
    }

    /// The gateway's clients are told to come back, what was accepted is acknowledged, and every
    /// service ends with 0 in the order of a drain.
    @Test func terminatedUnderLoadEveryServiceDrainsAndEndsWithZero() throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let fleet = try Fleet(cluster, producers: 3, observers: 5)
        try fleet.waitForProgress()
        let began = SystemClock.monotonic()
        for kind in [ServiceKind.gateway, .presence, .hub, .eventstore] {
          try cluster.send(.terminate, kind)
          try fleet.loop.wait("the end of \(kind)", within: .seconds(20)) {
            !cluster.isRunning(kind)
          }
          #expect(try cluster.waitForEnd(kind) == .exited(0), "\(kind)")
        }
        #expect(SystemClock.monotonic().since(began) < .seconds(20))
        for kind in ServiceTests.everyone { try cluster.start(kind) }
        try fleet.settle()
      }
    }

    @Test func aDrainingGatewayTellsItsClientsWhenToComeBackAndCloses() throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        let sockets = try (0..<4).map { _ in try loop.socket(address, "/ws/eph:m") }
        try cluster.send(.terminate, .gateway)
        try loop.wait("the close of each") { sockets.allSatisfy { $0.end != nil } }
        for socket in sockets {
          guard case .closed(let code, _) = socket.end else {
            Issue.record("it ended as \(String(describing: socket.end))")
            continue
          }
          #expect(code == 1012)
          let last = socket.messages.last.map { String(decoding: $0.bytes, as: UTF8.self) } ?? ""
          #expect(last.contains(#""type":"reconnect""#) && last.contains("after_ms"))
        }
        #expect(try cluster.waitForEnd(.gateway, within: .seconds(10)) == .exited(0))
      }
    }

    /// A second signal does not wait: here for a store that can't be reached.
    @Test(arguments: ServiceKind.allCases) func aSecondSignalEndsAtOnce(kind: ServiceKind) throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let loop = try TestLoop()
        // A client that does not answer the close holds a drain up for a while.
        let socket = try loop.socket(try cluster.gateway(), "/ws/eph:m")
        socket.pauseReading()
        try cluster.send(.terminate, kind)
        // All that come within a second of the first are the first.
        let second = SystemClock.monotonic() + .milliseconds(1_050)
        try loop.wait("more than a second") { SystemClock.monotonic() >= second }
        try? cluster.send(.terminate, kind)
        let end = try cluster.waitForEnd(kind, within: .seconds(3))
        #expect(end == .exited(0) || end == .exited(130), "\(kind) \(end)")
      }
    }

    /// Row 60: a service that is told to read a bad file says what is wrong with it and goes on; with
    /// a good one it says so; keys are taken over at once, and not when the file beside is bad.
    @Test func aBadConfigurationIsNamedAndTheOldOneKept() throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let loop = try TestLoop()
        func tell(_ text: String, _ words: String...) throws {
          try cluster.configure(text)
          for kind in ServiceTests.everyone {
            try cluster.send(.hangUp, kind)
            func errors() -> [String] { cluster.output(kind).errors.suffix(3) }
            try loop.wait("\(words) of \(kind)", state: { "\(errors())" }) {
              words.allSatisfy { word in errors().contains { $0.contains(word) } }
            }
          }
        }
        let witness = try loop.socket(try cluster.gateway(), "/ws/eph:witness")
        try cluster.replaceKey("another-key-another-key")
        try tell(
          "{\n  channels: [\n    { match: 5 },\n  ],\n}", "the old one stays in force", ":3:")
        try publishAndSee(cluster)
        #expect(try status(loop, cluster, "another-key-another-key") == 401)
        try tell(Channels.configuration, "is the same")
        #expect(try status(loop, cluster, "another-key-another-key") == 200)
        #expect(try status(loop, cluster, cluster.options.key ?? "") == 401)
        func with(_ section: String) -> String {
          "{ \(section), \(Channels.configuration.drop { $0 != "c" })"
        }
        try tell(with("limits: { drainTimeout: '9s' }"), "again; in force: limits.drainTimeout")
        try tell(
          with("links: { users: ['daemon'] }"),
          "again; in force: limits.drainTimeout; needs a restart: links.users")
        // What was started with is what a restart is needed for, until there is one.
        try tell(
          with("links: { users: ['daemon'] }, log: { subsystems: { nobody: 'debug' } }"),
          "again; in force: log.subsystems; needs a restart: links.users")
        // Nobody was cut off meanwhile.
        witness.send("unharmed")
        try loop.wait("a witness") { witness.messages.last?.bytes == [UInt8]("unharmed".utf8) }
      }
    }

    private func status(_ loop: TestLoop, _ cluster: ServiceCluster, _ key: String) throws -> Int? {
      try loop.http(
        try cluster.gateway(), "POST", "/api/info", fields: ["X-API-Key: \(key)"], body: "{}"
      ).status
    }

    /// With few descriptors newcomers are turned away, those who are there go on, and when some
    /// leave others get in (row 57).
    @Test func aGatewayThatRunsOutOfDescriptorsServesThoseItHas() throws {
      var options = ServiceTests.options()
      options.wrappers[.gateway] = ["/usr/bin/prlimit", "--nofile=64:64", "--"]
      options.arguments[.gateway] = ["--loops", "1"]
      try ServiceCluster.run(ServiceTests.everyone, options) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        let first = try loop.socket(address, "/ws/eph:m")
        var others = (0..<100).map { _ in TestSocket(loop, address, "/ws/eph:m") }
        loop.run(for: .milliseconds(500))
        let open = others.filter(\.isOpen).count
        #expect(open > 10 && open < 64)
        first.send("still here")
        try loop.wait("it comes to one who was there") {
          first.messages.last?.bytes == [UInt8]("still here".utf8)
        }
        #expect(cluster.isRunning(.gateway))
        for socket in others { socket.vanish() }
        others = []
        loop.run(for: .milliseconds(300))
        let later = try loop.socket(address, "/ws/eph:m")
        first.send("again")
        try loop.wait("it comes to a newcomer") {
          later.messages.last?.bytes == [UInt8]("again".utf8)
        }
      }
    }

    private func publishAndSee(_ cluster: ServiceCluster) throws {
      let loop = try TestLoop()
      let address = try cluster.gateway()
      for channel in ["log:a", "eph:m", "live:x"] {
        let socket = try loop.socket(address, "/ws/events/\(channel)?ack=1")
        try loop.wait("the welcome") { socket.messages.count == 1 }
        socket.send("hello")
        func texts() -> [String] {
          socket.messages.map { String(decoding: $0.bytes, as: UTF8.self) }
        }
        try loop.wait("it and its ack on \(channel)", state: { "\(texts())" }) {
          texts().count == 3
        }
        #expect(texts().contains("hello"))
      }
    }
  }
}
