import Platform
import TestKit
import Testing

extension ServiceTests {
  /// Three producers and twenty observers while services die or stand still (rows 39 to 42, 60):
  /// durable channels lose nothing, double nothing and keep their order; the others say what they
  /// dropped; all can work again within five seconds.
  struct Faults {
    @Test func nothingIsLostWhenNothingFails() throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let fleet = try Fleet(cluster)
        try fleet.waitForProgress()
        fleet.loop.run(for: .seconds(1))
        try fleet.settle()
      }
    }

    @Test(arguments: ServiceKind.allCases) func aKilledServiceComesBack(kind: ServiceKind) throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let fleet = try Fleet(cluster)
        try fleet.waitForProgress()
        for _ in 0..<2 * ServiceTests.scale {
          try cluster.kill(kind)
          fleet.loop.run(for: .milliseconds(300))
          try cluster.start(kind)
          try fleet.waitUntilReady()
          try fleet.waitForProgress()
        }
        try fleet.settle()
      }
    }

    @Test(arguments: ServiceKind.allCases) func aServiceThatStandsStillIsWaitedFor(
      kind: ServiceKind
    )
      throws
    {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let fleet = try Fleet(cluster)
        try fleet.waitForProgress()
        // Past the three heartbeats after which a link counts as lost.
        try cluster.pause(kind)
        fleet.loop.run(for: .seconds(4))
        try cluster.resume(kind)
        try fleet.waitUntilReady()
        try fleet.waitForProgress()
        // And a shorter one, which no link notices.
        try cluster.pause(kind)
        fleet.loop.run(for: .milliseconds(800))
        try cluster.resume(kind)
        try fleet.settle()
      }
    }

    @Test func durablePublishingGoesOnWithoutHubAndPresence() throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let fleet = try Fleet(cluster, producers: 1, observers: 3, channels: Channels.durable)
        try fleet.waitForProgress()
        try cluster.kill(.presence)
        try cluster.kill(.hub)
        try fleet.waitForProgress()
        try cluster.start(.hub)
        try cluster.start(.presence)
        try fleet.settle()
      }
    }

    /// A subscriber of an empty channel misses nothing of what is stored while the hub is away.
    @Test func whoWaitsAtAnEmptyChannelGetsWhatIsPublishedWhileTheHubIsAway() throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        // Both say when they are subscribed; they may be on different loops.
        let socket = try loop.socket(address, "/ws/events/log:empty")
        let events = try loop.socket(address, "/ws/events/log:empty")
        try loop.wait("the welcomes") { !socket.messages.isEmpty && !events.messages.isEmpty }
        _ = socket.takeMessages()
        _ = events.takeMessages()
        try cluster.kill(.hub)
        let key = "X-API-Key: \(cluster.options.key ?? "")"
        for number in 1...3 {
          let answer = try loop.http(
            address, "POST", "/api/publish", fields: [key],
            body: #"{"channel":"log:empty","data":"\#(number)"}"#)
          #expect(
            answer.status == 200 && answer.text.contains("\"offset\":\(number)"), "\(answer.text)")
        }
        try cluster.start(.hub)
        try loop.wait(
          "all three",
          state: { "\(socket.messages.map { String(decoding: $0.bytes, as: UTF8.self) })" }
        ) {
          socket.messages.map { String(decoding: $0.bytes, as: UTF8.self) } == ["1", "2", "3"]
            && events.messages.count == 3
        }
      }
    }

    /// A channel without history says after an outage that it may have lost something, and from then
    /// on loses nothing: a word at its beginning would be no word of what is lost later.
    @Test func theGapOfAnOutageIsToldWhenItIsOver() throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        let sockets = try (0..<4).map { _ in try loop.socket(address, "/ws/events/live:x") }
        try loop.wait("the welcomes") { sockets.allSatisfy { $0.messages.count == 1 } }
        func texts(_ socket: TestSocket) -> [String] {
          socket.messages.dropFirst().map { String(decoding: $0.bytes, as: UTF8.self) }
        }
        try cluster.kill(.hub)
        try loop.wait("a refusal") {
          (try? LinkFaults.publish("lost", "live:x", loop, cluster)) == nil
        }
        #expect(sockets.allSatisfy { texts($0).isEmpty })
        try cluster.start(.hub)
        try loop.wait("word of a loss at each", state: { "\(sockets.map(texts))" }) {
          sockets.allSatisfy { texts($0).count == 1 }
        }
        #expect(sockets.allSatisfy { texts($0).first?.contains(#""dropped":null"#) == true })
        try LinkFaults.publish("after", "live:x", loop, cluster)
        try loop.wait("what follows", state: { "\(sockets.map(texts))" }) {
          sockets.allSatisfy { texts($0).last == "after" }
        }
      }
    }

    /// Fifty kills of the store under load, 500 with `LONG=1`: what was acknowledged is stored, once.
    @Test func fiftyKillsOfTheStoreLoseNothing() throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let fleet = try Fleet(
          cluster, producers: 3, observers: 2, channels: Channels.durable, every: .milliseconds(1))
        try fleet.waitForProgress()
        var random = SeededGenerator()
        for _ in 0..<50 * ServiceTests.scale {
          fleet.loop.run(for: .milliseconds(Int64.random(in: 20...200, using: &random)))
          try cluster.kill(.eventstore)
          try cluster.start(.eventstore)
          try cluster.waitUntilReady(.eventstore)
        }
        print("kills drawn from \(random)")
        try fleet.settle()
      }
    }

    /// Health is found out by asking every service; however many ask, appends hardly notice.
    @Test func whoAsksForHealthAllTheTimeDoesNotStarveAppends() throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let fleet = try Fleet(
          cluster, producers: 2, observers: 2, channels: Channels.durable, every: .milliseconds(1))
        try fleet.waitForProgress()
        let address = try cluster.gateway()
        let before = fleet.producers.map { $0.marks("log:a").count }
        var asking: [TestRequest] = []
        var answered = 0
        try fleet.loop.wait("2000 answers", within: .seconds(20), state: { "\(answered)" }) {
          for request in asking where request.isDone {
            #expect(request.status == 200, "\(request.text)")
            answered += 1
          }
          asking.removeAll(where: \.isDone)
          while asking.count < 32 {
            asking.append(TestRequest(fleet.loop, address, "GET", "/health"))
          }
          return answered >= 2000
        }
        let appended = zip(fleet.producers, before).map { $0.marks("log:a").count - $1 }
        let longest = fleet.producers.map(\.longestWait).max() ?? .zero
        print("fig: \(appended) appends beside \(answered) answers, the longest after \(longest)")
        #expect(longest < .seconds(1) && appended.allSatisfy { $0 >= 5 })
        try fleet.settle()
      }
    }
  }
}
