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

  @Test func showsNewcomersNothing() throws {
    let bench = try ChannelBench(RelayChannel.self, history: .durable)
    try bench.send(Payload(text: "before"), from: .api)
    try bench.subscribe("ann")
    try bench.expectNothingMore()
  }

  /// S003-22.
  @Test func requiresMembersWhereTheRuleSaysSo() throws {
    let bench = try ChannelBench(
      RelayChannel.self, options: ["require": ["type", "timestamp"]])
    let ann = try bench.subscribe("ann")
    let whole = Payload(json: #"{"timestamp":1,"path":"/","type":"page_view"}"#)
    try bench.send(whole, from: ann)
    try bench.expectBroadcast(whole)
    let error = try bench.expectRefused(
      Payload(json: #"{"type":"page_view","nested":{"timestamp":1}}"#), from: ann,
      "invalid_payload")
    #expect(error.message == "missing: timestamp")
    for text in ["[]", "", "null", #"{"type":1,"timestamp":2"#] {
      try bench.expectRefused(Payload(json: text), from: ann, "invalid_payload")
    }
    try bench.expectNothingMore()
  }
}
