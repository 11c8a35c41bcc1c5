import ChannelKit
import JSON

/// What a client tells a simulation, and what the simulation publishes of it: the same JSON object,
/// with `by`, and what came of it, added.
///
///     {"event":"simulation.create","seed":7,"name":"run7"}
///     {"event":"simulation.tick.batch","from":0,"to":100}
///     {"event":"simulation.order","faction":"UNE","order":"expand","target":"Sirius"}
///     {"event":"simulation.reseed","seed":8}
enum SimulationCommand: Equatable {
  /// Without a seed the channel's own is taken.
  case create(seed: UInt64?, name: String?)
  /// Runs the ticks after `from`, up to and with `to`.
  case run(from: Int, to: Int)
  case order(WorldOrder, faction: String, target: String?)
  case reseed(UInt64)

  static let bytesMax = 1_024
  /// Of every name in a command.
  static let nameBytesMax = World.nameBytesMax
  /// Every reader of JSON has whole numbers up to here, JavaScript's too.
  static let seedMax: Int64 = 1 << 53 - 1
  /// BUDGET: ticks of one command, whatever the options say: a decision runs them all, and so does
  /// every loop that applies it.
  static let ticksMax = 1_000

  /// - Parameter eventName: what the client's protocol calls the event; counts where the object has
  ///   no member `event`.
  /// - Errors: not a JSON object, no such command, a member that is missing, of the wrong type or out
  ///   of range.
  init(reading payload: Payload, named eventName: String? = nil) throws(ChannelError) {
    let members = try Members(reading: payload)
    switch members.event ?? eventName {
    case "simulation.create":
      guard members.rules ?? World.rules == World.rules else {
        throw .invalidPayload("rules is \(World.rules): there are no others")
      }
      self = .create(seed: members.seed, name: members.name)
    case "simulation.tick.batch":
      guard let from = members.from, let to = members.to, from < to else {
        throw .invalidPayload("from and to are whole numbers, and from is the smaller one")
      }
      self = .run(from: from, to: to)
    case "simulation.order":
      guard let faction = members.faction else { throw .invalidPayload("faction is missing") }
      guard let order = members.order else {
        let all = WorldOrder.allCases.map(\.rawValue).joined(separator: ", ")
        throw .invalidPayload("order is one of \(all)")
      }
      self = .order(order, faction: faction, target: members.target)
    case "simulation.reseed":
      guard let seed = members.seed else { throw .invalidPayload("seed is missing") }
      self = .reseed(seed)
    case let name: throw .unknownEvent(name)
    }
  }

  /// Does to a world what the command says; the answer is the ticks that were run.
  ///
  /// Deciding and applying both go this way, so that what was let through is what is done.
  /// - Errors: it doesn't go with the world; the world is as it was.
  func carryOut(on world: inout World?) throws(ChannelError) -> [WorldTick] {
    if case .create(let seed, let name) = self {
      guard world == nil else {
        throw .alreadyExists("there is a world here; simulation.reseed goes on with another seed")
      }
      guard let seed else { throw .invalidPayload("seed is missing") }
      world = World(seed: seed, name: name)
      return []
    }
    guard var next = world else { throw Self.noWorld }
    var ticks: [WorldTick] = []
    switch self {
    case .create: break
    case .run(let from, let to): ticks = try Self.run(&next, from, to)
    case .order(let order, let faction, let target): try next.order(order, faction, target)
    case .reseed(let seed): next.reseed(seed)
    }
    world = next
    return ticks
  }

  private static func run(_ world: inout World, _ from: Int, _ to: Int) throws(ChannelError)
    -> [WorldTick]
  {
    guard from == world.tick else { throw wrongTick(world.tick) }
    guard to <= World.ticksMax else {
      throw .limitReached("a world has at most \(World.ticksMax) ticks")
    }
    guard to - from <= ticksMax else {
      throw .limitReached("at most \(ticksMax) ticks are run at once")
    }
    var ticks: [WorldTick] = []
    ticks.reserveCapacity(to - from)
    for _ in from..<to { ticks.append(world.advance()) }
    return ticks
  }

  private static let noWorld = ChannelError(
    code: 1_100, name: "no_world", message: "there is no world yet; send simulation.create")

  private static func wrongTick(_ tick: Int) -> ChannelError {
    ChannelError(
      code: 1_101, name: "wrong_tick", message: "the world is at tick \(tick), so from is \(tick)")
  }
}

