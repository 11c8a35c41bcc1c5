import Bytes
import EngineIO
import SocketIO
import Testing

/// Both layers together, as a server has them: what conformance suites and clients see.
@Suite struct ConversationTests {
  @Test func aWebSocketClientConnectsTalksAndIsAnswered() {
    var server = Server(.webSocket)
    #expect(server.wrote().first?.hasPrefix(#"ws 0{"sid":"#) == true)
    #expect(server.frame("40") == [#"ws 40{"sid":"S"}"#, #"ws 42["auth",{}]"#])
    #expect(server.frame(#"42["message",1,"2"]"#) == [#"ws 42["message-back",1,"2"]"#])
    #expect(
      server.frame(#"42456["message-with-ack",{"3":[false]}]"#) == [#"ws 43456[{"3":[false]}]"#])
    let placeholder = #"{"_placeholder":true,"num":0}"#
    #expect(server.frame(#"451-789["message-with-ack",\#(placeholder)]"#) == [])
    #expect(server.frame([1, 2]) == [#"ws 461-789[\#(placeholder)]"#, "ws <0102>"])
    #expect(server.frame("40/random") == [#"ws 44/random,{"message":"Invalid namespace"}"#])
  }

  @Test func aPollingClientGetsTextAndBinaryInOnePayload() {
    var server = Server(.polling)
    _ = server.wrote()
    #expect(server.post("40") == ["ok"])
    #expect(server.poll() == [#"payload 40{"sid":"S"} 42["auth",{}]"#])
    let placeholder = #"{"_placeholder":true,"num":0}"#
    _ = server.post("451-[\"message\",\(placeholder)]\u{1E}bAQI=")
    #expect(server.poll() == [#"payload 451-["message-back",\#(placeholder)] bAQI="#])
  }

  /// A client may finish the packet on the WebSocket whose beginning it sent by polling.
  @Test func attachmentsSurviveTheUpgrade() {
    var server = Server(.polling)
    _ = server.post("40")
    _ = server.post(#"451-["message",{"_placeholder":true,"num":0}]"#)
    _ = server.wrote()
    server.beginSocket()
    #expect(server.frame("2probe") == ["ws 3probe"])
    #expect(server.frame("5").count == 2)
    #expect(server.frame([7]).last == "ws <07>")
  }

  @Test(arguments: ["4abc", "42{}", #"42abc["message-with-ack",1]"#, #"42["connect"]"#, "4"])
  func whatIsNoPacketClosesTheSession(_ frame: String) {
    var server = Server(.webSocket)
    _ = server.frame("40")
    #expect(server.frame(frame) == ["closed: forced close"])
  }

  @Test func noConnectInTimeClosesTheSession() {
    var server = Server(.webSocket)
    _ = server.wrote()
    server.wait(.seconds(45))
    #expect(server.wrote().last == "closed: forced close")
  }

  @Test func theEndOfTheSessionHasTheSameNameInBoth() {
    for reason in EngineCloseReason.allCases {
      #expect(SocketDisconnectReason(rawValue: reason.rawValue) != nil)
    }
  }
}

/// The smallest server there is: an echo, on both layers.
private struct Server {
  private var engine: EngineSession
  private var socket: SocketConnection
  private var lines: [String] = []
  private var now: UInt64 = 1
  private var next: UInt64 = 1
  private var webSocket = EngineCarrierID(0)

  init(_ transport: EngineTransport) {
    guard let id = EngineSessionID("x") else { fatalError("a name that is allowed") }
    var actions: [EngineAction] = []
    var settings = EngineSettings()
    settings.pingInterval = .seconds(100)
    engine = EngineSession(
      id: id, over: transport, first: webSocket, settings: settings, now: now, &actions)
    socket = SocketConnection(now: now)
    carryOut(actions)
  }

  mutating func wrote() -> [String] {
    defer { lines = [] }
    return lines
  }

  mutating func frame(_ text: String) -> [String] {
    var actions: [EngineAction] = []
    engine.socketReceived(text: utf8(text).span, from: webSocket, now: now, &actions)
    carryOut(actions)
    return wrote()
  }

  mutating func frame(_ bytes: [UInt8]) -> [String] {
    var actions: [EngineAction] = []
    engine.socketReceived(binary: bytes, from: webSocket, now: now, &actions)
    carryOut(actions)
    return wrote()
  }

  mutating func post(_ body: String) -> [String] {
    var actions: [EngineAction] = []
    next += 1
    engine.dataBegan(EngineCarrierID(next), .text, &actions)
    engine.dataEnded(EngineCarrierID(next), utf8(body).span, now: now, &actions)
    carryOut(actions)
    return wrote()
  }

  mutating func poll() -> [String] {
    var actions: [EngineAction] = []
    next += 1
    engine.pollBegan(EngineCarrierID(next), &actions)
    carryOut(actions)
    return wrote()
  }

  mutating func beginSocket() {
    var actions: [EngineAction] = []
    next += 1
    webSocket = EngineCarrierID(next)
    engine.socketBegan(webSocket, now: now, &actions)
    carryOut(actions)
  }

  mutating func wait(_ duration: Duration) {
    now += UInt64(duration.components.seconds) * second
    var actions: [SocketAction] = []
    socket.deadlineReached(now: now, &actions)
    carryOut(actions)
  }

  private mutating func carryOut(_ actions: [EngineAction]) {
    for action in actions {
      switch action {
      case .answerPoll(_, let payload):
        lines.append("payload " + text(payload).split(separator: "\u{1E}").joined(separator: " "))
      case .acceptData: lines.append("ok")
      case .send(_, .text(let bytes)): lines.append("ws " + text(bytes))
      case .send(_, .binary(let bytes)): lines.append("ws <\(hex(bytes))>")
      case .closed(let reason): lines.append("closed: \(reason.rawValue)")
      case .received(let message): receive(message)
      case .refuse, .refuseBody, .closeSocket, .upgraded: break
      }
    }
  }

  private mutating func receive(_ message: EngineMessage) {
    var actions: [SocketAction] = []
    switch message {
    case .text(let bytes): socket.received(text: bytes.span, now: now, &actions)
    case .binary(let bytes): socket.received(binary: bytes, now: now, &actions)
    }
    carryOut(actions)
  }

  private mutating func carryOut(_ actions: [SocketAction]) {
    for action in actions {
      switch action {
      case .send(let frames): write(frames)
      case .close:
        var actions: [EngineAction] = []
        engine.close(now: now, &actions)
        carryOut(actions)
      case .connectRequested(let namespace, let auth): admit(namespace, auth)
      case .event(let namespace, let event, let answer): reply(namespace, event, answer)
      case .acknowledged, .unacknowledged, .disconnected: break
      }
    }
    var flushed: [EngineAction] = []
    engine.flush(&flushed)
    carryOut(flushed)
  }

  private mutating func write(_ frames: SocketFrames) {
    var actions: [EngineAction] = []
    try? engine.send(.text(frames.text), &actions)
    for attachment in frames.attachments { try? engine.send(.binary(attachment), &actions) }
    carryOut(actions)
  }

  private mutating func admit(_ namespace: SocketNamespace, _ auth: [UInt8]?) {
    var actions: [SocketAction] = []
    if namespace == .main {
      _ = socket.accept(namespace, sid: "S", &actions)
      try? socket.emit(event("auth", text(auth ?? utf8("{}"))), in: namespace, &actions)
    } else {
      socket.refuse(namespace, message: "Invalid namespace", &actions)
    }
    carryOut(actions)
  }

  private mutating func reply(
    _ namespace: SocketNamespace, _ event: SocketEvent, _ answer: SocketAnswer?
  ) {
    var actions: [SocketAction] = []
    let values = (0..<event.arguments.count).compactMap { event.arguments.value(at: $0) }
    if let answer {
      var writer = SocketBodyWriter()
      for value in values { try? writer.value(value) }
      _ = socket.answer(answer, with: writer.finish(), &actions)
    } else if var writer = try? SocketBodyWriter(event: "message-back") {
      for value in values { try? writer.value(value) }
      try? socket.emit(writer.finish(), in: namespace, &actions)
    }
    carryOut(actions)
  }
}
