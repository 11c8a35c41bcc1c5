internal import Bytes
internal import Observe
internal import Platform

/// How far a folded channel on one loop is from its last snapshot, and whether it has looked for one.
/// Pure.
struct Folding {
  /// BUDGET: events after a snapshot, before there is another: what a newcomer of a loop reads and
  /// applies at most, some milliseconds, against writing the whole state once more.
  static let eventsBetween = 1_000

  /// The store has been asked for a snapshot to begin from.
  var hasLooked = false
  /// Events applied since the last snapshot that this loop knows of.
  private(set) var applied = 0
  /// Looking whether another is due, or writing it.
  var isKeeping = false
  /// What was found could not be kept, and won't be: too large, or the type keeps none.
  var isGivenUp = false
  /// When the state was begun to be built; nil once it was.
  var began: Instant?
  /// Events applied while it was built.
  private(set) var built = 0

  var isDue: Bool { applied >= Self.eventsBetween && !isKeeping && !isGivenUp }

  mutating func note() {
    applied += 1
    if began != nil { built += 1 }
  }

  /// There is a snapshot that far behind.
  mutating func knows(_ behind: UInt64) { applied = Int(clamping: behind) }

  mutating func began(at now: Instant) {
    guard began == nil else { return }
    began = now
    built = 0
  }
}

/// What becomes of snapshots.
enum SnapshotUse: String, MetricLabel {
  static let labelName = "use"
  /// A channel began from it.
  case restored
  /// It could not be restored, and was passed over.
  case refused
  /// Written by this gateway.
  case kept
  /// Not written: another had done it.
  case found
  /// The store did not take it.
  case failed
}

/// States built from histories, over all loops.
struct FoldMetrics: Sendable {
  let folded: Counter
  let seconds: Histogram
  let snapshots: CounterFamily<SnapshotUse>

  init(_ metrics: Metrics) {
    folded = metrics.counter(
      "sapphire_gateway_folded_total",
      "Events read from histories and applied to build channels' states.")
    seconds = metrics.histogram(
      "sapphire_gateway_fold_seconds",
      "Building a channel's state: from when its history was asked for until it was there.",
      .seconds)
    snapshots = metrics.counters(
      "sapphire_gateway_snapshots_total", "Snapshots of channels' states, by what became of them.",
      by: SnapshotUse.self)
  }
}
