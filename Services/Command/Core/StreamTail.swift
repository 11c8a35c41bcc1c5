internal import Bytes
internal import Client
internal import JSON

/// `sapphire stream tail`: the events of all streams under a prefix, in the order they were committed,
/// and what comes.
enum StreamTail {
  static let command = Command(
    name: "stream tail", summary: "follows every stream under a prefix, in the order of commits",
    usage: "[PREFIX] [--since POSITION|start|now] [--type T] [--json]",
    details: """
      Prints of each event its position in the store, its channel, its offset there and its payload, with
      tabs between; with --json what the API says of it. When the server can't be reached it says so on
      standard error, tries again after 1, 2, 4 … 30 s, and goes on behind the last event it printed:
      none is left out, none comes twice. Who wants to go on later keeps the position that ended last.

      Examples:
        sapphire stream tail
        sapphire stream tail sim: --since start --json
        sapphire stream tail log:orders --since 1200 --type order.paid
      """,
    options: Server.options + [
      .value("--since", "POSITION", "what came after it: a position, `start`, or `now` (now)"),
      .value("--type", "T", "events of this type"),
      LookCommands.jsonOption,
    ]
  ) { arguments, context in
    guard arguments.operands.count <= 1 else {
      return context.refuse(UsageError("stream tail takes at most one prefix"), "stream tail")
    }
    let beginning: Following
    do throws(UsageError) { beginning = try Following(arguments) } catch {
      return context.refuse(error, "stream tail")
    }
    return LookCommands.look(
      "stream tail", arguments, context, operands: arguments.operands.count
    ) { calls in
      var following = beginning
      while try following.step(calls, context.console) {}
      return []
    }
  }

  /// Where a tail stands, and how it goes on.
  private struct Following {
    private var query = ServerAPI.EventsQuery()
    private let showsJSON: Bool
    private var beginsNow: Bool
    private var hasAnswer = false
    private var failures = 0
    /// Seconds that the server waits where there is nothing.
    private static let wait: Int64 = 20

    init(_ arguments: Arguments) throws(UsageError) {
      let since = arguments["--since"] ?? "now"
      beginsNow = since == "now"
      if !beginsNow, since != "start" {
        guard let position = Int64(since), position >= 0 else {
          throw UsageError("--since takes a position, `start` or `now`, not `\(since)`")
        }
        query.after = position
      }
      query.prefix = arguments.operands.first ?? ""
      query.type = arguments["--type"] ?? ""
      query.limit = 1_000
      showsJSON = arguments.has("--json")
    }

    /// One call and what it brings; false once nobody reads any more.
    mutating func step(_ calls: ServerCalls, _ console: Console) throws(ServerAPI.Failure) -> Bool {
      do throws(ServerAPI.Failure) {
        if beginsNow {
          let last = try calls.result(ServerAPI.events(newest))
          query.after = last["head"]?.int ?? 0
          query.store = last["store"]?.string
          beginsNow = false
        }
        query.wait = Self.wait
        let within = ServerCalls.answerWithin + .seconds(Self.wait)
        let page = try ServerAPI.result(calls.send(ServerAPI.events(query), within: within))
        if failures > 0 { console.report("connected again") }
        (hasAnswer, failures) = (true, 0)
        return take(page, console)
      } catch {
        guard hasAnswer, error.isTemporary else { throw error }
        let delay = min(1 << min(failures, 5), 30)
        if failures == 0 { console.report("\(error); trying again") }
        failures += 1
        calls.pause(for: .seconds(delay))
        return true
      }
    }

    private var newest: ServerAPI.EventsQuery {
      var query = ServerAPI.EventsQuery()
      (query.isReverse, query.limit) = (true, 1)
      return query
    }

    private mutating func take(_ page: JSONValue, _ console: Console) -> Bool {
      var lines: [UInt8] = []
      for event in page["events"]?.array ?? [] {
        lines += showsJSON ? event.jsonBytes : Self.line(event)
        lines.append(10)
      }
      if let damaged = page["damaged"]?.int {
        console.report("\(damaged) events up to position \(page["position"]?.int ?? 0) are damaged")
      }
      query.after = page["position"]?.int ?? query.after
      query.store = page["store"]?.string ?? query.store
      return lines.isEmpty || console.write(lines)
    }

    private static func line(_ event: JSONValue) -> [UInt8] {
      let place = "\(event["position"]?.int ?? 0)\t\(event["channel"]?.string ?? "")\t"
      return [UInt8](place.utf8) + StreamCommands.line(event)
    }
  }
}
