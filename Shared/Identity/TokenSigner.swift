internal import Bytes
public import Crypto
internal import JSON

/// Signs tokens, for tests, command lines and small back ends. No service needs one: services
/// verify.
///
/// Any thread. Printing it prints its id and algorithm, never a secret.
public struct TokenSigner: Sendable {
  private enum Material: Sendable {
    case secret([UInt8])
    case key(PrivateKey)
  }

  public let id: String?
  public let algorithm: TokenAlgorithm
  private let material: Material

  /// - Errors: `.weak` for fewer bytes than a verifier takes.
  public init(secret: [UInt8], id: String?) throws(TokenKeyError) {
    algorithm = try TokenAlgorithm(secret: secret)
    material = .secret(secret)
    self.id = id
  }

  public init(privateKey: PrivateKey, id: String?) throws(TokenKeyError) {
    algorithm = try TokenAlgorithm(privateKey.algorithm)
    material = .key(privateKey)
    self.id = id
  }

  /// The key of a file: a private key in PEM, or a JWK Set with a key of HS256.
  ///
  /// - Parameter id: which key of a set; nil where it has only one. The `kid` of a PEM file's key.
  /// - Errors: `.malformed` for another file, `.ambiguous` where the set has several keys and none
  ///   is named, `.empty` where it has none of that name.
  public init(file: [UInt8], id: String?) throws(TokenKeyError) {
    guard file.count <= TokenKeySet.fileBytesMax else {
      throw .malformed("a key file has at most 1 MiB")
    }
    if file.starts(with: Array("-----BEGIN".utf8)) {
      try self.init(privateKey: Self.key(pem: file), id: id)
      return
    }
    guard let entries = try? JSONValue.parse(file.span)["keys"]?.array else {
      throw .malformed("neither a private key in PEM nor a JWK Set")
    }
    let fitting = entries.filter { $0["kty"]?.string == "oct" && (id == nil || $0["kid"]?.string == id) }
    guard let entry = fitting.first else { throw .empty }
    guard fitting.count == 1 else { throw .ambiguous }
    guard let text = entry["k"]?.string, let secret = Base64URL.decode(Array(text.utf8)[...]) else {
      throw .malformed("k of a key is not there or not base64url")
    }
    try self.init(secret: secret, id: entry["kid"]?.string)
  }

  private static func key(pem: [UInt8]) throws(TokenKeyError) -> PrivateKey {
    let lines = pem.split { $0 == 0x0A || $0 == 0x0D }
    let first = String(decoding: lines.first ?? [], as: UTF8.self)
    guard first.hasSuffix("PRIVATE KEY-----"), !first.contains("ENCRYPTED"),
      lines.last.map({ String(decoding: $0, as: UTF8.self) })
        == first.replacingBegin()
    else { throw .malformed("the PEM file does not hold one private key without a passphrase") }
    let text = String(decoding: lines.dropFirst().dropLast().joined(), as: UTF8.self)
    guard let der = Bytes.bytes(base64: text), let key = PrivateKey(der: der) else {
      throw .malformed("the PEM file holds no private key of P-256, Ed25519 or RSA")
    }
    return key
  }

  /// A token of those claims, a JSON object; nil where the key can't sign.
  public func sign(_ claims: [UInt8], type: String = "JWT") -> String? {
    var header = JSONWriter()
    header.beginObject()
    header.field("alg", algorithm.rawValue)
    header.field("typ", type)
    if let id { header.field("kid", id) }
    header.endObject()
    let input = base64URL(header.bytes) + "." + base64URL(claims)
    let message = Array(input.utf8)
    let signature: [UInt8]? =
      switch material {
      case .secret(let secret): HMACSHA256.authenticate(key: secret, message: message)
      case .key(let key): key.sign(message)
      }
    return signature.map { input + "." + base64URL($0) }
  }
}

extension TokenSigner: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "\(id ?? "the key without an id"), \(algorithm.rawValue)" }
  public var debugDescription: String { description }
  /// Nothing: a dump would print the secret.
  public var customMirror: Mirror { Mirror(self, children: []) }
}

extension String {
  /// The last line of a PEM file (RFC 7468 §2) by its first.
  fileprivate func replacingBegin() -> String {
    hasPrefix("-----BEGIN ") ? "-----END " + dropFirst(11) : ""
  }
}
