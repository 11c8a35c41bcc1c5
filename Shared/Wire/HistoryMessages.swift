public import Bytes

/// Asks for a channel's history at the hub, after an offset, in order.
public struct ReadHistory: WireMessage {
  public static let kind = Kind.readHistory
  public static let layout = "remainingMs:u32 name:text16 after:u64 count:u32 bytes:u32 reverse:u8"
  public var remainingMs: UInt32
  public var name: ChannelName
  /// Offsets greater than this one; with `isReverse`, less than it (0: from the head).
  public var after: Offset
  /// The most events to answer with; 0 for the position alone.
  public var count: UInt32
  /// The page ends before the event that would bring the bytes of payloads, users and event types
  /// over this, or over 16 MiB. The first event comes however large.
  public var bytes: UInt32
  public var isReverse: Bool
  public init(
    remainingMs: UInt32, name: ChannelName, after: Offset, count: UInt32, bytes: UInt32,
    isReverse: Bool = false
  ) {
    self.remainingMs = remainingMs
    self.name = name
    self.after = after
    self.count = count
    self.bytes = bytes
    self.isReverse = isReverse
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(name.text)
    w.u64(after.value)
    w.u32(count)
    w.u32(bytes)
    w.bool(isReverse)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    name = try c.channelName(s)
    after = Offset(try c.u64(s))
    count = try c.u32(s)
    bytes = try c.u32(s)
    isReverse = try c.bool(s)
  }
}

/// One event of a history or stream, as pages carry it.
public struct StoredEvent: Equatable, Sendable {
  public static let layout =
    "offset:u64 timeMs:i64 payloadKind:u8 client:u64 user:text16 eventType:text16 meta:bytes32 payload:bytes32"
  public var offset: Offset
  public var timeMs: Int64
  public var publisher: Publisher
  public var eventType: String
  public var meta: [UInt8]
  public var payload: Payload
  public init(
    offset: Offset, timeMs: Int64, publisher: Publisher, eventType: String, meta: [UInt8] = [],
    payload: Payload
  ) {
    self.offset = offset
    self.timeMs = timeMs
    self.publisher = publisher
    self.eventType = eventType
    self.meta = meta
    self.payload = payload
  }
  func encode(into w: inout ByteWriter) {
    w.u64(offset.value)
    w.i64(timeMs)
    w.u8(payload.kind.rawValue)
    w.u64(publisher.client)
    w.text16(publisher.user)
    w.text16(eventType)
    w.bytes32(meta)
    w.bytes32(payload.bytes)
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    offset = Offset(try c.u64(s))
    timeMs = try c.i64(s)
    let kind = try c.payloadKind(s)
    publisher = Publisher(client: try c.u64(s), user: try c.text16(s))
    eventType = try c.text16(s)
    meta = try c.bytes32(s)
    payload = Payload(kind, try c.bytes32(s))
  }
}

/// A page of a history or stream: `events` in order, and where the whole stands.
///
/// The same shape under two kinds: the hub answers *historyPage*, the event store *streamPage*.
public struct EventPage: Equatable, Sendable {
  public static let layout =
    "epoch:text16 floor:u64 head:u64 more:u8 events:[\(StoredEvent.layout)]u16"
  /// Nil for a channel that has no history yet.
  public var epoch: Epoch?
  /// The highest offset that is no longer kept; 0 when all are.
  public var floor: Offset
  public var head: Offset
  /// The page was cut by count or bytes; ask again after its last offset.
  public var hasMore: Bool
  public var events: [StoredEvent]
  public init(epoch: Epoch?, floor: Offset, head: Offset, hasMore: Bool, events: [StoredEvent]) {
    self.epoch = epoch
    self.floor = floor
    self.head = head
    self.hasMore = hasMore
    self.events = events
  }
  func encode(into w: inout ByteWriter) {
    w.epoch(epoch)
    w.u64(floor.value)
    w.u64(head.value)
    w.bool(hasMore)
    w.list(events) { event, w in event.encode(into: &w) }
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    epoch = try c.epoch(s)
    floor = Offset(try c.u64(s))
    head = Offset(try c.u64(s))
    hasMore = try c.bool(s)
    let count = Int(try c.u16(s))
    events = []
    for _ in 0..<count { events.append(try StoredEvent(&c, s)) }
  }
}

