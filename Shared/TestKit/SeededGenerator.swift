/// A generator of pseudo-random numbers whose run follows from one printable seed (SplitMix64).
///
/// Not for secrets. The same seed gives the same numbers on every machine and in every version.
public struct SeededGenerator: RandomNumberGenerator, Sendable, CustomStringConvertible {
  /// What to print when a test fails, and to pass to `init(seed:)` to run it again.
  public let seed: UInt64
  private var state: UInt64

  public init(seed: UInt64) {
    self.seed = seed
    self.state = seed
  }

  /// A generator with a seed nobody chose.
  public init() { self.init(seed: UInt64.random(in: .min ... .max)) }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }

  /// `count` bytes, each of the 256 values equally likely.
  public mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 24) }
  }

  public var description: String { "seed \(seed)" }
}
