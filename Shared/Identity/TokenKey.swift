internal import Bytes
public import Crypto

/// The algorithms that tokens are signed with here (RFC 7518 §3, RFC 8037 §3.1).
public enum TokenAlgorithm: String, Hashable, Sendable, CaseIterable {
  case hs256 = "HS256"
  case es256 = "ES256"
  case edDSA = "EdDSA"
  case rs256 = "RS256"
}

/// Why a key can't be used; for whoever writes the key file.
public enum TokenKeyError: Error, Equatable, Sendable {
  /// Neither a JWK Set nor PEM, or a JWK that lacks what its kind needs.
  case malformed(String)
  case weak(String)
  /// Two keys of a set have the same `kid`, or several have none.
  case ambiguous
  case empty
  case tooMany
}

extension TokenAlgorithm {
  /// - Errors: `.weak` for a secret that is too short.
  init(secret: [UInt8]) throws(TokenKeyError) {
    guard secret.count >= TokenKey.secretBytesMin else {
      throw .weak("a secret of HS256 has at least 32 bytes")
    }
    self = .hs256
  }

  /// - Errors: `.weak` for an RSA key that is too short, or too long to be checked quickly.
  init(_ key: PublicKey.Algorithm) throws(TokenKeyError) {
    switch key {
    case .ecdsaP256: self = .es256
    case .ed25519: self = .edDSA
    case .rsa(let bits):
      guard TokenKey.rsaBits ~= bits else { throw .weak("an RSA key has 2,048 to 8,192 bits") }
      self = .rs256
    }
  }
}

/// One key that verifies tokens: it fixes the algorithm, so that a token can't choose one
/// (RFC 8725 §3.1).
///
/// Printing it prints its id and algorithm, never a secret. Any thread.
public struct TokenKey: Sendable {
  /// BUDGET: an HMAC key shorter than its digest can be guessed from one token (RFC 7518 §3.2).
  public static let secretBytesMin = 32
  public static let rsaBits = 2_048...8_192

  private enum Material: Sendable {
    case secret([UInt8])
    case key(PublicKey)
  }

  /// `kid`; nil for a key that no token can name.
  public let id: String?
  public let algorithm: TokenAlgorithm
  public let mark: KeyMark
  private let material: Material

  /// A key of HMAC with SHA-256.
  public init(secret: [UInt8], id: String?) throws(TokenKeyError) {
    algorithm = try TokenAlgorithm(secret: secret)
    material = .secret(secret)
    mark = KeyMark(secret: secret)
    self.id = id
  }

  public init(publicKey: PublicKey, id: String?) throws(TokenKeyError) {
    algorithm = try TokenAlgorithm(publicKey.algorithm)
    material = .key(publicKey)
    mark = KeyMark(publicKey: publicKey.subjectPublicKeyInfo)
    self.id = id
  }

  /// Whether `signature` is that of `message`, in time that tells nothing of a secret.
  func isValid(signature: [UInt8], message: borrowing Span<UInt8>) -> Bool {
    switch material {
    case .secret(let secret):
      constantTimeEqual(signature, HMACSHA256.authenticate(key: secret.span, message: message))
    case .key(let key): key.isValid(signature: signature, message: message)
    }
  }
}

extension TokenKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "\(id ?? "the key without an id"), \(algorithm.rawValue)" }
  public var debugDescription: String { description }
  /// Nothing: a dump would print the secret.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// The keys that are valid at one time, as a value: rotation replaces the set by one that has the
/// new key beside the old, and later by one without the old.
public struct TokenKeySet: Sendable {
  public static let keysMax = 64

  /// By the id's bytes: text would also compare equal to its other normal forms. Nil is the id of the
  /// one key that has none.
  private var keys: [[UInt8]?: TokenKey] = [:]
  /// The `kid`s of keys in a JWK Set that are for something else, or of a kind not used here.
  public internal(set) var ignored: [String] = []

  /// - Errors: `.ambiguous` for two keys of one id, or two without one; `.empty`, `.tooMany`.
  public init(_ keys: [TokenKey]) throws(TokenKeyError) {
    guard !keys.isEmpty else { throw .empty }
    guard keys.count <= Self.keysMax else { throw .tooMany }
    for key in keys {
      guard self.keys.updateValue(key, forKey: key.id.map { Array($0.utf8) }) == nil else {
        throw .ambiguous
      }
    }
  }

  /// The keys of several files together.
  public init(joining sets: [TokenKeySet]) throws(TokenKeyError) {
    try self.init(sets.flatMap(\.all))
    ignored = sets.flatMap(\.ignored)
  }

  public var count: Int { keys.count }
  /// All keys, by id.
  public var all: [TokenKey] { keys.values.sorted { ($0.id ?? "") < ($1.id ?? "") } }

  /// Whether a key is among them, whatever it is called now.
  public func contains(_ mark: KeyMark) -> Bool { keys.values.contains { $0.mark == mark } }

  /// The key of exactly that id.
  func key(id: String) -> TokenKey? { keys[Array(id.utf8)] }

  /// BUDGET: keys that the signature of one token is checked by.
  static let triedMax = 4

  /// The keys that a token which names none may be signed with: those of its algorithm. None where
  /// there are more than `triedMax`: then tokens have to say which.
  func keys(of algorithm: TokenAlgorithm) -> [TokenKey] {
    let found = all.filter { $0.algorithm == algorithm }
    return found.count > Self.triedMax ? [] : found
  }
}
