internal import Platform
internal import Wire

/// Requests under way on one link, by correlation. Bounded; deadlines are swept, not timed.
struct RequestTable {
  enum Outcome {
    case replied(Kind)
    case failed(Failure)
  }

  /// What a request does with its reply's body, or with the failure (an empty body).
  struct Completion {
    let body: (Outcome, borrowing Span<UInt8>) -> Void
    init(_ body: @escaping (Outcome, borrowing Span<UInt8>) -> Void) { self.body = body }
  }

  private var entries: [UInt32: (deadline: Instant, completion: Completion)] = [:]
  private var last: UInt32 = 0

  static let countMax = 65_536

  var isEmpty: Bool { entries.isEmpty }

  /// The correlation to send with, never 0; nil when the table is full.
  mutating func add(_ deadline: Instant, _ completion: Completion) -> UInt32? {
    guard entries.count < Self.countMax else { return nil }
    repeat { last &+= 1 } while last == 0 || entries[last] != nil
    entries[last] = (deadline, completion)
    return last
  }

  /// A reply that nobody waits for any more gives nil.
  mutating func take(_ correlation: UInt32) -> Completion? {
    entries.removeValue(forKey: correlation)?.completion
  }

  /// Those whose deadline is not after `now`, in the order they were sent.
  mutating func takeExpired(_ now: Instant) -> [Completion] {
    let due = entries.filter { $0.value.deadline <= now }.sorted { $0.key < $1.key }
    for (key, _) in due { entries[key] = nil }
    return due.map(\.value.completion)
  }

  mutating func takeAll() -> [Completion] {
    let all = entries.sorted { $0.key < $1.key }
    entries = [:]
    return all.map(\.value.completion)
  }
}
