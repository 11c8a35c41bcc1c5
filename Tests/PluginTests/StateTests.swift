import ChannelKit
import JSON
import StateChannel
import TestKit
import Testing

/// S002-01, S002-09.
@Suite struct StateTests {
  private let empty = Payload(
    json: #"{"event":"state.snapshot","page":1,"pages":1,"documents":[]}"#)

  @Test func setsADocumentUnderAVersion() throws {
    let (bench, ann, _) = try state()
    try bench.send(set("posture", #"{"mode": "calm"}"#), from: ann)
    try bench.expectBroadcast(
      json(
        #"{"event":"state.set","key":"posture","value":{"mode": "calm"},"version":1,"by":"ann"}"#))
    try bench.expectReply(json(#"{"key":"posture","version":1}"#), to: ann)
    try bench.send(set("posture", "7", 1), from: .api)
    try bench.expectBroadcast(
      json(#"{"event":"state.set","key":"posture","value":7,"version":2,"by":"api"}"#))
  }

  /// Whoever names no version is compared with nothing, so that others may come in between.
  @Test func theLastOfThoseWhoNameNoVersionWins() throws {
    let (bench, ann, bob) = try state()
    try bench.send(set("a", "1"), from: ann)
    bench.hold(loop: 1)
    try bench.send(set("a", "2"), from: ann)
    try bench.send(set("a", "3"), from: bob)
    try bench.expectReply(json(#"{"key":"a"}"#), to: bob)
    try bench.release(loop: 1)
    #expect(bench.contentions == 0)
    #expect(documents(bench) == [#"{"key":"a","value":3,"version":3,\#(time),"by":"bob"}"#])
  }

  @Test func ofTwoWhoSawTheSameVersionOneIsToldSo() throws {
    let (bench, ann, bob) = try state()
    try bench.send(set("a", "1"), from: ann)
    bench.hold(loop: 1)
    try bench.send(set("a", "2", 1), from: ann)
    let error = try bench.expectRefused(set("a", "3", 1), from: bob, "conflict")
    #expect(error.message == "the key has changed: it is at version 2")
    try bench.release(loop: 1)
    #expect(bench.contentions == 1 && bench.published.count == 2)
  }

  @Test func versionZeroIsOfAKeyThatIsNotThere() throws {
    let (bench, ann, bob) = try state()
    try bench.send(set("a", "1", 0), from: ann)
    try bench.expectRefused(set("a", "2", 0), from: bob, "conflict")
    try bench.expectRefused(set("b", "2", 1), from: bob, "conflict")
    try bench.send(patch("b", #"{"x":1}"#, 0), from: bob)
    try bench.send(remove("a", 1), from: bob)
    try bench.send(set("a", "3", 0), from: bob)
    // Not again the version that the key had before it was removed.
    #expect(documents(bench).first == #"{"key":"a","value":3,"version":4,\#(time),"by":"bob"}"#)
  }

  @Test func patchesAsTheStandardSays() throws {
    let (bench, ann, _) = try state()
    try bench.send(set("a", #"{"x":{"y":1.50,"z":[1, 2]},"w":"é","gone":true}"#), from: ann)
    try bench.send(
      patch("a", #"{"x":{"y":null,"v":{"n":null,"m":0}},"gone":null,"new":[null]}"#), from: ann)
    let value = #"{"x":{"z":[1,2],"v":{"m":0}},"w":"é","new":[null]}"#
    #expect(
      documents(bench) == [#"{"key":"a","value":\#(value),"version":2,\#(time),"by":"ann"}"#])
    try bench.send(set("a", "[1]"), from: ann)
    try bench.send(patch("a", #"{"x":1,"y":null}"#), from: ann)
    #expect(
      documents(bench) == [#"{"key":"a","value":{"x":1},"version":4,\#(time),"by":"ann"}"#])
  }

  @Test func anOlderPatchIsRefusedWhereTheRuleDoesNotMerge() throws {
    let (bench, ann, bob) = try state()
    try bench.send(set("a", #"{"x":1,"y":1}"#), from: ann)
    try bench.send(patch("a", #"{"x":2}"#, 1), from: ann)
    try bench.expectRefused(patch("a", #"{"y":2}"#, 1), from: bob, "conflict")
  }

  @Test func anOlderPatchIsMergedWhereItTouchesWhatHasNotChangedSince() throws {
    let (bench, ann, bob) = try state(["conflict": "merge"])
    try bench.send(set("a", #"{"x":1,"y":1,"z":1}"#), from: ann)
    try bench.send(patch("a", #"{"x":2}"#, 1), from: ann)
    try bench.send(patch("a", #"{"y":2,"new":1}"#, 1), from: bob)
    try bench.expectRefused(patch("a", #"{"x":3}"#, 1), from: bob, "conflict")
    try bench.expectRefused(set("a", "1", 1), from: bob, "conflict")
    // Who saw version 2 saw x as it is, and not the new member.
    try bench.send(patch("a", #"{"x":4}"#, 2), from: bob)
    try bench.expectRefused(patch("a", #"{"new":2}"#, 2), from: bob, "conflict")
    // What is not there may be what was taken away since.
    try bench.send(patch("a", #"{"z":null}"#, 4), from: ann)
    try bench.expectRefused(patch("a", #"{"q":1}"#, 4), from: bob, "conflict")
    // A whole value replaces all members.
    try bench.send(set("a", #"{"x":9}"#), from: ann)
    try bench.expectRefused(patch("a", #"{"k":1}"#, 5), from: bob, "conflict")
    #expect(documents(bench) == [#"{"key":"a","value":{"x":9},"version":6,\#(time),"by":"ann"}"#])
  }

  @Test func removesAndClears() throws {
    let (bench, ann, bob) = try state()
    for key in ["b", "a", "c"] { try bench.send(set(key, "1"), from: ann) }
    _ = (bench.takeMessages(of: ann), bench.takeMessages(of: bob))
    try bench.expectRefused(remove("a", 9), from: bob, "conflict")
    try bench.expectRefused(remove("q"), from: bob, "not_found")
    try bench.send(remove("a", 2), from: bob)
    try bench.expectBroadcast(
      json(#"{"event":"state.remove","key":"a","version":4,"by":"bob"}"#))
    #expect(documents(bench).map { $0.prefix(10) } == [#"{"key":"b""#, #"{"key":"c""#])
    try bench.send(json(#"{"event":"state.clear"}"#), from: bob)
    try bench.expectBroadcast(json(#"{"event":"state.clear","by":"bob"}"#))
    #expect(bench.snapshot() == [empty])
  }

  @Test func writersOfDifferentKeysDoNotStopEachOther() throws {
    let (bench, ann, bob) = try state()
    for key in 0..<10 { try bench.send(set("k\(key)", "0"), from: ann) }
    bench.hold(loop: 1)
    for step in 0..<200 {
      try bench.send(set("k\(step % 10)", "\(step)"), from: step % 2 == 0 ? ann : bob)
    }
    try bench.release(loop: 1)
    #expect(bench.contentions == 0 && bench.published.count == 210)
  }

  @Test(arguments: [
    "", "[]", "7", #"{"event":"state.set"}"#, #"{"event":"state.set","key":"a"}"#,
    #"{"event":"state.set","key":"","value":1}"#, #"{"event":"state.set","key":"ä","value":1}"#,
    #"{"event":"state.set","key":"a b","value":1}"#, #"{"event":"state.set","key":7,"value":1}"#,
    #"{"event":"state.set","key":"a","value":1,"version":-1}"#,
    #"{"event":"state.set","key":"a","value":1,"version":"1"}"#,
    #"{"event":"state.set","key":"a","value":{"x":{"y":1,"y":2}}}"#,
    #"{"event":"state.patch","key":"a","patch":[1]}"#, #"{"event":"state.patch","key":"a"}"#,
    #"{"event":"state.set","key":"a","value":1,"extra":1}"#, #"{"event":"state.remove"}"#,
    #"{"event":"state.clear","key":"a"}"#, #"{"event":7}"#,
  ])
  func refusesWhatMakesNoSense(text: String) throws {
    let (bench, ann, _) = try state()
    try bench.expectRefused(json(text), from: ann, "invalid_payload")
    #expect(bench.published.isEmpty)
  }

  @Test func refusesUnknownEventsAndDeepValues() throws {
    let (bench, ann, _) = try state()
    try bench.expectRefused(json(#"{"event":"state.add","key":"a"}"#), from: ann, "unknown_event")
    try bench.expectRefused(json(#"{"key":"a","value":1}"#), from: ann, "unknown_event")
    func deep(_ count: Int) -> String {
      String(repeating: "[", count: count) + String(repeating: "]", count: count)
    }
    try bench.send(set("a", deep(32)), from: ann)
    try bench.expectRefused(set("a", deep(33)), from: ann, "invalid_payload")
  }

  @Test func holdsItsBounds() throws {
    let (bench, ann, _) = try state(["maxKeys": 2, "maxValueBytes": 64, "maxBytes": 100])
    let long = #""\#(String(repeating: "x", count: 60))""#
    try bench.expectRefused(set("a", #"[\#(long),1]"#), from: ann, "limit_reached")
    try bench.send(set("a", long), from: ann)
    try bench.expectRefused(set("b", long), from: ann, "limit_reached")
    try bench.send(set("b", "{}"), from: ann)
    try bench.expectRefused(set("c", "1"), from: ann, "limit_reached")
    try bench.expectRefused(patch("b", #"{"m":\#(long)}"#), from: ann, "limit_reached")
    try bench.send(remove("a"), from: ann)
    try bench.send(set("c", "1"), from: ann)
    let (wide, eve, _) = try state(["maxValueBytes": 65_536])
    let many = (0..<257).map { #""m\#($0)":1"# }.joined(separator: ",")
    try wide.expectRefused(set("a", "{\(many)}"), from: eve, "limit_reached")
  }

  /// Near a bound nobody may come in between, or both would fit.
  @Test func nearABoundWritersAreCompared() throws {
    let (bench, ann, bob) = try state(["maxBytes": 100])
    let part = #""\#(String(repeating: "x", count: 28))""#
    for key in ["a", "b"] { try bench.send(set(key, "1"), from: ann) }
    bench.hold(loop: 1)
    for key in ["a", "b"] { try bench.send(set(key, part), from: ann) }
    let whole = #""\#(String(repeating: "y", count: 70))""#
    try bench.expectRefused(set("b", whole), from: bob, "limit_reached")
    try bench.release(loop: 1)
    #expect(bench.contentions > 0)
  }

  @Test func largeStatesAreShownInPages() throws {
    let (bench, _, _) = try state(["maxValueBytes": 65_536, "maxBytes": 4_194_304])
    let value = #""\#(String(repeating: "x", count: 30_000))""#
    for key in 0..<9 { try bench.send(set("k\(key)", value), from: .api) }
    let pages = bench.snapshot()
    #expect(pages.count == 5 && pages.allSatisfy { $0.bytes.count <= 70_000 })
    #expect(text([pages[4]]).hasPrefix(#"{"event":"state.snapshot","page":5,"pages":5,"#))
  }

  @Test func versionsGoOnWhereTheHistoryBeginsLater() throws {
    let name = try #require(ChannelName("state:a"))
    var options = ChannelOptions()
    var channel = try StateChannel(channel: name, options: &options)
    channel.begins(after: Offset(41))
    var effects = Effects(for: .caller)
    try channel.decide(ChannelEvent(set("a", "1")), from: .api, &effects)
    #expect(try effects.finish().contains(.reply(json(#"{"key":"a","version":42}"#))))
  }

  @Test func refusesABrokenCheckpoint() throws {
    let name = try #require(ChannelName("state:a"))
    var options = ChannelOptions()
    var channel = try StateChannel(channel: name, options: &options)
    for (offset, payload) in [set("a", #"{"x":1}"#), set("b", "2")].enumerated() {
      channel.apply(
        Publication(offset: Offset(UInt64(offset + 1)), timeMs: 5, payload: payload))
    }
    let whole = try #require(channel.checkpoint())
    for count in 0..<whole.count {
      #expect(throws: ChannelError.self) { try channel.restore([UInt8](whole[..<count])) }
    }
    #expect(throws: ChannelError.self) { try channel.restore(whole + [0]) }
    #expect(throws: ChannelError.self) { try channel.restore([9] + whole[1...]) }
    try channel.restore(whole)
    #expect(channel.checkpoint() == whole)
  }

  /// Whatever the order, both loops, one rebuilt from the history and one from a checkpoint hold what
  /// a plain model of the published events holds; `ChannelBench` compares the first three.
  @Test func anyInterleavingMakesTheStateOfTheModel() throws {
    var generator = SeededGenerator()
    func random(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &generator) }
    for rule in ["refuse", "merge"] {
      let (bench, ann, bob) = try state(["conflict": .text(rule), "maxKeys": 5])
      for step in 0..<300 {
        if random(8) == 0 { bench.hold(loop: 1) }
        let key = "k\(random(7))"
        let version: UInt64? = random(2) == 0 ? nil : UInt64(max(0, bench.published.count - random(4)))
        let members = #"{"m\#(random(4))":\#(random(3) == 0 ? "null" : "\(step)")}"#
        let event =
          switch random(6) {
          case 0, 1: set(key, random(3) == 0 ? "\(step)" : #"{"m1":{"a":\#(step)},"m2":2}"#, version)
          case 2, 3: patch(key, members, version)
          case 4: patch(key, #"{"m1":{"b\#(random(2))":\#(step)}}"#, version)
          default: random(5) == 0 ? json(#"{"event":"state.clear"}"#) : remove(key, version)
          }
        do {
          try bench.send(event, from: random(2) == 0 ? ann : bob)
        } catch let error as ChannelError {
          let expected = ["not_found", "conflict", "limit_reached"]
          #expect(expected.contains(error.name), "\(generator), step \(step): \(error)")
        }
        if random(4) == 0 { try bench.release(loop: 1) }
      }
      try bench.release(loop: 1)
      #expect(bench.published.count > 100, "\(generator)")
      #expect(try shown(bench) == model(bench.published.map(\.payload)), "\(generator)")
    }
  }

  private func shown(_ bench: ChannelBench) throws -> [String: JSONValue] {
    var found: [String: JSONValue] = [:]
    for page in bench.snapshot() {
      for document in try JSONValue.parse(page.bytes.span)["documents"]?.array ?? [] {
        found[document["key"]?.string ?? ""] = document["value"]
      }
    }
    return found
  }

  /// RFC 7396 over whole values, and nothing else.
  private func model(_ events: [Payload]) throws -> [String: JSONValue] {
    func merge(_ target: JSONValue?, _ patch: JSONValue) -> JSONValue {
      guard let changes = patch.object else { return patch }
      var object = target?.object ?? JSONObject()
      for change in changes.members {
        object[change.key] =
          change.value.isNull ? nil : merge(object[change.key], change.value)
      }
      return .object(object)
    }
    var state: [String: JSONValue] = [:]
    for event in events {
      let event = try JSONValue.parse(event.bytes.span)
      let key = event["key"]?.string ?? ""
      switch event["event"]?.string {
      case "state.set": state[key] = event["value"]
      case "state.patch": state[key] = merge(state[key], event["patch"] ?? .null)
      case "state.remove": state[key] = nil
      default: state = [:]
      }
    }
    return state
  }

  private let time = #""time":1700000000000"#

  private func state(_ options: [String: OptionValue] = [:]) throws
    -> (bench: ChannelBench, ann: ClientContext, bob: ClientContext)
  {
    let bench = try ChannelBench(StateChannel.self, options: options)
    let ann = try bench.subscribe("c1", user: "ann", loop: 0)
    let bob = try bench.subscribe("c2", user: "bob", loop: 1)
    try bench.expectBroadcast(empty)
    return (bench, ann, bob)
  }

  /// The documents that newcomers are shown, each as text.
  private func documents(_ bench: ChannelBench) -> [String] {
    bench.snapshot().flatMap { page -> [String] in
      let list = (try? JSONValue.parse(page.bytes.span))?["documents"]?.array ?? []
      return list.map { String(decoding: $0.jsonBytes, as: UTF8.self) }
    }
  }

  private func event(_ name: String, _ key: String, _ rest: String, _ version: UInt64?) -> Payload {
    let version = version.map { #","version":\#($0)"# } ?? ""
    return json(#"{"event":"state.\#(name)","key":"\#(key)"\#(rest)\#(version)}"#)
  }
  private func set(_ key: String, _ value: String, _ version: UInt64? = nil) -> Payload {
    event("set", key, #","value":\#(value)"#, version)
  }
  private func patch(_ key: String, _ value: String, _ version: UInt64? = nil) -> Payload {
    event("patch", key, #","patch":\#(value)"#, version)
  }
  private func remove(_ key: String, _ version: UInt64? = nil) -> Payload {
    event("remove", key, "", version)
  }
  private func json(_ text: String) -> Payload { Payload(json: text) }
  private func text(_ payloads: [Payload]) -> String {
    payloads.map { String(decoding: $0.bytes, as: UTF8.self) }.joined(separator: "\n")
  }
}
