internal import Bytes
internal import EngineIO
internal import Loop
internal import SocketIO
internal import WebSocketCodec

/// What the client's session in the main namespace is carried by: frames of a WebSocket that is
/// there from the beginning, or whatever the Engine.IO session has at the moment.
///
/// Publications come as frames, encoded once for all. Over polling they are taken out of them; what
/// else happens to those of a client that may come back, `SocketIOClient+Recovery` says.
extension SocketIOClient: Carrier {
  var directStream: Stream? { recovery == nil ? direct?.stream : nil }
  var compression: SocketCompression? { direct?.compression }
  var takesFrames: Bool { true }
  var queuedBytes: Int { direct?.stream.queuedBytes ?? engine.queuedBytes }
  var isBlocked: Bool { direct?.stream.isBlocked ?? engine.isBlocked }
  var isClosing: Bool { isOver || !engine.isOpen }
  func tellWhenEmpty() { engine.tellWhenEmpty() }
  var hookDoor: HookDoor {
    HookDoor(
      transport: engine.stream == nil ? "polling" : "websocket", name: "socketio",
      encoding: "binary")
  }
  func limitUnsent() { direct?.stream.limitUnsent() }

  func deliver(_ publications: EncodedPublications, of subscription: Subscription) {
    guard !isClosing else { return }
    if let recovery { return deliver(publications, of: subscription, recovery) }
    if let compressor = direct?.compression?.compressor, let stream = direct?.stream {
      return stream.send { compressor.append(frames: publications.bytes.span, into: &$0) }
    }
    if let stream = engine.stream { return stream.sendShared(publications.bytes) }
    for frame in FramedMessages(publications.bytes) { engine.send(frame) }
  }

  func send(_ bytes: [UInt8], _ start: Int, _ end: Int) {
    guard !isClosing else { return }
    if let stream = engine.stream { return stream.sendShared(bytes, from: start, to: end) }
    for frame in FramedMessages(bytes, start, end) { engine.send(frame) }
  }

  func tell(_ message: ServerMessage) {
    guard !isClosing, !notes(message) else { return }
    if let answer = SocketIOMessages.answer(message) {
      guard case .number(let number) = answer.id, number >= 0,
        let id = SocketAckID(UInt64(number))
      else { return }
      return perform { _ = $0.answer(id, in: .main, with: answer.body, &$1) }
    }
    guard let body = SocketIOMessages.event(message) else { return }
    perform { try? $0.emit(body, in: .main, &$1) }
  }

  func end(_ reason: SessionEnd) {
    guard !isOver else { return }
    if recovery?.comeback != nil { return endEarly(reason) }
    switch reason {
    // For good: clients don't come back by themselves.
    case .refused:
      session?.commitLast(all: false)
      isOver = true
      perform { $0.disconnect(.main, &$1) }
      if connection.namespaces.isEmpty { perform { $0.close(.forcedServerClose, &$1) } }
    case .unavailable: close(.forcedServerClose, all: false)
    case .slowConsumer:
      tell(.error(id: nil, .slowConsumer, channel: nil))
      close(.forcedServerClose, all: false)
    case .draining: close(.serverShuttingDown, all: true)
    }
  }

  /// The client is not there yet: it is told by the answer to its CONNECT, or comes again.
  private func endEarly(_ reason: SessionEnd) {
    abandonComeback()
    if case .refused(let refusal) = reason { refuse(.main, refusal) } else {
      perform { $0.close(.forcedServerClose, &$1) }
    }
  }

  private func close(_ reason: SocketDisconnectReason, all: Bool) {
    session?.commitLast(all: all)
    isOver = true
    perform { $0.close(reason, &$1) }
  }
}
