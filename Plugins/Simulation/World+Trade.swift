/// How food goes to where it is needed, and what is earned by it.
extension World {
  private static let carriedMax = 600
  private static let idleMax = 60
  private static let price = 120
  /// How far trade goes, squared, in tenths of a light year.
  private static let reach = 110 * 110

  mutating func ship(_ events: inout [WorldEvent]) {
    var kept: [Route] = []
    for var route in routes {
      let carried = carry(route)
      route.idle = carried > 0 ? 0 : route.idle + 1
      let stands = colonies[route.from] != nil && colonies[route.to] != nil
      if stands, route.idle < Self.idleMax {
        kept.append(route)
      } else {
        events.append(closed(route))
      }
    }
    routes = kept
  }

  /// Brings food from where there is more for each to where there is less; both ends earn.
  private mutating func carry(_ route: Route) -> Int {
    guard var a = colonies[route.from], var b = colonies[route.to], a.pop > 0, b.pop > 0 else {
      return 0
    }
    guard isUneven(route.from, route.to) else { return 0 }
    let amount = min(max(a.food, b.food) / 10, Self.carriedMax)
    if a.food / a.pop > b.food / b.pop {
      a.food -= amount
      b.food += amount
    } else {
      a.food += amount
      b.food -= amount
    }
    colonies[route.from] = a
    colonies[route.to] = b
    pay(a.faction, amount / 20)
    pay(b.faction, amount / 20)
    return amount
  }

  mutating func openRoutes(_ events: inout [WorldEvent]) {
    for system in colonies.indices {
      guard let faction = colonies[system]?.faction else { continue }
      let perMille =
        switch factions[faction].order {
        case .trade: 150
        case .hold: 0
        default: 25
        }
      guard dice.chance(perMille), factions[faction].treasury >= Self.price,
        routes.count < Self.routesMax, let other = partner(of: system, faction)
      else { continue }
      routes.append(Route(from: system, to: other, opened: tick))
      pay(faction, -Self.price)
      events.append(
        .routeOpened(from: StarMap.systems[system].name, to: StarMap.systems[other].name))
    }
  }

  /// Whom a colony could trade with: the one its faction was told of, else the nearest.
  private func partner(of system: Int, _ faction: Int) -> Int? {
    guard hasRoom(system) else { return nil }
    if factions[faction].order == .trade, let target = factions[faction].target,
      isPartner(target, of: system)
    {
      return target
    }
    return StarMap.neighbours(of: system).first { isPartner($0, of: system) }
  }

  private func isPartner(_ other: Int, of system: Int) -> Bool {
    other != system && isUneven(system, other) && hasRoom(other)
      && StarMap.squaredDistance(system, other) <= Self.reach
      && !routes.contains { $0.touches(system) && $0.touches(other) }
  }

  /// Whether one of two colonies has food for two ticks more than the other.
  private func isUneven(_ a: Int, _ b: Int) -> Bool {
    guard let a = colonies[a], let b = colonies[b], a.pop > 0, b.pop > 0 else { return false }
    return abs(a.food / a.pop - b.food / b.pop) >= 2
  }

  private func hasRoom(_ system: Int) -> Bool {
    routes.count { $0.touches(system) } < Self.routesPerColonyMax
  }

  func closed(_ route: Route) -> WorldEvent {
    .routeClosed(
      from: StarMap.systems[route.from].name, to: StarMap.systems[route.to].name)
  }
}
