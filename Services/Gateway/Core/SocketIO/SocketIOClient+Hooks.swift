internal import Bytes
internal import Config
internal import EngineIO
internal import Identity
internal import Loop
internal import SocketIO

/// Who a client of the main namespace is that brought neither token nor ticket: a back end says it.
extension SocketIOClient {
  /// Asks, with the CONNECT's `auth` as `data`.
  func askToConnect(_ auth: [UInt8]?) {
    guard let hooks = gateway.hooks else { return refuse(.main, .hookUnavailable) }
    var question = HookQuestion(nil, hookDoor)
    do throws(Refusal) {
      try question.add(auth.map { Payload(.json, $0) })
    } catch { return refuse(.main, error) }
    holdForHook()
    hooks.ask(
      .connect, question.end(), of: nil, shown: engine.shownToHooks,
      isWanted: { [weak self] in self?.engine.isOpen ?? false }
    ) { [self] result in
      guard engine.isOpen else { return }
      do throws(Refusal) {
        let welcome = try hooks.welcome(result).get()
        if welcome.identity == nil, gateway.settings.authenticator.settings.isRequired {
          throw .signInFirst
        }
        self.welcome = welcome
        try enterMain(welcome.identity, auth)
      } catch {
        refuse(.main, error)
        channelsAnswered()
      }
    }
  }
}
