public import Bytes

/// One event to append.
public struct NewEvent: Equatable, Sendable {
  static let layout = "payloadKind:u8 payload:bytes32 eventType:text16 meta:bytes32"
  public var payload: Payload
  /// At most 255 bytes; empty for none.
  public var eventType: String
  /// Small data about the event; not shown to clients.
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
    "remainingMs:u32 stream:text16 expected:u64 key:text16 client:u64 user:text16 keyHash:bytes32 events:[\(NewEvent.layout)]u16"
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
  public init(
    remainingMs: UInt32, stream: ChannelName, expected: Offset?, key: String, client: UInt64, user: String, keyHash: [UInt8] = [],
    events: [NewEvent]
  ) {
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
    remainingMs: UInt32, stream: ChannelName, after: Offset, count: UInt32, bytes: UInt32, isReverse: Bool
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

/// Begins to send an artifact's content. Answered by *artifactReady*.
public struct PutArtifact: WireMessage {
  public static let kind = Kind.putArtifact
  public static let layout = "remainingMs:u32 transfer:u32 sha256:bytes32 size:u64"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  /// The number of the transfer on this link, chosen by the asking end.
  public var transfer: UInt32
  /// 32 bytes.
  public var sha256: [UInt8]
  /// In bytes.
  public var size: UInt64
  public init(remainingMs: UInt32, transfer: UInt32, sha256: [UInt8], size: UInt64) {
    self.remainingMs = remainingMs
    self.transfer = transfer
    self.sha256 = sha256
    self.size = size
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.u32(transfer)
    w.bytes32(sha256)
    w.u64(size)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    transfer = try c.u32(s)
    sha256 = try c.bytes32(s)
    size = try c.u64(s)
  }
}

/// The store takes the content, or has it already. `credit` bytes may be sent at once.
public struct ArtifactReady: WireMessage {
  public static let kind = Kind.artifactReady
  public static let layout = "isStored:u8 credit:u32"
  /// The content is there: nothing need be sent.
  public var isStored: Bool
  public var credit: UInt32
  public init(isStored: Bool, credit: UInt32) {
    self.isStored = isStored
    self.credit = credit
  }
  public func encode(into w: inout ByteWriter) {
    w.bool(isStored)
    w.u32(credit)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    isStored = try c.bool(s)
    credit = try c.u32(s)
  }
}

/// The next bytes of a transfer, in either direction; at most `Limits.chunkBytesMax`.
public struct ArtifactChunk: WireMessage {
  public static let kind = Kind.artifactChunk
  public static let layout = "transfer:u32 content:bytes32"
  /// The number of the transfer on this link, chosen by the asking end.
  public var transfer: UInt32
  public var content: [UInt8]
  public init(transfer: UInt32, content: [UInt8]) {
    self.transfer = transfer
    self.content = content
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(transfer)
    w.bytes32(content)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    transfer = try c.u32(s)
    content = try c.bytes32(s)
  }
}

/// All of a transfer's bytes were sent. To the store it is a request, answered by
/// *artifactStored* once the content is on disk under its hash.
public struct EndArtifact: WireMessage {
  public static let kind = Kind.endArtifact
  public static let layout = "transfer:u32"
  /// The number of the transfer on this link, chosen by the asking end.
  public var transfer: UInt32
  public init(transfer: UInt32) {
    self.transfer = transfer
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(transfer)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    transfer = try c.u32(s)
  }
}

/// The content is on disk and its hash was right.
public struct ArtifactStored: WireMessage {
  public static let kind = Kind.artifactStored
  public static let layout = "size:u64"
  public var size: UInt64
  public init(size: UInt64) {
    self.size = size
  }
  public func encode(into w: inout ByteWriter) {
    w.u64(size)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    size = try c.u64(s)
  }
}

/// Asks for an artifact's content, from an offset on. Answered by *artifactFound*, then chunks
/// as credit allows, then *endArtifact*.
public struct GetArtifact: WireMessage {
  public static let kind = Kind.getArtifact
  public static let layout =
    "remainingMs:u32 transfer:u32 sha256:bytes32 offset:u64 count:u64 credit:u32"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  /// The number of the transfer on this link, chosen by the asking end.
  public var transfer: UInt32
  /// 32 bytes.
  public var sha256: [UInt8]
  public var offset: UInt64
  /// The most bytes wanted.
  public var count: UInt64
  /// Bytes that may be sent before more credit is given.
  public var credit: UInt32
  public init(
    remainingMs: UInt32, transfer: UInt32, sha256: [UInt8], offset: UInt64, count: UInt64, credit: UInt32
  ) {
    self.remainingMs = remainingMs
    self.transfer = transfer
    self.sha256 = sha256
    self.offset = offset
    self.count = count
    self.credit = credit
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.u32(transfer)
    w.bytes32(sha256)
    w.u64(offset)
    w.u64(count)
    w.u32(credit)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    transfer = try c.u32(s)
    sha256 = try c.bytes32(s)
    offset = try c.u64(s)
    count = try c.u64(s)
    credit = try c.u32(s)
  }
}

/// The artifact is here.
public struct ArtifactFound: WireMessage {
  public static let kind = Kind.artifactFound
  public static let layout = "size:u64"
  /// Its whole size in bytes.
  public var size: UInt64
  public init(size: UInt64) {
    self.size = size
  }
  public func encode(into w: inout ByteWriter) {
    w.u64(size)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    size = try c.u64(s)
  }
}

/// Lets the sending end of a transfer send `bytes` more.
public struct ArtifactCredit: WireMessage {
  public static let kind = Kind.artifactCredit
  public static let layout = "transfer:u32 bytes:u32"
  /// The number of the transfer on this link, chosen by the asking end.
  public var transfer: UInt32
  public var bytes: UInt32
  public init(transfer: UInt32, bytes: UInt32) {
    self.transfer = transfer
    self.bytes = bytes
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(transfer)
    w.u32(bytes)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    transfer = try c.u32(s)
    bytes = try c.u32(s)
  }
}

/// Ends a transfer early, from either end. What came so far is dropped.
public struct CancelArtifact: WireMessage {
  public static let kind = Kind.cancelArtifact
  public static let layout = "transfer:u32 code:u16"
  /// The number of the transfer on this link, chosen by the asking end.
  public var transfer: UInt32
  /// Why: an `ErrorCode`.
  public var code: UInt16
  public init(transfer: UInt32, code: UInt16) {
    self.transfer = transfer
    self.code = code
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(transfer)
    w.u16(code)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    transfer = try c.u32(s)
    code = try c.u16(s)
  }
}

/// Asks which streams announced an artifact.
public struct FindArtifact: WireMessage {
  public static let kind = Kind.findArtifact
  public static let layout = "remainingMs:u32 sha256:bytes32"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  /// 32 bytes.
  public var sha256: [UInt8]
  public init(remainingMs: UInt32, sha256: [UInt8]) {
    self.remainingMs = remainingMs
    self.sha256 = sha256
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.bytes32(sha256)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    sha256 = try c.bytes32(s)
  }
}

/// The answer to *findArtifact*: at most 256 streams, none if nobody announced it.
public struct ArtifactStreams: WireMessage {
  public static let kind = Kind.artifactStreams
  public static let layout = "isStored:u8 size:u64 streams:[name:text16]u16"
  /// The content is there, be it empty.
  public var isStored: Bool
  /// In bytes; 0 if the content is not stored.
  public var size: UInt64
  public var streams: [ChannelName]
  public init(isStored: Bool, size: UInt64, streams: [ChannelName]) {
    self.isStored = isStored
    self.size = size
    self.streams = streams
  }
  public func encode(into w: inout ByteWriter) {
    w.bool(isStored)
    w.u64(size)
    w.list(streams) { element, w in w.text16(element.text) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    isStored = try c.bool(s)
    size = try c.u64(s)
    let streamsCount = Int(try c.u16(s))
    streams = []
    for _ in 0..<streamsCount { streams.append(try c.channelName(s)) }
  }
}
