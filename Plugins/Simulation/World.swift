/// A space colony world: what there is, and who owns it. A pure value.
///
/// The same seed and the same orders at the same ticks make the same world and the same events, on
/// every machine: there is no clock, no number with a fraction, no order of a dictionary, and no
/// chance but its own `Dice`. Everything is walked in the order of its place in an array.
///
///     var world = World(seed: 7)
///     let events = world.advance().events   // of tick 1
///
/// Streams are folded with these rules for ever, so what changes what a tick does needs a new number
/// in `rules`, and the old rules have to stay for worlds that have the old one.
///
/// INVARIANT: nobody comes from nowhere: all colonies together have `settled + born - died` people.
package struct World: Equatable, Sendable {
  /// The rules that this engine plays by; written into the stream where a world is created.
  package static let rules = 1
  /// BUDGET: a fold runs all ticks of a world again.
  package static let ticksMax = 1_000_000
  /// Of the world's name.
  package static let nameBytesMax = 64
  /// Factions that live at a time, and routes that stand.
  static let factionsMax = 12
  static let routesMax = 24
  static let routesPerColonyMax = 4
  /// Beyond these nothing grows; so no product of two amounts comes near what 64 bits hold.
  static let popMax = 10_000_000
  static let stockMax = 1_000_000_000

  package let name: String?
  /// What the dice were last made of.
  package internal(set) var seed: UInt64
  /// Of the last tick that was run; 0 for a new world.
  package internal(set) var tick = 0
  var dice: Dice
  /// One for each system.
  var sites: [Site]
  /// By system; nil where nobody lives.
  var colonies: [Colony?]
  /// In the order they were opened.
  var routes: [Route] = []
  /// A faction keeps its place while it lives; a new one takes the first that is free.
  var factions: [Faction]
  /// People that the world began with, that were born in it, and that died.
  package internal(set) var settled: Int
  package internal(set) var born = 0
  package internal(set) var died = 0

  package init(seed: UInt64, name: String? = nil) {
    self.seed = seed
    self.name = name
    dice = Dice(seed: seed)
    sites = []
    for _ in StarMap.systems { sites.append(Site(&dice)) }
    sites[StarMap.sol] = .sol
    colonies = Array(repeating: nil, count: StarMap.systems.count)
    let first = Colony(faction: 0, founded: 0, pop: 12_000, food: 36_000, ore: 300)
    colonies[StarMap.sol] = first
    settled = first.pop
    factions = [Faction(name: "UNE", capital: StarMap.sol, treasury: 500)]
  }

  /// Runs the next tick, and says what happened.
  ///
  /// - Cost: some microseconds, whatever has happened before.
  package mutating func advance() -> WorldTick {
    tick += 1
    var events: [WorldEvent] = []
    live(&events)
    ship(&events)
    openRoutes(&events)
    settleFree(&events)
    stir(&events)
    join(&events)
    fall(&events)
    return WorldTick(tick: tick, events: events)
  }

  /// Goes on with other chances; all else stays as it is.
  package mutating func reseed(_ seed: UInt64) {
    self.seed = seed
    dice = Dice(seed: seed)
  }

  /// People of all colonies.
  package var population: Int { colonies.reduce(0) { $0 + ($1?.pop ?? 0) } }

  /// The living faction of that name, byte for byte.
  func faction(named name: String) -> Int? {
    factions.indices.first {
      factions[$0].isAlive && factions[$0].name.utf8.elementsEqual(name.utf8)
    }
  }

  /// The systems that a faction lives in, in the order of the map.
  func holdings(of faction: Int) -> [Int] {
    colonies.indices.filter { colonies[$0]?.faction == faction }
  }
}

/// What nature gives a system.
struct Site: Equatable, Sendable {
  /// Food that a hundred people at work make in a tick; each eats one.
  var fertility: Int
  /// How many find work on the land.
  var land: Int
  /// Ore that a thousand people dig in a tick.
  var ore: Int

  static let sol = Site(fertility: 125, land: 40_000, ore: 5)

  init(fertility: Int, land: Int, ore: Int) {
    self.fertility = fertility
    self.land = land
    self.ore = ore
  }

  init(_ dice: inout Dice) {
    fertility = 88 + dice.roll(50)
    land = 1_000 + 500 * dice.roll(40)
    ore = 2 + dice.roll(20)
  }
}

/// The people of one system.
struct Colony: Equatable, Sendable {
  var faction: Int
  var founded: Int
  var pop: Int
  var food: Int
  var ore: Int
  /// 0 to 100: how much they want to be on their own.
  var unrest = 0
  var isStarving = false
  /// What `colony.grew` tells next.
  var milestone: Int

  init(faction: Int, founded: Int, pop: Int, food: Int, ore: Int) {
    self.faction = faction
    self.founded = founded
    self.pop = pop
    self.food = food
    self.ore = ore
    milestone = Self.milestone(after: pop)
  }

  /// 1,000, 2,000, 5,000, 10,000 and so on: the first that is more than `pop`.
  static func milestone(after pop: Int) -> Int {
    var step = 1_000
    while step <= World.popMax {
      for milestone in [step, 2 * step, 5 * step] where milestone > pop { return milestone }
      step *= 10
    }
    return .max
  }
}

/// Food and goods go between two systems, to where they are needed.
struct Route: Equatable, Sendable {
  var from: Int
  var to: Int
  var opened: Int
  /// Ticks in a row without anything to carry.
  var idle = 0

  func touches(_ system: Int) -> Bool { from == system || to == system }
}

/// Who rules colonies.
struct Faction: Equatable, Sendable {
  var name: String
  /// The system that it is ruled from.
  var capital: Int
  var treasury: Int
  var order = WorldOrder.free
  /// The system that the order is about.
  var target: Int?
  /// False for a place that another may take.
  var isAlive = true

  init(name: String, capital: Int, treasury: Int) {
    self.name = name
    self.capital = capital
    self.treasury = treasury
  }
}

/// What a faction is told to do; it does so until it is told otherwise.
package enum WorldOrder: String, CaseIterable, Sendable {
  /// As it likes: a little of everything.
  case free
  /// Founds colonies when it can, the target first.
  case expand
  /// Opens trade routes when it can, to the target first.
  case trade
  /// Takes twice as much from its people, who like it less.
  case tax
  /// Pays for peace with its people.
  case ease
  /// Founds nothing and opens nothing.
  case hold
}
