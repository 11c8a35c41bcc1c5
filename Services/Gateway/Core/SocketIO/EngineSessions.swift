internal import Bytes
internal import ChannelKit
internal import EngineIO
internal import HTTPCodec
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// The Engine.IO sessions of one loop, by their ids.
///
/// An id says which loop holds its session: 128 random bits and the loop's number, so that a request
/// that comes to another loop of the process finds its way. One timer looks at the sessions'
/// deadlines, and only while there are some. Loop-confined.
final class EngineSessions {
  private unowned let gateway: GatewayLoop
  private var clients: [EngineSessionID: EngineClient] = [:]
  private var handlers: [String: any CallHandler] = [:]
  private var isTicking = false

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private var rules: EngineRules { gateway.settings.engine }

  // MARK: ids

  private static let randomBytes = 16

  func makeID() -> EngineSessionID? {
    var generator = SystemRandomNumberGenerator()
    var writer = ByteWriter(reserving: 18)
    writer.u64(generator.next())
    writer.u64(generator.next())
    writer.u16(UInt16(clamping: gateway.index))
    return EngineSessionID(base64URL(writer.bytes))
  }

  /// The loop that made the id; nil for what none of ours can have made.
  static func loop(of id: EngineSessionID) -> Int? {
    let text = id.reveal()
    guard text.utf8.count == 24, let decoded = bytes(base64: text),
      decoded.count == randomBytes + 2
    else { return nil }
    return Int(decoded[randomBytes]) | Int(decoded[randomBytes + 1]) << 8
  }

  /// The loop that holds the session that a request asks for, where that is another one.
  func otherLoop(of head: HTTPRequestHead) -> Int? {
    guard gateway.settings.loops > 1, head.path.first == "socket.io" || head.path.first == "engine.io",
      let id = head.target.query("sid").flatMap({ EngineSessionID($0) }),
      let loop = Self.loop(of: id), loop != gateway.index, loop < gateway.settings.loops
    else { return nil }
    return loop
  }

  // MARK: sessions

  /// What is late of the session is dealt with first.
  func client(_ id: EngineSessionID) -> EngineClient? {
    clients[id]?.checkDeadlines(gateway.loop.now)
    return clients[id]
  }

  func add(_ client: EngineClient) {
    clients[client.id] = client
    guard !isTicking else { return }
    isTicking = true
    tick()
  }

  func remove(_ client: EngineClient) { clients[client.id] = nil }

  private func tick() {
    gateway.loop.after(rules.tick) { [self] in
      for client in clients.values { client.checkDeadlines(gateway.loop.now) }
      if clients.isEmpty { isTicking = false } else { tick() }
    }
  }

  /// The plugin of that name, made when it is first asked for.
  func handler(_ name: String?) -> (any CallHandler)? {
    guard let name else { return nil }
    if let known = handlers[name] { return known }
    handlers[name] = gateway.settings.registry.callHandler(name)
    return handlers[name]
  }

  // MARK: what all clients of a loop are asked

  /// Once a second, as for connections.
  func sweep(_ now: Int64, _ due: Authenticator.Due, _ held: inout MemoryTally) {
    for client in clients.values {
      held.add(client.heldBytes)
      guard let session = client.application?.session else { continue }
      session.checkIdentity(now, due)
      session.checkPatience(gateway.loop.now)
    }
  }

  func reportPresence(_ events: inout [MemberEvent]) {
    for client in clients.values { client.application?.session?.reportPresence(&events) }
  }

  func tally(_ held: inout MemoryTally) {
    for client in clients.values { held.add(client.heldBytes) }
  }

  var all: some Sequence<EngineClient> { clients.values }

  func drain() { for client in clients.values { client.application?.drain() } }
}

/// What Engine.IO sessions did, over all loops.
struct EngineMetrics: Sendable {
  let sessions: Gauge
  let polling: Gauge
  let opened: Counter
  let moved: Counter
  let closed: CounterFamily<EngineCloseLabel>

  init(_ metrics: Metrics) {
    sessions = metrics.gauge("sapphire_gateway_engineio_sessions", "Engine.IO sessions that are open.")
    polling = metrics.gauge(
      "sapphire_gateway_engineio_polling_sessions", "Those of them that long polling carries.")
    opened = metrics.counter("sapphire_gateway_engineio_opened_total", "Engine.IO sessions opened.")
    moved = metrics.counter(
      "sapphire_gateway_engineio_moved_total",
      "Connections that were handed to the loop that holds their session.")
    closed = metrics.counters(
      "sapphire_gateway_engineio_closed_total", "Engine.IO sessions ended, by the reason.",
      by: EngineCloseLabel.self)
  }
}

/// `EngineCloseReason` as a label.
enum EngineCloseLabel: String, MetricLabel {
  case transportClose = "transport_close"
  case transportError = "transport_error"
  case parseError = "parse_error"
  case pingTimeout = "ping_timeout"
  case forcedClose = "forced_close"
  case queueOverflow = "queue_overflow"

  static let labelName = "reason"

  init(_ reason: EngineCloseReason) {
    self =
      switch reason {
      case .transportClose: .transportClose
      case .transportError: .transportError
      case .parseError: .parseError
      case .pingTimeout: .pingTimeout
      case .forcedClose: .forcedClose
      case .queueOverflow: .queueOverflow
      }
  }
}
