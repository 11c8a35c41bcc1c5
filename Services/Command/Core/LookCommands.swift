internal import Bytes
internal import Client
internal import JSON
internal import Platform

/// The commands that ask the server once and show what it says: channels, history, presence,
/// health.
enum LookCommands {
  static let channels = Command(
    name: "channels", summary: "lists the channels that have subscribers", usage: "[--json]",
    details: "Prints the number of subscribers, a tab and the name of every active channel.",
    options: Server.options + [jsonOption]
  ) { arguments, context in
    look("channels", arguments, context, operands: 0) { calls in
      let body = try ServerAPI.body(calls.send(ServerAPI.channels))
      if arguments.has("--json") { return [body.jsonBytes] }
      let members = body["channels"]?.object?.members ?? []
      return members.sorted { $0.key < $1.key }
        .map { [UInt8]("\($0.value.int ?? 0)\t\($0.key)".utf8) }
    }
  }

  static let history = Command(
    name: "history", summary: "shows what a channel's history holds",
    usage: "CHANNEL [--since EPOCH:OFFSET] [--limit N] [--newest] [--json]",
    details: """
      Prints the payload of each publication on a line, the oldest first, as many as the
      history holds. `sapphire observe CHANNEL --since start` shows the same and goes on.

      Examples:
        sapphire history universal-frequency --newest --limit 10
        sapphire history universal-frequency --since k9vW6IyRNDLOu03CtjsnPQ:41 --json
      """,
    options: Server.options + [
      .value("--since", "EPOCH:OFFSET", "only what came after this position"),
      .value("--limit", "N", "at most so many"),
      .flag("--newest", "the newest first"),
      jsonOption,
    ], run: runHistory)

  static let removeHistory = Command(
    name: "history remove", summary: "has a channel's history forgotten", usage: "CHANNEL --yes",
    details: """
      What the channel's history holds now is given to nobody any more. Observers that have it
      all notice nothing; those that come back from further behind are told what they miss.
      In a durable channel the events stay in the store's files, unread: nothing is erased.
      There is no way back, so it wants `--yes`. The key needs the scope `remove` or `admin`.

      Examples:
        sapphire history remove universal-frequency --yes
        sapphire history -- remove        shows what the channel `remove` holds
      """,
    options: Server.options + [.flag("--yes", "does it; without it nothing is done")]
  ) { arguments, context in
    guard arguments.has("--yes") || arguments.operands.count != 1 else {
      return context.refuse(
        UsageError("there is no way back: say `--yes` to have it done"), "history remove")
    }
    return look("history remove", arguments, context, operands: 1) { calls in
      _ = try calls.result(ServerAPI.removeHistory(try channelName(arguments.operands[0])))
      return []
    }
  }

  static let presence = Command(
    name: "presence", summary: "shows who is in a channel", usage: "CHANNEL [--json]",
    details: "Prints the client's id, a tab and the user (`-` where nobody signed in) of each.",
    options: Server.options + [jsonOption]
  ) { arguments, context in
    look("presence", arguments, context, operands: 1) { calls in
      let channel = try channelName(arguments.operands[0])
      let result = try calls.result(ServerAPI.presence(channel))
      if arguments.has("--json") { return [result.jsonBytes] }
      let members = result["presence"]?.object?.members ?? []
      return members.map { member in
        let user = member.value["user"]?.string.flatMap { $0.isEmpty ? nil : $0 } ?? "-"
        return [UInt8]("\(member.key)\t\(user)".utf8)
      }
    }
  }

  static let health = Command(
    name: "health", summary: "tells whether everything works", usage: "[--json]",
    details: """
      Asks the server to probe all its services. Prints a line for each check; exits 0 when
      all needed ones work, else 69.
      """,
    options: Server.options + [jsonOption], run: runHealth)

  static let jsonOption = Option.flag("--json", "prints the server's JSON")

  // MARK: -

  /// Runs one command that prints lines.
  static func look(
    _ name: String, _ arguments: Arguments, _ context: CommandContext, operands: Int,
    _ body: (ServerCalls) throws -> [[UInt8]]
  ) -> ExitCode {
    do {
      guard arguments.operands.count == operands else {
        throw UsageError(operands == 0 ? "\(name) takes no operand" : "give one channel")
      }
      let server = try context.server(arguments)
      do throws(ServerAPI.Failure) {
        let lines = try answer(server, context, body)
        return context.console.write(lines.flatMap { $0 + [10] }) ? .ok : .failure
      } catch {
        return context.report(error, server)
      }
    } catch let error as UsageError {
      return context.refuse(error, name)
    } catch {
      context.console.report("\(error)")
      return .failure
    }
  }

