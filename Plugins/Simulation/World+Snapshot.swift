import ChannelKit
import JSON

extension World {
  /// What a newcomer sees: the world as it is, systems in the order of the map, routes and factions
  /// in the order they came.
  var snapshot: Payload {
    var writer = JSONWriter(reserving: 4_096)
    writer.beginObject()
    writer.field("event", "simulation.snapshot")
    if let name { writer.field("name", name) }
    writer.field("seed", seed)
    writer.field("rules", Int64(Self.rules))
    writer.field("tick", Int64(tick))
    writer.field("pop", Int64(population))
    writer.field("born", Int64(born))
    writer.field("died", Int64(died))
    writeFactions(to: &writer)
    writeColonies(to: &writer)
    writeRoutes(to: &writer)
    writer.key("free")
    writer.beginArray()
    for system in colonies.indices where colonies[system] == nil {
      writer.string(StarMap.systems[system].name)
    }
    writer.endArray()
    writer.endObject()
    return Payload(.json, writer.bytes)
  }

  private func writeFactions(to writer: inout JSONWriter) {
    writer.key("factions")
    writer.beginArray()
    for faction in factions where faction.isAlive {
      writer.beginObject()
      writer.field("faction", faction.name)
      writer.field("capital", StarMap.systems[faction.capital].name)
      writer.field("treasury", Int64(faction.treasury))
      writer.field("order", faction.order.rawValue)
      if let target = faction.target { writer.field("target", StarMap.systems[target].name) }
      writer.endObject()
    }
    writer.endArray()
  }

  private func writeColonies(to writer: inout JSONWriter) {
    writer.key("colonies")
    writer.beginArray()
    for system in colonies.indices {
      guard let colony = colonies[system] else { continue }
      writer.beginObject()
      writer.field("system", StarMap.systems[system].name)
      writer.field("faction", factions[colony.faction].name)
      writer.field("founded", Int64(colony.founded))
      writer.field("pop", Int64(colony.pop))
      writer.field("food", Int64(colony.food))
      writer.field("ore", Int64(colony.ore))
      writer.field("unrest", Int64(colony.unrest))
      writer.endObject()
    }
    writer.endArray()
  }

  private func writeRoutes(to writer: inout JSONWriter) {
    writer.key("routes")
    writer.beginArray()
    for route in routes {
      writer.beginObject()
      writer.field("from", StarMap.systems[route.from].name)
      writer.field("to", StarMap.systems[route.to].name)
      writer.field("opened", Int64(route.opened))
      writer.endObject()
    }
    writer.endArray()
  }
}
