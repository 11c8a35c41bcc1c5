internal import Bytes
internal import Config
internal import Crypto
internal import HTTPCodec
internal import Synchronization

/// The API keys in force, by their digests, with what each opens. Any thread.
final class APIKeys: Sendable {
  private let keys: Mutex<[APIKeyRule]>

  init(_ keys: [APIKeyRule]) { self.keys = Mutex(keys) }

  func replace(_ keys: [APIKeyRule]) { self.keys.withLock { $0 = keys } }

  /// The key of `X-API-Key`, or of `Authorization: apikey …`.
  static func offered(_ headers: HTTPHeaders) -> String? {
    if let key = headers.first("x-api-key") { return key }
    return headers.credentials(of: "apikey")
  }

  /// What the key opens; nil for what is no key in force.
  func find(_ text: String?) -> APIKeyRule? {
    guard let text, (1...APIKeyFile.keyBytesMax).contains(text.utf8.count) else { return nil }
    let offered = SHA256.digest(Array(text.utf8))
    // All keys are compared, so that the time tells nothing of which one was near.
    return keys.withLock { list in
      list.reduce(nil as APIKeyRule?) { found, key in
        constantTimeEqual(key.digest, offered) ? key : found
      }
    }
  }

  func contains(_ text: String?) -> Bool { find(text) != nil }

  /// A key that is written out as it is: it opens everything.
  static func rule(ofPlain key: [UInt8], name: String) -> APIKeyRule {
    APIKeyRule(name: name, digest: SHA256.digest(key), scopes: .all)
  }
}

extension APIKeyRule {
  /// Whether it opens `scope` for that channel.
  func allows(_ scope: APIScopes, _ channel: ChannelName) -> Bool {
    scopes.contains(scope) && !channel.isReserved
      && (channels.isEmpty || channels.contains { $0.matches(channel) })
  }

  /// Whether it opens `scope` for all channels.
  func allowsEverywhere(_ scope: APIScopes) -> Bool { scopes.contains(scope) && channels.isEmpty }
}

extension HTTPHeaders {
  /// What stands behind a scheme in `Authorization` (RFC 9110 §11.4), in upper or lower case.
  func credentials(of scheme: String) -> String? {
    guard let value = first("authorization") else { return nil }
    let parts = value.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == scheme else { return nil }
    return String(parts[1])
  }
}

extension ChannelName {
  /// What gateways tell each other through the store; nobody else gets at it, API keys included.
  static let identityOrders = ChannelName("@sapphire:identity")

  var isReserved: Bool { text.utf8.starts(with: "@sapphire:".utf8) }
}
