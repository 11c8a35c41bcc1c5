import Platform
import TestKit
import Testing
import WebSocketCodec

extension ServiceTests {
  /// Rows 21, 71 and 72: who does not read is hurt alone, and costs no more than his bound.
  struct SlowReaders {
    /// Channels in which what is kept is little, so that memory is the queues'.
    private static var options: ServiceCluster.Options {
      var options = ServiceTests.options()
      options.configuration = """
        {
          channels: [
            { match: "log:*", history: { durable: true } },
            { match: "eph:*", history: { size: 50, ttl: "5m" } },
            { match: "live:*" },
          ],
          limits: { clientQueueBytes: "256KiB", publicationBytes: "64KiB" },
        }
        """
      return options
    }

    @Test func aStalledReaderReadsOnOrIsToldWhatItMissedAndNobodyElseNotices() throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        let channels = ["log:x", "eph:x", "live:x"]
        let readers = try channels.map { try Reader(loop, address, $0) }
        let publishers = try channels.map { try Flood(loop, address, $0) }
        func publish(_ count: Int) throws {
          for publisher in publishers { publisher.publish(count) }
          try loop.wait("every ack", within: .seconds(30)) { publishers.allSatisfy(\.isDone) }
          try loop.wait("everything at those who read", state: { "\(readers.map(\.problems))" }) {
            zip(readers, publishers).allSatisfy { $0.last == $1.number }
          }
        }
        // The services have what they need for this traffic.
        try publish(40)
        let before = memory(cluster)
        for reader in readers { reader.clock = publishers }
        try publish(40)
        let undisturbed = readers.map(\.longest).max() ?? .zero
        let first = publishers[0].number + 1
        let stalled = try (0..<12).map { try Reader(loop, address, channels[$0 % 3], since: first) }
        for reader in stalled { reader.socket.pauseReading() }
        try publish(400)
        let disturbed = readers.map(\.longest).max() ?? .zero
        let after = memory(cluster)
        print("fig: delivery took at most \(undisturbed), \(disturbed) beside readers that stall")
        print("fig: resident before \(before), after \(after)")
        #expect(disturbed < .seconds(1))
        for kind in ServiceTests.isSanitized
          ? [] : [ServiceKind.gateway, .hub, .eventstore, .presence]
        {
          // A bound of 256 KiB for each, and what allocators keep.
          #expect((after[kind] ?? 0) - (before[kind] ?? 0) < 24 << 20, "\(kind)")
        }
        try settle(loop, stalled, publishers)
        for reader in readers { #expect(reader.problems == [] && reader.gaps == 0) }
      }
    }

    /// A gateway that takes nothing costs the hub the credit of its links and no more; the clients of
    /// the other one get everything, and its own are told that they did not.
    @Test func aGatewayThatStandsStillIsHurtAlone() throws {
      try ServiceCluster.run(ServiceTests.everyone, Self.options) { cluster in
        let other = try cluster.addGateway()
        let loop = try TestLoop()
        let reader = try Reader(loop, try cluster.gateway(), "live:x")
        let stalled = try Reader(loop, try other.address(), "live:x")
        let publisher = try Flood(loop, try cluster.gateway(), "live:x", bytes: 60 * 1024)
        func publish(_ count: Int) throws {
          publisher.publish(count)
          try loop.wait(
            "it everywhere but there", within: .seconds(20), state: { "\(reader.last)" }
          ) {
            publisher.isDone && reader.last == publisher.number
          }
        }
        try publish(20)
        try loop.wait("it there, too") { stalled.last == 20 }
        let before = memory(cluster)
        other.send(.pause)
        try publish(900)
        let grown = (memory(cluster)[.hub] ?? 0) - (before[.hub] ?? 0)
        print("fig: the hub has \(grown >> 20) MiB more for a gateway that stands still")
        #expect(ServiceTests.isSanitized || grown < 48 << 20)
        other.send(.resume)
        // Word of the loss comes with credit, or with the loss of the link; or at once, of what the
        // client's own queue had no room for, while the link is still behind.
        try loop.wait("word of the loss", state: { "\(stalled.last)" }) { stalled.wasToldOfLoss }
        var follows = false
        for _ in 0..<10 where !follows {
          try publish(1)
          let seen: Void? = try? loop.wait("what follows", within: .seconds(1)) {
            stalled.last == publisher.number
          }
          follows = seen != nil
        }
        #expect(follows, "\(stalled.last) of \(publisher.number), \(stalled.problems)")
        #expect(reader.problems == [] && reader.gaps == 0 && !reader.wasToldOfLoss)
      }
    }

