/// A public key that checks signatures: ECDSA on P-256 with SHA-256, Ed25519 (RFC 8032), or RSA
/// with PKCS #1 v1.5 and SHA-256.
///
/// Any thread. Nothing secret is in it.
public struct PublicKey: Sendable {
  public enum Algorithm: Equatable, Sendable {
    case ecdsaP256
    case ed25519
    case rsa(bits: Int)
  }

  private let handle: PublicKeyHandle
  public let algorithm: Algorithm
  /// The key as DER, as it was given or made.
  public let subjectPublicKeyInfo: [UInt8]

  /// The key in a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) in DER: what a PEM file of a public key
  /// holds. Nil for anything else, other curves among them, and for a key that can't be one, such
  /// as a point beside its curve.
  public init?(subjectPublicKeyInfo der: [UInt8]) {
    guard let handle = PublicKeyHandle(subjectPublicKeyInfo: der) else { return nil }
    self.handle = handle
    subjectPublicKeyInfo = der
    switch handle.kind {
    case .p256: algorithm = .ecdsaP256
    case .ed25519: algorithm = .ed25519
    case .rsa(let bits): algorithm = .rsa(bits: bits)
    }
  }

  /// A point of P-256 by its coordinates, 32 bytes each, most significant first.
  public init?(p256X x: [UInt8], y: [UInt8]) {
    guard x.count == 32, y.count == 32 else { return nil }
    // id-ecPublicKey, prime256v1; the point is not compressed (RFC 5480 §2).
    let algorithm: [UInt8] = DER.sequence([
      0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,
      0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07,
    ])
    self.init(subjectPublicKeyInfo: DER.sequence(algorithm + DER.bits([0x04] + x + y)))
  }

  /// A key of Ed25519, 32 bytes.
  public init?(ed25519 bytes: [UInt8]) {
    guard bytes.count == 32 else { return nil }
    let algorithm = DER.sequence([0x06, 0x03, 0x2B, 0x65, 0x70])
    self.init(subjectPublicKeyInfo: DER.sequence(algorithm + DER.bits(bytes)))
  }

  /// A modulus and an exponent, most significant byte first.
  public init?(rsaModulus modulus: [UInt8], exponent: [UInt8]) {
    guard !modulus.isEmpty, modulus.count <= 2_048, !exponent.isEmpty, exponent.count <= 8 else {
      return nil
    }
    // rsaEncryption with NULL parameters (RFC 3279 §2.3.1).
    let algorithm = DER.sequence([
      0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,
    ])
    let key = DER.sequence(DER.integer(modulus[...]) + DER.integer(exponent[...]))
    self.init(subjectPublicKeyInfo: DER.sequence(algorithm + DER.bits(key)))
  }

  /// Whether `signature` is that of `message` under this key.
  ///
  /// - Shape: ECDSA as r and s, 32 bytes each (RFC 7518 §3.4), never DER; Ed25519 64 bytes; RSA as
  ///   many as the modulus.
  /// - Cost: some 100 µs for ECDSA and Ed25519, 30 µs for RSA of 2,048 bits.
  public func isValid(signature: [UInt8], message: borrowing Span<UInt8>) -> Bool {
    switch algorithm {
    case .ecdsaP256:
      guard signature.count == 64 else { return false }
      let numbers = DER.integer(signature[..<32]) + DER.integer(signature[32...])
      return handle.isValid(signature: DER.sequence(numbers), message: message)
    case .ed25519:
      return signature.count == 64 && handle.isValid(signature: signature, message: message)
    case .rsa(let bits):
      return signature.count == (bits + 7) / 8
        && handle.isValid(signature: signature, message: message)
    }
  }

  /// The same of an array.
  public func isValid(signature: [UInt8], message: [UInt8]) -> Bool {
    isValid(signature: signature, message: message.span)
  }
}

/// The few forms of DER (X.690) that keys and signatures need.
private enum DER {
  static func sequence(_ content: [UInt8]) -> [UInt8] { [0x30] + count(content.count) + content }

  /// A bit string of whole bytes.
  static func bits(_ bytes: [UInt8]) -> [UInt8] { [0x03] + count(bytes.count + 1) + [0] + bytes }

  /// A number that is not negative, most significant byte first, in as few bytes as can be.
  static func integer(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
    let short = bytes.drop { $0 == 0 }
    let content = (short.first ?? 0x80) >= 0x80 ? [0] + short : Array(short)
    return [0x02] + count(content.count) + content
  }

  private static func count(_ value: Int) -> [UInt8] {
    switch value {
    case ..<0x80: [UInt8(truncatingIfNeeded: value)]
    case ..<0x100: [0x81, UInt8(truncatingIfNeeded: value)]
    default: [0x82, UInt8(truncatingIfNeeded: value >> 8), UInt8(truncatingIfNeeded: value)]
    }
  }
}
