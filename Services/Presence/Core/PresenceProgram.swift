internal import Config
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
    let thread = try LoopThread<PresenceMail>(name: "presence") { loop in
      let service = PresenceService(
        loop: loop, limits: limits, metrics: PresenceMetrics(context.metrics),
        logger: context.logger)
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
              loop.stop()
              context.report(.finished(code: ExitCode.ok, message: nil))
            }
          }
        }
      }
    }
    return RunningPresence(thread: thread)
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
