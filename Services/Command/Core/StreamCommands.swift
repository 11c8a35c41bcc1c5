internal import Bytes
internal import Client
internal import JSON

/// `sapphire stream …`: the streams behind durable channels.
enum StreamCommands {
  static let list = Command(
    name: "stream ls", summary: "lists the streams that are stored", usage: "[PREFIX] [--json]",
    details: """
      Prints of each stream its last offset, the bytes of its own events and its name; of a fork
      also what it was forked from, and where.

      Examples:
        sapphire stream ls
        sapphire stream ls sim: --json
      """,
    options: Server.options + [LookCommands.jsonOption]
  ) { arguments, context in
    run("stream ls", arguments, context, operands: 0...1) { calls in
      let streams = try Self.streams(arguments.operands.first ?? "", calls)
      if arguments.has("--json") { return streams.map(\.json.jsonBytes) }
      return table(streams.map { [String($0.head), size($0.bytes), $0.name + origin($0)] })
    }
  }

  static let tree = Command(
    name: "stream tree", summary: "draws a stream and its forks", usage: "CHANNEL [--json]",
    details: """
      Prints the stream and, below it, what was forked from it: the offset where each begins, where
      it stands, and who made it.

      Example:
        sapphire stream tree sim:run7
      """,
    options: Server.options + [LookCommands.jsonOption]
  ) { arguments, context in
    run("stream tree", arguments, context, operands: 1...1) { calls in
      let root = String(try channelName(arguments.operands[0]).text.prefix { $0 != "@" })
      let streams = try Self.streams(root, calls).filter {
        $0.name == root || $0.name.hasPrefix(root + "@")
      }
      guard !streams.isEmpty else { throw UsageError("there is no stream \(root)") }
      if arguments.has("--json") { return streams.map(\.json.jsonBytes) }
      return StreamTree(streams).lines.map { [UInt8]($0.utf8) }
    }
  }

  static let read = Command(
    name: "stream read", summary: "prints what a stream holds",
    usage: "CHANNEL [--from N] [--to N] [--limit N] [--type T] [--reverse] [--json]",
    details: """
      Prints the offset, a tab and the payload of each event, the oldest first. `sapphire observe
      CHANNEL --since start` shows the same and goes on with what comes; `stream tail` does so over
      many streams.

      Example:
        sapphire stream read sim:run7@what-if --from 1000 --limit 20
      """,
    options: Server.options + [
      .value("--from", "N", "from this offset on (1)"),
      .value("--to", "N", "up to this offset"),
      .value("--limit", "N", "at most so many"),
      .value("--type", "T", "events of this type"),
      .flag("--reverse", "the newest first"),
      LookCommands.jsonOption,
    ]
  ) { arguments, context in
    run("stream read", arguments, context, operands: 1...1) { calls in
      let from = try arguments.integer("--from", in: 1...Int.max, default: 1)
      let to = try arguments.integer("--to", in: 1...Int.max, default: .max)
      let limit = try arguments.integer("--limit", in: 1...Int.max, default: .max)
      let reading = StreamReading(try channelName(arguments.operands[0]), calls)
      let type = arguments["--type"]
      var left = limit
      // Line by line, whatever its length: memory is bounded by a page.
      let show = { (event: JSONValue) -> Bool in
        guard type == nil || event["type"]?.string == type else { return true }
        left -= 1
        let bytes = arguments.has("--json") ? event.jsonBytes : line(event)
        return context.console.write(bytes + [10]) && left > 0
      }
      if arguments.has("--reverse") {
        try reading.eachReversed(from: from, to: to, show)
      } else {
        try reading.each(from: from, to: to, limit: type == nil ? limit : .max, show)
      }
      return []
    }
  }

  static let fork = Command(
    name: "stream fork", summary: "makes another timeline of a stream",
    usage: "CHANNEL LABEL [--at N]",
    details: """
      Makes the channel `CHANNEL@LABEL`, which begins as CHANNEL is up to an offset and goes on by
      itself. Nothing is copied, however long the stream is; clients watch it like any channel.
      Said twice it is the same fork.

      Examples:
        sapphire stream fork sim:run7 what-if
        sapphire stream fork sim:run7@what-if worse --at 1000     the channel sim:run7@worse
      """,
    options: Server.options + [
      .value("--at", "N", "the last offset that both have (the head)"),
      .value("--author", "NAME", "who makes it (the key's name)"),
      LookCommands.jsonOption,
    ]
  ) { arguments, context in
    run("stream fork", arguments, context, operands: 2...2) { calls in
      let source = try channelName(arguments.operands[0])
      let root = source.text.prefix { $0 != "@" }
      let given = arguments.operands[1]
      let name = try channelName(given.contains("@") ? given : "\(root)@\(given)")
      let at = arguments.has("--at") ? try arguments.integer("--at", in: 0...Int.max, default: 0) : nil
      let result = try calls.result(
        ServerAPI.fork(source, as: name, at: at, author: arguments["--author"]))
      if arguments.has("--json") { return [result.jsonBytes] }
      let isNew = result["new"]?.bool ?? true
      let offset = result["at"]?.int ?? 0
      return [[UInt8]("\(name) \(isNew ? "begins" : "was there: it began") after offset \(offset)".utf8)]
    }
  }

