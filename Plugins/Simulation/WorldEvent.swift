package import JSON

/// What happened in a tick: `{"event":"colony.founded","system":"Proxima Centauri","tick":142,"pop":500,…}`.
package enum WorldEvent: Equatable, Sendable {
  case colonyFounded(system: String, pop: Int, faction: String)
  /// It has reached a thousand people, two thousand, five, ten and so on.
  case colonyGrew(system: String, pop: Int)
  /// The first tick of a famine; there is no event for each further one.
  case colonyStarved(system: String, pop: Int, dead: Int)
  case colonyAbandoned(system: String)
  case routeOpened(from: String, to: String)
  case routeClosed(from: String, to: String)
  case factionSplit(parent: String, child: String, system: String)
  case factionJoined(faction: String, into: String)
  /// It has no colony left.
  case factionFell(faction: String)

  package var name: String {
    switch self {
    case .colonyFounded: "colony.founded"
    case .colonyGrew: "colony.grew"
    case .colonyStarved: "colony.starved"
    case .colonyAbandoned: "colony.abandoned"
    case .routeOpened: "trade.route.opened"
    case .routeClosed: "trade.route.closed"
    case .factionSplit: "faction.split"
    case .factionJoined: "faction.joined"
    case .factionFell: "faction.fell"
    }
  }

  /// Members always stand in the same order.
  func write(at tick: Int, to writer: inout JSONWriter) {
    writer.beginObject()
    writer.field("event", name)
    switch self {
    case .colonyFounded(let system, let pop, let faction):
      writer.field("system", system)
      writer.field("tick", Int64(tick))
      writer.field("pop", Int64(pop))
      writer.field("faction", faction)
    case .colonyGrew(let system, let pop):
      writer.field("system", system)
      writer.field("tick", Int64(tick))
      writer.field("pop", Int64(pop))
    case .colonyStarved(let system, let pop, let dead):
      writer.field("system", system)
      writer.field("tick", Int64(tick))
      writer.field("pop", Int64(pop))
      writer.field("dead", Int64(dead))
    case .colonyAbandoned(let system):
      writer.field("system", system)
      writer.field("tick", Int64(tick))
    case .routeOpened(let from, let to), .routeClosed(let from, let to):
      writer.field("from", from)
      writer.field("to", to)
      writer.field("tick", Int64(tick))
    case .factionSplit(let parent, let child, let system):
      writer.field("parent", parent)
      writer.field("child", child)
      writer.field("system", system)
      writer.field("tick", Int64(tick))
    case .factionJoined(let faction, let into):
      writer.field("faction", faction)
      writer.field("into", into)
      writer.field("tick", Int64(tick))
    case .factionFell(let faction):
      writer.field("faction", faction)
      writer.field("tick", Int64(tick))
    }
    writer.endObject()
  }
}

/// One tick and all that happened in it, in order; often nothing.
package struct WorldTick: Equatable, Sendable {
  /// 1 is the first.
  package let tick: Int
  package var events: [WorldEvent] = []

  /// `{"tick":1,"events":[…]}`.
  package func write(to writer: inout JSONWriter) {
    writer.beginObject()
    writer.field("tick", Int64(tick))
    writer.key("events")
    writer.beginArray()
    for event in events { event.write(at: tick, to: &writer) }
    writer.endArray()
    writer.endObject()
  }
}