  /// Narrows what a body throws to failures of the API; others go through as transport failures.
  private static func answer(
    _ server: Server, _ context: CommandContext, _ body: (ServerCalls) throws -> [[UInt8]]
  ) throws(ServerAPI.Failure) -> [[UInt8]] {
    do {
      return try body(try ServerCalls(server, context.console))
    } catch let failure as ServerAPI.Failure {
      throw failure
    } catch let error as UsageError {
      throw .transport(.unsendable(reason: error.message))
    } catch {
      throw .transport(.unsendable(reason: "\(error)"))
    }
  }

  // MARK: history

  /// The server gives at most this many publications at once.
  private static let pageMax = 300

  private static func runHistory(_ arguments: Arguments, _ context: CommandContext) -> ExitCode {
    do throws(UsageError) {
      let limit = try arguments.integer("--limit", in: 1...Int(Int32.max), default: Int(Int32.max))
      var since: Position?
      if let text = arguments["--since"] {
        since = Position(text)
        guard since != nil else { throw UsageError("--since takes EPOCH:OFFSET, not `\(text)`") }
      }
      if arguments.has("--newest"), limit > pageMax, arguments.has("--limit") {
        throw UsageError("--newest shows at most \(pageMax)")
      }
      return look("history", arguments, context, operands: 1) { calls in
        let channel = try channelName(arguments.operands[0])
        let pages = HistoryPages(
          channel: channel, isNewestFirst: arguments.has("--newest"), calls: calls)
        return try pages.read(since: since, limit: limit).map { publication in
          arguments.has("--json") ? publication.jsonBytes : payload(publication).displayBytes
        }
      }
    } catch {
      return context.refuse(error, "history")
    }
  }

  private struct HistoryPages {
    let channel: ChannelName
    let isNewestFirst: Bool
    let calls: ServerCalls

    /// Reads page after page; newest first, one page.
    func read(since: Position?, limit: Int) throws -> [JSONValue] {
      var publications: [JSONValue] = []
      var since = since
      while publications.count < limit {
        let count = min(pageMax, limit - publications.count)
        let result = try calls.result(
          ServerAPI.history(channel, limit: count, since: since, newestFirst: isNewestFirst))
        let page = result["publications"]?.array ?? []
        publications += page
        guard !isNewestFirst, let last = page.last?["offset"]?.int, last > 0,
          let head = result["offset"]?.int, last < head,
          let epoch = result["epoch"]?.string.flatMap({ Epoch($0) })
        else { break }
        since = Position(epoch: epoch, offset: Offset(UInt64(last)))
      }
      return publications
    }
  }

  static func payload(_ publication: JSONValue) -> Payload {
    if let text = publication["b64data"]?.string {
      return Payload(.binary, bytes(base64: text) ?? [UInt8](text.utf8))
    }
    if let text = publication["data"]?.string { return Payload(text: text) }
    return Payload(.json, (publication["data"] ?? .null).jsonBytes)
  }

  // MARK: health

  private static func runHealth(_ arguments: Arguments, _ context: CommandContext) -> ExitCode {
    do {
      guard arguments.operands.isEmpty else { throw UsageError("health takes no operand") }
      let server = try context.server(arguments)
      let answer = try ServerCalls(server, context.console).send(ServerAPI.health)
      guard case .success(let response) = answer else {
        if case .failure(let failure) = answer {
          return context.report(.transport(failure), server)
        }
        return .unavailable
      }
      show(response, arguments.has("--json"), context.console)
      return response.status == 200 ? .ok : .unavailable
    } catch let error as UsageError {
      return context.refuse(error, "health")
    } catch {
      context.console.report("\(error)")
      return .failure
    }
  }

  private static func show(_ response: HTTPResponse, _ asJSON: Bool, _ console: Console) {
    guard !asJSON, let body = try? JSONValue.parse(response.body.span),
      let checks = body["checks"]?.object
    else {
      console.write(response.body + [10])
      return
    }
    console.line("status: \(body["status"]?.string ?? "status \(response.status)")")
    for check in checks.members {
      let words = (check.value.object?.members ?? []).map { member in
        member.key == "status" ? member.value.string ?? "" : "\(member.key)=\(plain(member.value))"
      }
      console.line("\(check.key): \(words.joined(separator: " "))")
    }
  }

  private static func plain(_ value: JSONValue) -> String {
    value.string ?? String(decoding: value.jsonBytes, as: UTF8.self)
  }
}
