internal import ChannelKit
internal import HTTPCodec
internal import Identity

/// Who may come in and what a client may do. Pure, but for the key, which a reload may change.
struct AccessRules: Sendable {
  /// Every listening address can be reached from this machine only.
  var isLoopback: Bool
  /// Whether clients without a user may subscribe and publish where no rule says who may.
  var allowsAnonymous: Bool
  /// Origins let in besides; exact, such as `https://example.org`.
  var origins: [String] = []
  /// Hosts let in besides; `*` for any.
  var hosts: [String] = []
  var keys: APIKeys

  /// Whether a Host field is one of ours (against DNS rebinding). Any port.
  func allows(host: HTTPAuthority?) -> Bool {
    guard let host else { return !isLoopback }
    if hosts.contains(host.host) { return true }
    // Rebinding is a danger to what only this machine can reach.
    return isLoopback ? Self.isLoopback(host.host) : true
  }

  /// Whether a browser's page of this origin may talk to us. No origin: not a browser.
  func allows(origin: String?, host: HTTPAuthority?) -> Bool {
    guard let origin else { return true }
    if origins.contains(origin) { return true }
    guard let parsed = Self.authority(ofOrigin: origin) else { return false }
    if isLoopback { return Self.isLoopback(parsed.host) }
    return parsed == host
  }

  /// What a channel's rule lets a client do; a token may let it do more.
  func may(_ right: Rights, _ client: ClientContext, _ policy: ChannelPolicy) -> Bool {
    switch right {
    case .publish: mayPublish(client, policy.publish)
    case .history: may(client, policy.readHistory) ?? maySubscribe(client, policy)
    case .presence: may(client, policy.seePresence) ?? maySubscribe(client, policy)
    default: maySubscribe(client, policy)
    }
  }

  private func may(_ client: ClientContext, _ list: [Principal]?) -> Bool? {
    list.map { client.isAPI || $0.include(client) }
  }

  /// - Parameter publishers: who may by the channel's rule or type; nil: the listener's default.
  func mayPublish(_ client: ClientContext, _ publishers: [Principal]?) -> Bool {
    if client.isAPI { return true }
    if let publishers { return publishers.include(client) }
    return allowsAnonymous || client.user != nil
  }

  func maySubscribe(_ client: ClientContext, _ policy: ChannelPolicy) -> Bool {
    if client.isAPI { return true }
    if let allowed = policy.subscribe { return allowed.include(client) }
    return allowsAnonymous || client.user != nil
  }

  private static func isLoopback(_ host: String) -> Bool {
    host == "localhost" || host == "127.0.0.1" || host == "::1" || host == "[::1]"
  }

  /// The host and port of `http://HOST[:PORT]` or `https://…`; nil for `null` and all else.
  static func authority(ofOrigin origin: String) -> HTTPAuthority? {
    for scheme in ["http://", "https://"] where origin.hasPrefix(scheme) {
      return HTTPAuthority(String(origin.dropFirst(scheme.count)))
    }
    return nil
  }
}
