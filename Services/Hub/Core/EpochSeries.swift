internal import Bytes
internal import Crypto

/// Epochs that nobody else ever makes: 128 random bits for this process's first, and one more for
/// each. They need not be unguessable, for every subscriber is told them.
struct EpochSeries {
  private let first: (UInt64, UInt64)
  private var made: UInt64 = 0

  init(from first: (UInt64, UInt64) = SystemRandom.bits128()) { self.first = first }

  mutating func next() -> Epoch {
    defer { made &+= 1 }
    return Epoch(random: (first.0, first.1 &+ made))
  }
}
