import ChannelKit
import Synchronization
import TestKit
import Testing

@Suite struct ChannelBenchTests {
  private let bump = Payload(text: "bump")

  @Test func runsTheContractsExample() throws {
    let bench = try ChannelBench(CounterChannel.self, options: ["step": 2])
    let ann = try bench.subscribe("ann")
    let bob = try bench.subscribe("bob", loop: 1)
    try bench.expectMessage(Payload(text: "0"), to: ann)
    try bench.expectMessage(Payload(text: "0"), to: bob)
    try bench.send(bump, from: bob)
    try bench.expectBroadcast(bump)
    try bench.expectRefused(Payload(text: "jump"), from: ann, "invalid_payload")
    try bench.expectNothingMore()
    #expect(bench.snapshot() == [Payload(text: "2")])
    #expect(bench.published.map(\.offset) == [Offset(1)])
  }

  @Test func refusesOptionsAsTheRegistryDoes() {
    #expect(throws: ChannelOptionsError.self) {
      try ChannelBench(CounterChannel.self, options: ["stpe": 2])
    }
  }

  @Test func catchesLoopsThatDisagree() throws {
    let bench = try ChannelBench(WaywardChannel.self, options: ["fault": "state"])
    let ann = try bench.subscribe("ann")
    #expect(throws: BenchFailure.self) { try bench.send(bump, from: ann) }
  }

  @Test func catchesDecisionsThatDiffer() throws {
    let bench = try ChannelBench(WaywardChannel.self, options: ["fault": "decision"])
    let ann = try bench.subscribe("ann")
    #expect(throws: BenchFailure.self) { try bench.send(bump, from: ann) }
  }

  @Test func catchesCheckpointsThatLoseState() throws {
    let bench = try ChannelBench(WaywardChannel.self, options: ["fault": "checkpoint"])
    let ann = try bench.subscribe("ann")
    #expect(throws: BenchFailure.self) { try bench.send(bump, from: ann) }
  }

  @Test func theFaultyTypeWithoutAFaultPasses() throws {
    let bench = try ChannelBench(WaywardChannel.self)
    let ann = try bench.subscribe("ann")
    try bench.expectMessage(Payload(text: "0"), to: ann)
    try bench.send(bump, from: ann)
    try bench.expectBroadcast(bump)
  }

  @Test func decidesAgainWhenAnotherCameFirst() throws {
    let bench = try ChannelBench(TicketChannel.self, history: .memory)
    let ann = try bench.subscribe("ann", loop: 0)
    let bob = try bench.subscribe("bob", loop: 1)
    bench.hold(loop: 1)
    try bench.send(bump, from: ann)
    try bench.send(bump, from: bob)
    #expect(bench.contentions == 1)
    try bench.expectReply(Payload(text: "1"), to: ann)
    try bench.expectReply(Payload(text: "2"), to: bob)
    try bench.release(loop: 1)
    #expect(bench.snapshot() == [Payload(text: "2")])
  }

  @Test func withoutAHistoryNothingCanBeExpected() throws {
    let bench = try ChannelBench(TicketChannel.self, history: ChannelHistory.none)
    try bench.expectRefused(bump, from: try bench.subscribe("ann"), "effects_refused")
  }

  @Test func carriesOutWhatOnlyAClientSees() throws {
    let bench = try ChannelBench(HostChannel.self)
    let ann = try bench.subscribe("ann")
    try bench.expectMessage(Payload(text: "hello"), to: ann)
    #expect(bench.presence[ClientID("ann")] == [1])
    let bob = try bench.subscribe("bob", loop: 1)
    try bench.expectMessage(Payload(text: "hello"), to: bob)
    try bench.send(Payload(text: "a"), from: ann)
    try bench.expectMessage(Payload(text: "a"), to: bob)
    try bench.expectNothingMore()
    try bench.advance(by: .milliseconds(999))
    try bench.expectNothingMore()
    try bench.advance(by: .milliseconds(1))
    try bench.expectMessage(Payload(text: "idle"), to: ann)
    try bench.expectNothingMore()
    try bench.leave(ann)
    try bench.expectBroadcast(Payload(text: "ann left"))
    #expect(bench.presence[ClientID("ann")] == nil)
    #expect(throws: ChannelError.self) { try bench.subscribe("eve") }
    try bench.send(Payload(text: "out"), from: bob)
    #expect(bench.closed(bob)?.name == "not_permitted")
  }

  @Test func holdsPublishersToTheRule() throws {
    let bench = try ChannelBench(CounterChannel.self, publish: [.role("admin")])
    let ann = try bench.subscribe("ann")
    try bench.expectRefused(bump, from: ann, "not_permitted")
    try bench.send(bump, from: .api)
    try bench.send(bump, from: bench.subscribe("root", roles: ["admin"]))
    #expect(bench.published.count == 2)
  }

  @Test func severalInOneStepHaveConsecutiveOffsets() throws {
    let bench = try ChannelBench(TwiceChannel.self, history: .durable)
    let ann = try bench.subscribe("ann")
    try bench.send(Payload(text: "a"), from: ann)
    try bench.send(Payload(text: "b"), from: ann)
    #expect(bench.published.map(\.offset) == (1...4).map { Offset($0) })
    #expect(bench.takeMessages(of: ann) == ["a", "a", "b", "b"].map { Payload(text: $0) })
    for history in [ChannelHistory.none, .memory] {
      let bench = try ChannelBench(TwiceChannel.self, history: history)
      let bob = try bench.subscribe("bob")
      try bench.expectRefused(Payload(text: "a"), from: bob, "effects_refused")
    }
  }
}

