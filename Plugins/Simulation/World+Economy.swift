/// How people live: they work, eat, have children, and starve.
extension World {
  /// Fewer than these give a place up.
  private static let livable = 20

  mutating func live(_ events: inout [WorldEvent]) {
    for system in colonies.indices {
      guard var colony = colonies[system] else { continue }
      work(&colony, sites[system])
      eat(&colony, system, &events)
      if colony.pop >= colony.milestone {
        events.append(.colonyGrew(system: StarMap.systems[system].name, pop: colony.pop))
        colony.milestone = Colony.milestone(after: colony.pop)
      }
      colonies[system] = colony
      if colony.pop < Self.livable { abandon(system, &events) }
    }
  }

  private mutating func work(_ colony: inout Colony, _ site: Site) {
    let harvest = min(colony.pop, site.land) * site.fertility / 100
    colony.food = min(colony.food + harvest - colony.pop, 10 * colony.pop + 1_000)
    colony.ore = min(colony.ore + colony.pop * site.ore / 1_000, Self.stockMax)
    let tax = factions[colony.faction].order == .tax ? 2 : 1
    pay(colony.faction, tax * colony.pop / 400)
  }

  private mutating func eat(_ colony: inout Colony, _ system: Int, _ events: inout [WorldEvent]) {
    guard colony.food >= 0 else {
      let dead = min(colony.pop, 1 + -colony.food / 8)
      colony.food = 0
      colony.pop -= dead
      died += dead
      colony.unrest = min(colony.unrest + 1, 100)
      guard !colony.isStarving else { return }
      colony.isStarving = true
      let name = StarMap.systems[system].name
      return events.append(.colonyStarved(system: name, pop: colony.pop, dead: dead))
    }
    if colony.food >= colony.pop { colony.isStarving = false }
    guard colony.food >= 2 * colony.pop else { return }
    let children = min(colony.pop * (6 + dice.roll(8)) / 1_000, Self.popMax - colony.pop)
    colony.pop += children
    born += children
  }

  /// The last people go to the nearest colony of their faction, or die where there is none.
  private mutating func abandon(_ system: Int, _ events: inout [WorldEvent]) {
    guard let colony = colonies[system] else { return }
    colonies[system] = nil
    events.append(.colonyAbandoned(system: StarMap.systems[system].name))
    let refuge = StarMap.neighbours(of: system).first {
      colonies[$0]?.faction == colony.faction
        && (colonies[$0]?.pop ?? 0) <= Self.popMax - colony.pop
    }
    if let refuge { colonies[refuge]?.pop += colony.pop } else { died += colony.pop }
  }

  mutating func pay(_ faction: Int, _ amount: Int) {
    factions[faction].treasury = min(max(0, factions[faction].treasury + amount), Self.stockMax)
  }
}

/// How colonies are founded.
extension World {
  /// How far ships go, squared, in tenths of a light year.
  private static let reach = 90 * 90
  private static let price = (treasury: 400, ore: 200)

  mutating func settleFree(_ events: inout [WorldEvent]) {
    for faction in factions.indices where factions[faction].isAlive {
      let perMille =
        switch factions[faction].order {
        case .expand: 120
        case .hold: 0
        default: 30
        }
      // Rolled whatever comes of it, so that an order for one faction changes nobody else's luck
      // before it takes effect.
      guard dice.chance(perMille), factions[faction].treasury >= Self.price.treasury,
        let origin = origin(of: faction), let goal = goal(of: faction, from: origin)
      else { continue }
      found(goal, from: origin, faction, &events)
    }
  }

  /// The largest colony that can spare people and ore.
  private func origin(of faction: Int) -> Int? {
    var best: (system: Int, pop: Int)?
    for system in holdings(of: faction) {
      guard let colony = colonies[system], colony.pop >= 2_500, colony.ore >= Self.price.ore,
        colony.pop > best?.pop ?? 0
      else { continue }
      best = (system, colony.pop)
    }
    return best?.system
  }

  /// The system that it was told to settle, where that is free and within reach of any of its
  /// colonies; else one of the three nearest that are.
  private mutating func goal(of faction: Int, from origin: Int) -> Int? {
    if factions[faction].order == .expand, let target = factions[faction].target,
      colonies[target] == nil,
      holdings(of: faction).contains(where: { StarMap.squaredDistance($0, target) <= Self.reach })
    {
      return target
    }
    let free = StarMap.neighbours(of: origin).filter {
      colonies[$0] == nil && StarMap.squaredDistance($0, origin) <= Self.reach
    }
    return free.isEmpty ? nil : free[dice.roll(min(3, free.count))]
  }

  private mutating func found(
    _ goal: Int, from origin: Int, _ faction: Int, _ events: inout [WorldEvent]
  ) {
    guard var home = colonies[origin] else { return }
    let migrants = 200 + 50 * dice.roll(9)
    let food = min(home.food, 15 * migrants)
    home.pop -= migrants
    home.food -= food
    home.ore -= Self.price.ore
    colonies[origin] = home
    colonies[goal] = Colony(faction: faction, founded: tick, pop: migrants, food: food, ore: 0)
    pay(faction, -Self.price.treasury)
    events.append(
      .colonyFounded(
        system: StarMap.systems[goal].name, pop: migrants, faction: factions[faction].name))
  }
}
