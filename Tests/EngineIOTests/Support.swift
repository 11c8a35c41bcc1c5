import Bytes
import EngineIO

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

let millisecond: UInt64 = 1_000_000

/// The packets of a payload, and the fault after them.
func read(
  _ payload: [UInt8], limits: EnginePayload.Limits = EnginePayload.Limits()
) -> (packets: [EnginePacket], error: EngineError?) {
  var packets: [EnginePacket] = []
  do {
    var reader = try EnginePayloadReader(payload.span, limits: limits)
    while let packet = try reader.next(payload.span) { packets.append(packet) }
    return (packets, nil)
  } catch {
    return (packets, error)
  }
}

/// A session at a moment, and what it said since it was last asked.
struct Bench {
  static let settings: EngineSettings = {
    var settings = EngineSettings()
    settings.pingInterval = .milliseconds(300)
    settings.pingTimeout = .milliseconds(200)
    return settings
  }()

  var session: EngineSession
  var actions: [EngineAction] = []
  var now: UInt64 = 1_000

  init(
    _ transport: EngineTransport = .polling, first: UInt64 = 1,
    _ change: (inout EngineSettings) -> Void = { _ in }
  ) {
    var settings = Self.settings
    change(&settings)
    guard let id = EngineSessionID("a-secret_name") else { fatalError("a name that is allowed") }
    session = EngineSession(
      id: id, over: transport, first: EngineCarrierID(first), settings: settings, now: now,
      &actions)
  }

  /// What was wanted since the last call, as lines that can be read.
  mutating func said() -> [String] {
    defer { actions = [] }
    return actions.map(describe)
  }

  mutating func poll(_ id: UInt64) -> [String] {
    session.pollBegan(EngineCarrierID(id), &actions)
    return said()
  }

  mutating func post(_ id: UInt64, _ body: String) -> [String] {
    session.dataBegan(EngineCarrierID(id), .text, &actions)
    session.dataEnded(EngineCarrierID(id), utf8(body).span, now: now, &actions)
    return said()
  }

  mutating func socket(_ id: UInt64) -> [String] {
    session.socketBegan(EngineCarrierID(id), now: now, &actions)
    return said()
  }

  mutating func frame(_ id: UInt64, _ text: String) -> [String] {
    session.socketReceived(text: utf8(text).span, from: EngineCarrierID(id), now: now, &actions)
    return said()
  }

  mutating func lose(_ id: UInt64, _ loss: EngineSession.Loss = .closed) -> [String] {
    session.lost(EngineCarrierID(id), as: loss, &actions)
    return said()
  }

  /// Lets time pass; every deadline on the way is met.
  mutating func wait(_ milliseconds: UInt64) -> [String] {
    let end = now + milliseconds * millisecond
    while let deadline = session.deadline, deadline <= end {
      now = max(now, deadline)
      session.deadlineReached(now: now, &actions)
    }
    now = end
    return said()
  }

  mutating func send(_ texts: String...) -> [String] {
    for text in texts {
      try? session.send(.text(utf8(text)), &actions)
    }
    session.flush(&actions)
    return said()
  }

  mutating func close() -> [String] {
    session.close(now: now, &actions)
    return said()
  }
}

func describe(_ action: EngineAction) -> String {
  switch action {
  case .answerPoll(let id, let payload):
    "poll \(id.number): \(text(payload).split(separator: "\u{1E}").joined(separator: " "))"
  case .acceptData(let id): "post \(id.number): ok"
  case .refuse(let id, let refusal): "\(id.number): \(refusal.status) \(refusal.rawValue)"
  case .refuseBody(let id): "\(id.number): 413"
  case .send(let id, .text(let bytes)): "socket \(id.number): \(text(bytes))"
  case .send(let id, .binary(let bytes)): "socket \(id.number): <\(hex(bytes))>"
  case .closeSocket(let id): "socket \(id.number): close"
  case .received(.text(let bytes)): "got \(text(bytes))"
  case .received(.binary(let bytes)): "got <\(hex(bytes))>"
  case .upgraded(let id): "upgraded to \(id.number)"
  case .closed(let reason): "closed: \(reason.rawValue)"
  }
}
