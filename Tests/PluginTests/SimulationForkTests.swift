import ChannelKit
import SimulationChannel
import TestKit
import Testing

/// What follows from a world being a fold over its stream (S001-23, S001-24).
@Suite struct SimulationForkTests {
  @Test func aForkGoesOnFromTheSameWorldIntoAnotherFuture() throws {
    var original = try Stream()
    try original.send(#"{"event":"simulation.create","seed":42}"#)
    try original.send(#"{"event":"simulation.tick.batch","from":0,"to":100}"#)
    try original.send(#"{"event":"simulation.order","faction":"UNE","order":"trade"}"#)
    let offset = original.publications.count
    try original.send(#"{"event":"simulation.tick.batch","from":100,"to":300}"#)

    for command in [
      #"{"event":"simulation.reseed","seed":43}"#,
      #"{"event":"simulation.order","faction":"UNE","order":"expand"}"#,
    ] {
      var fork = try Stream(of: original.publications.prefix(offset))
      try fork.send(command)
      try fork.send(#"{"event":"simulation.tick.batch","from":100,"to":300}"#)
      #expect(fork.publications.prefix(offset) == original.publications.prefix(offset))
      #expect(
        fork.publications.suffix(200).map(\.payload)
          != original.publications.suffix(200).map(\.payload))
      #expect(fork.channel.snapshot() != original.channel.snapshot())
    }

    var same = try Stream(of: original.publications.prefix(offset))
    try same.send(#"{"event":"simulation.tick.batch","from":100,"to":300}"#)
    #expect(same.publications == original.publications)
    #expect(same.channel.checkpoint() == original.channel.checkpoint())
  }

  @Test func whatIsNoCommandIsPassedOver() throws {
    var stream = try Stream()
    let foreign = [
      "", "[]", #"{"op":"add"}"#, #"{"tick":1,"events":[]}"#,
      #"{"event":"simulation.tick.batch","from":0,"to":5}"#,
      #"{"event":"simulation.create","seed":1,"rules":9}"#, #"{"event":"simulation.create"}"#,
    ]
    for text in foreign { stream.append(Payload(json: text)) }
    #expect(stream.channel.snapshot().isEmpty)
    try stream.send(#"{"event":"simulation.create","seed":1}"#)
    let before = stream.channel.snapshot()
    for text in foreign.filter({ !$0.contains("batch") }) { stream.append(Payload(json: text)) }
    stream.append(Payload(json: #"{"event":"simulation.tick.batch","from":0,"to":1001}"#))
    stream.append(Payload(.binary, [1, 2, 3]))
    #expect(stream.channel.snapshot() == before)
  }

  /// The fold reads the commands alone: it doesn't matter what stands with a batch, or whether its
  /// ticks are there.
  @Test func theWorldFollowsFromTheCommandsAlone() throws {
    var stream = try Stream()
    try stream.send(#"{"event":"simulation.create","seed":42}"#)
    try stream.send(#"{"event":"simulation.tick.batch","from":0,"to":3}"#)
    var bare = try Stream()
    bare.append(Payload(json: #"{"event":"simulation.create","seed":42}"#))
    bare.append(Payload(json: #"{"event":"simulation.tick.batch","from":0,"to":3,"ticks":[]}"#))
    #expect(stream.channel.checkpoint() == bare.channel.checkpoint())
  }

  /// The bench compares both loops, state made of the whole history, and state made of a checkpoint
  /// after every step.
  @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
  func holdsForWhateverIsCommanded(seed: UInt64) throws {
    var chance = SeededGenerator(seed: seed)
    let bench = try ChannelBench(SimulationChannel.self, channel: "sim:run7")
    let clients = [
      try bench.subscribe("c1", user: "ann"), try bench.subscribe("c2", loop: 1), .api,
    ]
    var tick = 0
    for _ in 0..<60 {
      let command = Self.command(&chance, at: tick)
      let client = clients[Int.random(in: 0..<clients.count, using: &chance)]
      let before = bench.published.count
      do {
        try bench.send(Payload(json: command), from: client)
        #expect(bench.published.count > before)
      } catch is ChannelError {
        #expect(bench.published.count == before)
        continue
      }
      let world = String(decoding: bench.snapshot()[0].bytes, as: UTF8.self)
      let now = Self.number("tick", in: world)
      #expect(now >= tick)
      tick = now
      #expect(
        Self.number("pop", in: world)
          == 12_000 + Self.number("born", in: world) - Self.number("died", in: world))
    }
    #expect(tick > 0)
  }

  @Test func aCheckpointThatIsDamagedIsRefusedOrCanBeRun() throws {
    var stream = try Stream()
    try stream.send(#"{"event":"simulation.create","seed":42,"name":"run7"}"#)
    try stream.send(#"{"event":"simulation.tick.batch","from":0,"to":400}"#)
    let whole = try #require(stream.channel.checkpoint())
    for count in 0..<whole.count {
      var channel = try Stream().channel
      #expect(throws: ChannelError.self) { try channel.restore([UInt8](whole[..<count])) }
    }
    var chance = SeededGenerator(seed: 5)
    for index in whole.indices {
      var damaged = whole
      damaged[index] ^= UInt8.random(in: 1...255, using: &chance)
      var channel = try Stream().channel
      guard (try? channel.restore(damaged)) != nil else { continue }
      for tick in [400, 401, 402] {
        channel.apply(
          Stream.publication(
            Payload(json: #"{"event":"simulation.tick.batch","from":\#(tick),"to":\#(tick + 1)}"#),
            at: 1))
      }
      #expect(channel.snapshot().count <= 1)
    }
  }

  /// Sense, mostly; at times what must be refused.
  private static func command(_ chance: inout SeededGenerator, at tick: Int) -> String {
    let systems = ["Sol", "Sirius", "Wolf 359", "Tau Ceti", "Nowhere"]
    let factions = ["UNE", "UNE", "Sirian League", "Barnard Republic", "Nobody"]
    let orders = ["free", "expand", "trade", "tax", "ease", "hold", "fly"]
    switch Int.random(in: 0..<10, using: &chance) {
    case 0: return #"{"event":"simulation.create","seed":\#(chance.next() >> 12)}"#
    case 1: return #"{"event":"simulation.reseed","seed":\#(chance.next() >> 11)}"#
    case 2...4:
      let faction = factions.randomElement(using: &chance) ?? ""
      let order = orders.randomElement(using: &chance) ?? ""
      let target = systems.randomElement(using: &chance) ?? ""
      let about = Bool.random(using: &chance) ? #","target":"\#(target)""# : ""
      return #"{"event":"simulation.order","faction":"\#(faction)","order":"\#(order)"\#(about)}"#
    default:
      let from = Int.random(in: 0..<8, using: &chance) == 0 ? tick + 1 : tick
      let to = from + Int.random(in: 0...120, using: &chance)
      return #"{"event":"simulation.tick.batch","from":\#(from),"to":\#(to)}"#
    }
  }

  /// The first number of that name in a snapshot.
  private static func number(_ name: String, in text: String) -> Int {
    guard let start = text.firstRange(of: "\"\(name)\":") else { return -1 }
    return Int(text[start.upperBound...].prefix { $0.isNumber }) ?? -1
  }
}

/// A stream as the event store has it, and the channel that folds it.
private struct Stream {
  private(set) var publications: [Publication] = []
  private(set) var channel: SimulationChannel

  /// What a fork is: the stream's beginning, and a channel of its own.
  init(of prefix: ArraySlice<Publication> = []) throws {
    let name = try #require(ChannelName(prefix.isEmpty ? "sim:run7" : "sim:run7@what-if"))
    var options = ChannelOptions(["ticksPerBatch": 1_000])
    channel = try SimulationChannel(channel: name, options: &options)
    for publication in prefix { append(publication.payload) }
  }

  mutating func send(_ command: String) throws {
    var effects = Effects(for: .caller)
    try channel.decide(ChannelEvent(Payload(json: command)), from: .api, &effects)
    for case .publish(let effect) in try effects.finish() {
      for payload in [effect.payload] + effect.following { append(payload) }
    }
  }

  mutating func append(_ payload: Payload) {
    let publication = Self.publication(payload, at: publications.count + 1)
    publications.append(publication)
    channel.apply(publication)
  }

  static func publication(_ payload: Payload, at offset: Int) -> Publication {
    Publication(offset: Offset(UInt64(offset)), timeMs: 0, payload: payload)
  }
}
