/// How factions part and come together.
extension World {
  private static let forms = [
    "Republic", "Union", "League", "Compact", "Commonwealth", "Free State",
  ]
  /// What a colony has to have to go its own way.
  private static let split = (unrest: 50, pop: 800)

  /// Colonies far from their capital grow restless, and some break away.
  mutating func stir(_ events: inout [WorldEvent]) {
    for system in colonies.indices {
      guard var colony = colonies[system] else { continue }
      let faction = factions[colony.faction]
      let distance = StarMap.squaredDistance(system, faction.capital)
      var rise = system == faction.capital ? 20 : 150 + min(distance / 25, 400)
      switch faction.order {
      case .tax: rise += 200
      case .ease: rise -= faction.treasury > 0 ? 300 : 0
      default: break
      }
      if dice.chance(rise) { colony.unrest = min(colony.unrest + 1, 100) }
      if dice.chance(100) { colony.unrest = max(colony.unrest - 1, 0) }
      if faction.order == .ease {
        pay(colony.faction, -2)
        colony.unrest = max(colony.unrest - dice.roll(2), 0)
      }
      colonies[system] = colony
      guard system != faction.capital, colony.unrest >= Self.split.unrest,
        colony.pop >= Self.split.pop, dice.chance(40)
      else { continue }
      breakAway(system, &events)
    }
  }

  private mutating func breakAway(_ system: Int, _ events: inout [WorldEvent]) {
    guard let parent = colonies[system]?.faction, let place = freePlace(),
      let name = newName(StarMap.systems[system].people)
    else { return }
    let share = factions[parent].treasury / 4
    pay(parent, -share)
    let child = Faction(name: name, capital: system, treasury: share)
    if place < factions.count { factions[place] = child } else { factions.append(child) }
    colonies[system]?.unrest = 0
    colonies[system]?.faction = place
    // Those near by who feel alike come along, but not the seat of those they leave.
    for other in StarMap.neighbours(of: system).prefix(3) {
      guard let colony = colonies[other], colony.faction == parent,
        other != factions[parent].capital, colony.unrest >= Self.split.unrest / 2
      else { continue }
      colonies[other]?.unrest = 0
      colonies[other]?.faction = place
    }
    events.append(
      .factionSplit(
        parent: factions[parent].name, child: name, system: StarMap.systems[system].name))
    closeRoutes(between: parent, and: place, &events)
  }

  /// Half of what went between those who part ends.
  private mutating func closeRoutes(
    between parent: Int, and child: Int, _ events: inout [WorldEvent]
  ) {
    var kept: [Route] = []
    for route in routes {
      let ends = [colonies[route.from]?.faction, colonies[route.to]?.faction]
      if ends.contains(parent), ends.contains(child), dice.chance(500) {
        events.append(closed(route))
      } else {
        kept.append(route)
      }
    }
    routes = kept
  }

  private func freePlace() -> Int? {
    if let place = factions.indices.first(where: { !factions[$0].isAlive }) { return place }
    return factions.count < Self.factionsMax ? factions.count : nil
  }

  /// A name that no living faction has; nil where all are taken.
  private mutating func newName(_ people: String) -> String? {
    let first = dice.roll(Self.forms.count)
    for step in Self.forms.indices {
      let name = "\(people) \(Self.forms[(first + step) % Self.forms.count])"
      if faction(named: name) == nil { return name }
    }
    return nil
  }

  /// A faction of one colony may join the one that it trades with, if that is much larger.
  mutating func join(_ events: inout [WorldEvent]) {
    for faction in factions.indices where factions[faction].isAlive {
      let own = holdings(of: faction)
      guard own.count == 1, let system = own.first, let colony = colonies[system],
        dice.chance(colony.isStarving ? 40 : 4),
        let into = largestPartner(of: system, than: 3 * colony.pop)
      else { continue }
      colonies[system]?.faction = into
      colonies[system]?.unrest = 0
      pay(into, factions[faction].treasury)
      factions[faction].isAlive = false
      events.append(.factionJoined(faction: factions[faction].name, into: factions[into].name))
    }
  }

  private func largestPartner(of system: Int, than pop: Int) -> Int? {
    var best: (faction: Int, pop: Int)?
    for route in routes where route.touches(system) {
      let other = route.from == system ? route.to : route.from
      guard let colony = colonies[other], colony.faction != colonies[system]?.faction,
        colony.pop > max(pop, best?.pop ?? 0)
      else { continue }
      best = (colony.faction, colony.pop)
    }
    return best?.faction
  }

  /// Who lives nowhere rules nobody; who has lost the capital rules from the largest colony.
  mutating func fall(_ events: inout [WorldEvent]) {
    for faction in factions.indices where factions[faction].isAlive {
      let own = holdings(of: faction)
      guard let first = own.first else {
        factions[faction].isAlive = false
        events.append(.factionFell(faction: factions[faction].name))
        continue
      }
      guard !own.contains(factions[faction].capital) else { continue }
      factions[faction].capital = own.reduce(first) {
        (colonies[$1]?.pop ?? 0) > (colonies[$0]?.pop ?? 0) ? $1 : $0
      }
    }
  }
}
