import Platform
import TestKit
import Testing

/// Every test with whole programs, one after the other.
@Suite(.serialized, .enabled(if: ServiceCluster.canRun(ServiceKind.allCases)))
struct ServiceTests {
  /// All four, as `sapphire up` starts them.
  static let everyone: [ServiceKind] = [.hub, .eventstore, .presence, .gateway]

  /// `LONG=1`: for a night, not for every change.
  static var isLong: Bool { Processes.environment("LONG") == "1" }
  /// The programs run under a sanitizer, which keeps freed memory for a while: their size tells nothing.
  static var isSanitized: Bool { Processes.environment("SANITIZED") == "1" }
  /// How many times as much a long run does.
  static var scale: Int { isLong ? 10 : 1 }

  static func options() -> ServiceCluster.Options {
    var options = ServiceCluster.Options()
    options.configuration = Channels.configuration
    return options
  }
}

/// Producers and observers around one cluster, and what must hold of them in the end.
final class Fleet {
  let loop: TestLoop
  let cluster: ServiceCluster
  private(set) var producers: [Producer] = []
  private(set) var observers: [Observer] = []
  private let channels: [String]

  init(
    _ cluster: ServiceCluster, producers: Int = 3, observers: Int = 20,
    channels: [String] = Channels.all, every: Duration = .milliseconds(25)
  ) throws {
    loop = try TestLoop()
    self.cluster = cluster
    self.channels = channels
    for number in 0..<observers {
      self.observers.append(Observer("observer \(number)", loop, cluster, channels))
    }
    for number in 1...producers {
      self.producers.append(Producer(number, loop, cluster, channels, every: every))
    }
  }

  /// `GET /ready` says yes; gives how long that took.
  @discardableResult
  func waitUntilReady(within limit: Duration = .seconds(5)) throws -> Duration {
    let began = SystemClock.monotonic()
    var last = ""
    while true {
      if let address = try? cluster.gateway(),
        let answer = try? loop.http(address, "GET", "/ready", within: limit)
      {
        if answer.status == 200 { return SystemClock.monotonic().since(began) }
        last = answer.text
      }
      guard SystemClock.monotonic().since(began) < limit else {
        throw ClusterFailure("not ready again within \(limit): \(last)")
      }
      loop.run(for: .milliseconds(10))
    }
  }

  /// Something of every producer is acknowledged in every channel from here on.
  func waitForProgress(within limit: Duration = .seconds(10)) throws {
    func counts() -> [Int] {
      producers.flatMap { producer in channels.map { producer.acks[$0]?.count ?? 0 } }
    }
    let before = counts()
    try loop.wait("progress in every channel", within: limit, state: { "\(before) \(counts())" }) {
      zip(before, counts()).allSatisfy { $0 < $1 }
    }
  }

  /// Something comes to every observer in every channel from here on.
  func waitForFlow(within limit: Duration = .seconds(15)) throws {
    func counts() -> [Int] {
      observers.flatMap { observer in channels.map { observer.logs[$0]?.entries.count ?? 0 } }
    }
    let before = counts()
    try loop.wait(
      "every channel at every observer", within: limit, state: { "\(before) \(counts())" }
    ) {
      zip(before, counts()).allSatisfy { $0 < $1 }
    }
  }

  /// Ends the traffic and holds everyone to what was promised.
  func settle() throws {
    try waitUntilReady()
    try loop.wait("everyone subscribed") { observers.allSatisfy(\.isSubscribed) }
    // Twice: what was under way before may be acknowledged first.
    try waitForProgress()
    try waitForProgress()
    try waitForFlow()
    for producer in producers { producer.finish() }
    try loop.wait("the last acknowledgement", within: .seconds(15)) {
      producers.allSatisfy(\.isFinished)
    }
    for channel in channels where Channels.keeping(channel) == .durable { try settle(channel) }
    for channel in channels where Channels.keeping(channel) != .durable {
      try settleEphemeral(channel)
    }
    for problem in producers.flatMap(\.problems) + observers.flatMap(\.problems) {
      Issue.record("\(problem)")
    }
  }

  /// A durable channel: everybody has everything, once, in one order.
  private func settle(_ channel: String) throws {
    let acks = producers.flatMap { $0.acks[channel] ?? [] }
    let head = acks.compactMap(\.offset).max() ?? 0
    let reader = Observer("a reader from the start", loop, cluster, [channel])
    defer { reader.stop() }
    let everyone = observers + [reader]
    func state() -> String {
      "head \(head): \(everyone.map { $0.logs[channel]?.offset ?? 0 })"
    }
    try loop.wait("everyone at the head of \(channel)", state: state) {
      everyone.allSatisfy { $0.logs[channel]?.offset ?? 0 >= head }
    }
    let log = reader.logs[channel]?.entries ?? []
    #expect(
      log.map(\.offset) == (0..<UInt64(log.count)).map { $0 + 1 }, "\(channel): dense offsets")
    let marks = log.map(\.mark)
    #expect(Set(marks).count == marks.count, "\(channel): nothing twice")
    for producer in producers {
      let numbers = marks.filter { $0.producer == producer.id }.map(\.number)
      #expect(numbers == numbers.sorted(), "\(channel): producer \(producer.id) in order")
    }
    for ack in acks {
      let stored = ack.offset.flatMap { $0 >= 1 && $0 <= log.count ? log[Int($0) - 1].mark : nil }
      if stored != ack.mark {
        Issue.record("\(channel): \(ack) was acknowledged, \(String(describing: stored)) is there")
      }
    }
    for observer in observers where observer.marks(channel) != marks {
      Issue.record("\(observer.name) saw another \(channel) than is stored")
    }
    #expect(reader.problems == [])
  }

  /// Any other: what was acknowledged came, or was said to be missing.
  private func settleEphemeral(_ channel: String) throws {
    let acked = Set(producers.flatMap { Array($0.marks(channel)) })
    for observer in observers {
      let log = observer.logs[channel]
      let lost = (log?.skipped ?? []).filter { acked.contains($0.mark) }
      if let first = lost.first {
        let told = (log?.told ?? []).map { $0.since(first.at) }
        Issue.record(
          "\(observer.name) missed \(lost.count) in \(channel) without a word: \(lost.map(\.mark).prefix(3)); told \(told) after"
        )
      }
    }
    // Everything flows again: the last one of each producer has come to all.
    for producer in producers {
      guard let last = producer.acks[channel]?.last?.mark else { continue }
      func state() -> String {
        observers.map {
          "\($0.name): \($0.marks(channel).suffix(3)) \($0.logs[channel]?.skipped.suffix(3) ?? [])"
        }
        .joined(separator: "\n")
      }
      try loop.wait("\(last) of \(channel) everywhere", state: state) {
        observers.allSatisfy { $0.marks(channel).contains(last) }
      }
    }
  }
}
