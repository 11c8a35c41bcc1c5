import ChannelKit
import FollowChannel
import TestKit
import Testing

private func json(_ text: String) -> Payload { Payload(json: text) }

/// S001-31.
@Suite struct FollowTests {
  private static let move = json(#"{"action":"camera.move","target":"sol"}"#)
  private static let start = json(#"{"action":"follow.start"}"#)
  private static let started = json(
    #"{"action":"follow.start","leader":"ada","stops":0,"dismissed":[]}"#)

  private static func bench(_ options: [String: OptionValue] = [:]) throws -> ChannelBench {
    try ChannelBench(FollowChannel.self, options: options, channel: "follow:alpha:ada")
  }

  @Test func aMoveReachesThoseWhoFollowAndNotItsSender() throws {
    let bench = try Self.bench()
    let ada = try bench.subscribe("c1", user: "ada")
    try bench.send(Self.start, from: ada)
    try bench.expectMessage(Self.started, to: ada)
    let bob = try bench.subscribe("c2", user: "bob", loop: 1)
    try bench.expectMessage(Self.started, to: bob)
    try bench.send(Self.move, from: ada)
    try bench.expectMessage(Self.move, to: bob)
    try bench.expectNothingMore()
  }

  @Test func onlyTheUserOfTheChannelAndTheAPILead() throws {
    let bench = try Self.bench()
    try bench.send(Self.start, from: .api)
    let bob = try bench.subscribe("c1", user: "bob")
    let nobody = try bench.subscribe("c2")
    for client in [bob, nobody] {
      try bench.expectRefused(Self.move, from: client, "not_permitted")
      try bench.expectRefused(
        json(#"{"action":"follow.stop"}"#), from: client, "not_permitted")
    }
    try bench.send(Self.move, from: .api)
  }

  @Test func whoComesBeforeTheStartWaitsForIt() throws {
    let bench = try Self.bench()
    let ada = try bench.subscribe("c1", user: "ada")
    let bob = try bench.subscribe("c2", user: "bob", loop: 1)
    try bench.expectRefused(Self.move, from: ada, "not_permitted")
    try bench.advance(by: .seconds(2))
    try bench.send(Self.start, from: ada)
    try bench.send(Self.move, from: ada)
    #expect(bench.takeMessages(of: bob) == [Self.started, Self.move])
    try bench.advance(by: .seconds(2))
    #expect(bench.closed(bob) == nil)
  }

  @Test func whatTheLeaderStopsEndsForAll() throws {
    let bench = try Self.bench()
    let ada = try bench.subscribe("c1", user: "ada")
    try bench.send(Self.start, from: ada)
    let bob = try bench.subscribe("c2", user: "bob", loop: 1)
    try bench.send(json(#"{"action":"follow.stop"}"#), from: ada)
    try bench.expectRefused(Self.move, from: ada, "not_permitted")
    try bench.advance(by: .seconds(1))
    #expect(bench.closed(bob)?.name == "not_permitted")
    #expect(bench.closed(ada) == nil)
    #expect(bench.snapshot().isEmpty)
    // Who comes for the next time is not held to this one.
    let eve = try bench.subscribe("c3", user: "eve", loop: 1)
    try bench.advance(by: .seconds(2))
    #expect(bench.closed(eve) == nil)
  }

  @Test func oneFollowerIsSentAwayAndTheOthersStay() throws {
    let bench = try Self.bench()
    let ada = try bench.subscribe("c1", user: "ada")
    try bench.send(Self.start, from: ada)
    let bob = try bench.subscribe("c2", user: "bob", loop: 1)
    let eve = try bench.subscribe("c3", user: "eve")
    let dismiss = json(#"{"action":"follow.dismiss","user":"bob"}"#)
    try bench.send(dismiss, from: ada)
    try bench.expectRefused(dismiss, from: ada, "already_exists")
    try bench.advance(by: .seconds(3))
    #expect(bench.closed(bob)?.name == "not_permitted")
    #expect(bench.closed(eve) == nil)
    #expect(throws: ChannelError.self) { try bench.subscribe("c4", user: "bob", loop: 1) }
    // Who starts anew lets everybody.
    try bench.send(Self.start, from: ada)
    try bench.subscribe("c5", user: "bob", loop: 1)
  }

  @Test func presenceShowsWhoFollowsAndWhoLeads() throws {
    let bench = try Self.bench()
    let ada = try bench.subscribe("c1", user: "ada")
    try bench.send(Self.start, from: ada)
    let bob = try bench.subscribe("c2", user: "bob")
    #expect(bench.presence[try #require(ada.id)] == [UInt8](#"{"leads":"ada"}"#.utf8))
    #expect(bench.presence[try #require(bob.id)] == [UInt8](#"{"follows":"ada"}"#.utf8))
  }

  @Test(arguments: [
    "", "[]", "5", #"{"action":"camera.move"}"#, #"{"action":"camera.turn","target":1}"#,
    #"{"target":1}"#, #"{"action":"follow.dismiss"}"#, #"{"action":5,"target":1}"#,
  ])
  func refusesWhatIsNoMessage(_ text: String) throws {
    let bench = try Self.bench()
    let ada = try bench.subscribe("c1", user: "ada")
    try bench.send(Self.start, from: ada)
    try bench.expectRefused(json(text), from: ada, "invalid_payload")
    let large = #"{"action":"camera.move","target":"\#(String(repeating: "x", count: 1_024))"}"#
    try bench.expectRefused(json(large), from: ada, "invalid_payload")
  }

  @Test func dismissesSoManyAndNoMore() throws {
    let bench = try Self.bench(["maxDismissed": 2])
    let ada = try bench.subscribe("c1", user: "ada")
    try bench.send(Self.start, from: ada)
    for name in ["a\\\"b", "c"] {
      try bench.send(json(#"{"action":"follow.dismiss","user":"\#(name)"}"#), from: ada)
    }
    try bench.expectRefused(
      json(#"{"action":"follow.dismiss","user":"d"}"#), from: ada, "limit_reached")
    #expect(
      bench.snapshot() == [
        json(#"{"action":"follow.start","leader":"ada","stops":0,"dismissed":["a\"b","c"]}"#)
      ])
  }
}
