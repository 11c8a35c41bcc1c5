/// Why a token is refused. Nothing of the token is in it, so that it can be logged and sent back.
public enum TokenError: Error, Equatable, Sendable, CaseIterable {
  /// Over `TokenLimits.bytesMax`.
  case tooLong
  /// Not three parts of base64url with JSON objects in the first two (RFC 7515 §7.1).
  case malformed
  /// A header member that has to be understood and isn't: `crit`, or a token inside the token.
  case unsupportedHeader
  /// `typ` is not there or is not the one that is configured.
  case wrongType
  /// No key has the token's `kid`, or it has none and the key does.
  case unknownKey
  /// The header's `alg` is not the key's.
  case wrongAlgorithm
  case invalidSignature
  /// A claim that is needed is not there: `exp`, or `channel` in a subscription token.
  case missingClaim
  /// A claim is of another kind than it has to be, or out of its range.
  case invalidClaim
  case expired
  /// `nbf` or `iat` lies ahead.
  case notYetValid
  case wrongIssuer
  case wrongAudience
  /// A subscription token to connect with, or the other way round.
  case wrongPurpose

  /// One line for people.
  public var text: String {
    switch self {
    case .tooLong: "the token is longer than 8,192 bytes"
    case .malformed: "this is not a JWT: three parts of base64url, joined by dots, without padding"
    case .unsupportedHeader: "the token's header has crit, or holds another token"
    case .wrongType: "the token's header has no typ, or another one than is configured"
    case .unknownKey: "no key is known by the token's kid"
    case .wrongAlgorithm: "the token's alg is not that of its key"
    case .invalidSignature: "the token's signature is wrong"
    case .missingClaim: "the token lacks a claim that it needs, such as exp"
    case .invalidClaim: "a claim of the token can't be used"
    case .expired: "the token has expired"
    case .notYetValid: "the token is not valid yet: compare the clocks"
    case .wrongIssuer: "the token's iss is not the one that is configured"
    case .wrongAudience: "the token's aud does not name the audience that is configured"
    case .wrongPurpose: "a connection needs a token without channel, a subscription one with it"
    }
  }
}

/// What a token may be. BUDGET: all of it is read before anyone is known.
public enum TokenLimits {
  public static let bytesMax = 8_192
  public static let keyIDBytesMax = 128
  public static let userBytesMax = 255
  public static let rolesMax = 64
  public static let capabilitiesMax = 64
  /// Channels and patterns, all capabilities together.
  public static let channelsMax = 256
  /// How far the clocks of whoever issues tokens and of this machine may differ.
  public static let leewaySecondsMax = 30
}
