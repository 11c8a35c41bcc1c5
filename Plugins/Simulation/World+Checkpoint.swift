import ChannelKit

// The checkpoint, little-endian: u8 version 1 · u32 rules · u8 named · name · u64 seed · u64 dice ·
// u64 tick, settled, born, died · sites, each: u64 fertility, land, ore · colonies, each: u8 lived in ·
// u64 faction, founded, pop, food, ore, unrest · u8 starving · u64 milestone · u8 routes, each: u64
// from, to, opened, idle · u8 factions, each: name · u64 capital, treasury · u8 order · u8 targeted ·
// u64 target · u8 alive. Names are a u16 count and text; there are as many sites and colonies as
// systems.
extension World {
  private static let version: UInt8 = 1

  func write(to writer: inout ByteWriter) {
    writer.u8(Self.version)
    writer.u32(UInt32(Self.rules))
    writer.u8(name == nil ? 0 : 1)
    writer.text16(name ?? "")
    writer.u64(seed)
    writer.u64(dice.state)
    writer.amounts(tick, settled, born, died)
    for site in sites { writer.amounts(site.fertility, site.land, site.ore) }
    for colony in colonies {
      writer.u8(colony == nil ? 0 : 1)
      if let colony { colony.write(to: &writer) }
    }
    writer.u8(UInt8(clamping: routes.count))
    for route in routes { writer.amounts(route.from, route.to, route.opened, route.idle) }
    writer.u8(UInt8(clamping: factions.count))
    for faction in factions { faction.write(to: &writer) }
  }

  /// - Errors: the bytes end too early, or say what no world holds. Whatever is read here can be run.
  init(_ cursor: inout ByteCursor, _ span: borrowing Span<UInt8>) throws(ByteError) {
    guard try cursor.u8(span) == Self.version, try cursor.u32(span) == UInt32(Self.rules) else {
      throw .invalidValue
    }
    let isNamed = try cursor.u8(span) == 1
    let text = try cursor.text16(span)
    name = isNamed ? text : nil
    seed = try cursor.u64(span)
    dice = Dice(seed: try cursor.u64(span))
    tick = try cursor.amount(span, Self.ticksMax)
    settled = try cursor.amount(span)
    born = try cursor.amount(span)
    died = try cursor.amount(span)
    sites = []
    colonies = []
    factions = []
    for _ in StarMap.systems { sites.append(try Site(&cursor, span)) }
    for _ in StarMap.systems {
      let isLivedIn = try cursor.u8(span) == 1
      colonies.append(isLivedIn ? try Colony(&cursor, span) : nil)
    }
    for _ in 0..<(try cursor.u8(span)) { routes.append(try Route(&cursor, span)) }
    for _ in 0..<(try cursor.u8(span)) { factions.append(try Faction(&cursor, span)) }
    guard isWhole else { throw .invalidValue }
  }

  /// Whether it is within its bounds and every colony has a ruler.
  private var isWhole: Bool {
    routes.count <= Self.routesMax && factions.count <= Self.factionsMax
      && name?.utf8.count ?? 0 <= Self.nameBytesMax
      && colonies.allSatisfy { colony in
        guard let colony else { return true }
        return factions.indices.contains(colony.faction) && factions[colony.faction].isAlive
      }
  }
}

extension Site {
  fileprivate init(_ cursor: inout ByteCursor, _ span: borrowing Span<UInt8>) throws(ByteError) {
    fertility = try cursor.amount(span, 1_000)
    land = try cursor.amount(span, World.popMax)
    ore = try cursor.amount(span, 1_000)
  }
}

extension Colony {
  fileprivate func write(to writer: inout ByteWriter) {
    writer.amounts(faction, founded, pop, food, ore, unrest)
    writer.u8(isStarving ? 1 : 0)
    writer.amounts(milestone)
  }

  fileprivate init(_ cursor: inout ByteCursor, _ span: borrowing Span<UInt8>) throws(ByteError) {
    faction = try cursor.amount(span, World.factionsMax)
    founded = try cursor.amount(span, World.ticksMax)
    pop = try cursor.amount(span, World.popMax)
    food = try cursor.amount(span)
    ore = try cursor.amount(span)
    unrest = try cursor.amount(span, 100)
    isStarving = try cursor.u8(span) == 1
    milestone = try cursor.amount(span, .max)
  }
}

extension Route {
  fileprivate init(_ cursor: inout ByteCursor, _ span: borrowing Span<UInt8>) throws(ByteError) {
    from = try cursor.system(span)
    to = try cursor.system(span)
    opened = try cursor.amount(span, World.ticksMax)
    idle = try cursor.amount(span, World.ticksMax)
  }
}

extension Faction {
  fileprivate func write(to writer: inout ByteWriter) {
    writer.text16(name)
    writer.amounts(capital, treasury)
    writer.u8(UInt8(clamping: WorldOrder.allCases.firstIndex(of: order) ?? 0))
    writer.u8(target == nil ? 0 : 1)
    writer.amounts(target ?? 0)
    writer.u8(isAlive ? 1 : 0)
  }

  fileprivate init(_ cursor: inout ByteCursor, _ span: borrowing Span<UInt8>) throws(ByteError) {
    name = try cursor.text16(span)
    capital = try cursor.system(span)
    treasury = try cursor.amount(span)
    let order = Int(try cursor.u8(span))
    guard WorldOrder.allCases.indices.contains(order) else { throw .invalidValue }
    self.order = WorldOrder.allCases[order]
    let isTargeted = try cursor.u8(span) == 1
    let system = try cursor.system(span)
    target = isTargeted ? system : nil
    isAlive = try cursor.u8(span) == 1
  }
}

extension ByteWriter {
  fileprivate mutating func amounts(_ amounts: Int...) {
    for amount in amounts { u64(UInt64(clamping: amount)) }
  }
}

extension ByteCursor {
  /// A whole number from 0 to `most`.
  fileprivate mutating func amount(
    _ span: borrowing Span<UInt8>, _ most: Int = 1_000_000_000_000_000
  ) throws(ByteError) -> Int {
    guard let amount = Int(exactly: try u64(span)), amount <= most else { throw .invalidValue }
    return amount
  }

  fileprivate mutating func system(_ span: borrowing Span<UInt8>) throws(ByteError) -> Int {
    try amount(span, StarMap.systems.count - 1)
  }
}
