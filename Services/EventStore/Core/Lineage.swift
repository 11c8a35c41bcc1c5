internal import Bytes

/// Whose events a stream's offsets are: its own, and behind its fork point those of what it was forked
/// from, and so on.
///
/// It never changes while the stream exists. Pure.
struct Lineage: Equatable, Sendable {
  struct Part: Equatable, Sendable {
    var stream: Int64
    /// The last offset that is this stream's; those of the part before come before it.
    var through: Offset
  }

  /// From the oldest to the stream itself, whose part has no end.
  private(set) var parts: [Part]

  /// BUDGET: streams that one is made of. A read looks at those it needs alone; opening a lineage for
  /// the first time reads a row for each.
  static let depthMax = 256

  init(of stream: Int64) { parts = [Part(stream: stream, through: Offset(.max))] }

  /// The stream itself.
  var stream: Int64 { parts.last?.stream ?? 0 }

  /// How many forks it is away from a stream that is none.
  var depth: Int { parts.count - 1 }

  /// Adds what the oldest part was forked from at `offset`.
  mutating func prepend(_ parent: Int64, through offset: Offset) {
    parts.insert(Part(stream: parent, through: offset), at: 0)
  }

  /// The part that `offset` belongs to, and the last offset before that part.
  func part(of offset: Offset) -> (part: Part, after: Offset) {
    var low = parts.startIndex
    var high = parts.endIndex - 1
    while low < high {
      let middle = (low + high) / 2
      if parts[middle].through < offset { low = middle + 1 } else { high = middle }
    }
    return (parts[low], low > 0 ? parts[low - 1].through : .zero)
  }
}
