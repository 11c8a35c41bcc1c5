internal import Bytes

/// What one client has said and waits until a back end has answered what it said before. Pure.
///
/// A client's messages are carried out one after the other. While one of them is being asked for,
/// those behind it wait, in their order; but for subscriptions to other channels, which are asked for
/// together. Bounded by messages and their bytes.
struct HookOrder {
  typealias Step = () -> Void

  /// BUDGET: messages of one client that wait, and their bytes.
  static let countMax = 4_096
  static let bytesMax = 2 << 20
  /// BUDGET: subscriptions of one client that are asked for at once.
  static let subscribingMax = 32

  private var isAlone = false
  private var subscribing: Set<ChannelName> = []
  private var steps: [(body: Step, bytes: Int)] = []
  private var first = 0
  private var bytes = 0
  private var askedBytes = 0
  /// What is asked for, and what waits.
  var heldBytes: Int { bytes + askedBytes }
  /// Has whatever brings the client's messages go on.
  var resume: Step?

  private var hasWaiting: Bool { first < steps.count }
  /// Something is being asked for.
  var isBusy: Bool { isAlone || !subscribing.isEmpty }
  /// What the client says now waits.
  var isHolding: Bool { isBusy || hasWaiting }

  /// Whether a subscription to `channel` need not wait.
  func mayPass(subscribing channel: ChannelName) -> Bool {
    guard isHolding else { return true }
    return !isAlone && !hasWaiting && !subscribing.contains(channel)
      && subscribing.count < Self.subscribingMax
  }

  func isSubscribing(_ channel: ChannelName) -> Bool { subscribing.contains(channel) }
  var subscribingCount: Int { subscribing.count }

  /// - Parameter count: bytes that are kept until the answer is there.
  mutating func begin(bytes count: Int = 0) {
    isAlone = true
    askedBytes = count
  }
  mutating func begin(subscribing channel: ChannelName) { subscribing.insert(channel) }
  mutating func end() {
    isAlone = false
    askedBytes = 0
  }
  mutating func end(subscribing channel: ChannelName) { subscribing.remove(channel) }

  /// False, and nothing kept, where too much waits already.
  mutating func hold(bytes count: Int, _ step: @escaping Step) -> Bool {
    guard steps.count - first < Self.countMax, bytes == 0 || bytes + count <= Self.bytesMax else {
      return false
    }
    bytes += count
    steps.append((step, count))
    return true
  }

  /// The next that may be carried out, if there is one.
  mutating func next() -> Step? {
    guard !isBusy, hasWaiting else { return nil }
    let step = steps[first]
    bytes -= step.bytes
    first += 1
    if first == steps.count {
      steps = []
      first = 0
    } else if first > 64, first * 2 > steps.count {
      steps.removeFirst(first)
      first = 0
    }
    return step.body
  }
}
