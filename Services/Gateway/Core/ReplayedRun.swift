internal import Bytes
internal import Loop
internal import Wire

/// Publications of a history on their way to one client, as many together as a write takes: what goes
/// one by one costs more than its bytes.
///
/// They stand in the history one behind the other, so that the place of the first is the place of all.
/// For subscriptions that take several together.
struct ReplayedRun {
  /// BUDGET: bytes of publications that go together. Under a window with one more of usual size.
  static let bytesMax = Stream.windowBytes * 3 / 4

  private let subscription: Subscription
  private let prefix: [UInt8]
  private var publications = EncodedPublications(bytes: [], count: 0, marks: [])

  init(_ subscription: Subscription, _ prefix: [UInt8]) {
    self.subscription = subscription
    self.prefix = prefix
  }

  mutating func append(_ arrival: Arrival) {
    if publications.count == 0 {
      publications.first = arrival.position
      publications.bytes.reserveCapacity(Stream.windowBytes)
    }
    subscription.encoding.append(
      arrival.payload, position: arrival.position, timeMs: arrival.timeMs,
      publisher: arrival.publisher, tags: arrival.tags, prefix: prefix, to: &publications.bytes)
    publications.last = arrival.position
    publications.count += 1
    if publications.bytes.count >= Self.bytesMax { handOver() }
  }

  /// What follows does not stand right behind it, or nothing follows.
  mutating func handOver() {
    guard publications.count > 0 else { return }
    var run = EncodedPublications(bytes: [], count: 0, marks: [])
    swap(&run, &publications)
    subscription.send(alone: run)
  }
}
