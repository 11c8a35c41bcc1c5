/// HMAC with SHA-256 (RFC 2104, RFC 4231): proof that whoever made a message holds the key.
public enum HMACSHA256 {
  public static let byteCount = 32

  /// The tag, 32 bytes. Keys longer than 64 bytes are hashed first, as the RFC says; compare tags
  /// with `isValid` or `constantTimeEqual`, never with `==`.
  public static func authenticate(
    key: borrowing Span<UInt8>, message: borrowing Span<UInt8>
  ) -> [UInt8] {
    hmacSHA256(key: key, message: message)
  }

  /// The tag, 32 bytes; see the other overload.
  public static func authenticate(key: [UInt8], message: [UInt8]) -> [UInt8] {
    hmacSHA256(key: key.span, message: message.span)
  }

  /// Whether `tag` is the whole tag of `message` under `key`. Truncated tags are refused.
  public static func isValid(tag: [UInt8], key: [UInt8], message: [UInt8]) -> Bool {
    constantTimeEqual(tag, authenticate(key: key, message: message))
  }
}

/// Whether two byte strings are equal, in time that depends on their count alone.
/// Different counts answer at once: a secret's count is not a secret.
public func constantTimeEqual(_ a: borrowing Span<UInt8>, _ b: borrowing Span<UInt8>) -> Bool {
  equalInConstantTime(a, b)
}

/// Whether two byte strings are equal, in time that depends on their count alone.
public func constantTimeEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
  equalInConstantTime(a.span, b.span)
}
