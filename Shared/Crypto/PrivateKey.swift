/// A private key that signs: ECDSA on P-256 with SHA-256, Ed25519 (RFC 8032), or RSA with
/// PKCS #1 v1.5 and SHA-256. For whoever issues tokens; no service holds one.
///
/// Any thread. Printing it prints its algorithm alone.
public struct PrivateKey: Sendable {
  private let handle: PrivateKeyHandle
  public let algorithm: PublicKey.Algorithm

  /// The key in DER: what a PEM file of a private key holds, without a passphrase. Nil for
  /// anything else, other curves among them.
  public init?(der: [UInt8]) {
    guard let handle = PrivateKeyHandle(der: der) else { return nil }
    self.handle = handle
    switch handle.kind {
    case .p256: algorithm = .ecdsaP256
    case .ed25519: algorithm = .ed25519
    case .rsa(let bits): algorithm = .rsa(bits: bits)
    }
  }

  /// The signature of `message`, in the shapes that `PublicKey.isValid` takes.
  ///
  /// Nil where libcrypto can't make one, as with a key too small for its digest.
  public func sign(_ message: [UInt8]) -> [UInt8]? {
    guard let signature = handle.sign(message) else { return nil }
    guard algorithm == .ecdsaP256 else { return signature }
    return Self.numbers(ofECDSA: signature)
  }

  /// r and s, 32 bytes each, out of the sequence of two numbers that libcrypto writes.
  private static func numbers(ofECDSA der: [UInt8]) -> [UInt8]? {
    guard der.count >= 2, der[0] == 0x30, Int(der[1]) == der.count - 2 else { return nil }
    var rest = der[2...]
    var result: [UInt8] = []
    for _ in 0..<2 {
      guard rest.popFirst() == 0x02, let count = rest.popFirst(), Int(count) <= rest.count else {
        return nil
      }
      let number = rest.prefix(Int(count)).drop { $0 == 0 }
      guard number.count <= 32 else { return nil }
      result += [UInt8](repeating: 0, count: 32 - number.count) + number
      rest = rest.dropFirst(Int(count))
    }
    return rest.isEmpty ? result : nil
  }
}

extension PrivateKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "(a private key)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: []) }
}
