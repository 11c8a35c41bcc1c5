internal import Platform
public import Wire

/// What became of a request: a reply of some kind, whose body comes with it, or why there is none.
public enum RequestOutcome: Sendable {
  case replied(Kind)
  case failed(Failure)
}

/// Requests under way on one link, by correlation. Bounded; deadlines are swept, not timed.
///
/// Correlations are counted up, each standing at the place that its lowest bits say. One whose place
/// is taken by a request that is older is left out, so that nothing is hashed and nothing looked for.
struct RequestTable {
  typealias Outcome = RequestOutcome

  /// What a request does with its reply's body, or with the failure (an empty body).
  struct Completion {
    let body: (Outcome, borrowing Span<UInt8>) -> Void
    init(_ body: @escaping (Outcome, borrowing Span<UInt8>) -> Void) { self.body = body }
  }

  private struct Entry {
    var correlation: UInt32
    var deadline: Instant
    var completion: Completion
  }

  /// INVARIANT: a power of two of places, at least half of them free; none for an empty table that
  /// has not been used yet.
  private var entries: [Entry?] = []
  private var last: UInt32 = 0
  private(set) var count = 0

  static let countMax = 65_536
  /// A table that was larger than this begins anew when it is empty.
  private static let keptMax = 4_096

  var isEmpty: Bool { count == 0 }

  /// The correlation to send with, never 0; nil when the table is full.
  mutating func add(_ deadline: Instant, _ completion: Completion) -> UInt32? {
    guard count < Self.countMax else { return nil }
    if count * 2 >= entries.count { grow() }
    repeat { last &+= 1 } while last == 0 || entries[place(last)] != nil
    entries[place(last)] = Entry(correlation: last, deadline: deadline, completion: completion)
    count += 1
    return last
  }

  /// A reply that nobody waits for any more gives nil.
  mutating func take(_ correlation: UInt32) -> Completion? {
    guard count > 0, let entry = entries[place(correlation)], entry.correlation == correlation else {
      return nil
    }
    entries[place(correlation)] = nil
    count -= 1
    if count == 0, entries.count > Self.keptMax { entries = [] }
    return entry.completion
  }

  private func place(_ correlation: UInt32) -> Int { Int(correlation) & (entries.count - 1) }

  /// Those that stand at different places do so among twice as many.
  private mutating func grow() {
    let before = entries
    entries = Array(repeating: nil, count: max(64, before.count * 2))
    for case .some(let entry) in before { entries[place(entry.correlation)] = entry }
  }

  /// Those whose deadline is not after `now`, in the order they were sent.
  mutating func takeExpired(_ now: Instant) -> [Completion] { take { $0 <= now } }

  mutating func takeAll() -> [Completion] { take { _ in true } }

  private mutating func take(where isDue: (Instant) -> Bool) -> [Completion] {
    var due: [UInt32] = []
    for case .some(let entry) in entries where isDue(entry.deadline) { due.append(entry.correlation) }
    return due.sorted().compactMap { take($0) }
  }
}
