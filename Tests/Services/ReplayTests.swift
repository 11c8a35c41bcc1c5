import Platform
import TestKit
import Testing

extension ServiceTests {
  /// What happens to those who are brought from the past to now while something goes wrong.
  struct Replays {
    private static func options(_ limits: String = "") -> ServiceCluster.Options {
      var options = ServiceTests.options()
      options.configuration = """
        {
          channels: [
            { match: "log:*", history: { durable: true } },
            { match: "board:*", type: "board", history: { durable: true } },
            { match: "live:*" },
          ],
          limits: { \(limits) },
        }
        """
      return options
    }

    private static func texts(_ socket: TestSocket) -> [String] {
      socket.messages.map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    /// A store that is away or stands still while somebody replays is waited for, whatever carries
    /// the client: nobody stays connected and hears nothing.
    @Test(arguments: [false, true])
    func whoReplaysWhileTheStoreIsAwayGetsEverythingOnceItIsBack(standsStill: Bool) throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options(#"requestTimeout: "1s""#)) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        // On every loop somebody holds the channel open.
        let holders = try (0..<8).map { _ in try loop.socket(address, "/ws/events/log:kk") }
        for number in 1...3 { try LinkFaults.publish("n\(number)", "log:kk", loop, cluster) }
        try loop.wait("all at those who are there") {
          holders.allSatisfy { Self.texts($0).contains("n3") }
        }
        if standsStill { try cluster.pause(.eventstore) } else { try cluster.kill(.eventstore) }
        let many = try (0..<4).map { _ in try loop.socket(address, "/ws?channel=log:kk&since=start") }
        let asking = try (0..<4).map { _ in try loop.socket(address, "/ws") }
        for socket in asking {
          socket.send(#"{"type":"subscribe","id":"1","channel":"log:kk","since":"start"}"#)
        }
        let alone = try (0..<4).map { _ in try loop.socket(address, "/ws/log:kk?since=start") }
        let streams = ["/sse", "/stream", "/sse?channel=log:b", "/stream?channel=log:b"].map {
          TestRequest(
            loop, address, "GET", $0 + ($0.contains("?") ? "&" : "?") + "channel=log:kk&since=start")
        }
        let poll = TestRequest(
          loop, address, "GET", "/poll?channel=log:kk&since=start&timeout=20")
        // Longer than a request may take.
        loop.run(for: standsStill ? .milliseconds(1500) : .milliseconds(400))
        if standsStill { try cluster.resume(.eventstore) } else { try cluster.start(.eventstore) }
        func has(_ text: String) -> Bool {
          (many + asking + alone).allSatisfy { socket in
            Self.texts(socket).contains { $0.contains(text) }
          } && streams.allSatisfy { $0.textSoFar.contains(text) }
        }
        func state() -> String {
          "\((many + asking + alone).map { Self.texts($0).count }) \(streams.map(\.textSoFar))"
        }
        try loop.wait("what was there", state: state) { has("n3") }
        try loop.wait("the poll's answer") { poll.isDone }
        #expect(poll.text.contains("n1") && poll.text.contains("n3"), "\(poll.text)")
        try LinkFaults.publish("n4", "log:kk", loop, cluster)
        try loop.wait("what comes after it", state: state) { has("n4") }
        #expect((many + asking + alone).allSatisfy { $0.end == nil })
        for socket in alone { #expect(Self.texts(socket) == ["n1", "n2", "n3", "n4"]) }
      }
    }

    /// Clients that ask for much and read nothing cost their bound, and nobody else notices: the
    /// links stand, and whoever publishes is answered.
    @Test func whoReadsNothingOfManyHistoriesCostsItsBoundAlone() throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options()) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        let count = 30
        let key = "X-API-Key: \(cluster.options.key ?? "")"
        let half = String(repeating: "x", count: 500_000)
        for number in 1...count {
          for _ in 1...2 {
            let answer = try loop.http(
              address, "POST", "/api/publish", fields: [key],
              body: #"{"channel":"log:big\#(number)","data":"\#(half)"}"#)
            #expect(answer.status == 200)
          }
        }
        let before = [ServiceKind.gateway, .eventstore].map { cluster.residentBytes(of: $0) }
        let query = (1...count).map { "channel=log:big\($0)" }.joined(separator: "&")
        let greedy = try (0..<8).map { _ in
          let socket = try loop.socket(address, "/ws?\(query)&since=start")
          socket.pauseReading()
          return socket
        }
        var longest = Duration.zero
        for number in 1...20 {
          let began = SystemClock.monotonic()
          try LinkFaults.publish("\(number)", "log:by", loop, cluster)
          longest = max(longest, SystemClock.monotonic().since(began))
          loop.run(for: .milliseconds(50))
        }
        let after = [ServiceKind.gateway, .eventstore].map { cluster.residentBytes(of: $0) }
        print("fig: a publication took at most \(longest); resident \(before), then \(after)")
        #expect(longest < .milliseconds(1000))
        let said = cluster.output(.gateway)
        #expect(!(said.lines + said.errors).contains { $0.contains("lost the link") })
        if !ServiceTests.isSanitized {
          // A bound of 1 MiB for each of eight, one large event beyond it, and what allocators keep.
          #expect(after[0] - before[0] < 48 << 20)
          #expect(after[1] - before[1] < 64 << 20)
        }
        // Who reads on gets the rest.
        greedy[0].resumeReading()
        try loop.wait("all of it", within: .seconds(30), state: { "\(greedy[0].messages.count)" }) {
          greedy[0].messages.count == 2 * count + 1
        }
        #expect(greedy[0].end == nil)
      }
    }

