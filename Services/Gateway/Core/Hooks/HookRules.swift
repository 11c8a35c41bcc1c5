internal import Config
internal import HTTPCodec
internal import Hooks

/// What the configuration says of back ends that are asked, ready for use; the same for all loops.
struct HookRules: Sendable {
  let targets: HookTargets
  let timeout: Duration
  let limits: HookLimits
  /// Fields of a client's request that back ends are shown, in lower case.
  let fields: [String]

  /// The hooks that gateways ask; `events` are told by presence.
  static let names: [HookName] = [.connect, .refresh, .subscribe, .subRefresh, .publish, .rpc]

  /// Nil where no hook has an address. Blocks to look up names and to read files.
  init?(_ settings: HookSettings) throws(HookFileRefused) {
    targets = try HookTargets(settings, Self.names)
    guard !targets.isEmpty else { return nil }
    timeout = settings.timeout
    limits = HookLimits(
      connectionsMax: settings.concurrency, waitingMax: settings.queue,
      answerBytesMax: settings.answerBytes)
    fields = settings.headers
  }

  /// BUDGET: bytes of the fields that one client's hooks repeat.
  private static let fieldsBytesMax = 8_192

  /// What back ends are shown of a client's request.
  func shown(of headers: HTTPHeaders) -> [HookField] {
    var shown: [HookField] = []
    var bytes = 0
    for name in fields {
      for value in headers.all(name) {
        bytes += name.utf8.count + value.utf8.count
        guard bytes <= Self.fieldsBytesMax else { return shown }
        shown.append((name, value))
      }
    }
    return shown
  }
}

typealias HookField = (name: String, value: String)
