public import Synchronization

// The instruments of one process. Any thread may change and read them: single relaxed atomic
// operations, so that a scrape costs the loops nothing. What a scrape sees of two instruments may
// be a moment apart; each by itself is exact.

/// A count that only grows.
public final class Counter: Sendable {
  @usableFromInline let total = Atomic<UInt64>(0)

  public init() {}

  @inlinable public func add(_ amount: UInt64 = 1) {
    total.wrappingAdd(amount, ordering: .relaxed)
  }

  /// Adds a count that is never negative; a negative one counts as 0.
  @inlinable public func add(count: Int) { add(UInt64(exactly: count) ?? 0) }

  @inlinable public var value: UInt64 { total.load(ordering: .relaxed) }
}

/// A whole number that goes up and down: connections, bytes in a queue.
public final class Gauge: Sendable {
  @usableFromInline let level = Atomic<Int64>(0)

  public init() {}

  @inlinable public func set(_ value: Int) { level.store(Int64(value), ordering: .relaxed) }

  @inlinable public func add(_ amount: Int) {
    level.wrappingAdd(Int64(amount), ordering: .relaxed)
  }

  /// Adds one where the level is below `most`, and says whether it did. However many threads ask at
  /// once, the level never passes `most` by this.
  @inlinable public func addOne(below most: Int) -> Bool {
    var seen = level.load(ordering: .relaxed)
    while seen < Int64(most) {
      let (exchanged, original) = level.weakCompareExchange(
        expected: seen, desired: seen + 1, ordering: .relaxed)
      if exchanged { return true }
      seen = original
    }
    return false
  }

  @inlinable public var value: Int64 { level.load(ordering: .relaxed) }
}

/// How often a measured quantity fell into each of some fixed ranges.
///
/// Values are whole numbers of a small unit (nanoseconds, bytes); rendering divides by
/// `unitsPerOne`, so that durations come out in seconds as Prometheus wants them.
public final class Histogram: Sendable {
  /// What a histogram measures, and the upper bounds of its ranges, ascending and inclusive.
  public struct Buckets: Sendable {
    public let bounds: [UInt64]
    public let unitsPerOne: UInt64

    /// 1 to 30 bounds, ascending; anything else is a programmer error.
    public init(bounds: [UInt64], unitsPerOne: UInt64 = 1) {
      precondition((1...30).contains(bounds.count), "a histogram has 1 to 30 bounds")
      precondition(
        zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "bounds of a histogram ascend")
      precondition(unitsPerOne > 0, "a unit is at least one")
      self.bounds = bounds
      self.unitsPerOne = unitsPerOne
    }

    /// Durations from 50 µs to 10 s.
    public static let seconds = Buckets(
      bounds: [
        50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000,
        50_000_000, 100_000_000, 250_000_000, 500_000_000, 1_000_000_000, 2_500_000_000,
        5_000_000_000, 10_000_000_000,
      ], unitsPerOne: 1_000_000_000)

    /// Sizes from 64 B to 1 MiB.
    public static let bytes = Buckets(
      bounds: [64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576])

    /// Counts from 1 to 4,096: members of a batch.
    public static let counts = Buckets(bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256, 1_024, 4_096])
  }

  public let buckets: Buckets
  /// One more than the bounds: the last counts what lies above them all.
  private let counters: [Counter]
  private let total = Atomic<UInt64>(0)

  public init(_ buckets: Buckets) {
    self.buckets = buckets
    counters = (0...buckets.bounds.count).map { _ in Counter() }
  }

  /// Records one value in the unit of the buckets. Cost: linear in the bounds.
  public func record(_ value: UInt64) {
    let bounds = buckets.bounds
    var index = 0
    while index < bounds.count, value > bounds[index] { index += 1 }
    counters[index].add()
    total.wrappingAdd(value, ordering: .relaxed)
  }

  /// Records a duration where the unit is nanoseconds; a negative one counts as 0, one of over a
  /// century as a century.
  public func record(_ duration: Duration) {
    guard duration > .zero else { return record(0) }
    let (seconds, attoseconds) = duration.components
    let nanoseconds = min(seconds, 3_155_760_000) * 1_000_000_000 + attoseconds / 1_000_000_000
    record(UInt64(nanoseconds))
  }

  /// The counts per range, the last for what lies above all bounds, and the sum of all values.
  var snapshot: (counts: [UInt64], sum: UInt64) {
    (counters.map(\.value), total.load(ordering: .relaxed))
  }
}
