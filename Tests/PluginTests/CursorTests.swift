import ChannelKit
import CursorChannel
import TestKit
import Testing

/// S001-04.
@Suite struct CursorTests {
  @Test func publishesUnderTheUserThatTheGatewayKnows() throws {
    let bench = try ChannelBench(CursorChannel.self)
    let ann = try bench.subscribe("c1", user: "ann")
    try bench.subscribe("c2", loop: 1)
    try bench.send(json(#"{"x":1,"y":-2.5e3,"z":0,"userId":"bob","color":"red"}"#), from: ann)
    try bench.expectBroadcast(
      json(#"{"userId":"ann","x":1,"y":-2.5e3,"z":0,"color":"red"}"#))
  }

  @Test func anAnonymousClientIsWhoItSaysOrItsConnection() throws {
    let bench = try ChannelBench(CursorChannel.self)
    let client = try bench.subscribe("c1")
    try bench.send(json(#"{"userId":"bob","x":1,"y":2,"z":3}"#), from: client)
    try bench.expectBroadcast(json(#"{"userId":"bob","x":1,"y":2,"z":3}"#))
    try bench.advance(by: .seconds(1))
    try bench.send(json(#"{"x":1,"y":2}"#), from: client)
    try bench.expectBroadcast(json(#"{"userId":"c1","x":1,"y":2}"#))
  }

  @Test func nobodyTakesTheNameOfASignedInUser() throws {
    let bench = try ChannelBench(CursorChannel.self)
    let ann = try bench.subscribe("c1", user: "ann")
    let eve = try bench.subscribe("c2", loop: 1)
    try bench.send(json(#"{"x":1,"y":2}"#), from: ann)
    try bench.expectRefused(json(#"{"userId":"ann","x":9,"y":9}"#), from: eve, "not_permitted")
    try bench.send(json(#"{"userId":"ann","x":5,"y":5}"#), from: .api)
  }

  @Test func mergesToTheLatestOfEachUserAtTheFrameRate() throws {
    let bench = try ChannelBench(CursorChannel.self, options: ["framesPerSecond": 20])
    let ann = try bench.subscribe("c1", user: "ann")
    let bob = try bench.subscribe("c2", user: "bob", loop: 1)
    try bench.send(json(#"{"x":0,"y":0}"#), from: ann)
    try bench.expectBroadcast(json(#"{"userId":"ann","x":0,"y":0}"#))
    for step in 1...9 {
      try bench.send(json(#"{"x":\#(step),"y":0}"#), from: ann)
      try bench.send(json(#"{"x":\#(step),"y":1}"#), from: bob)
    }
    try bench.advance(by: .milliseconds(49))
    try bench.expectNothingMore()
    try bench.advance(by: .milliseconds(1))
    try bench.expectBroadcast(json(#"{"userId":"ann","x":9,"y":0}"#))
    try bench.expectBroadcast(json(#"{"userId":"bob","x":9,"y":1}"#))
    try bench.expectNothingMore()
    #expect(bench.published.count == 19)
  }

  @Test func aFrameCanBeOneList() throws {
    let bench = try ChannelBench(CursorChannel.self, options: ["frame": "list"])
    let ann = try bench.subscribe("c1", user: "ann")
    try bench.expectNothingMore()
    try bench.send(json(#"{"x":0,"y":0}"#), from: ann)
    try bench.expectBroadcast(json(#"[{"userId":"ann","x":0,"y":0}]"#))
    try bench.send(json(#"{"x":1,"y":0}"#), from: ann)
    try bench.send(json(#"{"userId":"bob","x":1,"y":1}"#), from: .api)
    try bench.advance(by: .milliseconds(34))
    try bench.expectBroadcast(
      json(#"[{"userId":"ann","x":1,"y":0},{"userId":"bob","x":1,"y":1}]"#))
    let eve = try bench.subscribe("c2")
    try bench.expectMessage(
      json(#"[{"userId":"ann","x":1,"y":0},{"userId":"bob","x":1,"y":1}]"#), to: eve)
  }

  @Test(arguments: [
    #"{"x":1}"#, #"{"x":"1","y":2}"#, #"{"x":1e999,"y":2}"#, #"{"x":1,"y":2,"z":null}"#,
    #"{"x":1,"y":NaN}"#, #"{"x":1,"y":2"#, "[1,2]", "", #"{"userId":7,"x":1,"y":2}"#,
    #"{"userId":"","x":1,"y":2}"#, #"{"x":1,"x":2,"y":2}"#, #"{"left":true,"userId":"ann"}"#,
  ])
  func refusesWhatIsNoPosition(text: String) throws {
    let bench = try ChannelBench(CursorChannel.self)
    try bench.expectRefused(json(text), from: bench.subscribe("c1"), "invalid_payload")
    #expect(bench.published.isEmpty)
  }

  @Test func refusesWhatIsTooLargeOrBinary() throws {
    let bench = try ChannelBench(CursorChannel.self)
    let ann = try bench.subscribe("c1")
    let note = String(repeating: "a", count: 1_024)
    try bench.expectRefused(
      json(#"{"x":1,"y":2,"note":"\#(note)"}"#), from: ann, "invalid_payload")
    try bench.expectRefused(
      Payload(.binary, [UInt8](#"{"x":1,"y":2}"#.utf8)), from: ann, "invalid_payload")
  }

  @Test func takesTheTextFramesOfRawSockets() throws {
    let bench = try ChannelBench(CursorChannel.self)
    let ann = try bench.subscribe("c1", user: #"a"b"#)
    try bench.send(Payload(text: #" { "x" : 1 , "y" : 2 } "#), from: ann)
    try bench.expectBroadcast(json(#"{"userId":"a\"b","x":1,"y":2}"#))
  }

  @Test func newcomersSeeTheLatestInOrder() throws {
    let bench = try ChannelBench(CursorChannel.self)
    for (user, x) in [("ann", 1), ("bob", 2), ("ann", 3)] {
      try bench.send(json(#"{"userId":"\#(user)","x":\#(x),"y":0}"#), from: .api)
    }
    #expect(
      bench.snapshot()
        == [json(#"{"userId":"bob","x":2,"y":0}"#), json(#"{"userId":"ann","x":3,"y":0}"#)])
  }

  @Test func tellsWhenAUserHasLeftUnlessAnotherConnectionMovedSince() throws {
    let bench = try ChannelBench(CursorChannel.self)
    let phone = try bench.subscribe("c1", user: "ann")
    let laptop = try bench.subscribe("c2", user: "ann", loop: 1)
    let bob = try bench.subscribe("c3", user: "bob")
    try bench.send(json(#"{"x":1,"y":1}"#), from: phone)
    try bench.send(json(#"{"x":2,"y":2}"#), from: laptop)
    try bench.advance(by: .seconds(1))
    _ = bench.takeMessages(of: bob)
    try bench.leave(phone)
    try bench.advance(by: .seconds(1))
    #expect(bench.takeMessages(of: bob).isEmpty)
    try bench.leave(laptop)
    try bench.expectMessage(json(#"{"userId":"ann","left":true}"#), to: bob)
    #expect(bench.snapshot().isEmpty)
  }

  @Test func forgetsTheMostSilentBeyondItsBound() throws {
    let bench = try ChannelBench(CursorChannel.self, options: ["maxUsers": 2])
    for user in ["ann", "bob", "ann", "cid"] {
      try bench.send(json(#"{"userId":"\#(user)","x":0,"y":0}"#), from: .api)
    }
    #expect(
      bench.snapshot()
        == [json(#"{"userId":"ann","x":0,"y":0}"#), json(#"{"userId":"cid","x":0,"y":0}"#)])
  }

  private func json(_ text: String) -> Payload { Payload(json: text) }
}
