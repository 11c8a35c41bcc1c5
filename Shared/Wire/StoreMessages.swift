public import Bytes

/// One event to append.
public struct NewEvent: Equatable, Sendable {
  static let layout = "payloadKind:u8 payload:bytes32 eventType:text16 meta:bytes32"
  public var payload: Payload
  /// At most 255 bytes; empty for none.
  public var eventType: String
  /// Small data about the event, by its type: of `artifact` the hash of a content; else the tags that
  /// subscribers may choose by (`EventTags`), what there is to say of their publisher
  /// (`EventOrigin`), either behind ids (`EventIDs`), or nothing.
  public var meta: [UInt8]
  public init(payload: Payload, eventType: String = "", meta: [UInt8] = []) {
    self.payload = payload
    self.eventType = eventType
    self.meta = meta
  }
  func encode(into w: inout ByteWriter) {
    w.u8(payload.kind.rawValue)
    w.bytes32(payload.bytes)
    w.text16(eventType)
    w.bytes32(meta)
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    let kind = try c.payloadKind(s)
    payload = Payload(kind, try c.bytes32(s))
    eventType = try c.text16(s)
    meta = try c.bytes32(s)
  }
}

/// Appends events to one stream as a single durable step.
///
/// Answered by *appended* after the commit is on disk, or by *failure*. A lost link leaves the
/// outcome unknown: the same key may then be used again.
public struct Append: WireMessage {
  public static let kind = Kind.append
  public static let layout =
    "remainingMs:u32 stream:text16 expected:u64 key:text16 client:u64 user:text16 keyHash:bytes32 events:[\(NewEvent.layout)]u16 producer:text16? producerEpoch:u64? producerSequence:u64?"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var stream: ChannelName
  /// The stream must stand exactly here; nil for wherever it stands.
  public var expected: Offset?
  /// Idempotency key, scoped to the stream; empty for none.
  public var key: String
  /// Who publishes; 0 for the API and services.
  public var client: UInt64
  public var user: String
  /// What tells a repeated append from another with the same key: the SHA-256 of what was sent,
  /// where that differs from what is stored. Empty: of the events.
  public var keyHash: [UInt8]
  /// 1 to `Limits.eventsMax`.
  public var events: [NewEvent]
  /// Nil for one that no producer counts. Only to who knows it (`Hello.producers`): *fenced* for an
  /// epoch before the one in force, *sequenceGap* where the sequence number is not the next one.
  public var producer: ProducerMark?
  public init(
    remainingMs: UInt32, stream: ChannelName, expected: Offset?, key: String, client: UInt64,
    user: String, keyHash: [UInt8] = [],
    events: [NewEvent], producer: ProducerMark? = nil
  ) {
    self.producer = producer
    self.remainingMs = remainingMs
    self.stream = stream
    self.expected = expected
    self.key = key
    self.client = client
    self.user = user
    self.keyHash = keyHash
    self.events = events
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(stream.text)
    w.u64(expected?.value ?? .max)
    w.text16(key)
    w.u64(client)
    w.text16(user)
    w.bytes32(keyHash)
    w.list(events) { element, w in element.encode(into: &w) }
    w.text16(producer?.id ?? "")
    w.u64(producer?.epoch ?? 0)
    w.u64(producer?.sequence ?? 0)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    stream = try c.channelName(s)
    let expectedValue = try c.u64(s)
    expected = expectedValue == .max ? nil : Offset(expectedValue)
    key = try c.text16(s)
    client = try c.u64(s)
    user = try c.text16(s)
    keyHash = try c.bytes32(s)
    let eventsCount = Int(try c.u16(s))
    events = []
    for _ in 0..<eventsCount { events.append(try NewEvent(&c, s)) }
    // They came together, so a body has all three or none.
    guard !c.isAtEnd else { return }
    let mark = ProducerMark(id: try c.text16(s), epoch: try c.u64(s), sequence: try c.u64(s))
    producer = mark.id.isEmpty ? nil : mark
  }
}

/// The events are on disk, at consecutive offsets from `first`.
public struct Appended: WireMessage {
  public static let kind = Kind.appended
  public static let layout = "epoch:text16 first:u64 count:u16 isDuplicate:u8 timeMs:i64"
  public var epoch: Epoch
  public var first: Offset
  public var count: UInt16
  /// The key was used before with the same payload; these are the first append's offsets.
  public var isDuplicate: Bool
  /// The time the store gave the events.
  public var timeMs: Int64
  public init(epoch: Epoch, first: Offset, count: UInt16, isDuplicate: Bool, timeMs: Int64) {
    self.epoch = epoch
    self.first = first
    self.count = count
    self.isDuplicate = isDuplicate
    self.timeMs = timeMs
  }
  public func encode(into w: inout ByteWriter) {
    w.epoch(epoch)
    w.u64(first.value)
    w.u16(count)
    w.bool(isDuplicate)
    w.i64(timeMs)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    guard let epochFound = try c.epoch(s) else { throw .invalidValue }
    epoch = epochFound
    first = Offset(try c.u64(s))
    count = try c.u16(s)
    isDuplicate = try c.bool(s)
    timeMs = try c.i64(s)
  }
}

