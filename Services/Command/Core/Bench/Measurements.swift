internal import Platform

/// Durations of one kind, for percentiles: all of them up to a bound, then every second, fourth …
///
/// Owns at most `samplesMax` numbers. Thinning out keeps an even share of the whole run.
struct Measurements {
  /// BUDGET: 1 MiB of microseconds.
  static let samplesMax = 262_144

  private var samples: [UInt32] = []
  private var stride = 1
  private var skipped = 0
  private(set) var count = 0

  mutating func add(_ duration: Duration) {
    count += 1
    skipped += 1
    guard skipped >= stride else { return }
    skipped = 0
    samples.append(UInt32(clamping: duration.nanosecondsClamped / 1000))
    guard samples.count == Self.samplesMax else { return }
    samples = samples.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
    stride *= 2
  }

  /// The value that `share` (0 ... 1) of the samples do not exceed, in microseconds; nil for none.
  func percentiles(_ shares: [Double]) -> [UInt32?] {
    let sorted = samples.sorted()
    return shares.map { share in
      guard !sorted.isEmpty else { return nil }
      let rank = Int((Double(sorted.count) * share).rounded(.up)) - 1
      return sorted[min(max(rank, 0), sorted.count - 1)]
    }
  }

  /// `p50 0.21 ms  p90 …`, for people.
  var summary: String {
    let names = ["p50", "p90", "p99", "p99.9", "max"]
    let values = percentiles([0.5, 0.9, 0.99, 0.999, 1])
    return zip(names, values).map { name, value in
      "\(name) \(value.map { Self.milliseconds($0) } ?? "-")"
    }.joined(separator: "  ")
  }

  private static func milliseconds(_ microseconds: UInt32) -> String {
    let hundredths = (microseconds + 5) / 10
    let rest = hundredths % 100
    return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest) ms"
  }
}
