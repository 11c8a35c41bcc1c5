internal import ChannelKit
internal import HTTPCodec
internal import Identity

/// How a page and its requests travel.
enum WebScheme: Equatable, Sendable { case http, https }

/// Who may come in and what a client may do. Pure, but for the key, which a reload may change.
struct AccessRules: Sendable {
  /// Every listening address can be reached from this machine only.
  var isLoopback: Bool
  /// Whether clients without a user may subscribe and publish where no rule says who may.
  var allowsAnonymous: Bool
  /// Origins let in besides; exact, such as `https://example.org`.
  var origins: [String] = []
  /// Names for us, in lower case; `*` for any. None: any, unless only this machine reaches us.
  var hosts: [String] = []
  /// The hosts of `origins`: what browsers ask for behind a proxy on this machine.
  var hostsOfOrigins: [String] = []
  var keys: APIKeys

  /// Whether a Host field is one of ours (against DNS rebinding). Any port.
  func allows(host: HTTPAuthority?) -> Bool {
    if hosts.contains("*") || hosts.isEmpty && !isLoopback { return true }
    guard let host else { return false }
    // Nobody elsewhere can make these names lead here: tools of this machine use them.
    return Self.isLoopback(host.host) || hosts.contains(host.host)
      || isLoopback && hostsOfOrigins.contains(host.host)
  }

  /// Whether a browser's page of this origin may talk to us. No origin: not a browser.
  ///
  /// - Parameter scheme: by which the request came from the browser; nil where nobody knows.
  func allows(origin: String?, host: HTTPAuthority?, scheme: WebScheme?) -> Bool {
    guard let origin else { return true }
    if origins.contains(origin) { return true }
    guard let parsed = Self.authority(ofOrigin: origin) else { return false }
    if isLoopback { return Self.isLoopback(parsed.host) }
    return parsed == host && (scheme ?? Self.scheme(ofOrigin: origin)) == Self.scheme(ofOrigin: origin)
  }

  /// A field that says who somebody is and stands there twice: which of the two counts would be a
  /// guess, and a proxy may guess otherwise.
  static func repeatedField(_ headers: HTTPHeaders) -> String? {
    if headers.repeats("origin") { return "Origin" }
    if headers.repeats("authorization") { return "Authorization" }
    return headers.repeats("x-api-key") ? "X-API-Key" : nil
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

  private static func scheme(ofOrigin origin: String) -> WebScheme {
    origin.hasPrefix("https://") ? .https : .http
  }

  /// The host and port of `http://HOST[:PORT]` or `https://…`; nil for `null` and all else.
  static func authority(ofOrigin origin: String) -> HTTPAuthority? {
    for scheme in ["http://", "https://"] where origin.hasPrefix(scheme) {
      return HTTPAuthority(String(origin.dropFirst(scheme.count)))
    }
    return nil
  }
}