/// Asks for a page of a stream, in order.
public struct ReadStream: WireMessage {
  public static let kind = Kind.readStream
  public static let layout =
    "remainingMs:u32 stream:text16 after:u64 count:u32 bytes:u32 isReverse:u8"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var stream: ChannelName
  /// Offsets greater than this one; with `isReverse`, less than it (0: from the head).
  public var after: Offset
  /// 0 for the position alone.
  public var count: UInt32
  /// The page ends before the event that would bring it over this, or over 1 MiB, where an event
  /// counts the bytes of its payload, event type and meta, and 64 besides. The first event comes
  /// however large.
  public var bytes: UInt32
  public var isReverse: Bool
  public init(
    remainingMs: UInt32, stream: ChannelName, after: Offset, count: UInt32, bytes: UInt32,
    isReverse: Bool
  ) {
    self.remainingMs = remainingMs
    self.stream = stream
    self.after = after
    self.count = count
    self.bytes = bytes
    self.isReverse = isReverse
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(stream.text)
    w.u64(after.value)
    w.u32(count)
    w.u32(bytes)
    w.bool(isReverse)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    stream = try c.channelName(s)
    after = Offset(try c.u64(s))
    count = try c.u32(s)
    bytes = try c.u32(s)
    isReverse = try c.bool(s)
  }
}

/// The event store's answer to *readStream*.
public struct StreamPage: WireMessage {
  public static let kind = Kind.streamPage
  public static let layout = EventPage.layout
  public var page: EventPage
  public init(_ page: EventPage) { self.page = page }
  public func encode(into w: inout ByteWriter) { page.encode(into: &w) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    page = try EventPage(&c, s)
  }
}

/// Asks for streams by prefix, in the order of their names.
public struct ListStreams: WireMessage {
  public static let kind = Kind.listStreams
  public static let layout = "remainingMs:u32 prefix:text16 after:text16 limit:u32"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var prefix: String
  /// Names greater than this one; empty for the first page.
  public var after: String
  public var limit: UInt32
  public init(remainingMs: UInt32, prefix: String, after: String, limit: UInt32) {
    self.remainingMs = remainingMs
    self.prefix = prefix
    self.after = after
    self.limit = limit
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(prefix)
    w.text16(after)
    w.u32(limit)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    prefix = try c.text16(s)
    after = try c.text16(s)
    limit = try c.u32(s)
  }
}

/// The answer to *listStreams*.
public struct StreamList: WireMessage {
  public static let kind = Kind.streamList
  public static let layout = "hasMore:u8 streams:[\(StreamHead.layout)]u16"
  public var hasMore: Bool
  public var streams: [StreamHead]
  public init(hasMore: Bool, streams: [StreamHead]) {
    self.hasMore = hasMore
    self.streams = streams
  }
  public func encode(into w: inout ByteWriter) {
    w.bool(hasMore)
    w.list(streams) { element, w in element.encode(into: &w) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    hasMore = try c.bool(s)
    let streamsCount = Int(try c.u16(s))
    streams = []
    for _ in 0..<streamsCount { streams.append(try StreamHead(&c, s)) }
  }
}

/// Asks the store to prove that it can write, by a real commit.
public struct Probe: WireMessage {
  public static let kind = Kind.probe
  public static let layout = "remainingMs:u32"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public init(remainingMs: UInt32) {
    self.remainingMs = remainingMs
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
  }
}

/// The probe's commit is on disk, and what the store holds with it.
public struct Probed: WireMessage {
  public static let kind = Kind.probed
  public static let layout = "events:u64 bytes:u64"
  /// Events stored in all streams together, since there is the store.
  public var events: UInt64
  /// What database and write-ahead log take on the disk, in bytes. The vault is not counted.
  public var bytes: UInt64
  public init(events: UInt64, bytes: UInt64) {
    self.events = events
    self.bytes = bytes
  }
  public func encode(into w: inout ByteWriter) {
    w.u64(events)
    w.u64(bytes)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    events = try c.u64(s)
    bytes = try c.u64(s)
  }
}
