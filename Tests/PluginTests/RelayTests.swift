import ChannelKit
import RelayChannel
import TestKit
import Testing

@Suite struct RelayTests {
  @Test(arguments: PayloadKind.allCases)
  func handsOnEveryKindAsItIs(kind: PayloadKind) throws {
    let bench = try ChannelBench(RelayChannel.self)
    let ann = try bench.subscribe("ann")
    try bench.subscribe("bob", loop: 1)
    let payload = Payload(kind, [0, 255, 34, 92])
    try bench.send(payload, from: ann)
    try bench.expectBroadcast(payload)
    try bench.expectNothingMore()
  }

  @Test func sparesThePublisherItsOwnIfToldSo() throws {
    let bench = try ChannelBench(
      RelayChannel.self, options: ["toPublisher": .bool(false)], history: .durable)
    let ann = try bench.subscribe("ann")
    let bob = try bench.subscribe("bob", loop: 1)
    try bench.send(Payload(text: "hers"), from: ann)
    #expect(bench.takeMessages(of: ann) == [])
    #expect(bench.takeMessages(of: bob) == [Payload(text: "hers")])
  }

  @Test func showsNewcomersNothing() throws {
    let bench = try ChannelBench(RelayChannel.self, history: .durable)
    try bench.send(Payload(text: "before"), from: .api)
    try bench.subscribe("ann")
    try bench.expectNothingMore()
  }
}
