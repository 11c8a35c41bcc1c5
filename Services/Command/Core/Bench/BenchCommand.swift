internal import Bytes
internal import Client
internal import Crypto
internal import Platform

/// `sapphire bench`: a small load on a running server, to see that it is in order.
enum BenchCommand {
  static let command = Command(
    name: "bench", summary: "puts a small load on a server and prints rates and percentiles",
    usage: "[--clients N] [--messages N] [--bytes N] [--window N] [--channel NAME]",
    details: """
      Two measurements, from one thread of this program, over real WebSockets:
      - fan-out: one publisher, N subscribers; deliveries a second, and the time from
        publishing to each delivery.
      - round trip: one publisher that waits for every acknowledgement.
      The subscribers share the machine with the server if you run it there; numbers are for
      comparing runs, not servers.

      Example:
        sapphire bench --clients 500 --messages 5000
      """,
    options: Server.options + [
      .value("--clients", "N", "subscribers, 1 to 5000 (100)"),
      .value("--messages", "N", "publications of each measurement, 1 to 1000000 (2000)"),
      .value("--bytes", "N", "size of each, 24 to 65536 (200)"),
      .value("--window", "N", "publications under way at once, 1 to 256 (16)"),
      .value("--channel", "NAME", "where; a new channel unless named"),
    ], run: run)

  /// What to do.
  struct Plan: Equatable {
    var clients: Int
    var messages: Int
    var bytes: Int
    var window: Int
    var channel: ChannelName

    init(_ arguments: Arguments, freshName: String) throws(UsageError) {
      guard arguments.operands.isEmpty else { throw UsageError("bench takes no operand") }
      clients = try arguments.integer("--clients", in: 1...5000, default: 100)
      messages = try arguments.integer("--messages", in: 1...1_000_000, default: 2000)
      bytes = try arguments.integer("--bytes", in: 24...65_536, default: 200)
      window = try arguments.integer("--window", in: 1...256, default: 16)
      channel = try channelName(arguments["--channel"] ?? freshName)
    }
  }

  private static func run(_ arguments: Arguments, _ context: CommandContext) -> ExitCode {
    do {
      let fresh = "bench:\(base64URL(SystemRandom.bytes(9)))"
      let plan = try Plan(arguments, freshName: fresh)
      let server = try context.server(arguments)
      Syscalls.raiseDescriptorLimit()
      try fanOut(plan, server, context.console)
      try roundTrip(plan, server, context.console)
      return .ok
    } catch let error as UsageError {
      return context.refuse(error, "bench")
    } catch let refusal as Refusal {
      context.console.report(refusal.message)
      return refusal.code
    } catch {
      context.console.report("\(error)")
      return .failure
    }
  }

  private static func fanOut(_ plan: Plan, _ server: Server, _ console: Console) throws {
    let load = try BenchLoad(plan, server, subscribers: plan.clients)
    let took = try load.run()
    let rate = Int(Double(load.deliveries) / max(took.inSeconds, 1e-9))
    console.line(
      "fan-out: \(plan.messages) publications of \(plan.bytes) bytes to \(plan.clients) subscribers"
    )
    console.line("  \(rate) deliveries/s  \(load.latencies.summary)")
  }

  private static func roundTrip(_ plan: Plan, _ server: Server, _ console: Console) throws {
    var single = plan
    single.window = 1
    let load = try BenchLoad(single, server, subscribers: 0)
    let took = try load.run()
    let rate = Int(Double(plan.messages) / max(took.inSeconds, 1e-9))
    console.line("round trip: \(plan.messages) publications, each acknowledged before the next")
    console.line("  \(rate) publications/s  \(load.latencies.summary)")
  }
}
