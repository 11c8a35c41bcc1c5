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
