import Bytes
import JSON
import SimulationChannel
import TestKit
import Testing

/// The engine by itself.
@Suite struct SimulationWorldTests {
  @Test func theSameSeedGivesTheSameBytes() {
    for seed: UInt64 in [0, 1, 42, .max] {
      #expect(Self.bytes(seed, ticks: 400) == Self.bytes(seed, ticks: 400))
    }
    #expect(Self.bytes(1, ticks: 200) != Self.bytes(2, ticks: 200))
  }

  /// What a tick does is in every stream there is: a change here needs new rules beside the old ones.
  @Test func theRulesOfVersion1StayAsTheyAre() {
    #expect(World.rules == 1)
    #expect(Self.text(42, ticks: 60) == Self.firstEvents)
    #expect(crc32c(Self.bytes(42, ticks: 300)) == 2_957_317_425)
    #expect(crc32c(Self.bytes(7, ticks: 3_000)) == 2_947_957_031)
  }

  @Test func muchHappensInTheFirstTicksOfTheUsualSeed() {
    var world = World(seed: 42)
    var seen: Set<String> = []
    for _ in 0..<300 { seen.formUnion(world.advance().events.map(\.name)) }
    #expect(
      seen.isSuperset(of: [
        "colony.founded", "colony.grew", "colony.starved", "trade.route.opened",
        "trade.route.closed", "faction.split",
      ]))
  }

  @Test func everyKindOfEventHappens() {
    var seen: Set<String> = []
    for seed in 0..<6 as Range<UInt64> {
      var world = World(seed: seed)
      for _ in 0..<2_000 { seen.formUnion(world.advance().events.map(\.name)) }
    }
    #expect(
      seen == [
        "colony.founded", "colony.grew", "colony.starved", "colony.abandoned",
        "trade.route.opened", "trade.route.closed", "faction.split", "faction.joined",
        "faction.fell",
      ])
  }

  @Test func nobodyComesFromNowhereAndNobodyIsLost() {
    var seeds = SeededGenerator(seed: 20)
    for _ in 0..<20 {
      let seed = seeds.next()
      var world = World(seed: seed)
      for tick in 1...500 {
        #expect(world.advance().tick == tick)
        guard world.population == world.settled + world.born - world.died else {
          Issue.record("seed \(seed), tick \(tick): people were lost or made")
          return
        }
      }
    }
  }

  @Test func aColonyIsFoundedOnceUntilItIsAbandoned() {
    for seed in 0..<10 as Range<UInt64> {
      var world = World(seed: seed)
      var lived: Set<String> = ["Sol"]
      for _ in 0..<2_000 {
        for event in world.advance().events {
          switch event {
          case .colonyFounded(let system, _, _): #expect(lived.insert(system).inserted)
          case .colonyAbandoned(let system): #expect(lived.remove(system) != nil)
          default: continue
          }
        }
      }
    }
  }

  @Test func anotherSeedMakesAnotherFutureAndTheSameSeedTheSame() {
    var world = World(seed: 42)
    for _ in 0..<150 { _ = world.advance() }
    var other = world
    var same = world
    other.reseed(43)
    let futures = (0..<200).map { _ in (world.advance(), other.advance(), same.advance()) }
    #expect(futures.allSatisfy { $0.0 == $0.2 })
    #expect(futures.contains { $0.0 != $0.1 })
    #expect(world == same && world != other)
  }

  @Test func diceFallWithinTheirSides() {
    var dice = Dice(seed: 3)
    #expect(dice.roll(0) == 0 && dice.roll(-5) == 0 && dice.roll(1) == 0)
    var seen: Set<Int> = []
    for _ in 0..<1_000 { seen.insert(dice.roll(6)) }
    #expect(seen == [0, 1, 2, 3, 4, 5])
  }

  /// As JSON, one after another.
  private static func bytes(_ seed: UInt64, ticks: Int) -> [UInt8] {
    var world = World(seed: seed)
    var writer = JSONWriter()
    writer.beginArray()
    for _ in 0..<ticks { world.advance().write(to: &writer) }
    writer.endArray()
    return writer.bytes
  }

  /// The ticks in which something happened, one a line.
  private static func text(_ seed: UInt64, ticks: Int) -> String {
    var world = World(seed: seed)
    var lines: [String] = []
    for _ in 0..<ticks {
      let tick = world.advance()
      guard !tick.events.isEmpty else { continue }
      var writer = JSONWriter()
      tick.write(to: &writer)
      lines.append(String(decoding: writer.bytes, as: UTF8.self))
    }
    return lines.joined(separator: "\n")
  }

  private static let firstEvents = """
    {"tick":26,"events":[{"event":"colony.founded","system":"Barnard's Star","tick":26,\
    "pop":200,"faction":"UNE"}]}
    {"tick":30,"events":[{"event":"trade.route.opened","from":"Sol","to":"Barnard's Star","tick":30}]}
    {"tick":55,"events":[{"event":"colony.grew","system":"Sol","tick":55,"pop":20154}]}
    {"tick":57,"events":[{"event":"colony.founded","system":"Alpha Centauri","tick":57,\
    "pop":450,"faction":"UNE"}]}
    """
}
