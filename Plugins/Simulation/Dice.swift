/// The world's own source of chance: SplitMix64. What it gives follows from its seed alone, on every
/// machine and in every version.
///
/// Not for secrets.
package struct Dice: Equatable, Sendable {
  /// All there is to it: a generator made of this number goes on as this one would.
  private(set) var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }

  /// A number from 0 up to `sides`, which it never is; 0 where `sides` is less than 1.
  package mutating func roll(_ sides: Int) -> Int {
    guard sides > 0 else { return 0 }
    return Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(sides)).high)
  }

  /// True so many times in a thousand.
  mutating func chance(_ perMille: Int) -> Bool { roll(1_000) < perMille }
}
