import ChannelKit
import EchoChannel
import TestKit
import Testing

@Suite struct EchoTests {
  @Test func answersTheSenderAndNobodyElse() throws {
    let bench = try ChannelBench(EchoChannel.self)
    let ann = try bench.subscribe("ann")
    try bench.subscribe("bob")
    let payload = Payload(.binary, [1, 2, 3])
    try bench.send(payload, from: ann)
    try bench.expectMessage(payload, to: ann)
    try bench.expectNothingMore()
    #expect(bench.published.isEmpty)
  }

  @Test func answersTheAPIWithAReply() throws {
    let bench = try ChannelBench(EchoChannel.self)
    try bench.subscribe("ann")
    try bench.send(Payload(text: "x"), from: .api)
    try bench.expectReply(Payload(text: "x"), to: .api)
    try bench.expectNothingMore()
  }
}
