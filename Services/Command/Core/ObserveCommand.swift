internal import Bytes
internal import Client
internal import Loop
internal import Platform

/// `sapphire observe`: the publications of some channels, a line each, until it is ended.
enum ObserveCommand {
  static let command = Command(
    name: "observe", summary: "shows what is published in channels, as it happens",
    usage: "CHANNEL… [--since start|EPOCH:OFFSET] [--json] [--presence] [--token-file FILE]",
    details: """
      Prints the payload of every publication on a line of its own: text and JSON as they
      are, bytes as `base64:…`. With several channels the channel's name and a tab come
      first. When the connection is lost it says so on standard error, connects again after
      1, 2, 4, 8, 16, then every 30 s, and goes on behind the last publication it printed.
      Ctrl-C ends it with exit code 0.

      Channels that want to know who listens are observed with a token: from SAPPHIRE_TOKEN,
      or from a file that is read again whenever it connects, so that whoever renews tokens
      only has to write the new one there.

      Examples:
        sapphire observe universal-frequency
        sapphire observe universal-frequency --since start
        sapphire observe map:cursor sim:tick --json
        sapphire observe inbox:ada:mail --token-file ada.token
      """,
    options: Server.options + [
      .value("--since", "POSITION", "first what came after it: `start` or EPOCH:OFFSET"),
      .flag("--json", "prints envelopes: {channel, epoch, offset, time, data | b64data}"),
      .flag("--presence", "also shows who joins and leaves"),
      SignIn.option,
    ], run: run)

  private static func run(_ arguments: Arguments, _ context: CommandContext) -> ExitCode {
    SignalReader.blockHandled()
    do {
      let request = try ObserveRequest(arguments)
      let server = try context.server(arguments)
      let signIn = try context.signIn(arguments)
      return try Observation(request, server, context.console).run(signIn)
    } catch let error as UsageError {
      return context.refuse(error, "observe")
    } catch {
      context.console.report("\(error)")
      return .failure
    }
  }
}

extension ObserveCommand {
  /// For a connection that the server has ended for good.
  static func exitCode(_ reason: ClosedBecause) -> ExitCode {
    switch reason {
    case .refused(401), .refused(403), .closedByServer(1008, _): .notPermitted
    case .closedHere, .refused, .closedByServer, .unsendable: .failure
    }
  }
}

/// What is to be observed, and how it is shown.
struct ObserveRequest: Equatable {
  var channels: [ChannelName] = []
  var since: Since?
  var showsEnvelopes: Bool
  var showsPresence: Bool

  init(_ arguments: Arguments) throws(UsageError) {
    guard !arguments.operands.isEmpty else { throw UsageError("which channel? name at least one") }
    for name in arguments.operands {
      let channel = try channelName(name)
      if !channels.contains(channel) { channels.append(channel) }
    }
    if let text = arguments["--since"] {
      guard let since = Since(text) else {
        throw UsageError("--since takes `start` or EPOCH:OFFSET, not `\(text)`")
      }
      if channels.count > 1, since != .start {
        throw UsageError("a position belongs to one channel; several take --since start only")
      }
      self.since = since
    }
    showsEnvelopes = arguments.has("--json")
    showsPresence = arguments.has("--presence")
  }

  /// The line for a publication, with its end.
  func line(_ publication: Publication) -> [UInt8] {
    if showsEnvelopes { return oneLine(json: publication.envelope) + [10] }
    let name = channels.count > 1 ? [UInt8]("\(publication.channel)\t".utf8) : []
    return name + publication.payload.displayBytes + [10]
  }
}

/// Runs one `observe`. Owns the loop, the client and the signals.
private final class Observation {
  private let request: ObserveRequest
  private let server: Server
  private let console: Console
  private let loop: EventLoop
  private var client: RealtimeClient?
  private var signals: SignalHandler?
  private var output: [UInt8] = []
  private var hasConnected = false
  private var refused = 0
  private var exitCode: ExitCode?

  init(_ request: ObserveRequest, _ server: Server, _ console: Console) throws(SystemError) {
    self.request = request
    self.server = server
    self.console = console
    loop = try EventLoop()
    signals = try SignalHandler(loop) { [weak self] signal in
      if signal == .terminate { self?.exitCode = .ok }
    }
  }

  func run(_ signIn: SignIn?) -> ExitCode {
    var options = server.options(signIn)
    options.wantsPresence = request.showsPresence
    let client = RealtimeClient(options, on: loop) { [weak self] in self?.received($0) }
    self.client = client
    for channel in request.channels { client.subscribe(channel, since: request.since) }
    client.open()
    while exitCode == nil { loop.turn() }
    writeOut()
    client.close()
    loop.turn(waiting: .zero)
    return exitCode ?? .failure
  }

  private func received(_ event: ClientEvent) {
    switch event {
    case .publication(let publication): write(request.line(publication))
    case .presence(_, _, let json): showPresence(json)
    case .state(let state): stateChanged(state)
    case .gap(let channel, let dropped):
      let count = dropped.map { "\($0)" } ?? "some"
      console.report("\(channel): \(count) publications did not reach this client")
    case .unrecoverable(let channel, let reason):
      console.report("\(channel): the position is gone (\(reason)); what follows is live")
    case .subscriptionRefused(let channel, let refusal): subscriptionRefused(channel, refusal)
    case .refusal(let refusal): console.report("the server refuses: \(refusal)")
    case .subscribed, .emitted, .emitFailed: break
    }
  }

  private func stateChanged(_ state: ConnectionState) {
    switch state {
    case .connecting: break
    case .connected:
      if hasConnected { console.report("connected again") }
      hasConnected = true
    case .waiting(let delay, _, let reason):
      guard hasConnected else {
        console.report("\(server.url) can't be reached: \(reason)")
        console.report("is it running? `sapphire up` starts it; --url or SAPPHIRE_URL name another")
        exitCode = .unavailable
        return
      }
      let tenths = delay.millisecondsClamped / 100
      console.report("connection lost (\(reason)); trying again in \(tenths / 10).\(tenths % 10) s")
    case .closed(let reason):
      guard exitCode == nil else { return }
      console.report("\(server.url): \(reason)")
      exitCode = ObserveCommand.exitCode(reason)
    }
  }

  private func subscriptionRefused(_ channel: ChannelName, _ refusal: ServerRefusal) {
    console.report("\(channel) can't be observed: \(refusal)")
    refused += 1
    guard refused == request.channels.count else { return }
    exitCode = refusal.isAboutPermission ? .notPermitted : .failure
  }

  private func showPresence(_ json: [UInt8]) {
    if request.showsEnvelopes {
      write(json + [10])
    } else {
      console.report("presence: \(String(decoding: json, as: UTF8.self))")
    }
  }

  /// Lines of one turn leave in one write.
  private func write(_ line: [UInt8]) {
    if output.isEmpty { loop.atTurnEnd { [weak self] in self?.writeOut() } }
    output += line
  }

  private func writeOut() {
    guard !output.isEmpty else { return }
    // A reader that is gone, as `head` goes, ends this without a complaint.
    if !console.write(output) { exitCode = exitCode ?? .ok }
    output.removeAll(keepingCapacity: true)
  }
}
