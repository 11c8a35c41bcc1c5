/// Deadlines of lost connections, the earliest first: a binary heap.
///
/// Entries are not taken out early. Whoever pops one checks by its serial number whether the
/// connection still waits.
struct DeadlineHeap: Sendable {
  struct Entry: Sendable {
    var at: Instant
    var connection: Int
    var serial: UInt64
  }

  private var entries: [Entry] = []

  var count: Int { entries.count }
  var first: Entry? { entries.first }

  mutating func insert(_ entry: Entry) {
    entries.append(entry)
    var child = entries.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard entries[child].at < entries[parent].at else { return }
      entries.swapAt(child, parent)
      child = parent
    }
  }

  /// Removes and gives the earliest entry, if it is due at `now`.
  mutating func popDue(at now: Instant) -> Entry? {
    guard let earliest = entries.first, earliest.at <= now else { return nil }
    let last = entries.removeLast()
    guard !entries.isEmpty else { return earliest }
    entries[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
        if entries[child].at < entries[least].at { least = child }
      }
      guard least != parent else { return earliest }
      entries.swapAt(parent, least)
      parent = least
    }
  }
}