    /// Another store under a running gateway: nothing spins, nobody is told of positions that are
    /// gone, and who waits learns of it before anything is published.
    @Test func aStoreThatWasReplacedIsNoticedAtOnce() throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options()) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        let idle = try (0..<4).map { _ in try loop.socket(address, "/ws?channel=log:a") }
        for number in 1...5 { try LinkFaults.publish("old\(number)", "log:a", loop, cluster) }
        try loop.wait("all five") { idle.allSatisfy { $0.messages.count == 6 } }
        try cluster.kill(.eventstore)
        try Files.rename(cluster.storeDirectory, to: cluster.directory.appending("old"))
        let early = (0..<4).map { _ in TestSocket(loop, address, "/ws/events/log:a?since=start") }
        loop.run(for: .milliseconds(100))
        try cluster.start(.eventstore)
        try cluster.waitUntilReady(.eventstore)
        try loop.wait("word of it", state: { "\(idle.map(Self.texts))" }) {
          idle.allSatisfy { Self.texts($0).last?.contains(#""type":"unrecoverable""#) == true }
        }
        let late = try (0..<4).map { _ in
          try loop.socket(address, "/ws?channel=log:a&since=start")
        }
        try loop.wait("the welcomes") { late.allSatisfy { $0.messages.count == 1 } }
        #expect(late.allSatisfy { Self.texts($0).allSatisfy { !$0.contains(#""offset":5"#) } })
        let busy = try Self.cpuTicks(cluster, .eventstore) + Self.cpuTicks(cluster, .gateway)
        loop.run(for: .seconds(1))
        let spent = try Self.cpuTicks(cluster, .eventstore) + Self.cpuTicks(cluster, .gateway) - busy
        #expect(spent < 20, "\(spent) hundredths of a second of doing nothing")
        try LinkFaults.publish("new", "log:a", loop, cluster)
        let everyone = idle + early + late
        try loop.wait("the first of the new one", state: { "\(everyone.map(Self.texts))" }) {
          everyone.allSatisfy { Self.texts($0).last?.contains("new") == true }
        }
        #expect(early.allSatisfy { !Self.texts($0).contains { $0.contains("old") } })
      }
    }

    private static func cpuTicks(_ cluster: ServiceCluster, _ kind: ServiceKind) throws -> Int {
      guard let process = cluster.process(kind) else { return 0 }
      let stat = try Files.read(FilePath("/proc/\(process.number)/stat"), bytesMax: 4096)
      let fields = String(decoding: stat, as: UTF8.self).split(separator: ")").last?
        .split(separator: " ") ?? []
      guard fields.count > 12 else { return 0 }
      return (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0)
    }

    /// State has no place among the publications: a client that knows its position does not take
    /// it for something that it has already.
    @Test func aBoardsStateComesWithoutAPosition() throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options()) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        let key = "X-API-Key: \(cluster.options.key ?? "")"
        for number in 1...3 {
          let answer = try loop.http(
            address, "POST", "/api/publish", fields: [key],
            body: #"{"channel":"board:b","data":{"text":"n\#(number)"}}"#)
          #expect(answer.status == 200 && !answer.text.contains("error"), "\(answer.text)")
        }
        // Another loop hears of the last one behind its publisher's acknowledgement.
        let began = SystemClock.monotonic()
        var texts: [String] = []
        repeat {
          let socket = try loop.socket(address, "/ws?channel=board:b")
          try loop.wait("the state") { socket.messages.count >= 2 }
          texts = Self.texts(socket)
        } while !texts[0].contains(#""offset":3"#)
          && SystemClock.monotonic().since(began) < .seconds(5)
        #expect(texts[0].contains(#""offset":3"#))
        #expect(texts[1].contains("n1") && texts[1].contains("n3"), "\(texts[1])")
        #expect(!texts[1].contains(#""offset""#) && !texts[1].contains(#""epoch""#), "\(texts[1])")
      }
    }

    /// What waits for channels that can't be opened is bounded in bytes over all of them.
    @Test func publicationsThatWaitForTheHubAreBoundedInBytes() throws {
      // More has to come within the time-out than may wait.
      let patience = ServiceTests.isSanitized ? 60 : 5
      let limits = "requestTimeout: \"\(patience)s\""
      try ServiceCluster.run(ServiceTests.everyone, Self.options(limits)) { cluster in
        let loop = try TestLoop()
        let sockets = try (0..<2).map { _ in try loop.socket(try cluster.gateway(), "/ws") }
        var answers: [String] = []
        for socket in sockets {
          socket.received = { answers.append(String(decoding: $1.prefix(200), as: UTF8.self)) }
        }
        loop.run(for: .milliseconds(200))
        let before = cluster.residentBytes(of: .gateway)
        try cluster.pause(.hub)
        let text = String(repeating: "x", count: 60_000)
        for number in 0..<1200 {
          sockets[number % 2].send(
            #"{"id":\#(number),"channel":"live:new\#(number % 6)","data":"\#(text)"}"#)
        }
        try loop.wait("a refusal", within: .seconds(patience)) {
          answers.contains { $0.contains(#""name":"overloaded""#) }
        }
        let after = cluster.residentBytes(of: .gateway)
        print("fig: the gateway has \((after - before) >> 20) MiB more while the hub stands still")
        #expect(ServiceTests.isSanitized || after - before < 64 << 20)
        try loop.wait(
          "an answer to each", within: .seconds(2 * patience + 10), state: { "\(answers.count)" }
        ) {
          answers.count >= 1200
        }
        try cluster.resume(.hub)
        try loop.wait("the hub") {
          (try? LinkFaults.publish("1", "live:new0", loop, cluster)) != nil
        }
      }
    }
  }
}
