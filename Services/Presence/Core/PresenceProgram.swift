internal import Bytes
internal import Config
internal import Hooks
internal import Link
internal import Loop
internal import Observe
internal import Platform
public import Service
internal import Wire

/// `sapphire-presence`: one loop, one listener.
public enum PresenceProgram {
  public static let description = ServiceDescription(
    role: .presence,
    summary: """
      knows who is in which channel, as the gateways report it, and tells gateways that watch. It \
      keeps nothing on disk: after a restart the gateways report again.
      """,
    options: [],
    examples: [
      "sapphire-presence --listen unix:/run/sapphire/presence.sock",
      "sapphire-presence --listen tcp:10.0.0.5:7003 --link-key-file /etc/sapphire/link.key",
    ])

  public static func start(_ context: ServiceContext) throws -> any RunningService {
    let address = try context.listenAddress(.presence)
    let limits = PresenceLimits(context.settings)
    let target = try hookTarget(context.settings.hooks)
    let metrics = PresenceMetrics(context.metrics)
    let told = target == nil ? { @Sendable (_: ChannelName) in [] } : kinds(context.settings.channels)
    Allocator.useOneArena()
    let thread = try LoopThread<PresenceMail>(name: "presence") { loop in
      let teller = target.map {
        ChannelTeller($0, context.settings.hooks, metrics.telling, context.logger, on: loop)
      }
      let service = PresenceService(
        loop: loop, limits: limits, metrics: metrics, logger: context.logger,
        telling: told, by: teller)
      let listener = try LinkListener(
        at: address, identity: context.identity, on: loop, owner: service,
        accepts: PresenceService.accepts)
      listener.refused = { context.logger.warning("a link was refused", ["reason": .text($0)]) }
      context.report(.announce("ready \(listener.address)"))
      return { mail in
        for message in mail {
          switch message {
          case .adopt(let limits): service.adopt(sizesOf: limits)
          case .drain:
            listener.close(.draining)
            loop.after(.milliseconds(20)) {
              let stop = {
                loop.stop()
                context.report(.finished(code: ExitCode.ok, message: nil))
              }
              if let teller { teller.finish(stop) } else { stop() }
            }
          }
        }
      }
    }
    return RunningPresence(thread: thread)
  }

  /// Who is told; nil where nobody is. Blocks to look up a name and to read files.
  private static func hookTarget(_ settings: HookSettings) throws -> HookTarget? {
    do throws(HookFileRefused) { return try HookTargets(settings, [.events])[.events] } catch {
      throw ConfigurationRefused(description: "the configuration is refused:\nhooks: \(error)")
    }
  }

  private static func kinds(
    _ rules: ChannelRules
  ) -> @Sendable (ChannelName) -> ChannelNews.Kinds {
    guard rules.rules.contains(where: { !$0.hooks.isDisjoint(with: .events) }) else {
      return { _ in [] }
    }
    return { rules.rule(for: $0).map { ChannelNews.Kinds($0.hooks) } ?? [] }
  }
}

enum PresenceMail: Sendable {
  case adopt(PresenceLimits)
  case drain
}

struct RunningPresence: RunningService {
  let thread: LoopThread<PresenceMail>
  func drain() { thread.mailbox.post(.drain) }
  func reload(_ settings: Configuration) -> Set<String> {
    thread.mailbox.post(.adopt(PresenceLimits(settings)))
    return []
  }
}

extension ChannelNews.Kinds {
  init(_ hooks: ChannelHooks) {
    self = []
    if hooks.contains(.occupied) { insert(.occupied) }
    if hooks.contains(.vacated) { insert(.vacated) }
    if hooks.contains(.join) { insert(.join) }
    if hooks.contains(.leave) { insert(.leave) }
  }
}

extension PresenceLimits {
  /// A link that blips is no reason to show anybody as gone, however short the grace of clients.
  private static let linkGraceMin = Duration.seconds(1)

  init(_ settings: Configuration) {
    self.init()
    lease = settings.presence.lease
    resumeGrace = settings.presence.grace
    linkGrace = max(settings.presence.grace, Self.linkGraceMin)
    infoBytesMax = settings.limits.presenceInfoBytes
    membersPerChannelMax = settings.limits.presenceMembers
    // A list on the wire is counted by sixteen bits.
    pageEntriesMax = min(settings.limits.presencePage, Int(UInt16.max))
  }
}
