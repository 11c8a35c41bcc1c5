import ChannelKit
import TestKit
import Testing

@Suite struct PollTests {
  @Test func countsEachUserOnce() throws {
    let bench = try ChannelBench(PollChannel.self)
    let ann = try bench.subscribe("c1", user: "ann")
    try bench.send(Payload(text: "yes"), from: ann)
    try bench.expectReply(Payload(text: "counted"), to: ann)
    try bench.expectRefused(Payload(text: "no"), from: ann, "already_exists")
    try bench.expectRefused(Payload(text: "maybe"), from: ann, "invalid_payload")
    #expect(bench.snapshot() == [Payload(text: "yes: 1"), Payload(text: "no: 0")])
  }

  @Test func nobodyVotesTwiceByBeingQuick() throws {
    let bench = try ChannelBench(PollChannel.self)
    let phone = try bench.subscribe("c1", user: "ann", loop: 0)
    let laptop = try bench.subscribe("c2", user: "ann", loop: 1)
    bench.hold(loop: 1)
    try bench.send(Payload(text: "yes"), from: phone)
    try bench.expectRefused(Payload(text: "no"), from: laptop, "already_exists")
    #expect(bench.contentions == 1)
  }
}
