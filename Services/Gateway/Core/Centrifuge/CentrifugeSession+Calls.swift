internal import Bytes
internal import Centrifuge
internal import ChannelKit
internal import JSON
internal import Observe

/// What a Centrifuge client asks of the application: `rpc`, `send`, and the `data` of `connect`.
extension CentrifugeSession {
  private var calls: (any CallHandler)? {
    gateway.engines.handler(gateway.settings.centrifuge.calls)
  }

  /// The client has come in. What the plugin answers is the `data` of the reply to `connect`; what it
  /// emits is for behind it.
  func entered(_ data: [UInt8]) -> CallEffects {
    var effects = CallEffects()
    let brought = JSON.isArrayOrObject(data.span) && data.first == UInt8(ascii: "{")
    calls?.entered("", brought ? Payload(.json, data) : nil, by: session.context, &effects)
    return effects
  }

  func call(_ id: UInt32, _ ask: CentrifugeCommand.RPC) {
    if let refusal = session.asksTooOften() { return fail(id, refusal) }
    guard let plugin = calls else { return askBackEnd(id, ask) }
    var effects = CallEffects()
    do throws(ChannelError) {
      let call = try call(ask.method, ask.data, wantsAnswer: true)
      try plugin.called(call, by: session.context, &effects)
    } catch {
      if error == .unknownEvent(ask.method) { return askBackEnd(id, ask) }
      return fail(id, Refusal(error))
    }
    say(CentrifugeReply(id: id, .rpc(data: answer(effects))))
    push(effects)
  }

  /// What no plugin answers, a back end may. It holds up nothing that comes behind it.
  private func askBackEnd(_ id: UInt32, _ ask: CentrifugeCommand.RPC) {
    guard let hooks = gateway.hooks, hooks.asks(.rpc) else {
      return fail(id, CentrifugeErrorCode.methodNotFound)
    }
    guard reads < Self.readsMax else { return fail(id, CentrifugeErrorCode.tooManyRequests) }
    var data: Payload?
    if !ask.data.isEmpty {
      data = encoding.payload(ask.data)
      guard data != nil else { return fail(id, .badRequest("data is no JSON value")) }
    }
    reads += 1
    session.askToCall(ask.method, data) { [self] result in
      reads -= 1
      guard !isClosing else { return }
      switch result {
      case .success(let payload):
        say(CentrifugeReply(id: id, .rpc(data: payload.map { encoding.data($0) } ?? [])))
      case .failure(let refusal) where refusal.endsWith != 0: session.letGo(refusal)
      case .failure(let refusal): fail(id, refusal)
      }
    }
  }

  /// A message that nobody answers. What goes wrong with it, its sender has no way to be told.
  func message(_ data: [UInt8]) {
    guard session.asksTooOften() == nil, let plugin = calls else { return }
    var effects = CallEffects()
    do throws(ChannelError) {
      try plugin.called(try call("", data, wantsAnswer: false), by: session.context, &effects)
    } catch {
      return gateway.logger.debug("a plugin refused a message", ["reason": .text(error.description)])
    }
    push(effects)
  }

  private func call(
    _ name: String, _ data: [UInt8], wantsAnswer: Bool
  ) throws(ChannelError) -> Call {
    var arguments: [Payload] = []
    if !data.isEmpty {
      guard let payload = encoding.payload(data) else {
        throw .invalidPayload("data is no JSON value")
      }
      arguments.append(payload)
    }
    return Call(space: "", name: name, arguments: arguments, wantsAnswer: wantsAnswer)
  }

  /// The first payload of the first answer; empty for none.
  func answer(_ effects: CallEffects) -> [UInt8] {
    for case .answer(let payloads) in effects.list {
      return payloads.first.map { encoding.data($0) } ?? []
    }
    return []
  }

  /// Each payload that was emitted, as a push `message`, which has no name. Clients of this protocol
  /// can't be asked.
  func push(_ effects: CallEffects) {
    for case .emit(_, let payloads) in effects.list {
      for payload in payloads {
        say(CentrifugeReply(CentrifugePush(.message(data: encoding.data(payload)))))
      }
    }
    calls?.notAsked(effects.questions, in: "", session.context)
  }
}
