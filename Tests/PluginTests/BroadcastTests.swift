import BroadcastChannel
import ChannelKit
import TestKit
import Testing

/// S001-07, S001-08.
@Suite struct BroadcastTests {
  private let notice = Payload(json: #"{"message":"maintenance at 5","severity":"warning"}"#)

  @Test func theAPISpeaksToEveryone() throws {
    let bench = try ChannelBench(BroadcastChannel.self)
    try bench.subscribe("ann")
    try bench.subscribe("bob", loop: 1)
    try bench.send(notice, from: .api)
    try bench.expectBroadcast(notice)
  }

  @Test func clientsListen() throws {
    let bench = try ChannelBench(BroadcastChannel.self)
    let ann = try bench.subscribe("ann", user: "ann", roles: ["admin"])
    try bench.expectRefused(notice, from: ann, "not_permitted")
    #expect(bench.published.isEmpty)
  }

  @Test func aRoleSpeaksWhereTheRuleSaysSo() throws {
    let bench = try ChannelBench(BroadcastChannel.self, publish: [.role("admin")])
    let admin = try bench.subscribe("ann", roles: ["admin"])
    let bob = try bench.subscribe("bob", loop: 1)
    try bench.send(notice, from: admin)
    try bench.expectBroadcast(notice)
    try bench.expectRefused(notice, from: bob, "not_permitted")
  }
}
