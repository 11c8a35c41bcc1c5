internal import Bytes
internal import ChannelKit
internal import Config
internal import JSON
internal import Loop
internal import Platform
internal import SocketIO
internal import Wire

/// What plugins are asked by clients, and clients by plugins.
extension SocketIOClient {
  func call(_ event: SocketEvent, in namespace: SocketNamespace, _ id: SocketAckID?) {
    guard let context = context(in: namespace) else { return }
    do throws(Refusal) {
      let account = namespace == .main ? session?.account : guests[namespace]?.account
      if let refusal = account?.refusal(gateway) { throw refusal }
      guard let plugin = plugin(of: namespace) else { throw .unknownEvent }
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
    guard let arguments = payloads(of: event.arguments) else { throw .partsNotCarried }
    let name =
      switch event.name {
      case .text(let text): text
      case .number(let number): String(number)
      }
    return Call(
      space: namespace.text, name: name, arguments: arguments, wantsAnswer: id != nil)
  }

  /// Nil where bytes stand inside JSON.
  private static func payloads(of arguments: SocketArguments) -> [Payload]? {
    var payloads: [Payload] = []
    for index in 0..<arguments.count {
      guard let value = arguments.value(at: index),
        let payload = try? SocketIORequest.payload(of: value, nil)
      else { return nil }
      payloads.append(payload)
    }
    return payloads
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
        emit(body, of: arguments, in: namespace)
      case .answer(let arguments):
        guard let id else { continue }
        let body = SocketIOMessages.answer(arguments)
        perform { _ = $0.answer(id, in: namespace, with: body, &$1) }
      case .ask(let question): ask(question, in: namespace)
      }
    }
  }

  /// Clients that may come back take a string that stands last for their position.
  func position(behind arguments: [Payload], in namespace: SocketNamespace) -> String? {
    guard namespace == .main, let recovery, let last = arguments.last else { return nil }
    switch last.kind {
    case .json: guard last.bytes.first == UInt8(ascii: "\"") else { return nil }
    case .uncheckedText: guard !JSON.isArrayOrObject(last.bytes.span) else { return nil }
    case .text: break
    case .binary, .jsonWithParts: return nil
    }
    recovery.holdsPosition = true
    return recovery.places.text
  }

  // MARK: questions

  private func ask(_ question: CallQuestion, in namespace: SocketNamespace) {
    var isAsked = false
    if let body = SocketIOMessages.event(question.name, question.arguments) {
      let now = gateway.loop.now.nanoseconds
      perform {
        guard
          let id = try? $0.ask(body, in: namespace, within: question.within, now: now, &$1)
        else { return }
        isAsked = true
        questions[id] = CallQuestion(question.name, [], within: question.within, tag: question.tag)
      }
    }
    guard !isAsked, let context = context(in: namespace) else { return }
    plugin(of: namespace)?.notAsked([question], in: namespace.text, context)
  }

  func answered(_ id: SocketAckID, in namespace: SocketNamespace, _ arguments: SocketArguments) {
    settle(id, in: namespace, Self.payloads(of: arguments).map { .answered($0) } ?? .unreadable)
  }

  /// It did not come in time, or the client left.
  func unanswered(_ id: SocketAckID, in namespace: SocketNamespace) {
    settle(id, in: namespace, connection.isConnected(namespace) ? .late : .gone)
  }

  private func settle(
    _ id: SocketAckID, in namespace: SocketNamespace, _ outcome: CallAnswer.Outcome
  ) {
    guard let question = questions.removeValue(forKey: id), let plugin = plugin(of: namespace),
      let context = context(in: namespace)
    else { return }
    var effects = CallEffects()
    plugin.answered(CallAnswer(question, in: namespace.text, outcome), by: context, &effects)
    guard outcome != .gone else {
      return plugin.notAsked(effects.questions, in: namespace.text, context)
    }
    carryOut(effects, in: namespace, nil)
  }
}

extension CallHandler {
  /// Tells the handler that its questions have not been put. Those that it puts because of that are
  /// not put either, and it isn't told: that would have no end.
  func notAsked(_ questions: [CallQuestion], in space: String, _ client: ClientContext) {
    for question in questions {
      var effects = CallEffects()
      answered(CallAnswer(question, in: space, .notAsked), by: client, &effects)
    }
  }
}
