public import Bytes
public import Wire

/// Events to add to one stream as one step: all of them or none.
public struct AppendRequest: Sendable, Equatable {
  public var stream: ChannelName
  public var events: [NewEvent]
  /// The offset the stream must stand at, 0 for empty; nil appends whatever it stands at.
  public var expected: Offset?
  /// Names this append: for as long as keys are kept, the same key appends at most once.
  public var idempotencyKey: String?
  /// Tells a repeated append from another with the same key; nil: the events do.
  public var keyHash: [UInt8]?
  /// Which of its producer's appends this is; nil for one that no producer counts.
  public var producer: ProducerMark?
  public var publisher: Publisher
  /// Milliseconds since 1970. Data only: no order and no age is taken from it.
  public var time: Int64

  public init(
    to stream: ChannelName, _ events: [NewEvent], expected: Offset? = nil,
    idempotencyKey: String? = nil, keyHash: [UInt8]? = nil, producer: ProducerMark? = nil,
    publisher: Publisher = Publisher(), time: Int64
  ) {
    self.producer = producer
    self.stream = stream
    self.events = events
    self.expected = expected
    self.idempotencyKey = idempotencyKey
    self.keyHash = keyHash
    self.publisher = publisher
    self.time = time
  }

  public var byteCount: Int { events.reduce(0) { $0 + $1.byteCount } }
}

extension NewEvent {
  /// What it counts for against the limits of a request, a commit and the queue.
  var byteCount: Int {
    payload.bytes.count + meta.count + eventType.utf8.count + StoreLimits.eventOverheadBytes
  }
}

/// Where an append stands.
public struct AppendReceipt: Sendable, Hashable {
  public var epoch: Epoch
  /// The offsets of the request's first and last event; those between are the others, in order.
  public var first: Offset
  public var last: Offset
  /// The store-wide position of the first event; the others follow one by one. 0 for a duplicate.
  public var position: Int64
  /// The events' time in milliseconds since 1970: for a duplicate that of the first append.
  public var time: Int64
  public var origin: Origin

  /// Whether this append wrote the events, or one before it with the same key and content.
  public enum Origin: Sendable, Hashable {
    case appended
    case duplicate
  }
}

/// What became of one append request. Whatever it is, its neighbours in the batch are untouched.
public enum AppendOutcome: Sendable, Hashable {
  /// On disk, by this request or an earlier one with the same key.
  case committed(AppendReceipt)
  /// The stream stands elsewhere than expected; nothing was written. No epoch: no such stream yet.
  case conflict(epoch: Epoch?, head: Offset)
  /// The key was used with other content; nothing was written.
  case idempotencyConflict(epoch: Epoch, first: Offset)
  /// Another incarnation of the producer has followed; nothing was written.
  case fenced(epoch: UInt64)
  /// Of the producer's epoch another sequence number is next, 0 of one that begins; nothing was written.
  case sequenceGap(expected: UInt64)
  /// The request is outside `StoreLimits`; nothing was written.
  case refused(AppendRefusal)
  /// The disk is full; nothing was written. Worth another try when there is space.
  case outOfSpace
}

/// Why a request was refused before anything was tried.
public enum AppendRefusal: String, Sendable, Hashable {
  case noEvents = "an append needs at least one event"
  case tooManyEvents = "too many events in one append"
  case tooManyBytes = "too many bytes in one append"
  case typeTooLong = "an event's type is at most 255 bytes"
  case keyOutOfRange = "an idempotency key is 1 to 255 bytes"
  case userTooLong = "a user is at most 255 bytes"
  case producerOutOfRange = "a producer's id is 1 to 255 bytes"
  case producerAndKey = "an append has a producer or an idempotency key, not both"
  case tooManyProducers = "the stream has as many producers as may be; some have to expire first"
  case noSuchFork = "there is no such fork; make it first"
}

extension AppendRequest {
  /// Why the request is outside the limits; nil where it is within.
  public var refusal: AppendRefusal? {
    if events.isEmpty { return .noEvents }
    if events.count > StoreLimits.appendEventsMax { return .tooManyEvents }
    if byteCount > StoreLimits.appendBytesMax { return .tooManyBytes }
    if events.contains(where: { $0.eventType.utf8.count > StoreLimits.typeBytesMax }) {
      return .typeTooLong
    }
    if let key = idempotencyKey, !(1...StoreLimits.keyBytesMax).contains(key.utf8.count) {
      return .keyOutOfRange
    }
    if let producer {
      guard (1...StoreLimits.producerBytesMax).contains(producer.id.utf8.count) else {
        return .producerOutOfRange
      }
      if idempotencyKey != nil { return .producerAndKey }
    }
    if publisher.user.utf8.count > StoreLimits.userBytesMax { return .userTooLong }
    return nil
  }
}
