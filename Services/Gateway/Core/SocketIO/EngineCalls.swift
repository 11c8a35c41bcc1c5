internal import Bytes
internal import ChannelKit
internal import Config
internal import EngineIO
internal import Wire

/// Bare Engine.IO: every message is a call of one plugin, which has no name. Loop-confined.
final class EngineCalls: EngineApplication {
  private let engine: EngineClient
  private let standing: ClientStanding
  private let account: ClientAccount?

  var session: ClientSession? { nil }
  var deadline: UInt64? { nil }
  var heldBytes: Int { 0 }

  init(_ engine: EngineClient) {
    self.engine = engine
    let gateway = engine.gateway
    standing = ClientStanding(ClientID(number: gateway.takeClientNumber()), engine.identity)
    account = gateway.account(of: engine.peer)
  }

  func received(_ message: EngineMessage) {
    let gateway = engine.gateway
    let authenticator = gateway.settings.authenticator
    guard standing.identity != nil || !authenticator.settings.isRequired,
      account?.refusal(gateway) == nil,
      let plugin = gateway.engines.handler(gateway.settings.engine.enginePlugin)
    else { return engine.close() }
    let payload =
      switch message {
      case .text(let bytes): Payload(.text, bytes)
      case .binary(let bytes): Payload(.binary, bytes)
      }
    let call = Call(space: "", name: "", arguments: [payload], wantsAnswer: false)
    var effects = CallEffects()
    do throws(ChannelError) {
      try plugin.called(call, by: standing.context, &effects)
    } catch { return engine.close() }
    for case .emit(_, let arguments) in effects.list {
      for payload in arguments { send(payload) }
    }
    plugin.notAsked(effects.questions, in: "", standing.context)
  }

  private func send(_ payload: Payload) {
    switch payload.kind {
    case .json, .text, .uncheckedText:
      engine.send(.text([EnginePacketType.message.rawValue] + payload.bytes))
    case .binary, .jsonWithParts: engine.send(.binary(payload.bytes))
    }
  }

  func deadlineReached(_ now: UInt64) {}
  func drained() {}
  func leaves(_ what: MemberEvent.What) {}
  func drain() { engine.close() }
  func ended(_ reason: EngineCloseReason) {}
}
