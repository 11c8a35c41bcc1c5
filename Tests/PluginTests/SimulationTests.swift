import ChannelKit
import JSON
import SimulationChannel
import TestKit
import Testing

/// S001-14, S001-34.
@Suite struct SimulationTests {
  private static let create = Payload(
    json: #"{"event":"simulation.create","seed":42,"name":"run7"}"#)

  private static func batch(_ from: Int, _ to: Int) -> Payload {
    Payload(json: #"{"event":"simulation.tick.batch","from":\#(from),"to":\#(to)}"#)
  }

  private static func bench(_ options: [String: OptionValue] = ["ticksPerBatch": 1_000]) throws
    -> (ChannelBench, ann: ClientContext, bob: ClientContext)
  {
    let bench = try ChannelBench(SimulationChannel.self, options: options, channel: "sim:run7")
    let ann = try bench.subscribe("c1", user: "ann")
    let bob = try bench.subscribe("c2", user: "bob", loop: 1)
    return (bench, ann, bob)
  }

  @Test func aWorldIsCreatedAndAllAreToldByWhom() throws {
    let (bench, ann, _) = try Self.bench()
    #expect(bench.snapshot().isEmpty)
    try bench.send(Self.create, from: ann)
    try bench.expectBroadcast(
      Payload(
        json: #"{"event":"simulation.create","seed":42,"name":"run7","rules":1,"by":"ann"}"#))
    try bench.expectReply(Payload(json: #"{"tick":0}"#), to: ann)
    try bench.expectNothingMore()
  }

  @Test func observersSeeEveryTickOfABatchInOrder() throws {
    let (bench, ann, bob) = try Self.bench()
    try bench.send(Self.create, from: ann)
    try bench.send(Self.batch(0, 100), from: ann)
    try bench.expectReply(Payload(json: #"{"tick":100}"#), to: ann)
    try bench.send(Self.batch(100, 101), from: bob)
    let seen = bench.takeMessages(of: bob)
    #expect(seen == bench.takeMessages(of: ann))
    #expect(bench.published.count == 1 + 101 + 2)
    let messages = try seen.map { try JSONValue.parse($0.bytes.span) }
    let commands = messages.filter { $0["event"] != nil }
    #expect(commands.map { $0["by"]?.string } == ["ann", "ann", "bob"])
    let ticks = messages.filter { $0["event"] == nil }
    #expect(ticks.map { $0["tick"]?.int } == (1...101).map { Int64($0) })
    #expect(ticks.allSatisfy { $0["events"]?.array != nil })
    let founded = ticks.flatMap { $0["events"]?.array ?? [] }
      .first { $0["event"]?.string == "colony.founded" }
    #expect(founded?["pop"]?.int ?? 0 >= 200)
  }

  @Test func howABatchIsCutMakesNoDifferenceToTheWorld() throws {
    let (whole, ann, _) = try Self.bench()
    try whole.send(Self.create, from: ann)
    try whole.send(Self.batch(0, 300), from: ann)
    let (cut, bea, _) = try Self.bench()
    try cut.send(Self.create, from: bea)
    for from in stride(from: 0, to: 300, by: 25) {
      try cut.send(Self.batch(from, from + 25), from: bea)
    }
    #expect(whole.snapshot() == cut.snapshot())
  }

  @Test func newcomersSeeTheWorldAsItIs() throws {
    let (bench, ann, _) = try Self.bench()
    try bench.send(Self.create, from: ann)
    try bench.send(Self.batch(0, 250), from: ann)
    let eve = try bench.subscribe("c3", loop: 1)
    let messages = bench.takeMessages(of: eve)
    let first = try #require(messages.first)
    let world = try JSONValue.parse(first.bytes.span)
    #expect(messages.count == 1 && messages == bench.snapshot())
    #expect(world["event"]?.string == "simulation.snapshot" && world["name"]?.string == "run7")
    #expect(world["tick"]?.int == 250 && world["seed"]?.int == 42)
    let colonies = try #require(world["colonies"]?.array)
    #expect(colonies.count > 3 && colonies.first?["system"]?.string == "Sol")
    #expect(colonies.reduce(0) { $0 + ($1["pop"]?.int ?? 0) } == world["pop"]?.int)
    #expect(colonies.count + (world["free"]?.array?.count ?? 0) == 21)
  }

  @Test func ordersChangeTheCourse() throws {
    let (bench, ann, bob) = try Self.bench()
    try bench.send(Self.create, from: ann)
    try bench.send(Self.batch(0, 10), from: ann)
    _ = bench.takeMessages(of: ann)
    try bench.send(
      Payload(
        json:
          #"{"event":"simulation.order","faction":"UNE","order":"expand","target":"Wolf 359"}"#),
      from: bob)
    try bench.expectMessage(
      Payload(
        json: #"{"event":"simulation.order","faction":"UNE","order":"expand","#
          + #""target":"Wolf 359","tick":10,"by":"bob"}"#), to: ann)
    try bench.send(Self.batch(10, 60), from: ann)
    let seen = String(decoding: bench.takeMessages(of: ann).flatMap(\.bytes), as: UTF8.self)
    let first = try #require(seen.firstRange(of: "colony.founded"))
    #expect(seen[first.upperBound...].hasPrefix(#"","system":"Wolf 359""#))
  }

  @Test func ofTwoBatchesAtOnceOneIsRun() throws {
    let (bench, ann, bob) = try Self.bench()
    try bench.send(Self.create, from: ann)
    bench.hold(loop: 1)
    try bench.send(Self.batch(0, 20), from: ann)
    let error = try bench.expectRefused(Self.batch(0, 30), from: bob, "wrong_tick")
    #expect(error.message == "the world is at tick 20, so from is 20" && error.code == 1_101)
    try bench.release(loop: 1)
    #expect(bench.contentions == 1 && bench.published.count == 22)
  }

  @Test(arguments: [
    (#"{"event":"simulation.create","seed":1}"#, "already_exists"),
    (#"{"event":"simulation.create","seed":-1}"#, "invalid_payload"),
    (#"{"event":"simulation.create","seed":9007199254740992}"#, "invalid_payload"),
    (#"{"event":"simulation.create","seed":1.5}"#, "invalid_payload"),
    (#"{"event":"simulation.create","seed":"1"}"#, "invalid_payload"),
    (#"{"event":"simulation.create","name":""}"#, "invalid_payload"),
    (#"{"event":"simulation.create","rules":2}"#, "invalid_payload"),
    (#"{"event":"simulation.tick.batch"}"#, "invalid_payload"),
    (#"{"event":"simulation.tick.batch","from":0,"to":0}"#, "invalid_payload"),
    (#"{"event":"simulation.tick.batch","from":5,"to":4}"#, "invalid_payload"),
    (#"{"event":"simulation.tick.batch","from":0,"to":99999999999999999999}"#, "invalid_payload"),
    (#"{"event":"simulation.tick.batch","from":0,"to":1001}"#, "limit_reached"),
    (#"{"event":"simulation.tick.batch","from":0,"to":9007199254740991}"#, "limit_reached"),
    (#"{"event":"simulation.tick.batch","from":1,"to":2}"#, "wrong_tick"),
    (#"{"event":"simulation.order","order":"trade"}"#, "invalid_payload"),
    (#"{"event":"simulation.order","faction":"UNE"}"#, "invalid_payload"),
    (#"{"event":"simulation.order","faction":"UNE","order":"fly"}"#, "invalid_payload"),
    (#"{"event":"simulation.order","faction":"une","order":"tax"}"#, "not_found"),
    (#"{"event":"simulation.order","faction":"UNE","order":"tax","target":"Vega"}"#, "not_found"),
    (#"{"event":"simulation.reseed"}"#, "invalid_payload"),
    (#"{"event":"simulation.stop"}"#, "unknown_event"),
    ("{}", "unknown_event"), ("[]", "invalid_payload"), ("", "invalid_payload"),
    (#"{"event":"simulation.reseed","seed":1,"seed":2}"#, "invalid_payload"),
  ])
  func refusesWhatMakesNoSense(text: String, error: String) throws {
    let (bench, ann, _) = try Self.bench()
    try bench.send(Self.create, from: ann)
    let before = bench.snapshot()
    try bench.expectRefused(Payload(json: text), from: ann, error)
    #expect(bench.published.count == 1 && bench.snapshot() == before)
  }

  @Test func refusesWhatIsTooLongAndWhatIsNoJSON() throws {
    let (bench, ann, _) = try Self.bench()
    func create(_ count: Int) -> Payload {
      let name = String(repeating: "x", count: count)
      return Payload(json: #"{"event":"simulation.create","name":"\#(name)"}"#)
    }
    try bench.expectRefused(create(65), from: ann, "invalid_payload")
    try bench.expectRefused(create(2_000), from: ann, "invalid_payload")
    try bench.expectRefused(Payload(.binary, Self.create.bytes), from: ann, "invalid_payload")
    try bench.send(create(64), from: ann)
  }

  @Test func withoutAWorldNothingElseIsDone() throws {
    let (bench, ann, _) = try Self.bench()
    for text in [
      #"{"event":"simulation.tick.batch","from":0,"to":1}"#,
      #"{"event":"simulation.order","faction":"UNE","order":"tax"}"#,
      #"{"event":"simulation.reseed","seed":1}"#,
    ] {
      let error = try bench.expectRefused(Payload(json: text), from: ann, "no_world")
      #expect(error.code == 1_100)
    }
  }

  @Test func theRuleSaysTheSeedTheTicksAndWhoRunsTheWorld() throws {
    let (bench, ann, bob) = try Self.bench(["seed": 7, "ticksPerBatch": 10, "run": "user:ann"])
    let create = Payload(json: #"{"event":"simulation.create"}"#)
    try bench.expectRefused(create, from: bob, "not_permitted")
    try bench.send(create, from: ann)
    try bench.expectBroadcast(
      Payload(json: #"{"event":"simulation.create","seed":7,"rules":1,"by":"ann"}"#))
    try bench.expectRefused(Self.batch(0, 11), from: ann, "limit_reached")
    try bench.expectRefused(Self.batch(0, 10), from: bob, "not_permitted")
    try bench.send(Self.batch(0, 10), from: .api)
    try bench.expectReply(Payload(json: #"{"tick":10}"#), to: .api)
    try bench.send(
      Payload(json: #"{"event":"simulation.order","faction":"UNE","order":"tax"}"#), from: bob)
    let (usual, cid, _) = try Self.bench([:])
    try usual.send(Self.create, from: cid)
    try usual.expectRefused(Self.batch(0, 101), from: cid, "limit_reached")
    try usual.send(Self.batch(0, 100), from: cid)
  }

  @Test(arguments: [
    ("seed", OptionValue.number(-1)), ("ticksPerBatch", 0), ("ticksPerBatch", 1_001),
    ("run", "owner"), ("speed", 1),
  ])
  func refusesOptionsByName(option: String, value: OptionValue) {
    let error = #expect(throws: ChannelOptionsError.self) { try Self.bench([option: value]) }
    #expect(error?.option == option)
  }

  @Test func aProtocolThatNamesEventsNamesTheCommand() throws {
    let (bench, ann, _) = try Self.bench()
    try bench.send(Payload(json: #"{"seed":42}"#), from: ann, name: "simulation.create")
    try bench.send(Payload(json: #"{"from":0,"to":5}"#), from: ann, name: "simulation.tick.batch")
    try bench.expectReply(Payload(json: #"{"tick":5}"#), to: ann)
  }

  @Test func needsADurableHistory() {
    for history in [ChannelHistory.none, .memory] {
      #expect(throws: ChannelOptionsError.self) {
        try ChannelBench(SimulationChannel.self, history: history)
      }
    }
  }
}
