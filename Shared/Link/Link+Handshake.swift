internal import Crypto
internal import Wire

/// How two ends come to trust each other before anything else is parsed. Pure.
///
///     starts ──▶ sends hello ──▶ awaiting hello ──┬─ no key ──▶ open
///                                                 └─ key ─────▶ sends proof ──▶ awaiting proof ──▶ open
///     anything else at any time ──▶ refused
///
/// On TCP both ends prove that they hold the shared key: HMAC-SHA-256 over a label, the sender's
/// role and both nonces. A recorded proof is worthless because the nonces are new each time.
struct LinkHandshake {
  enum Event {
    case receivedHello(Hello)
    case receivedProof([UInt8])
  }

  enum Action: Equatable {
    case send(Hello)
    case prove([UInt8])
    case opened(peer: Hello, version: UInt16)
    case refuse(ErrorCode, String)
  }

  private enum State {
    case idle
    case awaitingHello
    case awaitingProof(peer: Hello, version: UInt16)
    case finished
  }

  private var state: State = .idle
  private let local: Hello
  private let key: [UInt8]?
  private let accepts: (Role) -> Bool

  /// - Parameters:
  ///   - key: the shared secret on TCP; nil on a Unix socket, where the kernel names the peer.
  ///   - nonce: 32 random bytes, used only with a key.
  init(local: Hello, key: [UInt8]?, nonce: [UInt8], accepts: @escaping (Role) -> Bool) {
    var local = local
    local.nonce = key == nil ? [] : nonce
    self.local = local
    self.key = key
    self.accepts = accepts
  }

  mutating func started() -> Action {
    state = .awaitingHello
    return .send(local)
  }

  mutating func received(_ event: Event) -> [Action] {
    switch (state, event) {
    case (.awaitingHello, .receivedHello(let peer)): return receivedHello(peer)
    case (.awaitingProof(let peer, let version), .receivedProof(let mac)):
      guard let key, constantTimeEqual(mac, Self.proof(key, of: peer, to: local)) else {
        return refuse(
          .notAuthenticated, "the peer's proof is wrong: do both ends have the same key?")
      }
      state = .finished
      return [.opened(peer: peer, version: version)]
    default: return refuse(.unexpectedKind, "a frame out of order in the handshake")
    }
  }

  private mutating func receivedHello(_ peer: Hello) -> [Action] {
    guard let version = local.commonVersion(with: peer) else {
      return refuse(
        .versionMismatch,
        "this end speaks versions \(local.versionMin) to \(local.versionMax), "
          + "the peer \(peer.versionMin) to \(peer.versionMax)")
    }
    guard accepts(peer.role) else {
      return refuse(.roleForbidden, "a \(peer.role.name) has no business here")
    }
    guard let key else {
      state = .finished
      return [.opened(peer: peer, version: version)]
    }
    guard peer.nonce.count == 32, peer.nonce != local.nonce else {
      return refuse(.notAuthenticated, "the peer's hello has no nonce of its own")
    }
    state = .awaitingProof(peer: peer, version: version)
    return [.prove(Self.proof(key, of: local, to: peer))]
  }

  private mutating func refuse(_ code: ErrorCode, _ message: String) -> [Action] {
    state = .finished
    return [.refuse(code, message)]
  }

  /// What `sender` must send to prove the key to `receiver`.
  static func proof(_ key: [UInt8], of sender: Hello, to receiver: Hello) -> [UInt8] {
    let label = [UInt8]("sapphire link 1".utf8)
    return HMACSHA256.authenticate(
      key: key, message: label + [sender.role.rawValue] + receiver.nonce + sender.nonce)
  }
}
