internal import Bytes
internal import Config
internal import Crypto
internal import HTTPCodec
internal import Synchronization

/// The API keys in force, by their digests, with what each opens. Any thread.
final class APIKeys: Sendable {
  private struct State {
    var keys: [APIKeyRule]
    /// How often they were replaced.
    var version = 0
  }

  /// What a request's key opens, as long as the keys are the same. A class, since each request asks for
  /// it several times.
  final class Found {
    /// Nil for what is no key in force.
    let rule: APIKeyRule?
    fileprivate let text: [UInt8]
    fileprivate let version: Int

    fileprivate init(rule: APIKeyRule?, text: [UInt8], version: Int) {
      self.rule = rule
      self.text = text
      self.version = version
    }
  }

  private let state: Mutex<State>

  init(_ keys: [APIKeyRule]) { state = Mutex(State(keys: keys)) }

  func replace(_ keys: [APIKeyRule]) {
    state.withLock { $0 = State(keys: keys, version: $0.version + 1) }
  }

  /// The key of `X-API-Key`, or of `Authorization: apikey …`; empty for none.
  private static func offered(_ headers: HTTPHeaders) -> [UInt8] {
    headers.first("x-api-key") { [UInt8](copying: $0) }
      ?? headers.credentials(of: "apikey").map { [UInt8]($0.utf8) } ?? []
  }

  /// What the key opens; nil for what is no key in force.
  func find(_ text: String) -> APIKeyRule? { look(for: [UInt8](text.utf8)).rule }

  /// What the key of `headers` opens. `known` is what one like it has opened before: it is not looked
  /// for again where it is the same, unless the keys were replaced.
  func find(_ headers: HTTPHeaders, known: Found?) -> Found {
    // Behind a proxy the one before may be another's.
    if let known, isInForce(known) {
      let text = known.text
      if headers.first("x-api-key", { constantTimeEqual(text.span, $0) }) == true { return known }
    }
    return look(for: Self.offered(headers))
  }

  /// Whether the keys are still those that it was found among.
  func isInForce(_ found: Found) -> Bool { found.version == state.withLock { $0.version } }

  private func look(for text: [UInt8]) -> Found {
    guard (1...APIKeyFile.keyBytesMax).contains(text.count) else {
      return Found(rule: nil, text: [], version: state.withLock { $0.version })
    }
    let offered = SHA256.digest(text)
    // All keys are compared, so that the time tells nothing of which one was near.
    return state.withLock { state in
      let rule = state.keys.reduce(nil as APIKeyRule?) { found, key in
        constantTimeEqual(key.digest, offered) ? key : found
      }
      return Found(rule: rule, text: text, version: state.version)
    }
  }

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

  var isReserved: Bool {
    text.utf8.first == UInt8(ascii: "@") && text.utf8.starts(with: "@sapphire:".utf8)
  }
}
