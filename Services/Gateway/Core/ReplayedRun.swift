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
  private let epoch: Epoch
  private let prefix: [UInt8]
  /// All of an envelope that stands before its offset.
  private let head: [UInt8]
  private var publications = EncodedPublications(bytes: [], count: 0, marks: [])

  init(_ subscription: Subscription, of epoch: Epoch, _ prefix: [UInt8]) {
    self.subscription = subscription
    self.epoch = epoch
    self.prefix = prefix
    head = subscription.encoding == .envelope ? Encoding.head(epoch, prefix) : []
  }

  /// Appends an event that has no meta, as it stands in its page.
  mutating func append(_ event: EncodedEvent, _ page: borrowing Span<UInt8>) {
    guard subscription.encoding == .envelope else {
      // What is in a page was read past once.
      guard let stored = try? StoredEvent(event, in: page) else { return }
      return append(Arrival(stored, epoch))
    }
    begins(Position(epoch: epoch, offset: event.offset))
    Encoding.appendEnvelope(event, page, head, to: &publications.bytes)
    ends()
  }

  mutating func append(_ arrival: Arrival) {
    begins(arrival.position)
    subscription.encoding.append(
      arrival.payload, position: arrival.position, timeMs: arrival.timeMs,
      publisher: arrival.publisher, tags: arrival.tags, prefix: prefix, to: &publications.bytes)
    ends()
  }

  private mutating func begins(_ position: Position?) {
    if publications.count == 0 {
      publications.first = position
      publications.bytes.reserveCapacity(Stream.windowBytes)
    }
    publications.last = position
  }

  private mutating func ends() {
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
