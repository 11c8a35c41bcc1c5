internal import Bytes
internal import Client
internal import Loop
internal import Platform

/// One publication over a WebSocket, as the user of a token: the HTTP API takes keys alone.
///
/// The client sends it again under its key when the server is lost on the way.
final class SocketPublication {
  private let server: Server
  private let console: Console
  private let channel: ChannelName
  private let loop: EventLoop
  private var client: RealtimeClient?
  private var exitCode: ExitCode?
  private var hasConnected = false
  private var lastReason = ""

  init(_ channel: ChannelName, _ server: Server, _ console: Console) throws(SystemError) {
    self.server = server
    self.console = console
    self.channel = channel
    loop = try EventLoop()
  }

  /// Publishes, prints where it stands or why not, and gives the exit code.
  func run(_ payload: Payload, key: String, _ signIn: SignIn) throws(EmitFailure) -> ExitCode {
    let client = RealtimeClient(server.options(signIn), on: loop) { [weak self] in
      self?.received($0)
    }
    self.client = client
    _ = try client.emit(channel, payload, key: key)
    loop.after(PublishRetries.patience) { [weak self] in self?.giveUp() }
    client.open()
    while exitCode == nil { loop.turn() }
    client.close()
    loop.turn(waiting: .zero)
    return exitCode ?? .failure
  }

  private func received(_ event: ClientEvent) {
    guard exitCode == nil else { return }
    switch event {
    case .emitted(_, let position):
      console.line(position?.description ?? "published in \(channel)")
      exitCode = .ok
    case .emitFailed(_, .refused(let refusal)):
      console.report("\(server.url): the server refuses: \(refusal)")
      exitCode = refusal.isAboutPermission ? .notPermitted : .failure
    case .emitFailed(_, .closed): break
    case .emitFailed(_, let failure):
      console.report("\(failure)")
      exitCode = .failure
    case .state(let state): stateChanged(state)
    case .refusal(let refusal): console.report("the server refuses: \(refusal)")
    case .publication, .presence, .gap, .unrecoverable, .subscribed, .subscriptionRefused: break
    }
  }

  private func stateChanged(_ state: ConnectionState) {
    switch state {
    case .connecting: break
    case .connected: hasConnected = true
    case .waiting(_, _, let reason):
      lastReason = reason
      // One that runs on this machine may be starting again; another is not there.
      if !hasConnected, server.expectation != .running { giveUp() }
    case .closed(let reason):
      console.report("\(server.url): \(reason)")
      exitCode = ObserveCommand.exitCode(reason)
    }
  }

  private func giveUp() {
    guard exitCode == nil else { return }
    let why = lastReason.isEmpty ? "it did not answer in time" : lastReason
    console.report("\(server.url) can't be reached: \(why)")
    exitCode = .unavailable
  }
}
