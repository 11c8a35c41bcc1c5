internal import Bytes
internal import Client
internal import Crypto
internal import JSON
internal import Platform

/// `sapphire publish`: one publication through the HTTP API, or as the user of a token.
enum PublishCommand {
  static let command = Command(
    name: "publish", summary: "publishes one message in a channel",
    usage: "CHANNEL [TEXT|-] [--json DATA] [--file FILE] [--key KEY] [--token-file FILE]",
    details: """
      Publishes TEXT, or what `-` reads from standard input, or a JSON value, or a file's
      content (text where it is UTF-8, else bytes). Standard input and files are taken as
      they are, with their line ends. Prints EPOCH:OFFSET where the channel keeps a history;
      in a durable channel it is on disk by then.

      It is tried again when the server is lost on the way, under one idempotency key, so
      that it is published once. With your own KEY that holds across calls too.

      With a token, from SAPPHIRE_TOKEN or a file, it publishes as the token's user, over a
      WebSocket; without one with the key of the API.

      Examples:
        sapphire publish universal-frequency "Artifact #42 discovered"
        sapphire publish map:cursor --json '{"x": 3, "y": 4}'
        date | sapphire publish universal-frequency -
      """,
    options: Server.options + [
      .value("--json", "DATA", "publishes this JSON value"),
      .value("--file", "FILE", "publishes the content of this file"),
      .value("--key", "KEY", "the idempotency key"), SignIn.option,
    ], run: run)

  /// BUDGET: the most that is read to be published; the server's own limit is lower.
  static let contentBytesMax = 64 << 20

  private static func run(_ arguments: Arguments, _ context: CommandContext) -> ExitCode {
    do {
      let channel = try channel(arguments)
      let payload = try payload(arguments)
      let server = try context.server(arguments)
      let key = arguments["--key"] ?? "publish-\(base64URL(SystemRandom.bytes(16)))"
      if let signIn = try context.signIn(arguments) {
        return try SocketPublication(channel, server, context.console)
          .run(payload, key: key, signIn)
      }
      let request = try ServerAPI.publish(channel, payload, key: key)
      return try publish(request, channel, server, context)
    } catch let error as UsageError {
      return context.refuse(error, "publish")
    } catch {
      context.console.report("\(error)")
      return .failure
    }
  }

  private static func publish(
    _ request: HTTPRequest, _ channel: ChannelName, _ server: Server, _ context: CommandContext
  ) throws(SystemError) -> ExitCode {
    let calls = try ServerCalls(server, context.console)
    var retries = PublishRetries(
      now: SystemClock.monotonic(), server: server.expectation)
    while true {
      do throws(ServerAPI.Failure) {
        let receipt = ServerAPI.receipt(try calls.result(request))
        context.console.line(receipt.position?.description ?? "published in \(channel)")
        return .ok
      } catch {
        guard let delay = retries.delay(after: error, now: SystemClock.monotonic()) else {
          return context.report(error, server)
        }
        SystemClock.pause(delay)
      }
    }
  }

  private static func channel(_ arguments: Arguments) throws(UsageError) -> ChannelName {
    guard let name = arguments.operands.first else { throw UsageError("which channel?") }
    return try channelName(name)
  }

  private static func payload(_ arguments: Arguments) throws -> Payload {
    let text = arguments.operands.dropFirst()
    let sources =
      min(text.count, 1) + [arguments["--json"], arguments["--file"]].compactMap(\.self).count
    guard sources == 1, text.count <= 1 else {
      throw UsageError(
        text.count > 1
          ? "one text only; put it in quotes" : "publish one of TEXT, `-`, --json and --file")
    }
    if let json = arguments["--json"] { return try payload(json: json) }
    if let file = arguments["--file"] {
      return payload(content: try Files.read(FilePath(file), bytesMax: contentBytesMax))
    }
    guard let word = text.first, word != "-" else {
      return payload(content: try Files.read("/dev/stdin", bytesMax: contentBytesMax))
    }
    return Payload(text: word)
  }

  private static func payload(json: String) throws(UsageError) -> Payload {
    do throws(JSONError) {
      let kind = try JSON.validate([UInt8](json.utf8).span)
      if kind == .string, let text = try JSONValue.parse(json).string { return Payload(text: text) }
      return Payload(json: json)
    } catch {
      throw UsageError("--json needs a JSON value: \(error)")
    }
  }

  private static func payload(content: [UInt8]) -> Payload {
    String(validating: content.span) == nil ? Payload(.binary, content) : Payload(.text, content)
  }
}

/// Decides whether a publication is tried again. Pure.
///
/// A server that was never reached is reported at once, unless it runs on this machine and may be
/// starting again; one that was lost on the way, or is busy, is given some seconds.
struct PublishRetries {
  private let deadline: Instant
  private var unreachableUntil: Instant
  static let patience = Duration.seconds(10)
  static let pause = Duration.milliseconds(200)

  /// - Parameter server: whether it is known to run, or only may.
  init(now: Instant, server: Server.Expectation) {
    deadline = now + Self.patience
    unreachableUntil = server == .running ? now + Self.restartPatience : now
  }

  static let restartPatience = Duration.seconds(3)

  /// How long to wait before the next try; nil to give up.
  mutating func delay(after failure: ServerAPI.Failure, now: Instant) -> Duration? {
    guard failure.isTemporary, now + Self.pause < deadline else { return nil }
    if case .transport(.unreachable) = failure {
      return now < unreachableUntil ? Self.pause : nil
    }
    // It was there a moment ago, so it is expected back.
    unreachableUntil = deadline
    return Self.pause
  }
}
