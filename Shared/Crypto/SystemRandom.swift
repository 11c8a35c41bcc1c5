/// Random bits that nobody can guess: libcrypto's generator, seeded by the kernel and again after
/// a fork. Any thread; no state of its own.
///
/// If the generator fails the process stops, by design: an epoch, token or key that is not random
/// would be accepted by everyone and noticed by no one.
public struct SystemRandom: RandomNumberGenerator, Sendable {
  public init() {}

  public mutating func next() -> UInt64 { Self.uint64() }

  /// `count` random bytes; 0 gives none.
  public static func bytes(_ count: Int) -> [UInt8] {
    precondition(count >= 0, "a count is not negative")
    var bytes = [UInt8](repeating: 0, count: count)
    fillWithRandom(&bytes)
    return bytes
  }

  public static func uint64() -> UInt64 { word(bytes(8), at: 0) }

  /// 128 random bits, in the shape `Epoch(random:)` takes.
  public static func bits128() -> (UInt64, UInt64) {
    let bytes = bytes(16)
    return (word(bytes, at: 0), word(bytes, at: 8))
  }

  private static func word(_ bytes: [UInt8], at offset: Int) -> UInt64 {
    bytes[offset..<(offset + 8)].reduce(0) { $0 << 8 | UInt64($1) }
  }
}