    /// The stalled read again: a durable channel's get all of it, the others learn exactly how many
    /// they missed.
    private func settle(_ loop: TestLoop, _ stalled: [Reader], _ publishers: [Flood]) throws {
      for reader in stalled { reader.socket.resumeReading() }
      func state() -> String {
        "\(stalled.map { "\($0.channel) \($0.count)+\($0.gaps) \(String(describing: $0.socket.end))" })"
      }
      try loop.wait("all, or word of what is missing, for each", within: .seconds(30), state: state) {
        stalled.allSatisfy { $0.count + $0.gaps == 400 }
      }
      for reader in stalled {
        #expect(reader.problems == [])
        #expect(reader.channel.hasPrefix("log:") ? reader.gaps == 0 : reader.gaps > 0)
        #expect(reader.socket.end == nil)
      }
    }

    private func memory(_ cluster: ServiceCluster) -> [ServiceKind: Int] {
      var bytes: [ServiceKind: Int] = [:]
      for kind in ServiceKind.allCases { bytes[kind] = cluster.residentBytes(of: kind) }
      return bytes
    }
  }
}

/// Publishes numbered payloads of one size, a few at a time.
private final class Flood {
  let channel: String
  private(set) var number = 0
  private(set) var sentAt: [Instant] = []
  private var acked = 0
  private var wanted = 0
  private let socket: TestSocket
  private let padding: String

  init(_ loop: TestLoop, _ address: SocketAddress, _ channel: String, bytes: Int = 16 * 1024) throws
  {
    self.channel = channel
    padding = String(repeating: "x", count: bytes)
    socket = try loop.socket(address, "/ws")
    socket.received = { [weak self] _, bytes in
      guard let self, bytes.starts(with: #"{"type":"ack""#.utf8) else { return }
      acked += 1
      send()
    }
  }

  var isDone: Bool { acked == wanted }

  func publish(_ count: Int) {
    wanted += count
    send()
  }

  private func send() {
    while number < wanted, number - acked < 8 {
      number += 1
      sentAt.append(SystemClock.monotonic())
      socket.send(#"{"id":\#(number),"channel":"\#(channel)","data":"\#(number):\#(padding)"}"#)
    }
  }
}

/// Reads a channel and holds it to its order.
private final class Reader {
  let socket: TestSocket
  let channel: String
  private(set) var last: Int
  private(set) var count = 0
  /// How many it was told are missing.
  private(set) var gaps = 0
  private(set) var wasToldOfLoss = false
  private(set) var problems: [String] = []
  private(set) var longest = Duration.zero
  var clock: [Flood] = []

  init(_ loop: TestLoop, _ address: SocketAddress, _ channel: String, since first: Int = 1) throws {
    self.channel = channel
    last = first - 1
    socket = try loop.socket(address, "/ws/events/\(channel)")
    try loop.wait("the welcome") { self.socket.messages.count == 1 }
    socket.received = { [weak self] _, bytes in self?.received(bytes) }
  }

  private func received(_ bytes: [UInt8]) {
    let head = String(decoding: bytes.prefix(200), as: UTF8.self)
    guard let number = Int(head.prefix { $0 != ":" }) else { return receivedControl(head) }
    if number != last + 1, !wasToldOfLoss || number <= last {
      problems.append("\(channel): \(number) after \(last)")
    }
    last = number
    count += 1
    for flood in clock where flood.number >= number && channel == flood.channel {
      longest = max(longest, SystemClock.monotonic().since(flood.sentAt[number - 1]))
    }
  }

  private func receivedControl(_ text: String) {
    guard text.contains(#""type":"gap""#), let dropped = text.split(separator: #""dropped":"#).last
    else {
      return problems.append("\(channel): \(text)")
    }
    wasToldOfLoss = true
    // `null` where nobody knows.
    gaps += Int(dropped.prefix(while: \.isNumber)) ?? 0
  }
}