  static let diff = Command(
    name: "stream diff", summary: "shows where two timelines part", usage: "CHANNEL CHANNEL",
    details: """
      Prints what either stream has and the other has not: lines that begin with - are of the first,
      with + of the second. Exits 0 where they are the same, 1 where they are not.

      Example:
        sapphire stream diff sim:run7 sim:run7@what-if
      """,
    options: Server.options
  ) { arguments, context in
    let isSame = SameFlag()
    let code = run("stream diff", arguments, context, operands: 2...2) { calls in
      let names = try arguments.operands.map { try channelName($0) }
      isSame.value = try StreamDiff(names[0], names[1], calls).write(to: context.console)
      return []
    }
    return code == .ok && !isSame.value ? .failure : code
  }

  /// What a body found, for the exit code.
  final class SameFlag {
    var value = true
  }

  static let trim = Command(
    name: "stream trim", summary: "removes the beginning of a stream",
    usage: "CHANNEL [--through N] --yes",
    details: """
      Nobody is given what is up to that offset any more, and the space it took is used again, but for
      what forks of the stream need. There is no way back, so it wants `--yes`. The key needs the
      scope `remove` or `admin`.

      Example:
        sapphire stream trim log:orders --through 100000 --yes
      """,
    options: Server.options + [
      .value("--through", "N", "up to this offset (the head)"),
      .flag("--yes", "does it; without it nothing is done"),
      LookCommands.jsonOption,
    ]
  ) { arguments, context in
    sure("stream trim", arguments, context) { calls in
      let through =
        arguments.has("--through")
        ? try arguments.integer("--through", in: 0...Int.max, default: 0) : nil
      let result = try calls.result(
        ServerAPI.trim(try channelName(arguments.operands[0]), through: through))
      if arguments.has("--json") { return [result.jsonBytes] }
      return [[UInt8]("the stream begins after offset \(result["floor"]?.int ?? 0)".utf8)]
    }
  }

  static let remove = Command(
    name: "stream rm", summary: "deletes a stream", usage: "CHANNEL --yes",
    details: """
      The stream's events are given to nobody any more; forks of it keep what they share with it. The
      name is free: what is published under it later begins at offset 1 in another epoch. There is no
      way back, so it wants `--yes`. The key needs the scope `remove` or `admin`.

      Example:
        sapphire stream rm sim:run7@what-if --yes
      """,
    options: Server.options + [.flag("--yes", "does it; without it nothing is done")]
  ) { arguments, context in
    sure("stream rm", arguments, context) { calls in
      let result = try calls.result(
        ServerAPI.deleteStream(try channelName(arguments.operands[0])))
      let forks = result["forks"]?.int ?? 0
      return forks == 0 ? [] : [[UInt8]("\(forks) \(forks == 1 ? "fork stays" : "forks stay")".utf8)]
    }
  }

  // MARK: -

  static func run(
    _ name: String, _ arguments: Arguments, _ context: CommandContext,
    operands: ClosedRange<Int>, _ body: (ServerCalls) throws -> [[UInt8]]
  ) -> ExitCode {
    guard operands.contains(arguments.operands.count) else {
      let wanted = operands.upperBound == 2 ? "give two" : "give one channel"
      return context.refuse(
        UsageError(operands.lowerBound == 0 ? "\(name) takes at most one prefix" : wanted), name)
    }
    return LookCommands.look(name, arguments, context, operands: arguments.operands.count, body)
  }

  /// As `run`, of what can't be undone.
  private static func sure(
    _ name: String, _ arguments: Arguments, _ context: CommandContext,
    _ body: (ServerCalls) throws -> [[UInt8]]
  ) -> ExitCode {
    guard arguments.has("--yes") || arguments.operands.count != 1 else {
      return context.refuse(
        UsageError("there is no way back: say `--yes` to have it done"), name)
    }
    return run(name, arguments, context, operands: 1...1, body)
  }

  /// All streams with a prefix, page by page.
  static func streams(_ prefix: String, _ calls: ServerCalls) throws -> [StoredStream] {
    var found: [StoredStream] = []
    var after = ""
    while true {
      let result = try calls.result(ServerAPI.streams(prefix: prefix, after: after))
      found += (result["streams"]?.array ?? []).compactMap { StoredStream($0) }
      guard let next = result["after"]?.string, next > after else { return found }
      after = next
    }
  }

  private static func origin(_ stream: StoredStream) -> String {
    guard let fork = stream.fork else { return "" }
    return "  (\(fork.source.map { "\($0) " } ?? "")@ \(fork.at))"
  }

  static func line(_ event: JSONValue) -> [UInt8] {
    [UInt8]("\(event["offset"]?.int ?? 0)\t".utf8) + LookCommands.payload(event).displayBytes
  }

  /// Columns, all but the last to the right.
  private static func table(_ rows: [[String]]) -> [[UInt8]] {
    guard let first = rows.first else { return [] }
    let widths = first.indices.dropLast().map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = zip(row, widths).map { String(repeating: " ", count: $1 - $0.count) + $0 }
      return [UInt8]((cells + [row[row.count - 1]]).joined(separator: "  ").utf8)
    }
  }

  /// Bytes as people say them.
  static func size(_ bytes: UInt64) -> String {
    var value = bytes
    for unit in ["B", "KiB", "MiB", "GiB"] {
      if value < 10_240 { return "\(value) \(unit)" }
      value /= 1_024
    }
    return "\(value) TiB"
  }
}