/// Breaks one rule of the contract at a time.
private struct WaywardChannel: ChannelType {
  static let name = "wayward"
  static let state = StateUse.folded
  static let history = HistoryRequirement.kept
  private static let global = Atomic<UInt64>(0)
  private let fault: String?
  private var total: UInt64 = 0

  init(channel: ChannelName, options: inout ChannelOptions) throws(ChannelOptionsError) {
    fault = try options.choice("fault", of: ["state", "decision", "checkpoint"])
  }

  func decide(_ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects) {
    effects.publish(event.payload)
    if fault == "decision" { effects.reply(Payload(text: "\(Self.next())")) }
  }

  mutating func apply(_ publication: Publication) {
    total = fault == "state" ? Self.next() : total &+ 1
  }

  func snapshot() -> [Payload] { [Payload(text: "\(total)")] }

  func checkpoint() -> [UInt8]? { [UInt8(truncatingIfNeeded: total)] }

  mutating func restore(_ checkpoint: [UInt8]) {
    if fault != "checkpoint" { total = UInt64(checkpoint.first ?? 0) }
  }

  private static func next() -> UInt64 { global.add(1, ordering: .relaxed).newValue }
}

/// Gives every bump the next number, which two must never share.
private struct TicketChannel: ChannelType {
  static let name = "ticket"
  static let state = StateUse.soft
  private var last = 0

  init(channel: ChannelName, options: inout ChannelOptions) {}

  func decide(_ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects) {
    effects.publish(event.payload, expecting: .unchanged)
    effects.reply(Payload(text: "\(last + 1)"))
  }

  mutating func apply(_ publication: Publication) { last += 1 }

  func snapshot() -> [Payload] { [Payload(text: "\(last)")] }
}

/// Publishes every payload twice in one step.
private struct TwiceChannel: ChannelType {
  static let name = "twice"

  init(channel: ChannelName, options: inout ChannelOptions) {}

  func decide(_ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects) {
    effects.publish(together: [event.payload, event.payload])
  }
}

/// Uses every effect.
private struct HostChannel: ChannelType {
  static let name = "host"

  init(channel: ChannelName, options: inout ChannelOptions) {}

  func admit(_ client: ClientContext, _ effects: inout Effects) throws(ChannelError) {
    guard client.id != ClientID("eve") else { throw .notPermitted("not eve") }
    effects.send(Payload(text: "hello"))
    effects.track(info: [1])
  }

  func decide(_ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects) {
    if event.payload == Payload(text: "out") { effects.close(.notPermitted("out it is")) }
    effects.publish(PublishEffect(event.payload, to: .others, persistence: .ephemeral))
    effects.after(.seconds(5), TimerToken(1))
    effects.after(.seconds(1), TimerToken(1))
  }

  func due(_ timer: TimerToken, for client: ClientContext, _ effects: inout Effects) {
    effects.send(Payload(text: "idle"))
  }

  func left(_ client: ClientContext, _ effects: inout Effects) {
    effects.publish(Payload(text: "\(client.id?.text ?? "") left"))
  }
}
