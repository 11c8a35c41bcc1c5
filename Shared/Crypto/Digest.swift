/// SHA-256 (FIPS 180-4), whole or in pieces; 32 bytes.
///
/// Owns a libcrypto context, freed when the value goes. Can't be copied; confined to its holder.
/// A libcrypto failure (no memory, algorithm switched off) stops the process.
public struct SHA256: ~Copyable {
  public static let byteCount = 32
  private var context: DigestContext

  public init() { context = DigestContext(.sha256) }

  /// Adds the next bytes of the message; the pieces' boundaries don't matter.
  public mutating func update(_ span: borrowing Span<UInt8>) { context.update(span) }

  /// Adds the next bytes of the message.
  public mutating func update(_ bytes: [UInt8]) { context.update(bytes.span) }

  /// The digest of all that was added, 32 bytes.
  public consuming func finish() -> [UInt8] { context.finish() }

  /// The digest of one span, 32 bytes.
  public static func digest(_ span: borrowing Span<UInt8>) -> [UInt8] {
    oneShotDigest(span, .sha256)
  }

  /// The digest of one array, 32 bytes.
  public static func digest(_ bytes: [UInt8]) -> [UInt8] { oneShotDigest(bytes.span, .sha256) }
}

/// SHA-1, 20 bytes. Broken as a signature; here only because RFC 6455 §4.2.2 builds the
/// WebSocket accept value with it, where collisions are of no use to anybody.
public enum SHA1 {
  public static let byteCount = 20

  public static func digest(_ span: borrowing Span<UInt8>) -> [UInt8] {
    oneShotDigest(span, .sha1)
  }

  public static func digest(_ bytes: [UInt8]) -> [UInt8] { oneShotDigest(bytes.span, .sha1) }
}

/// SHA-1 of one message after the other: what a digest needs is made once.
///
/// Can't be copied; confined to its holder. A libcrypto failure stops the process.
public struct SHA1Series: ~Copyable {
  private var context = DigestContext(.sha1)

  public init() {}

  /// The digest of one array, 20 bytes.
  public mutating func digest(_ bytes: [UInt8]) -> [UInt8] {
    context.update(bytes.span)
    return context.next()
  }
}

/// SHA-256 of one message after the other: what a digest needs is made once.
///
/// Can't be copied; confined to its holder. A libcrypto failure stops the process.
public struct SHA256Series: ~Copyable {
  private var context = DigestContext(.sha256)

  public init() {}

  /// The digest of two pieces of one message, 32 bytes.
  public mutating func digest(_ first: [UInt8], _ second: borrowing Span<UInt8>) -> [UInt8] {
    context.update(first.span)
    context.update(second)
    return context.next()
  }
}
