internal import Config
internal import Link
internal import Loop
internal import Observe
internal import Platform
public import Service
internal import Wire

/// `sapphire-hub`: one loop, one listener.
public enum HubProgram {
  public static let description = ServiceDescription(
    role: .hub,
    summary: """
      routes publications between gateways, orders those of channels that are not durable, and
      keeps their short history in memory.
      """,
    options: [],
    examples: [
      "sapphire-hub --listen unix:/run/sapphire/hub.sock",
      "sapphire-hub --listen tcp:10.0.0.5:7001 --link-key-file /etc/sapphire/link.key",
    ])

  public static func start(_ context: ServiceContext) throws -> any RunningService {
    let address = try context.listenAddress(.hub)
    let limits = HubLimits(context.settings.limits)
    Allocator.useOneArena()
    let thread = try LoopThread<HubMail>(name: "hub") { loop in
      let keys = IdempotencyKeys(windowMs: limits.keyWindowMs, countMax: limits.keys)
      let history = MemoryHistory(
        bytesMax: limits.historyBytes, channelsMax: limits.channels, keys: keys)
      let service = HubService(
        loop: loop, origin: context.identity.instance, history: history,
        metrics: HubMetrics(context.metrics), table: RoutingTable(namesMax: limits.linkChannels),
        keys: keys)
      let listener = try LinkListener(
        at: address, identity: context.identity, on: loop, owner: service,
        accepts: HubService.accepts)
      listener.refused = { context.logger.warning("a link was refused", ["reason": .text($0)]) }
      context.report(.announce("ready \(listener.address)"))
      return { mail in
        for message in mail {
          switch message {
          case .adopt(let limits):
            history.adopt(limits)
            service.adopt(limits)
          case .drain:
            listener.close(.draining)
            loop.after(.milliseconds(20)) {
              loop.stop()
              context.report(.finished(code: ExitCode.ok, message: nil))
            }
          }
        }
      }
    }
    return RunningHub(thread: thread)
  }
}

enum HubMail: Sendable {
  case adopt(HubLimits)
  case drain
}

/// The limits that a hub keeps to.
struct HubLimits: Sendable, Equatable {
  var linkChannels: Int
  var channels: Int
  var historyBytes: Int
  /// Idempotency keys that are remembered, and for how long.
  var keys: Int
  var keyWindowMs: Int64
}

extension HubLimits {
  init(_ limits: Config.Limits) {
    linkChannels = limits.linkChannels
    channels = limits.hubChannels
    historyBytes = limits.hubHistoryBytes
    keys = limits.idempotencyKeys
    keyWindowMs = limits.idempotencyWindow.millisecondsClamped
  }
}

struct RunningHub: RunningService {
  let thread: LoopThread<HubMail>
  func drain() { thread.mailbox.post(.drain) }
  func reload(_ settings: Configuration) -> Set<String> {
    thread.mailbox.post(.adopt(HubLimits(settings.limits)))
    return []
  }
}
