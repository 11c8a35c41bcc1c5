internal import Bytes
internal import ChannelKit
internal import Config
internal import Deflate
internal import EngineIO
internal import HTTPCodec
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// The Engine.IO sessions of one loop, by their ids.
///
/// An id says where its session is: 128 random bits, the loop's number and the gateway's, so that a request
/// that comes to another loop or to another gateway finds its way. One timer looks at the sessions'
/// deadlines, and only while there are some. Loop-confined.
final class EngineSessions {
  private unowned let gateway: GatewayLoop
  private var clients: [EngineSessionID: EngineClient] = [:]
  private var handlers: [String: any CallHandler] = [:]
  private var isTicking = false
  private var deflaters: [HTTPContentCoding: ContentDeflater] = [:]

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private var rules: EngineRules { gateway.settings.engine }

  // MARK: ids

  private static let randomBytes = 16

  func makeID() -> EngineSessionID? {
    var generator = SystemRandomNumberGenerator()
    var writer = ByteWriter(reserving: 26)
    writer.u64(generator.next())
    writer.u64(generator.next())
    writer.u16(UInt16(clamping: gateway.index))
    writer.u64(gateway.identity.instance)
    return EngineSessionID(base64URL(writer.bytes))
  }

  /// The loop and the gateway that made the id; nil for what none of ours can have made.
  static func place(of id: EngineSessionID) -> RelayPlace? {
    let text = id.reveal()
    guard text.utf8.count == 35, let decoded = bytes(base64: text),
      decoded.count == randomBytes + 10
    else { return nil }
    let span = decoded.span
    var cursor = ByteCursor(span.extracting(randomBytes..<decoded.count))
    do throws(ByteError) {
      let tail = span.extracting(randomBytes..<decoded.count)
      let lane = try cursor.u16(tail)
      guard lane != RelayPlace.anyLane else { return nil }
      return RelayPlace(gateway: try cursor.u64(tail), lane: lane)
    } catch { return nil }
  }

  /// The loop that holds the session that a request asks for, where that is another one.
  func otherLoop(of head: HTTPRequestHead) -> Int? {
    guard gateway.settings.loops > 1, rules.mayServe(head.path),
      let id = head.target.query("sid").flatMap({ EngineSessionID($0) }),
      let place = Self.place(of: id), place.gateway == gateway.identity.instance,
      place.lane != gateway.index, place.lane < gateway.settings.loops
    else { return nil }
    return Int(place.lane)
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

  /// A poll's payload in a coding, where it is long enough for one and gets shorter by it.
  func compressed(_ payload: [UInt8], _ coding: HTTPContentCoding) -> [UInt8]? {
    guard let how = rules.httpCompression, payload.count >= how.threshold else { return nil }
    let deflater: ContentDeflater
    if let known = deflaters[coding] {
      deflater = known
    } else {
      deflater = ContentDeflater(coding == .gzip ? .gzip : .zlib, level: how.level)
      deflaters[coding] = deflater
    }
    let compressed = deflater.compress(payload)
    let metrics = gateway.metrics.compression
    metrics.compressions.add()
    metrics.plainBytes.add(count: payload.count)
    metrics.compressedBytes.add(count: min(compressed.count, payload.count))
    return compressed.count < payload.count ? compressed : nil
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
      held.add(client.heldBytes, of: client.memoryAccount)
      guard let session = client.application?.session else { continue }
      session.checkIdentity(now, due)
      session.checkPatience(gateway.loop.now)
    }
  }

  func reportPresence(_ events: inout [MemberEvent]) {
    for client in clients.values { client.application?.session?.reportPresence(&events) }
  }

  func tally(_ held: inout MemoryTally) {
    for client in clients.values { held.add(client.heldBytes, of: client.memoryAccount) }
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
  let recovery: RecoveryMetrics

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
    recovery = RecoveryMetrics(metrics)
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
