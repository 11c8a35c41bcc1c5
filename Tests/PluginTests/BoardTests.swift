import BoardChannel
import ChannelKit
import TestKit
import Testing

/// S001-05.
@Suite struct BoardTests {
  private let empty = Payload(json: #"{"op":"snapshot","page":1,"pages":1,"items":[]}"#)

  @Test func addsAnItemUnderItsAuthor() throws {
    let (bench, ann, bob) = try board()
    try bench.send(json(#"{"systemId":"sol","text":"home","author":"eve"}"#), from: ann)
    try bench.expectBroadcast(
      json(#"{"op":"add","id":"1","version":1,"author":"ann","systemId":"sol","text":"home"}"#))
    try bench.expectReply(json(#"{"id":"1","version":1}"#), to: ann)
    try bench.send(json(#"{"id":"b-1","text":"x","gone":null}"#), from: bob)
    try bench.expectBroadcast(
      json(#"{"op":"add","id":"b-1","version":2,"author":"bob","text":"x"}"#))
  }

  @Test func newcomersSeeTheItems() throws {
    let (bench, ann, _) = try board()
    try bench.send(json(#"{"text":"one"}"#), from: ann)
    try bench.send(json(#"{"text":"two"}"#), from: ann)
    try bench.send(json(#"{"op":"change","id":"1","text":"uno","color":"red"}"#), from: ann)
    try bench.send(json(#"{"op":"remove","id":"2"}"#), from: ann)
    try bench.send(json(#"{"text":"three","author":"cid"}"#), from: .api)
    let eve = try bench.subscribe("eve", loop: 1)
    let time = #""time":1700000000000"#
    try bench.expectMessage(
      json(
        #"{"op":"snapshot","page":1,"pages":1,"items":["#
          + #"{"id":"1","version":3,\#(time),"author":"ann","text":"uno","color":"red"},"#
          + #"{"id":"5","version":5,\#(time),"author":"cid","text":"three"}]}"#), to: eve)
  }

  @Test func changesReplaceAddAndTakeAwayFields() throws {
    let (bench, ann, _) = try board()
    try bench.send(json(#"{"text":"a","x":1,"y":[1, 2]}"#), from: ann)
    _ = bench.takeMessages(of: ann)
    try bench.send(json(#"{"op":"change","id":"1","x":null,"y":{"b":2},"z":3}"#), from: ann)
    try bench.expectMessage(
      json(#"{"op":"change","id":"1","version":2,"by":"ann","x":null,"y":{"b":2},"z":3}"#),
      to: ann)
    #expect(text(bench.snapshot()).contains(#""text":"a","y":{"b":2},"z":3}"#))
  }

  @Test func onlyTheAuthorAndAdministratorsChangeAndRemove() throws {
    let (bench, ann, bob) = try board()
    let admin = try bench.subscribe("c3", user: "root", roles: ["admin"])
    try bench.send(json(#"{"text":"mine"}"#), from: ann)
    try bench.expectRefused(
      json(#"{"op":"change","id":"1","text":"his"}"#), from: bob, "not_permitted")
    try bench.expectRefused(json(#"{"op":"remove","id":"1"}"#), from: bob, "not_permitted")
    try bench.send(json(#"{"op":"change","id":"1","text":"tidied"}"#), from: admin)
    try bench.send(json(#"{"op":"remove","id":"1"}"#), from: ann)
    #expect(bench.snapshot() == [empty])
  }

  @Test func anAnonymousItemBelongsToAllAndFoolsNobody() throws {
    let bench = try ChannelBench(BoardChannel.self)
    let guest = try bench.subscribe("g1")
    let other = try bench.subscribe("g2", loop: 1)
    let ann = try bench.subscribe("c1", user: "ann")
    try bench.send(json(#"{"text":"hi","author":"ann"}"#), from: guest)
    _ = (bench.takeMessages(of: guest), bench.takeMessages(of: ann))
    #expect(
      bench.takeMessages(of: other).last
        == json(
          #"{"op":"add","id":"1","version":1,"author":"ann","anonymous":true,"text":"hi"}"#))
    try bench.send(json(#"{"op":"change","id":"1","text":"hey","anonymous":true}"#), from: other)
    try bench.expectBroadcast(json(#"{"op":"change","id":"1","version":2,"text":"hey"}"#))
    try bench.send(json(#"{"text":"mine"}"#), from: ann)
    try bench.expectRefused(json(#"{"op":"remove","id":"3"}"#), from: guest, "not_permitted")
  }

  @Test func theRuleCanSayWhoChanges() throws {
    let bench = try ChannelBench(BoardChannel.self, options: ["change": ["user:*"]])
    let ann = try bench.subscribe("c1", user: "ann")
    let bob = try bench.subscribe("c2", user: "bob")
    let guest = try bench.subscribe("g1")
    try bench.send(json(#"{"text":"a"}"#), from: ann)
    try bench.send(json(#"{"op":"change","id":"1","text":"b"}"#), from: bob)
    try bench.expectRefused(json(#"{"op":"remove","id":"1"}"#), from: guest, "not_permitted")
  }

  @Test func refusesAChangeToAVersionThatIsNoLongerThere() throws {
    let (bench, ann, _) = try board()
    try bench.send(json(#"{"text":"a"}"#), from: ann)
    try bench.send(json(#"{"op":"change","id":"1","version":1,"text":"b"}"#), from: ann)
    let error = try bench.expectRefused(
      json(#"{"op":"change","id":"1","version":1,"text":"c"}"#), from: ann, "conflict")
    #expect(error.message == "the item has changed: it is at version 2")
  }

  @Test func aUserWhoseNameOnlyLooksLikeTheAuthorsIsAnother() throws {
    let bench = try ChannelBench(BoardChannel.self)
    let author = try bench.subscribe("c1", user: "caf\u{e9}")
    let other = try bench.subscribe("c2", user: "cafe\u{301}", loop: 1)
    try bench.send(json(#"{"text":"mine"}"#), from: author)
    try bench.expectRefused(json(#"{"op":"remove","id":"1"}"#), from: other, "not_permitted")
    try bench.send(json(#"{"op":"remove","id":"1"}"#), from: author)
  }

  @Test func ofTwoWhoChangeTheSameOneIsToldSo() throws {
    let (bench, ann, bob) = try board(["change": ["anonymous"]])
    try bench.send(json(#"{"text":"a"}"#), from: ann)
    bench.hold(loop: 1)
    try bench.send(json(#"{"op":"change","id":"1","version":1,"text":"b"}"#), from: ann)
    try bench.expectRefused(
      json(#"{"op":"change","id":"1","version":1,"text":"c"}"#), from: bob, "conflict")
    try bench.expectRefused(json(#"{"op":"remove","id":"9"}"#), from: bob, "not_found")
    try bench.release(loop: 1)
    #expect(text(bench.snapshot()).contains(#""text":"b""#) && bench.contentions == 1)
  }

  @Test func twoWhoAddAtOnceGetDifferentIDs() throws {
    let (bench, ann, bob) = try board()
    bench.hold(loop: 1)
    try bench.send(json(#"{"text":"a"}"#), from: ann)
    try bench.send(json(#"{"text":"b"}"#), from: bob)
    try bench.expectReply(json(#"{"id":"1","version":1}"#), to: ann)
    try bench.expectReply(json(#"{"id":"2","version":2}"#), to: bob)
    try bench.release(loop: 1)
    #expect(bench.contentions == 1)
  }

  @Test(arguments: [
    #"{"op":"ad","text":"a"}"#, #"{"op":7,"text":"a"}"#, #"{"systemId":"sol"}"#, #"{"text":7}"#,
    #"{"text":null}"#, #"{"id":"7","text":"a"}"#, #"{"id":"a b","text":"a"}"#, "[]", "", "nul",
    #"{"op":"change","text":"a"}"#, #"{"op":"change","id":"known"}"#,
    #"{"op":"change","id":"known","text":null}"#, #"{"op":"remove"}"#, #"{"text":"a","author":1}"#,
    #"{"op":"change","id":"known","version":-1,"text":"a"}"#, #"{"text":"a","text":"b"}"#,
  ])
  func refusesWhatMakesNoSense(text: String) throws {
    let bench = try ChannelBench(BoardChannel.self)
    let guest = try bench.subscribe("g")
    try bench.send(json(#"{"id":"known","text":"a"}"#), from: guest)
    try bench.expectRefused(json(text), from: guest, "invalid_payload")
    #expect(bench.published.count == 1)
  }

  @Test func holdsItsBounds() throws {
    let bench = try ChannelBench(
      BoardChannel.self, options: ["maxItems": 2, "maxItemBytes": 64, "maxBytes": 100])
    let guest = try bench.subscribe("g")
    let long = String(repeating: "x", count: 50)
    try bench.expectRefused(json(#"{"text":"\#(long)\#(long)"}"#), from: guest, "limit_reached")
    try bench.send(json(#"{"text":"\#(long)"}"#), from: guest)
    try bench.expectRefused(json(#"{"text":"\#(long)"}"#), from: guest, "limit_reached")
    try bench.send(json(#"{"text":"a"}"#), from: guest)
    try bench.expectRefused(json(#"{"text":"b"}"#), from: guest, "limit_reached")
    try bench.expectRefused(
      json(#"{"op":"change","id":"2","note":"\#(long)"}"#), from: guest, "limit_reached")
    try bench.send(json(#"{"op":"remove","id":"1"}"#), from: guest)
    try bench.send(json(#"{"text":"\#(long)"}"#), from: guest)
    let many = (0..<33).map { #""f\#($0)":1"# }.joined(separator: ",")
    try bench.expectRefused(
      json(#"{"text":"a",\#(many)}"#), from: guest, "invalid_payload")
  }

  @Test func largeBoardsAreShownInPages() throws {
    let bench = try ChannelBench(BoardChannel.self)
    let text = String(repeating: "x", count: 4_000)
    for _ in 0..<40 { try bench.send(json(#"{"text":"\#(text)"}"#), from: .api) }
    let pages = bench.snapshot()
    #expect(pages.count == 3 && pages.allSatisfy { $0.bytes.count <= 70_000 })
    #expect(self.text([pages[2]]).hasPrefix(#"{"op":"snapshot","page":3,"pages":3,"items":["#))
  }

  @Test func passesOverWhatABoardDidNotPublish() throws {
    let channel = try #require(ChannelName("map:annotation"))
    var options = ChannelOptions()
    var board = try BoardChannel(channel: channel, options: &options)
    let foreign = [
      "", "{", #"{"op":"add","id":"a","author":"a","text":"no version"}"#,
      #"{"op":"change","id":"a","version":4,"text":"unknown id"}"#,
    ]
    for (index, text) in foreign.enumerated() {
      board.apply(
        Publication(offset: Offset(UInt64(index + 1)), timeMs: 0, payload: json(text)))
    }
    #expect(board.snapshot() == [empty])
  }

  @Test func refusesABrokenCheckpoint() throws {
    let channel = try #require(ChannelName("map:annotation"))
    var options = ChannelOptions()
    var board = try BoardChannel(channel: channel, options: &options)
    board.apply(
      Publication(
        offset: Offset(1), timeMs: 5,
        payload: json(#"{"op":"add","id":"a","version":1,"author":"a","text":"x"}"#)))
    let whole = try #require(board.checkpoint())
    for count in 0..<whole.count {
      #expect(throws: ChannelError.self) { try board.restore([UInt8](whole[..<count])) }
    }
    #expect(throws: ChannelError.self) { try board.restore(whole + [0]) }
    #expect(throws: ChannelError.self) { try board.restore([9] + whole[1...]) }
    try board.restore(whole)
    #expect(board.checkpoint() == whole)
  }

  @Test func loopsAgreeUnderRandomUse() throws {
    var generator = SeededGenerator()
    func random(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
    let (bench, ann, bob) = try board(["change": ["anonymous"], "maxItems": 8])
    for step in 0..<400 {
      if random(8) == 0 { bench.hold(loop: 1) }
      let id = "i\(random(12))"
      let events = [
        #"{"id":"\#(id)","text":"\#(step)"}"#, #"{"op":"change","id":"\#(id)","n":\#(step)}"#,
        #"{"op":"remove","id":"\#(id)"}"#,
      ]
      do {
        try bench.send(json(events[random(3)]), from: random(2) == 0 ? ann : bob)
      } catch let error as ChannelError {
        let expected = ["not_found", "already_exists", "limit_reached"]
        #expect(expected.contains(error.name), "\(generator), step \(step): \(error)")
      }
      if random(4) == 0 { try bench.release(loop: 1) }
    }
    try bench.release(loop: 1)
    #expect(bench.contentions > 0 && bench.published.count > 100, "\(generator)")
  }

  private func board(_ options: [String: OptionValue] = [:]) throws
    -> (bench: ChannelBench, ann: ClientContext, bob: ClientContext)
  {
    let bench = try ChannelBench(BoardChannel.self, options: options)
    let ann = try bench.subscribe("c1", user: "ann", loop: 0)
    let bob = try bench.subscribe("c2", user: "bob", loop: 1)
    try bench.expectBroadcast(empty)
    return (bench, ann, bob)
  }

  private func json(_ text: String) -> Payload { Payload(json: text) }

  private func text(_ payloads: [Payload]) -> String {
    payloads.map { String(decoding: $0.bytes, as: UTF8.self) }.joined(separator: "\n")
  }
}