extension ByteWriter {
  /// A `u16` count and the elements. More than 65,535 is a programmer error.
  mutating func list<T>(_ elements: [T], _ write: (T, inout ByteWriter) -> Void) {
    precondition(elements.count <= Int(UInt16.max), "a list is too long for a u16 count")
    u16(UInt16(elements.count))
    for element in elements { write(element, &self) }
  }
}

/// The hub's answer to *readHistory*.
public struct HistoryPage: WireMessage {
  public static let kind = Kind.historyPage
  public static let layout = EventPage.layout
  public var page: EventPage
  public init(_ page: EventPage) { self.page = page }
  public func encode(into w: inout ByteWriter) { page.encode(into: &w) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    page = try EventPage(&c, s)
  }
}

/// Asks where named channels or streams stand. At the hub and at the event store.
public struct ReadHeads: WireMessage {
  public static let kind = Kind.readHeads
  public static let layout = "remainingMs:u32 names:[name:text16]u16"
  public var remainingMs: UInt32
  public var names: [ChannelName]
  public init(remainingMs: UInt32, names: [ChannelName]) {
    self.remainingMs = remainingMs
    self.names = names
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.list(names) { name, w in w.text16(name.text) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    let count = Int(try c.u16(s))
    names = []
    for _ in 0..<count { names.append(try c.channelName(s)) }
  }
}

/// Where one stream stands.
public struct StreamHead: Equatable, Sendable {
  static let layout = "name:text16 epoch:text16 floor:u64 head:u64"
  public var name: ChannelName
  /// Nil for one that does not exist yet.
  public var epoch: Epoch?
  public var floor: Offset
  public var head: Offset
  public init(name: ChannelName, epoch: Epoch?, floor: Offset, head: Offset) {
    self.name = name
    self.epoch = epoch
    self.floor = floor
    self.head = head
  }
  func encode(into w: inout ByteWriter) {
    w.text16(name.text)
    w.epoch(epoch)
    w.u64(floor.value)
    w.u64(head.value)
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    name = try c.channelName(s)
    epoch = try c.epoch(s)
    floor = Offset(try c.u64(s))
    head = Offset(try c.u64(s))
  }
}

/// The answer to *readHeads*, in the order asked.
public struct HeadsPage: WireMessage {
  public static let kind = Kind.headsPage
  public static let layout = "heads:[\(StreamHead.layout)]u16"
  public var heads: [StreamHead]
  public init(heads: [StreamHead]) { self.heads = heads }
  public func encode(into w: inout ByteWriter) {
    w.list(heads) { head, w in head.encode(into: &w) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    let count = Int(try c.u16(s))
    heads = []
    for _ in 0..<count { heads.append(try StreamHead(&c, s)) }
  }
}

/// Has a channel's history end with its head: nobody is given what stands in it now, and what follows
/// has the offsets that follow. At the hub and at the event store; only to who knows it
/// (`Hello.removals`).
///
/// Answered by *historyRemoved* once that holds, come what may: at the event store after the commit is
/// on disk.
public struct RemoveHistory: WireMessage {
  public static let kind = Kind.removeHistory
  public static let layout = "remainingMs:u32 name:text16"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var name: ChannelName
  public init(remainingMs: UInt32, name: ChannelName) {
    self.remainingMs = remainingMs
    self.name = name
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(name.text)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    name = try c.channelName(s)
  }
}

/// The event store tells the hub that a stream is no longer what it was, and no event says so: it was deleted,
/// or another stands under its name. The hub tells who subscribes by a *gap* of nothing, which makes
/// them look. No answer; only to who knows it (`Hello.changes`).
public struct StreamChanged: WireMessage {
  public static let kind = Kind.streamChanged
  public static let layout = "name:text16"
  public var name: ChannelName
  public init(name: ChannelName) { self.name = name }
  public func encode(into w: inout ByteWriter) { w.text16(name.text) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    name = try c.channelName(s)
  }
}

/// The answer to *removeHistory*: where the channel stands, with its floor at its head.
public struct HistoryRemoved: WireMessage {
  public static let kind = Kind.historyRemoved
  public static let layout = StreamHead.layout
  public var head: StreamHead
  public init(_ head: StreamHead) { self.head = head }
  public func encode(into w: inout ByteWriter) { head.encode(into: &w) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    head = try StreamHead(&c, s)
  }
}
