internal import Bytes
internal import HTTPCodec
internal import JSON
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// `GET /health` (S004-30): what works right now, found out by asking.
///
/// Each needed service answers a real request: the event store by a commit, the hub by a count,
/// presence by a read. 200 when all do, else 503 with the same body and what is missing.
///
/// Anyone may ask, so asking costs little: one round of probes is under way at a time, all who ask
/// meanwhile share it, and what it found is kept for a second. Loop-confined.
final class HealthReport {
  private unowned let gateway: GatewayLoop
  private var findings: Findings = []
  private var foundAt: Instant?
  private var waiting: [(Findings) -> Void] = []

  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private static let probeMax = Duration.seconds(2)
  private static let keptMax = Duration.seconds(1)

  /// What anyone may read of a service that there is no link to; where it was looked for, and what
  /// became of that, is for those with a key.
  private static let unreachable = "can't be reached"

  /// Why a service can't work; nil if it can.
  private typealias Findings = [(role: Role, failure: String?)]

  func answer(_ exchange: HTTPExchange) {
    let hasKey = exchange.key != nil
    if let foundAt, gateway.loop.now.since(foundAt) < Self.keptMax {
      return exchange.respond(report(findings, inDetail: hasKey))
    }
    probe { [self] in exchange.respond(report($0, inDetail: hasKey)) }
  }

  /// Tells whether all can work, found out now.
  func check(_ completion: @escaping (Bool) -> Void) {
    probe { [self] in completion(failures($0).isEmpty && !gateway.isDraining) }
  }

  /// BUDGET: those who share a round of probes are bounded by the connections of the loop.
  private func probe(_ completion: @escaping (Findings) -> Void) {
    waiting.append(completion)
    guard waiting.count == 1 else { return }
    var soFar: Findings = []
    let found: (Role, String?) -> Void = { [self] role, failure in
      soFar.append((role, failure))
      if soFar.count == 3 { finish(soFar) }
    }
    ask(.eventstore, gateway.upstreams.eventstore, Probe(remainingMs: 2000), Probed.self, found)
    ask(
      .hub, gateway.upstreams.hub,
      CountChannels(remainingMs: 2000, prefix: "", after: "", limit: 0), ChannelCounts.self, found)
    if let channel = Self.probeChannel {
      ask(
        .presence, gateway.upstreams.presence,
        ReadPresence(remainingMs: 2000, channel: channel, count: 0),
        PresenceList.self, found)
    }
  }

  private func finish(_ findings: Findings) {
    self.findings = findings
    foundAt = gateway.loop.now
    let completions = waiting
    waiting = []
    for completion in completions { completion(findings) }
  }

  // The name is within the grammar, so the fallback is never taken.
  private static var probeChannel: ChannelName? { ChannelName("health") }

  private func ask<M: WireMessage, R: WireMessage>(
    _ role: Role, _ link: Link?, _ message: M, _ reply: R.Type,
    _ found: @escaping (Role, String?) -> Void
  ) {
    guard let link else { return found(role, Self.unreachable) }
    link.request(message, expecting: reply, within: Self.probeMax) { result in
      switch result {
      case .success: found(role, nil)
      case .failure(let failure): found(role, failure.message)
      }
    }
  }

  private func failures(_ findings: Findings) -> Findings {
    findings.filter { $0.failure != nil && isNeeded($0.role) }
  }

  private func report(_ findings: Findings, inDetail: Bool) -> Response {
    let failures = failures(findings)
    let isReady = failures.isEmpty && !gateway.isDraining
    return .json(isReady ? .ok : .serviceUnavailable) { writer in
      writer.beginObject()
      writer.field("status", isReady ? "ok" : gateway.isDraining ? "draining" : "unavailable")
      writer.field("timestamp", gateway.loop.wallMilliseconds)
      writer.key("checks")
      writer.beginObject()
      for (role, failure) in findings.sorted(by: { $0.role.rawValue < $1.role.rawValue }) {
        writer.key(role == .eventstore ? "database" : role.name)
        writer.beginObject()
        writer.field("status", failure == nil ? "ok" : "unavailable")
        if var reason = failure {
          if inDetail, reason == Self.unreachable { reason = gateway.upstreams.failure(role) ?? reason }
          writer.field("reason", reason)
        }
        writer.endObject()
      }
      writer.key("sessions")
      writer.beginObject()
      writer.field("status", "ok")
      writer.field("connections", gateway.metrics.connections.value)
      writer.endObject()
      writer.key("memory")
      writer.beginObject()
      writer.field("status", "ok")
      writer.field("resident_bytes", Int64(Syscalls.residentBytes))
      writer.endObject()
      writer.key("uptime")
      writer.beginObject()
      writer.field("status", "ok")
      writer.field("seconds", Int64(gateway.loop.now.since(gateway.settings.startedAt).inSeconds))
      writer.endObject()
      writer.endObject()
      if !failures.isEmpty {
        writer.key("missing")
        writer.beginArray()
        for (role, _) in failures { writer.string(role.name) }
        writer.endArray()
      }
      writer.endObject()
    }
  }

  private func isNeeded(_ role: Role) -> Bool { role != .operations }
}
