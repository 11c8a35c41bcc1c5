internal import Bytes
internal import Loop
internal import Observe

/// Whoever carries publications to one client. One core decides what a client gets; a door such
/// as a WebSocket only says how bytes reach it.
protocol Subscriber: AnyObject {
  var stream: Stream { get }
  /// The client's number, as publications name their publisher.
  var clientNumber: UInt64 { get }
  /// Bytes that may wait for this client; past it the overflow action of the channel is taken.
  var queueBytesMax: Int { get }
  /// The subscription stands: `position` is where live publications begin.
  func subscribed(_ subscription: Subscription)
  /// Something that is no publication.
  func tell(_ message: [UInt8])
  /// A durable channel's publications can't be left out: the client is cut off and comes back.
  func cutOff(_ subscription: Subscription)
  /// The subscription could not be made or can't go on.
  func refused(_ subscription: Subscription, _ refusal: Refusal)
}

/// One client's interest in one channel on this loop.
///
///     waiting ──(channel is live)──▶ live
///        └────(since)──▶ replaying ──(seam reached)──▶ live
///
/// Loop-confined; held by the client's session and by its channel.
final class Subscription {
  enum State {
    /// For the channel to be live.
    case waiting(Since)
    /// What was missed is being read; the offset is the last one delivered.
    case replaying(Replay)
    /// In the channel's list at this index.
    case live(index: Int)
    case ended
  }

  enum Since: Equatable {
    case now
    case start
    case position(Position)
  }

  enum Watching {
    case no
    /// Nothing can be shown yet.
    case awaited
    case shown
    /// The client did not take what it was told, and has to be shown all anew.
    case behind
  }

  struct Replay {
    /// Nil until the first page tells it.
    var epoch: Epoch?
    /// The last offset the client was sent.
    var delivered: Offset
    var isReading = false
    /// Ahead of this loop, which has still to see what was delivered already.
    var awaitsChannel = false
  }

  let subscriber: any Subscriber
  /// The subscriber's, at hand for what happens for each delivery.
  private let stream: Stream
  let channel: LocalChannel
  let encoding: Encoding
  /// Its client is told of the channel's members.
  var watching = Watching.no
  /// Presence has been told that its client is here.
  var isPresent = false
  /// What a plugin wants others to be shown of the client, JSON; empty: what its identity says.
  var info: [UInt8] = []
  /// Its client's `connection` message waits for it.
  var isWelcomed = false
  var state: State
  /// Left out since the client was last told.
  var dropped: UInt64 = 0
  /// What the door needs to find its own things again.
  var messageID: MessageID?

  init(_ subscriber: any Subscriber, _ channel: LocalChannel, _ encoding: Encoding, since: Since) {
    self.subscriber = subscriber
    stream = subscriber.stream
    self.channel = channel
    self.encoding = encoding
    state = .waiting(since)
  }

  /// Its channel is not open yet.
  var isWaiting: Bool { if case .waiting = state { true } else { false } }

  /// Hands over a chunk of `count` encoded publications, in the flush step.
  func deliver(_ chunk: [UInt8], count: Int) {
    if dropped > 0 || stream.queuedBytes > 0 && stream.queuedBytes + chunk.count > subscriber.queueBytesMax {
      return overflow(count)
    }
    stream.sendShared(chunk)
  }

  private func overflow(_ count: Int) {
    channel.gateway.metrics.dropped.add(UInt64(count))
    channel.gateway.metrics.limits.clientQueueBytes.add(UInt64(count))
    if channel.policy.isDurable { return subscriber.cutOff(self) }
    if dropped == 0 { subscriber.stream.tellWhenEmpty() }
    dropped &+= UInt64(count)
  }

  /// The client's queue has emptied: tells it what it missed.
  func relieved() {
    guard dropped > 0 else { return }
    subscriber.tell(ControlMessage.gap(channel: channel.name.text, dropped: dropped))
    dropped = 0
  }
}

/// The live subscribers of a channel that share one encoding, and what this turn has for them.
struct SubscriberGroup {
  let encoding: Encoding
  private(set) var members: [Subscription] = []
  private var frames: [UInt8] = []
  private var frameCount = 0

  init(_ encoding: Encoding) { self.encoding = encoding }

  var isEmpty: Bool { members.isEmpty }

  mutating func add(_ subscription: Subscription) {
    subscription.state = .live(index: members.count)
    members.append(subscription)
  }

  mutating func remove(at index: Int) {
    guard index < members.count else { return }
    let last = members.removeLast()
    if index < members.count {
      members[index] = last
      last.state = .live(index: index)
    }
  }

  mutating func append(
    _ payload: Payload, position: Position?, timeMs: Int64, prefix: [UInt8], spare: () -> [UInt8]
  ) {
    if frames.capacity == 0 { frames = spare() }
    encoding.append(payload, position: position, timeMs: timeMs, prefix: prefix, to: &frames)
    frameCount += 1
  }

  /// The bytes gathered so far and how many publications they are; empty afterwards.
  mutating func take() -> (bytes: [UInt8], count: Int) {
    var taken: [UInt8] = []
    swap(&taken, &frames)
    let count = frameCount
    frameCount = 0
    return (taken, count)
  }
}
