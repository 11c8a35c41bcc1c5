public import ChannelKit

/// A world that runs tick by tick, seen by everyone who is subscribed (S001-14, S001-34).
///
/// The channel is a fold over the commands in its stream: the `World` is run again by whoever applies
/// them, so its state needs nothing else. Each command is published with who gave it, and each tick of
/// a batch after it with what happened, so that the stream is the record of the world, and observers
/// need no engine. A fork of the stream at an offset is a world at that moment; another seed or other orders
/// make another future of it (S001-23).
///
/// Every decision expects the channel unchanged. A command and its ticks are published in one step:
/// either all of it is in the stream, or nothing.
public struct SimulationChannel: ChannelType {
  public static let name = "simulation"
  public static let state = StateUse.folded
  public static let history = HistoryRequirement.durable

  /// BUDGET: what one command may publish. A tick in which much happens has a few hundred bytes.
  static let publishedBytesMax = 1 << 20

  private let seed: UInt64
  private let ticksPerBatch: Int
  private let runners: [Principal]
  private var world: World?

  public init(channel: ChannelName, options: inout ChannelOptions) throws(ChannelOptionsError) {
    let seedMax = Int(SimulationCommand.seedMax)
    seed = UInt64(try options.int("seed", in: 0...seedMax) ?? 42)
    ticksPerBatch = try options.int("ticksPerBatch", in: 1...SimulationCommand.ticksMax) ?? 100
    runners = try options.principals("run") ?? [.anyone]
  }

  public func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) throws(ChannelError) {
    guard event.payload.bytes.count <= SimulationCommand.bytesMax else {
      throw .invalidPayload("a command has at most \(SimulationCommand.bytesMax) bytes")
    }
    var command = try SimulationCommand(reading: event.payload, named: event.name)
    try check(command, client)
    if case .create(nil, let name) = command { command = .create(seed: seed, name: name) }
    var next = world
    let ticks = try command.carryOut(on: &next)
    let by = client.user?.text ?? (client.isAPI ? "api" : nil)
    let payloads = [command.payload(at: world?.tick ?? 0, by: by)] + ticks.map(\.payload)
    guard payloads.reduce(0, { $0 + $1.bytes.count }) <= Self.publishedBytesMax else {
      throw .limitReached("too much happens in so many ticks; run fewer at once")
    }
    effects.publish(together: payloads, expecting: .unchanged)
    effects.reply(Payload(json: #"{"tick":\#(next?.tick ?? 0)}"#))
  }

  /// Passes over what is no command, such as what was in the stream before it was a world's.
  public mutating func apply(_ publication: Publication) {
    do throws(ChannelError) {
      _ = try SimulationCommand(reading: publication.payload).carryOut(on: &world)
    } catch {}
  }

  public func snapshot() -> [Payload] { world.map { [$0.snapshot] } ?? [] }

  public func checkpoint() -> [UInt8]? {
    var writer = ByteWriter()
    writer.u8(world == nil ? 0 : 1)
    world?.write(to: &writer)
    return writer.bytes
  }

  public mutating func restore(_ checkpoint: [UInt8]) throws(ChannelError) {
    do throws(ByteError) {
      let span = checkpoint.span
      var cursor = ByteCursor(span)
      let isThere = try cursor.u8(span) == 1
      world = isThere ? try World(&cursor, span) : nil
      guard cursor.isAtEnd else { throw .truncated }
    } catch {
      throw .invalidPayload("this is no world's checkpoint")
    }
  }

  /// Orders are for whoever may publish; time and chance may be for fewer.
  private func check(_ command: SimulationCommand, _ client: ClientContext) throws(ChannelError) {
    switch command {
    case .order: return
    case .run(let from, let to):
      guard to - from <= ticksPerBatch else {
        throw .limitReached("at most \(ticksPerBatch) ticks are run at once")
      }
    case .create, .reseed: break
    }
    guard client.isAPI || runners.include(client) else {
      throw .notPermitted("this world is run by others")
    }
  }
}
