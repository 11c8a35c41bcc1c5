import Platform
import TestKit
import Testing

extension ServiceTests {
  /// What the machine does to services: disks that fail, ports that are taken, readers of logs that
  /// sleep (rows 7, 12, 21, 61, 62).
  struct Host {
    private static let strace = "/usr/bin/strace"
    static var canInject: Bool { Files.isExecutable(FilePath(strace)) }

    /// The store under strace, which does this to its syncs.
    private func withSyncs(_ injected: String, _ body: (ServiceCluster, Fleet) throws -> Void)
      throws
    {
      var options = ServiceTests.options()
      options.wrappers[.eventstore] = [
        // Beside the store and not above it: a strace that is killed would leave the store running.
        Self.strace, "-D", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=fdatasync",
        "-e", "inject=fdatasync:\(injected)",
      ]
      try ServiceCluster.run(ServiceTests.everyone, options) { cluster in
        try body(cluster, try Fleet(cluster, producers: 3, observers: 4))
      }
    }

    /// Row 4, by the calls that the store makes; a trace without the syncs, or without the marks, is refused.
    @Test(.enabled(if: canInject)) func noAcknowledgementIsSentBeforeItsSync() throws {
      let marks = (1...20).map { "mark-\($0)-" }
      var lines: [Substring] = []
      var options = ServiceTests.options()
      options.wrappers[.eventstore] = [
        // Beside the store, as above: signals reach the store.
        Self.strace, "-D", "-f", "-q", "-y", "-s", "256", "-e",
        "trace=recvfrom,sendto,pwrite64,fdatasync",
        "-o", "TRACE",
      ]
      try ServiceCluster.run([.hub, .presence, .gateway], options) { cluster in
        let trace = cluster.directory.appending("trace")
        cluster.options.wrappers[.eventstore]?[10] = trace.description
        try cluster.start(.eventstore)
        let loop = try TestLoop()
        // Each of the gateway's loops finds its own way to the store.
        for mark in marks {
          try loop.wait("an ack of \(mark)", within: .seconds(20)) {
            (try? LinkFaults.publish(mark, "log:d", loop, cluster)) != nil
          }
        }
        try cluster.send(.terminate, .eventstore)
        _ = try cluster.waitForEnd(.eventstore)
        try loop.wait("the end of the trace", within: .seconds(10)) {
          let text = (try? Files.read(trace, bytesMax: 1 << 26)).map {
            String(decoding: $0, as: UTF8.self)
          }
          lines = text?.split(separator: "\n") ?? []
          return lines.last?.hasSuffix("+++ exited with 0 +++") ?? false
        }
      }
      #expect(marks.compactMap(SyncOrder(lines).problem(with:)) == [])
      for call in ["fdatasync", "pwrite64"] {
        let without = SyncOrder(lines.filter { !$0.contains(call) })
        #expect(marks.allSatisfy { without.problem(with: $0) != nil }, "\(call) is not looked at")
      }
    }

    /// Row 7: a sync that fails is the store's end, not a retry; what was under way is unknown, and
    /// sent again under its key it is there once.
    @Test(.enabled(if: canInject)) func aFailedSyncEndsTheStoreAndNothingIsLostOrDoubled() throws {
      try withSyncs("error=EIO:when=60") { cluster, fleet in
        try fleet.loop.wait("the end of the store", within: .seconds(20)) {
          !cluster.isRunning(.eventstore)
        }
        #expect(try cluster.waitForEnd(.eventstore) == .exited(74))
        cluster.options.wrappers[.eventstore] = nil
        try cluster.start(.eventstore)
        try fleet.waitUntilReady()
        try fleet.settle()
      }
    }

    /// Row 21: a sync that takes two seconds is waited for; other channels go on meanwhile.
    @Test(.enabled(if: canInject)) func aSlowSyncHoldsUpDurableChannelsAlone() throws {
      try withSyncs("delay_enter=2000000:when=60") { cluster, fleet in
        try fleet.loop.wait("a long wait for an ack", within: .seconds(20)) {
          fleet.producers.contains { $0.longestWait > .milliseconds(1700) }
        }
        let others = fleet.producers.map { $0.marks("live:x").count }
        #expect(others.allSatisfy { $0 > 40 }, "\(others)")
        cluster.options.wrappers[.eventstore] = nil
        try fleet.settle()
      }
    }

    /// Row 12, and its like for sockets: a plain message and the code for what can't be made.
    @Test func aDirectoryThatCantBeWrittenIsRefusedWithItsReason() throws {
      try ServiceCluster.run([]) { cluster in
        let store = try cluster.runToEnd(
          .eventstore, ["--data", "/proc/nothing"],
          listen: "unix:\(cluster.directory)/run/eventstore.sock")
        #expect(
          store.end == .exited(73) && store.said.contains { $0.contains("/proc/nothing") },
          "\(store)")
        let hub = try cluster.runToEnd(.hub, listen: "unix:/proc/nothing/hub.sock")
        #expect(
          hub.end == .exited(73) && hub.said.contains { $0.contains("/proc/nothing") }, "\(hub)")
      }
    }

    /// Row 61.
    @Test func aPortThatIsTakenIsRefusedWithItsReason() throws {
      try ServiceCluster.run(ServiceTests.everyone, ServiceTests.options()) { cluster in
        let address = try cluster.gateway().authority
        let second = try cluster.runToEnd(.gateway, listen: address)
        #expect(
          second.end == .exited(73) && second.said.contains { $0.contains(address) }, "\(second)")
        let nameless = try cluster.runToEnd(.gateway, listen: "no-such-host.invalid:1")
        #expect(
          nameless.end != .exited(0)
            && nameless.said.contains { $0.contains("no-such-host.invalid") }, "\(nameless)")
        let loop = try TestLoop()
        #expect(try loop.http(try cluster.gateway(), "GET", "/ready").status == 200)
      }
    }

    /// Row 62: nobody reads the log and its pipe is full; the gateway serves on.
    @Test func aLogThatNobodyReadsHoldsNothingUp() throws {
      var options = ServiceTests.options()
      // A pipe that is open at both ends, and read at neither.
      options.wrappers[.gateway] = [
        "/bin/bash", "-c", #"p=$(mktemp -u); mkfifo "$p"; exec 2<>"$p"; rm "$p"; exec "$0" "$@""#,
      ]
      try ServiceCluster.run(ServiceTests.everyone, options) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        try cluster.configure("{ nonsense: \"\(String(repeating: "x", count: 2000))\" }")
        // Each gives a line: in all well over what a pipe holds.
        for _ in 0..<1500 {
          try cluster.send(.hangUp, .gateway)
          SystemClock.pause(.milliseconds(1))
        }
        let answer = try loop.http(address, "GET", "/ready")
        #expect(answer.status == 200)
        let socket = try loop.socket(address, "/ws/eph:m")
        socket.send("served")
        try loop.wait("it") { socket.messages.last?.bytes == [UInt8]("served".utf8) }
        try cluster.send(.terminate, .gateway)
        try loop.wait("the end", within: .seconds(10)) { !cluster.isRunning(.gateway) }
        #expect(try cluster.waitForEnd(.gateway) == .exited(0))
      }
    }
  }
}
