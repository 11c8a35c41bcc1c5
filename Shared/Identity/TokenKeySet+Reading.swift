internal import Bytes
internal import Crypto
internal import JSON

extension TokenKeySet {
  /// BUDGET: a key file is read whole.
  public static let fileBytesMax = 1 << 20

  /// The keys of a file: a JWK Set (RFC 7517 §5), or public keys in PEM (RFC 7468 §13).
  ///
  /// - Shape: a JWK Set may hold `oct`, `EC` P-256, `OKP` Ed25519 and `RSA` keys. A key whose `use`
  ///   or `alg` is another is left out and listed in `ignored`, as providers publish several kinds.
  ///   A PEM file has no ids: `id` is given to its one key.
  /// - Errors: a key with private members is refused, not ignored: it should not be on this machine.
  public init(file: [UInt8], id: String? = nil) throws(TokenKeyError) {
    guard file.count <= Self.fileBytesMax else { throw .malformed("a key file has at most 1 MiB") }
    if file.starts(with: Array("-----BEGIN".utf8)) {
      try self.init([Self.key(pem: file, id: id)])
      return
    }
    let document: JSONValue
    do throws(JSONError) { document = try JSONValue.parse(file.span) } catch {
      throw .malformed("neither PEM nor a JWK Set: \(error)")
    }
    guard let entries = document["keys"]?.array else {
      throw .malformed("a JWK Set is an object with keys, an array")
    }
    var keys: [TokenKey] = []
    var ignored: [String] = []
    for entry in entries {
      guard entry.object != nil else { throw .malformed("a key of the set is not an object") }
      if let key = try Self.key(jwk: entry) {
        keys.append(key)
      } else {
        ignored.append(entry["kid"]?.string ?? "")
      }
    }
    try self.init(keys)
    self.ignored = ignored
  }

  /// The key of one JWK, or nil where it is for something else than is done here.
  private static func key(jwk: JSONValue) throws(TokenKeyError) -> TokenKey? {
    if let use = jwk["use"], use.string != "sig" { return nil }
    let id: String?
    switch jwk["kid"] {
    case nil: id = nil
    case .string(let text)? where (1...TokenLimits.keyIDBytesMax).contains(text.utf8.count):
      id = text
    default: throw .malformed("kid is text of 1 to 128 bytes")
    }
    let key: TokenKey
    switch (jwk["kty"]?.string, jwk["crv"]?.string) {
    case ("oct", _): key = try TokenKey(secret: try bytes(jwk, "k"), id: id)
    case ("EC", "P-256"):
      key = try publicKey(PublicKey(p256X: try bytes(jwk, "x"), y: try bytes(jwk, "y")), id)
    case ("OKP", "Ed25519"): key = try publicKey(PublicKey(ed25519: try bytes(jwk, "x")), id)
    case ("RSA", _):
      let parsed = PublicKey(rsaModulus: try bytes(jwk, "n"), exponent: try bytes(jwk, "e"))
      key = try publicKey(parsed, id)
    default: return nil
    }
    guard jwk["d"] == nil else {
      throw .malformed("a private key: a verifier needs the public one alone")
    }
    guard let algorithm = jwk["alg"] else { return key }
    return algorithm.string == key.algorithm.rawValue ? key : nil
  }

  private static func publicKey(_ key: PublicKey?, _ id: String?) throws(TokenKeyError) -> TokenKey
  {
    guard let key else { throw .malformed("the numbers of a public key are not those of a key") }
    return try TokenKey(publicKey: key, id: id)
  }

  private static func bytes(_ jwk: JSONValue, _ name: String) throws(TokenKeyError) -> [UInt8] {
    guard let text = jwk[name]?.string, let bytes = Base64URL.decode(Array(text.utf8)[...]) else {
      throw .malformed("\(name) of a key is not there or not base64url")
    }
    return bytes
  }

  private static func key(pem: [UInt8], id: String?) throws(TokenKeyError) -> TokenKey {
    let lines = pem.split { $0 == 0x0A || $0 == 0x0D }
    guard lines.first.map(Array.init) == Array("-----BEGIN PUBLIC KEY-----".utf8) else {
      throw .malformed("the PEM file does not begin with BEGIN PUBLIC KEY")
    }
    guard lines.last.map(Array.init) == Array("-----END PUBLIC KEY-----".utf8) else {
      throw .malformed("the PEM file does not end with END PUBLIC KEY, or holds several keys")
    }
    let text = String(decoding: lines.dropFirst().dropLast().joined(), as: UTF8.self)
    guard let der = Bytes.bytes(base64: text), let key = PublicKey(subjectPublicKeyInfo: der) else {
      throw .malformed("the PEM file holds no public key of P-256, Ed25519 or RSA")
    }
    return try TokenKey(publicKey: key, id: id)
  }
}

/// Base64url as RFC 7515 §2 has it: no padding, no other alphabet, no bits left over.
enum Base64URL {
  static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
    for byte in text {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"): break
      default: return nil
      }
    }
    return Bytes.bytes(base64: String(decoding: text, as: UTF8.self))
  }
}
