/// Frames that wait until the client polls, or until its WebSocket has taken over.
///
/// Bounded in packets and in bytes; what doesn't fit ends the session, since what comes later may
/// not overtake it.
struct EngineQueue: Sendable {
  private var frames: [EngineFrame] = []
  /// Where the waiting frames begin; those before were taken.
  private var first = 0
  private(set) var bytes = 0
  private let packetsMax: Int
  private let bytesMax: Int

  init(packetsMax: Int, bytesMax: Int) {
    self.packetsMax = packetsMax
    self.bytesMax = bytesMax
  }

  var count: Int { frames.count - first }
  var isEmpty: Bool { count == 0 }

  /// False where the bounds are reached; nothing was added.
  mutating func append(_ frame: EngineFrame) -> Bool {
    let cost = frame.pollingBytes + 1
    guard count < packetsMax, cost <= bytesMax - bytes else { return false }
    frames.append(frame)
    bytes += cost
    return true
  }

  /// The oldest frames, at most that many and of at most so many bytes; the first one however large.
  mutating func take(_ packetsMax: Int, bytesMax: Int = .max) -> ArraySlice<EngineFrame> {
    let last = first + min(count, max(1, packetsMax))
    var end = first
    var left = bytesMax
    while end < last {
      let cost = frames[end].pollingBytes + 1
      guard cost <= left || end == first else { break }
      left -= min(left, cost)
      bytes -= cost
      end += 1
    }
    let taken = frames[first..<end]
    first = end
    if first == frames.count {
      frames = []
      first = 0
    } else if first > frames.count / 2 {
      frames.removeFirst(first)
      first = 0
    }
    return taken
  }

  mutating func removeAll() {
    frames = []
    first = 0
    bytes = 0
  }
}
