internal import Bytes
internal import Client
internal import JSON

/// `sapphire stream state`: what a channel's type made of its history, at any offset.
extension StreamCommands {
  static let state = Command(
    name: "stream state", summary: "shows a folded channel's state at any offset",
    usage: "CHANNEL [--at N] [--rebuild] [--json]",
    details: """
      Prints what a newcomer would have been shown right after that offset, one message a line. It is
      folded from the nearest snapshot before it; with `--rebuild` from the first event, and compared
      with the snapshot on the way. Exits 1 where that is another.

      Examples:
        sapphire stream state state:model --at 1200
        sapphire stream state sim:run7@what-if --rebuild
      """,
    options: Server.options + [
      .value("--at", "N", "as it was there (the head)"),
      .flag("--rebuild", "from the first event, to check what was kept"),
      LookCommands.jsonOption,
    ]
  ) { arguments, context in
    let isSame = SameFlag()
    let code = run("stream state", arguments, context, operands: 1...1) { calls in
      let name = try channelName(arguments.operands[0])
      let at = arguments.has("--at") ? try arguments.integer("--at", in: 0...Int.max, default: 0) : nil
      let rebuilds = arguments.has("--rebuild")
      if rebuilds {
        let head = try streams(name.text, calls).first { $0.name == name.text }?.head ?? 0
        context.console.report("folding \(min(head, at.map(Int64.init) ?? head)) events from the first")
      }
      let request = ServerAPI.state(name, at: at, rebuild: rebuilds)
      let result = try ServerAPI.result(calls.send(request, within: stateWithin))
      isSame.value = result["snapshot"]?["same"]?.bool ?? true
      if rebuilds { for line in told(result) { context.console.report(line) } }
      if arguments.has("--json") { return [result.jsonBytes] }
      return (result["state"]?.array ?? []).map(\.jsonBytes)
    }
    return code == .ok && !isSame.value ? .failure : code
  }

  /// Somewhat longer than the server folds for.
  private static let stateWithin = Duration.seconds(70)

  /// What a fold from the first event has to say of itself.
  private static func told(_ result: JSONValue) -> [String] {
    let (events, ms) = (result["events"]?.int ?? 0, result["ms"]?.int ?? 0)
    let rate = events * 1_000 / max(1, ms)
    var lines = ["\(events) events in \(ms) ms, \(rate) a second"]
    if let offset = result["snapshot"]?["offset"]?.int {
      let isSame = result["snapshot"]?["same"]?.bool == true
      lines.append("the snapshot at \(offset) \(isSame ? "is the same" : "IS ANOTHER")")
    } else {
      lines.append("there is no snapshot to compare with")
    }
    return lines
  }
}
