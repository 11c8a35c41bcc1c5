internal import Bytes
internal import ChannelKit
internal import Config
internal import HTTPCodec
internal import JSON
internal import Loop
internal import SocketIO
internal import Wire

/// What the client's events ask for, of the core and of plugins.
extension SocketIOClient {
  func received(
    _ event: SocketEvent, in namespace: SocketNamespace, _ id: SocketAckID?
  ) {
    guard namespace == .main else { return call(event, in: namespace, id) }
    guard let session else { return }
    let number = id.map { MessageID.number(Int64(clamping: $0.number)) }
    do throws(ClientMessage.Malformed) {
      switch try SocketIORequest.read(event, number) {
      case .message(let message): session.received(message)
      case .history(let channel, let range):
        session.history(channel, range) { [self] in
          answer(id, $0.map { .history($0) }, channel, session)
        }
      case .presence(let channel):
        session.presence(channel) { [self] in
          answer(id, $0.map { .presence($0) }, channel, session)
        }
      case .other(let name): try other(name, event, session, id)
      }
    } catch {
      session.tell(.error(id: error.id, .badRequest(error.message), channel: nil))
    }
  }

  private func other(
    _ name: String, _ event: SocketEvent, _ session: ClientSession, _ id: SocketAckID?
  ) throws(ClientMessage.Malformed) {
    guard let channel = ChannelName(name), gateway.settings.engine.speaksAsEvent(channel) else {
      return call(event, in: .main, id)
    }
    let number = id.map { MessageID.number(Int64(clamping: $0.number)) }
    let payload = try SocketIORequest.payload(of: event, number)
    session.received(.publish(id: number, channel: name, payload: payload, key: ""))
  }

  private enum Look {
    case history(EventPage)
    case presence(PresenceList)
  }

  private func answer(
    _ id: SocketAckID?, _ result: Result<Look, Refusal>, _ channel: String, _ asker: ClientSession
  ) {
    guard session === asker, !isOver else { return }
    let body: SocketBody
    switch result {
    case .failure(let refusal):
      guard id != nil else { return asker.tell(.error(id: nil, refusal, channel: channel)) }
      body = SocketIOMessages.refusal(refusal, channel: channel)
    case .success(.history(let page)): body = SocketIOMessages.answer(json: ServerAPI.history(page))
    case .success(.presence(let list)):
      let people = list.members.map { ControlMessage.Person($0) }
      body = SocketIOMessages.answer(
        json: ControlMessage.presence(channel: channel, people, total: Int(list.total)))
    }
    guard let id else { return }
    perform { _ = $0.answer(id, in: .main, with: body, &$1) }
  }

  // MARK: plugins

  private func call(_ event: SocketEvent, in namespace: SocketNamespace, _ id: SocketAckID?) {
    guard let context = context(in: namespace) else { return }
    do throws(Refusal) {
      let account = namespace == .main ? session?.account : guests[namespace]?.account
      if let refusal = account?.refusal(gateway) { throw refusal }
      guard let plugin = gateway.engines.handler(gateway.settings.engine.plugins[namespace.text])
      else { throw .unknownEvent }
      var effects = CallEffects()
      let call = try Self.call(event, in: namespace, id)
      do throws(ChannelError) {
        try plugin.called(call, by: context, &effects)
      } catch { throw Refusal(error) }
      carryOut(effects, in: namespace, id)
    } catch { refuse(id, in: namespace, error) }
  }

  private static func call(
    _ event: SocketEvent, in namespace: SocketNamespace, _ id: SocketAckID?
  ) throws(Refusal) -> Call {
    var arguments: [Payload] = []
    for index in 0..<event.arguments.count {
      guard let value = event.arguments.value(at: index),
        let payload = try? SocketIORequest.payload(of: value, nil)
      else { throw .partsNotCarried }
      arguments.append(payload)
    }
    let name =
      switch event.name {
      case .text(let text): text
      case .number(let number): String(number)
      }
    return Call(
      space: namespace.text, name: name, arguments: arguments, wantsAnswer: id != nil)
  }

  private func refuse(_ id: SocketAckID?, in namespace: SocketNamespace, _ refusal: Refusal) {
    if let id {
      let body = SocketIOMessages.refusal(refusal, channel: nil)
      return perform { _ = $0.answer(id, in: namespace, with: body, &$1) }
    }
    guard let body = SocketIOMessages.event(.error(id: nil, refusal, channel: nil)) else { return }
    perform { try? $0.emit(body, in: namespace, &$1) }
  }

  func carryOut(
    _ effects: CallEffects, in namespace: SocketNamespace, _ id: SocketAckID?
  ) {
    for effect in effects.list {
      switch effect {
      case .emit(let name, let arguments):
        guard let body = SocketIOMessages.event(name, arguments) else { continue }
        perform { try? $0.emit(body, in: namespace, &$1) }
      case .answer(let arguments):
        guard let id else { continue }
        let body = SocketIOMessages.answer(arguments)
        perform { _ = $0.answer(id, in: namespace, with: body, &$1) }
      }
    }
  }
}

extension Refusal {
  static let unknownEvent = Refusal(
    104, "method_not_found", "there is no such event here", .notFound)
}

extension ClientAccount {
  /// Why a call of a plugin comes too soon; nil where it may go on.
  func refusal(_ gateway: GatewayLoop) -> Refusal? {
    guard let overrun = ask(subscribes: false, gateway.settings.rates, gateway.loop.now) else {
      return nil
    }
    gateway.metrics.limits.reached(overrun.limit)
    return .rateLimited(overrun.what, overrun.wait)
  }
}
