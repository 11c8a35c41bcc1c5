/// What a peer did that ends its WebSocket connection.
public enum WebSocketError: Error, Equatable, Sendable {
  /// A client's frame without a mask, or a server's with one (RFC 6455 §5.1).
  case wrongMasking
  /// A reserved bit without an extension that gives it a meaning (RFC 6455 §5.2).
  case reservedBits
  case unknownOpcode(UInt8)
  /// A control frame in fragments, or with more than 125 bytes (RFC 6455 §5.5).
  case malformedControlFrame
  /// A length in more bytes than it needs (RFC 6455 §5.2).
  case lengthNotMinimal
  /// A continuation of nothing (RFC 6455 §5.4).
  case unexpectedContinuation
  /// A new message inside one that has not ended (RFC 6455 §5.4).
  case expectedContinuation
  /// A close frame with a body of one byte, or with a code that may not be sent (RFC 6455 §7.4).
  case malformedClose
  /// Text, or a close reason, that is not UTF-8 (RFC 6455 §8.1).
  case invalidText
  case messageTooBig
  case tooManyFragments
  /// A compressed message that is not DEFLATE, or that ends early (RFC 7692 §7.2.2).
  case invalidCompression
  /// A message that unfolds to far more than was sent.
  case compressionBomb

  /// The code to close with.
  public var closeCode: WebSocketCloseCode {
    switch self {
    case .wrongMasking, .reservedBits, .unknownOpcode, .malformedControlFrame, .lengthNotMinimal,
      .unexpectedContinuation, .expectedContinuation, .malformedClose:
      .protocolError
    case .invalidText, .invalidCompression: .invalidData
    case .messageTooBig, .tooManyFragments, .compressionBomb: .messageTooBig
    }
  }

  /// A few words for the close reason; never holds anything the peer sent.
  public var reason: String {
    switch self {
    case .wrongMasking: "wrong masking"
    case .reservedBits: "reserved bits"
    case .unknownOpcode: "unknown opcode"
    case .malformedControlFrame: "malformed control frame"
    case .lengthNotMinimal: "length not minimal"
    case .unexpectedContinuation: "unexpected continuation"
    case .expectedContinuation: "expected continuation"
    case .malformedClose: "malformed close"
    case .invalidText: "invalid UTF-8"
    case .messageTooBig: "message too big"
    case .tooManyFragments: "too many fragments"
    case .invalidCompression: "invalid compressed data"
    case .compressionBomb: "message unfolds to too much"
    }
  }
}
