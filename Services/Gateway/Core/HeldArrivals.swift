internal import Bytes
internal import Observe
internal import Wire

/// One publication as it comes to a loop, from the hub or from a history.
struct Arrival {
  var position: Position?
  var timeMs: Int64
  var publisher: Publisher
  var payload: Payload
  /// Nil where it has none.
  var tags: ArrivalTags?
  /// Its publisher's own client does not get it.
  var isForOthers = false
}

/// Publications in the order they came, bounded; past the bound the oldest go, to be read again
/// from the history by whoever needs them.
struct HeldArrivals {
  private(set) var list: [Arrival] = []
  private var bytes = 0
  private let bytesMax: Int
  private let reached: Counter
  private let memory: LoopMemory

  static let countMax = 4_096
  /// What an arrival takes beside its payload.
  private static let overheadBytes = 128

  init(bytesMax: Int, _ reached: Counter, _ memory: LoopMemory) {
    self.bytesMax = bytesMax
    self.reached = reached
    self.memory = memory
  }

  var isEmpty: Bool { list.isEmpty }
  var heldBytes: Int { bytes + list.count * Self.overheadBytes }

  mutating func append(_ arrival: Arrival) {
    list.append(arrival)
    bytes += arrival.payload.bytes.count
    memory.channelsHold(arrival.payload.bytes.count + Self.overheadBytes)
    if list.count > Self.countMax || bytes > bytesMax { shrink() }
  }

  /// Drops the older half, so that the cost stays constant per arrival.
  private mutating func shrink() {
    let before = heldBytes
    let half = max(1, list.count / 2)
    reached.add(UInt64(half))
    for arrival in list[..<half] { bytes -= arrival.payload.bytes.count }
    list.removeFirst(half)
    memory.channelsHold(heldBytes - before)
  }

  mutating func takeAll() -> [Arrival] {
    let taken = list
    removeAll()
    return taken
  }

  mutating func removeAll() {
    guard !list.isEmpty else { return }
    memory.channelsHold(-heldBytes)
    list = []
    bytes = 0
  }
}
