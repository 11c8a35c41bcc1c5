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
struct HealthReport {
  private let gateway: GatewayLoop
  init(_ gateway: GatewayLoop) { self.gateway = gateway }

  private static let probeMax = Duration.seconds(2)

  /// What the probes have found so far.
  private final class Findings {
    var failures: [(Role, String?)] = []
    var waiting = 3
  }

  func answer(_ exchange: HTTPExchange) {
    probe { exchange.respond($0) }
  }

  /// Tells whether all can work.
  func check(_ completion: @escaping (Bool) -> Void) {
    probe { completion($0.status == .ok) }
  }

  private func probe(_ completion: @escaping (Response) -> Void) {
    let findings = Findings()
    let began = SystemClock.monotonic()
    let found: (Role, String?) -> Void = { role, failure in
      findings.failures.append((role, failure))
      findings.waiting -= 1
      if findings.waiting == 0 { completion(report(findings, began)) }
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

  // The name is within the grammar, so the fallback is never taken.
  private static var probeChannel: ChannelName? { ChannelName("health") }

  private func ask<M: WireMessage, R: WireMessage>(
    _ role: Role, _ link: Link?, _ message: M, _ reply: R.Type,
    _ found: @escaping (Role, String?) -> Void
  ) {
    guard let link else { return found(role, gateway.upstreams.failure(role) ?? "not connected") }
    link.request(message, expecting: reply, within: Self.probeMax) { result in
      switch result {
      case .success: found(role, nil)
      case .failure(let failure): found(role, failure.message)
      }
    }
  }

  private func report(_ findings: Findings, _ began: Instant) -> Response {
    let failures = findings.failures.filter { $0.1 != nil && isNeeded($0.0) }
    let isReady = failures.isEmpty && !gateway.isDraining
    return .json(isReady ? .ok : .serviceUnavailable) { writer in
      writer.beginObject()
      writer.field("status", isReady ? "ok" : gateway.isDraining ? "draining" : "unavailable")
      writer.field("timestamp", gateway.loop.wallMilliseconds)
      writer.key("checks")
      writer.beginObject()
      for (role, failure) in findings.failures.sorted(by: { $0.0.rawValue < $1.0.rawValue }) {
        writer.key(role == .eventstore ? "database" : role.name)
        writer.beginObject()
        writer.field("status", failure == nil ? "ok" : "unavailable")
        if let failure { writer.field("reason", failure) }
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
      writer.field("seconds", Int64(began.since(gateway.settings.startedAt).inSeconds))
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
