import Bytes
import JSON
import SocketIO

func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

let second: UInt64 = 1_000_000_000

/// A packet's text and attachments to a packet, or the first error.
func decode(
  _ written: [UInt8], _ attachments: [[UInt8]] = [], limits: SocketLimits = SocketLimits()
) -> Result<SocketPacket?, SocketError> {
  var decoder = SocketDecoder(limits: limits)
  do throws(SocketError) {
    var packet = try decoder.text(written.span)
    for attachment in attachments { packet = try decoder.binary(attachment) }
    return .success(packet)
  } catch {
    return .failure(error)
  }
}

func decode(_ written: String, _ attachments: [[UInt8]] = []) -> Result<SocketPacket?, SocketError>
{
  decode(utf8(written), attachments)
}

func isTaken(_ result: Result<SocketPacket?, SocketError>) -> Bool {
  if case .success = result { true } else { false }
}

func namespace(_ text: String) -> SocketNamespace {
  guard let namespace = SocketNamespace(text) else { fatalError("\(text) is no namespace") }
  return namespace
}

func ackID(_ number: UInt64) -> SocketAckID {
  guard let id = SocketAckID(number) else { fatalError("\(number) is no id") }
  return id
}

/// What a packet says, as a line that can be read.
func describe(_ packet: SocketPacket?) -> String {
  switch packet {
  case nil: return "more"
  case .connect(let namespace, let auth): return "connect \(namespace) \(text(auth ?? []))"
  case .disconnect(let namespace): return "disconnect \(namespace)"
  case .connectError(let namespace, let json): return "refused \(namespace) \(text(json))"
  case .event(let namespace, let event, let id):
    return "event \(namespace) \(describe(event))" + (id.map { " id \($0)" } ?? "")
  case .ack(let namespace, let id, let arguments):
    return "ack \(namespace) \(describe(arguments)) id \(id)"
  }
}

func describe(_ event: SocketEvent) -> String {
  switch event.name {
  case .text(let name): "\(name)\(describe(event.arguments))"
  case .number(let number): "#\(number)\(describe(event.arguments))"
  }
}

func describe(_ arguments: SocketArguments) -> String {
  let values = (0..<arguments.count).map { describe(arguments.value(at: $0)) }
  return "(" + values.joined(separator: ", ") + ")"
}

func describe(_ value: SocketValue?) -> String {
  switch value {
  case nil: "nothing"
  case .json(let bytes): text(bytes)
  case .text(let bytes): "'\(text(bytes))'"
  case .binary(let bytes): "<\(hex(bytes))>"
  case .jsonWithParts(let bytes, let parts):
    text(bytes) + parts.map { "<\(hex($0))>" }.joined()
  }
}

/// A connection at a moment, and what it said since it was last asked.
struct Bench {
  var connection: SocketConnection
  var actions: [SocketAction] = []
  var now: UInt64 = second

  init(_ change: (inout SocketSettings) -> Void = { _ in }) {
    var settings = SocketSettings()
    change(&settings)
    connection = SocketConnection(settings: settings, now: now)
  }

  /// One whose client is in these namespaces.
  static func connected(
    _ names: String..., change: (inout SocketSettings) -> Void = { _ in }
  ) -> Bench {
    var bench = Bench(change)
    for name in names.isEmpty ? ["/"] : names {
      _ = bench.says(name == "/" ? "0" : "0\(name),")
      _ = bench.accept(name)
    }
    return bench
  }

  mutating func said() -> [String] {
    defer { actions = [] }
    return actions.map(describe)
  }

  /// The client says that, in text.
  mutating func says(_ texts: String...) -> [String] {
    for text in texts { connection.received(text: utf8(text).span, now: now, &actions) }
    return said()
  }

  mutating func sends(_ bytes: [UInt8]) -> [String] {
    connection.received(binary: bytes, now: now, &actions)
    return said()
  }

  mutating func accept(_ name: String = "/", sid: String = "S") -> [String] {
    _ = connection.accept(namespace(name), sid: sid, &actions)
    return said()
  }

  mutating func wait(_ seconds: UInt64) -> [String] {
    let end = now + seconds * second
    while let deadline = connection.deadline, deadline <= end {
      now = max(now, deadline)
      connection.deadlineReached(now: now, &actions)
    }
    now = end
    return said()
  }

  private func describe(_ action: SocketAction) -> String {
    switch action {
    case .send(let frames):
      "send \(text(frames.text))" + frames.attachments.map { "<\(hex($0))>" }.joined()
    case .connectRequested(let namespace, let auth):
      "asks for \(namespace)" + (auth.map { " \(text($0))" } ?? "")
    case .event(let namespace, let event, let answer):
      "event \(namespace) \(SocketIOTests.describe(event))" + (answer == nil ? "" : " answer")
    case .acknowledged(let namespace, let id, let arguments):
      "ack \(namespace) \(id) \(SocketIOTests.describe(arguments))"
    case .unacknowledged(let namespace, let id): "no ack \(namespace) \(id)"
    case .disconnected(let namespace, let reason): "left \(namespace): \(reason.rawValue)"
    case .close(let error): error.map { "close \($0)" } ?? "close"
    }
  }
}

/// A body of an event without arguments but for JSON ones.
func event(_ name: String, _ arguments: String...) -> SocketBody {
  guard var writer = try? SocketBodyWriter(event: name) else { fatalError("\(name) is no name") }
  for argument in arguments { writer.json.raw(utf8(argument)) }
  return writer.finish()
}

func acknowledgement(_ arguments: String...) -> SocketBody {
  var writer = SocketBodyWriter()
  for argument in arguments { writer.json.raw(utf8(argument)) }
  return writer.finish()
}
