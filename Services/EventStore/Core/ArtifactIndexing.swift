internal import Bytes

/// Artifact events whose index entry is not on disk yet. Pure; bounded.
///
/// An event stays until its entry is written, so its position is not confirmed before. What could
/// not be handed over or written waits for the next try. Past the bound only the first position
/// left out is kept: from there the outbox is read again when there is room.
struct ArtifactIndexing {
  struct Entry: Equatable {
    var position: Int64
    var sha256: [UInt8]
    var stream: ChannelName
  }

  private var entries: [Int64: Entry] = [:]
  /// Positions in order, some of them done already; the first that may be live is at `start`.
  private var order: [Int64] = []
  private var start = 0
  private var waiting: Set<Int64> = []
  private var leftOut: Int64?
  private let countMax: Int

  /// BUDGET: about 200 bytes each.
  static let countMax = 65_536

  init(countMax: Int = ArtifactIndexing.countMax) { self.countMax = countMax }

  /// The first position that must not be confirmed; nil if there is none.
  var first: Int64? {
    guard let leftOut else { return firstKept }
    return min(leftOut, firstKept ?? leftOut)
  }

  private var firstKept: Int64? { start < order.count ? order[start] : nil }

  /// Takes an event. False if it is here already or there is no room: nothing is to be done now.
  mutating func add(_ entry: Entry) -> Bool {
    guard entries[entry.position] == nil else { return false }
    guard entries.count < countMax else {
      leftOut = min(leftOut ?? entry.position, entry.position)
      return false
    }
    entries[entry.position] = entry
    insert(entry.position)
    return true
  }

  /// It could not be handed over, or not be written. True if it is the first to wait.
  mutating func failed(_ position: Int64) -> Bool {
    guard entries[position] != nil else { return false }
    waiting.insert(position)
    return waiting.count == 1
  }

  /// What waits for another try, in order; it waits no more.
  mutating func takeWaiting() -> [Entry] {
    defer { waiting = [] }
    return waiting.sorted().compactMap { entries[$0] }
  }

  /// Its entry is on disk.
  mutating func done(_ position: Int64) {
    entries[position] = nil
    waiting.remove(position)
    while start < order.count, entries[order[start]] == nil { start += 1 }
    if start > 1024, start * 2 > order.count || start == order.count {
      order.removeFirst(start)
      start = 0
    }
  }

  /// Where the outbox has to be read again from, once there is room for what was left out.
  mutating func takeLeftOut() -> Int64? {
    guard entries.count <= countMax / 2 else { return nil }
    return leftOut.take()
  }

  /// At the end mostly: events come in order but for pages read beside live ones.
  private mutating func insert(_ position: Int64) {
    if order.last ?? .min < position { return order.append(position) }
    var (low, high) = (start, order.count)
    while low < high {
      let middle = low + (high - low) / 2
      if order[middle] < position { low = middle + 1 } else { high = middle }
    }
    if low < order.count, order[low] == position { return }
    order.insert(position, at: low)
  }
}
