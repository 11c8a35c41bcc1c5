internal import Bytes

/// Publications that are not for the client which published them, where that client will read on from
/// the history, which doesn't say so. Pure.
///
/// For whoever isn't live, or has something waiting that may be left to the history; empty as a rule.
struct OwnPublications {
  private var offsets: [ObjectIdentifier: Set<Offset>] = [:]

  /// BUDGET: for one subscriber; of more it gets its own, as somebody who comes back does.
  static let countMax = 4_096

  var isEmpty: Bool { offsets.isEmpty }

  mutating func note(_ offset: Offset, by subscriber: ObjectIdentifier) {
    guard offsets[subscriber]?.count ?? 0 < Self.countMax else { return }
    offsets[subscriber, default: []].insert(offset)
  }

  func contains(_ offset: Offset, by subscriber: ObjectIdentifier) -> Bool {
    offsets[subscriber]?.contains(offset) ?? false
  }

  /// It has everything, or is gone.
  mutating func forget(_ subscriber: ObjectIdentifier) {
    if !offsets.isEmpty { offsets[subscriber] = nil }
  }
}
