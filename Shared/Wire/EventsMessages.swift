public import Bytes

/// Asks for committed events of many streams, in the order of their commits. Only to who knows it
/// (`Hello.eventsInOrder`).
///
/// Answered by *eventsPage*; *unrecoverable* where the position is none of this store's: of another
/// one, or beyond its last.
public struct ReadEvents: WireMessage {
  public static let kind = Kind.readEvents
  public static let layout =
    "remainingMs:u32 waitMs:u32 store:u64 after:u64 prefix:text16 isExact:u8 eventType:text16 fromMs:i64 toMs:i64 count:u32 bytes:u32 isReverse:u8"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  /// Where there is nothing after the position, the answer comes once something is committed, or after
  /// so many milliseconds, then without events. 0, and always with `isReverse`: at once.
  public var waitMs: UInt32
  /// The store that the position is of; 0 for whichever answers.
  public var store: UInt64
  /// Positions greater than this one; with `isReverse`, less than it (0: from the last).
  public var after: UInt64
  /// What the streams' names begin with; empty for all streams.
  public var prefix: String
  /// `prefix` is one stream's whole name.
  public var isExact: Bool
  /// Empty for all.
  public var eventType: String
  /// Milliseconds since 1970, both inclusive: of events whose time is between. 0 and `Int64.max` for all.
  public var fromMs: Int64
  public var toMs: Int64
  /// The most events to answer with, at least 1.
  public var count: UInt32
  /// As of *readStream*.
  public var bytes: UInt32
  public var isReverse: Bool
  public init(
    remainingMs: UInt32, waitMs: UInt32 = 0, store: UInt64 = 0, after: UInt64, prefix: String = "",
    isExact: Bool = false, eventType: String = "", fromMs: Int64 = 0, toMs: Int64 = .max,
    count: UInt32, bytes: UInt32, isReverse: Bool = false
  ) {
    self.remainingMs = remainingMs
    self.waitMs = waitMs
    self.store = store
    self.after = after
    self.prefix = prefix
    self.isExact = isExact
    self.eventType = eventType
    self.fromMs = fromMs
    self.toMs = toMs
    self.count = count
    self.bytes = bytes
    self.isReverse = isReverse
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.u32(waitMs)
    w.u64(store)
    w.u64(after)
    w.text16(prefix)
    w.bool(isExact)
    w.text16(eventType)
    w.i64(fromMs)
    w.i64(toMs)
    w.u32(count)
    w.u32(bytes)
    w.bool(isReverse)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    waitMs = try c.u32(s)
    store = try c.u64(s)
    after = try c.u64(s)
    prefix = try c.text16(s)
    isExact = try c.bool(s)
    eventType = try c.text16(s)
    fromMs = try c.i64(s)
    toMs = try c.i64(s)
    count = try c.u32(s)
    bytes = try c.u32(s)
    isReverse = try c.bool(s)
  }
}

/// An event with its place in the whole store.
public struct OrderedEvent: Equatable, Sendable {
  public static let layout = "position:u64 stream:text16 epoch:text16 \(StoredEvent.layout)"
  public var position: UInt64
  public var stream: ChannelName
  public var epoch: Epoch
  public var event: StoredEvent
  public init(position: UInt64, stream: ChannelName, epoch: Epoch, event: StoredEvent) {
    self.position = position
    self.stream = stream
    self.epoch = epoch
    self.event = event
  }
  func encode(into w: inout ByteWriter) {
    w.u64(position)
    w.text16(stream.text)
    w.epoch(epoch)
    event.encode(into: &w)
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    position = try c.u64(s)
    stream = try c.channelName(s)
    guard let found = try c.epoch(s) else { throw .invalidValue }
    epoch = found
    event = try StoredEvent(&c, s)
  }
}

/// Events in the order of their commits, and up to where all was looked at: also what was not asked for,
/// so that who asks for what is rare gets on.
public struct EventsPage: WireMessage {
  public static let kind = Kind.eventsPage
  public static let layout =
    "store:u64 through:u64 head:u64 hasMore:u8 corruptCount:u32 events:[\(OrderedEvent.layout)]u16"
  /// Which store's positions these are: another one where acknowledged commits were lost.
  public var store: UInt64
  /// What to ask after next; with `isReverse` the lowest position that was looked at.
  public var through: UInt64
  /// The last position there is.
  public var head: UInt64
  /// There is more to look at; ask again after `through`.
  public var hasMore: Bool
  /// Events that fail their checksum and are not given; which streams' they are may not be known.
  public var corruptCount: UInt32
  public var events: [OrderedEvent]
  public init(
    store: UInt64, through: UInt64, head: UInt64, hasMore: Bool, corruptCount: UInt32 = 0,
    events: [OrderedEvent]
  ) {
    self.store = store
    self.through = through
    self.head = head
    self.hasMore = hasMore
    self.corruptCount = corruptCount
    self.events = events
  }
  public func encode(into w: inout ByteWriter) {
    w.u64(store)
    w.u64(through)
    w.u64(head)
    w.bool(hasMore)
    w.u32(corruptCount)
    w.list(events) { event, w in event.encode(into: &w) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    store = try c.u64(s)
    through = try c.u64(s)
    head = try c.u64(s)
    hasMore = try c.bool(s)
    corruptCount = try c.u32(s)
    let count = Int(try c.u16(s))
    events = []
    for _ in 0..<count { events.append(try OrderedEvent(&c, s)) }
  }
}
