internal import Crypto

/// Which key a token was signed with, for as long as what it opened is open: the key may be taken
/// away meanwhile.
///
/// Made from the key itself and not from its `kid`, so that a key whose secret was exchanged is
/// another one. The same in every process; tells nothing of a secret.
public struct KeyMark: Hashable, Sendable {
  /// 16 bytes.
  public let bytes: [UInt8]

  private static let label = Array("sapphire key mark".utf8)

  init(secret: [UInt8]) {
    let mac = HMACSHA256.authenticate(key: secret.span, message: Self.label.span)
    bytes = Array(mac[..<16])
  }

  init(publicKey der: [UInt8]) { bytes = Array(SHA256.digest(Self.label + der)[..<16]) }

  /// One that was kept somewhere; nil for what can't be one.
  public init?(bytes: [UInt8]) {
    guard bytes.count == 16 else { return nil }
    self.bytes = bytes
  }
}
