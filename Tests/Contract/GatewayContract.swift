import Bytes
import Link
import Platform
import TestKit
import Testing
import Wire

private let everyService: [ServiceKind] = [.hub, .eventstore, .presence, .gateway]

extension Contracts {
  /// What a gateway does with what comes from a hub.
  @Suite(.enabled(if: ServiceCluster.canRun(everyService))) struct Gateway {
    /// A publication for others than its publisher's client is none for it either when it was too slow
    /// and reads on from the history, which doesn't say whom a publication is for.
    @Test func whoReadsOnIsSparedItsOwnThatWereForOthers() throws {
      var options = ServiceCluster.Options()
      options.configuration = """
        { gateway: { loops: 1 }, channels: [{ match: "*", history: { size: 2000, ttl: "5m" } }],
          limits: { clientQueueBytes: "256KiB", publicationBytes: "64KiB" } }
        """
      try ServiceCluster.run(everyService, options) { cluster in
        let loop = try TestLoop()
        let guest = try Guest(loop, cluster, .hub).connected()
        let slow = try loop.socket(try cluster.gateway(), "/ws/events/x")
        try loop.wait("the welcome") { slow.messages.count == 1 }
        let client = try number(ofClientIn: slow.messages[0].bytes)
        var seen: [Int] = []
        var others: [String] = []
        slow.received = { _, bytes in
          let head = String(decoding: bytes.prefix(60), as: UTF8.self)
          if let number = Int(head.prefix { $0 != ":" }) { seen.append(number) } else { others.append(head) }
        }
        let handle = try guest.ask(
          OpenChannel(
            remainingMs: 5000, name: channel("x"), flags: [.publish], isDurable: false,
            historyCount: 2000, historyMs: 300_000, subscribers: 0), ChannelOpened.self
        ).handle
        // Before it is slow, while something waits for it, and while it is left to the history.
        let padding = String(repeating: "x", count: 16 * 1024)
        let count = 800
        func isForOthers(_ number: Int) -> Bool { number % 7 == 0 }
        for number in 1...count {
          if number == 10 { slow.pauseReading() }
          let message = Publish(
            remainingMs: 5000, handle: handle, flags: isForOthers(number) ? .forOthers : [], timeMs: 5,
            publisher: Publisher(client: client, user: ""), eventType: "", key: "", expected: nil,
            payload: Payload(text: "\(number):\(padding)"))
          _ = try guest.ask(message, Published.self)
        }
        slow.resumeReading()
        let expected = (1...count).filter { !isForOthers($0) }
        try loop.wait("the last one", within: .seconds(20), state: { "\(seen.count), \(others)" }) {
          seen.last == expected.last
        }
        #expect(seen == expected && others == [])
      }
    }

    private func number(ofClientIn welcome: [UInt8]) throws -> UInt64 {
      let text = String(decoding: welcome, as: UTF8.self)
      let name = text.split(separator: #""client":""#).last.map { $0.prefix { $0 != "\"" } }
      return try #require(name.flatMap { UInt64($0, radix: 16) }, "\(text)")
    }
  }
}
