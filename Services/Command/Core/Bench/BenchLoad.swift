internal import Bytes
internal import Client
internal import Loop
internal import Platform
internal import WebSocketCodec

/// One measurement: a publisher and its subscribers on one loop.
///
/// A payload begins with its number and the time it was sent, so that each delivery tells its own
/// latency. A publication counts as done when all
/// subscribers have it, or without subscribers when it is acknowledged.
final class BenchLoad: WebSocketOwner {
  private let plan: BenchCommand.Plan
  private let server: Server
  private let loop: EventLoop
  private let subscribers: Int
  private var publisher: WebSocketConnection?
  private var receivers: [WebSocketConnection] = []
  private var opened = 0
  private var sent = 0
  private var sentAt: [Instant] = []
  private var acknowledged = 0
  private(set) var deliveries = 0
  private(set) var latencies = Measurements()
  private var failure: Refusal?
  private var progressAt = SystemClock.monotonic()

  /// Without any progress for this long the measurement has failed.
  static let patience = Duration.seconds(20)

  init(_ plan: BenchCommand.Plan, _ server: Server, subscribers: Int) throws(SystemError) {
    self.plan = plan
    self.server = server
    self.subscribers = subscribers
    loop = try EventLoop()
  }

  /// Connects everybody, runs, and gives how long the publishing took.
  func run() throws -> Duration {
    let path = "/ws/\(plan.channel)"
    // In turns, so that the server's accept queue is never the bottleneck.
    while receivers.count < subscribers {
      for _ in 0..<min(100, subscribers - receivers.count) { receivers.append(try connect(path)) }
      try wait { opened == receivers.count }
    }
    // The publisher of a fan-out is no subscriber: it asks for nothing back but acknowledgements.
    publisher = try connect("/ws")
    try wait { opened == subscribers + 1 }
    let began = SystemClock.monotonic()
    publishMore()
    try wait { isDone }
    let took = SystemClock.monotonic().since(began)
    for connection in receivers { connection.close() }
    publisher?.close()
    loop.turn(waiting: .zero)
    return took
  }

  private var isDone: Bool {
    acknowledged == plan.messages && deliveries >= plan.messages * subscribers
  }

  private func connect(_ path: String) throws -> WebSocketConnection {
    try WebSocketConnection(
      to: server.url, path: path, key: server.key, trust: server.trust, on: loop, within: .seconds(20), owner: self)
  }

  private func wait(_ condition: () -> Bool) throws {
    progressAt = SystemClock.monotonic()
    while !condition() {
      loop.turn(waiting: .seconds(1))
      if let failure { throw failure }
      guard loop.now.since(progressAt) < Self.patience else {
        throw Refusal(
          code: .failure,
          message: "nothing came for \(Self.patience.components.seconds) s: \(sent) published, "
            + "\(acknowledged) acknowledged, \(deliveries) of \(sent * subscribers) delivered")
      }
    }
  }

  /// Keeps `window` publications under way.
  private func publishMore() {
    let done = subscribers == 0 ? acknowledged : min(acknowledged, deliveries / subscribers)
    while sent < plan.messages, sent - done < plan.window {
      let now = SystemClock.monotonic()
      sentAt.append(now)
      sent += 1
      publisher?.send(.text, Self.message(sent, now, plan))
    }
  }

  private static func message(_ number: Int, _ now: Instant, _ plan: BenchCommand.Plan) -> [UInt8] {
    let stamp = "\(number) \(now.nanoseconds) "
    let filler = String(repeating: "x", count: max(0, plan.bytes - stamp.utf8.count))
    return [UInt8](
      "{\"id\":\(number),\"channel\":\"\(plan.channel)\",\"data\":\"\(stamp)\(filler)\"}".utf8)
  }

  // MARK: connections

  func webSocketOpened(_ connection: WebSocketConnection) {
    opened += 1
    progressAt = loop.now
  }

  func webSocketHeard(_ connection: WebSocketConnection) {}

  func webSocketReceived(
    _ connection: WebSocketConnection, _ kind: WebSocketMessageKind, _ bytes: [UInt8]
  ) {
    progressAt = loop.now
    if connection === publisher { received(bytes) } else { delivered(bytes) }
    publishMore()
  }

  private func received(_ bytes: [UInt8]) {
    let text = String(decoding: bytes.prefix(4096), as: UTF8.self)
    if text.contains("\"type\":\"error\"") {
      failure = Refusal(code: .failure, message: "the server refuses: \(text)")
    } else if text.contains("\"type\":\"ack\"") {
      if subscribers == 0 { latencies.add(SystemClock.monotonic().since(sentAt[acknowledged])) }
      acknowledged += 1
    }
  }

  private func delivered(_ bytes: [UInt8]) {
    let words = bytes.prefix(64).split(separator: UInt8(ascii: " "), maxSplits: 2)
    guard words.count == 3, let nanoseconds = UInt64(String(decoding: words[1], as: UTF8.self))
    else { return }
    deliveries += 1
    latencies.add(SystemClock.monotonic().since(Instant(nanoseconds: nanoseconds)))
  }

  func webSocketEnded(_ connection: WebSocketConnection, _ end: WebSocketEnd) {
    let reason: String
    switch end {
    case .unreachable(let text): reason = "\(server.url) can't be reached: \(text)"
    case .refused(let status): reason = "the server refuses the connection with status \(status)"
    case .closed(let code, let text):
      reason = "the server closed a connection: \(code ?? 0) \(text)"
    case .lost(let text): reason = "a connection was lost: \(text)"
    }
    failure = failure ?? Refusal(code: .unavailable, message: reason)
  }
}
