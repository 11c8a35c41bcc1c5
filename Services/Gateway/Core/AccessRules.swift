internal import ChannelKit
internal import Crypto
internal import HTTPCodec
internal import Platform
internal import Synchronization

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

/// The API keys in force; compared in constant time.
final class APIKeys: Sendable {
  private let keys = Mutex<[[UInt8]]>([])

  init(_ keys: [[UInt8]]) { replace(keys) }

  func replace(_ keys: [[UInt8]]) { self.keys.withLock { $0 = keys } }

  /// The key of `X-API-Key`, or of `Authorization: apikey …`.
  static func offered(_ headers: HTTPHeaders) -> String? {
    if let key = headers.first("x-api-key") { return key }
    guard let value = headers.first("authorization") else { return nil }
    let parts = value.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "apikey" else { return nil }
    return String(parts[1])
  }

  func contains(_ text: String?) -> Bool {
    guard let text else { return false }
    let offered = [UInt8](text.utf8)
    // All keys are compared, so that the time tells nothing of which one was near.
    return keys.withLock { list in
      list.reduce(false) { found, key in constantTimeEqual(key, offered) || found }
    }
  }
}
