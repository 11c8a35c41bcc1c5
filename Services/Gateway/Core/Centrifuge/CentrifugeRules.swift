internal import Bytes
internal import Config

/// What the section `centrifuge` makes of the Centrifuge protocol: the same for all loops. A
/// reference, so that settings cost no more to hand around.
final class CentrifugeRules: Sendable {
  /// The plugin behind `rpc` and `send`; nil: none.
  let calls: String?
  private let joinLeave: [ChannelPattern]
  private let cacheRecovery: [ChannelPattern]
  /// What stands before and behind the user in the name of a personal channel; nil: there are none.
  private let personal: (before: String, behind: String)?

  init(_ settings: CentrifugeSettings = CentrifugeSettings()) {
    calls = settings.calls
    joinLeave = settings.joinLeave
    cacheRecovery = settings.cacheRecovery
    personal = settings.personalChannel.map { text in
      let parts = text.split(separator: "{", omittingEmptySubsequences: false)
      return (String(parts.first ?? ""), String((parts.last ?? "").dropFirst("user}".utf8.count)))
    }
  }

  /// Nil where users have none, and for a user whose name can't be part of a channel's.
  func personalChannel(of user: String) -> ChannelName? {
    guard let personal, !user.isEmpty else { return nil }
    return ChannelName(personal.before + user + personal.behind)
  }

  /// Whether subscribers are told who comes and goes without asking for it.
  func tellsMembers(_ channel: ChannelName) -> Bool { joinLeave.contains { $0.matches(channel) } }

  /// Whether coming back means the latest publication, and not all that was missed.
  func recoversLatest(_ channel: ChannelName) -> Bool {
    cacheRecovery.contains { $0.matches(channel) }
  }
}