extension World {
  fileprivate mutating func order(_ order: WorldOrder, _ name: String, _ target: String?)
    throws(ChannelError)
  {
    guard let faction = faction(named: name) else {
      throw .notFound("there is no faction of this name")
    }
    guard let target else {
      factions[faction].order = order
      factions[faction].target = nil
      return
    }
    guard let system = StarMap.index(of: target) else {
      throw .notFound("there is no system of this name")
    }
    factions[faction].order = order
    factions[faction].target = system
  }
}

extension SimulationCommand {
  /// What is published of it; its ticks follow as publications of their own.
  ///
  /// - Parameters:
  ///   - tick: where the world stood when this was commanded.
  ///   - by: who commanded it, where that is known.
  func payload(at tick: Int, by: String?) -> Payload {
    var writer = JSONWriter(reserving: 128)
    writer.beginObject()
    switch self {
    case .create(let seed, let name):
      writer.field("event", "simulation.create")
      if let seed { writer.field("seed", seed) }
      if let name { writer.field("name", name) }
      writer.field("rules", Int64(World.rules))
    case .run(let from, let to):
      writer.field("event", "simulation.tick.batch")
      writer.field("from", Int64(from))
      writer.field("to", Int64(to))
    case .order(let order, let faction, let target):
      writer.field("event", "simulation.order")
      writer.field("faction", faction)
      writer.field("order", order.rawValue)
      if let target { writer.field("target", target) }
      writer.field("tick", Int64(tick))
    case .reseed(let seed):
      writer.field("event", "simulation.reseed")
      writer.field("seed", seed)
      writer.field("tick", Int64(tick))
    }
    if let by { writer.field("by", by) }
    writer.endObject()
    return Payload(.json, writer.bytes)
  }
}

extension WorldTick {
  /// What observers get of it.
  var payload: Payload {
    var writer = JSONWriter(reserving: 32 + 96 * events.count)
    write(to: &writer)
    return Payload(.json, writer.bytes)
  }
}

/// The members that commands have, each checked by itself; others are passed over.
private struct Members {
  private(set) var event: String?
  private(set) var seed: UInt64?
  private(set) var name: String?
  private(set) var rules: Int?
  private(set) var from: Int?
  private(set) var to: Int?
  private(set) var faction: String?
  private(set) var order: WorldOrder?
  private(set) var target: String?

  init(reading payload: Payload) throws(ChannelError) {
    guard payload.kind != .binary, payload.kind != .jsonWithParts else {
      throw .invalidPayload("a simulation takes JSON objects")
    }
    var fault: String?
    do throws(JSONError) {
      var scanner = try JSONScanner(object: payload.bytes.span)
      while let member = try scanner.next(payload.bytes.span) {
        let memberFault = take(member, in: payload.bytes.span)
        fault = fault ?? memberFault
      }
    } catch {
      throw .invalidPayload("a simulation takes JSON objects; \(error)")
    }
    if let fault { throw .invalidPayload(fault) }
  }

  /// Takes one member over; the answer is what is wrong with it. One that is null counts as absent.
  private mutating func take(_ member: JSONMember, in span: borrowing Span<UInt8>) -> String? {
    guard member.kind != .null else { return nil }
    let key = member.keyText(in: span)
    switch key {
    case "seed", "from", "to", "rules":
      guard let number = member.int(in: span), (0...SimulationCommand.seedMax).contains(number)
      else { return "\(key) is a whole number from 0 to \(SimulationCommand.seedMax)" }
      take(number, as: key)
    case "event", "name", "faction", "target":
      guard let text = member.text(in: span),
        (1...SimulationCommand.nameBytesMax).contains(text.utf8.count)
      else { return "\(key) is a string of 1 to \(SimulationCommand.nameBytesMax) bytes" }
      take(text, as: key)
    case "order": order = member.text(in: span).flatMap { WorldOrder(rawValue: $0) }
    default: break
    }
    return nil
  }

  private mutating func take(_ number: Int64, as key: String) {
    switch key {
    case "seed": seed = UInt64(number)
    case "from": from = Int(number)
    case "to": to = Int(number)
    default: rules = Int(number)
    }
  }

  private mutating func take(_ text: String, as key: String) {
    switch key {
    case "event": event = text
    case "name": name = text
    case "faction": faction = text
    default: target = text
    }
  }
}
