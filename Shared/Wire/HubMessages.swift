public import Bytes

/// A channel's number at the hub, the same on every link, and the generation of that use of it.
///
/// A number is free again only after the reply to *close* was sent; a frame that still carries the
/// old generation is refused as stale. 0 is no channel.
public struct ChannelHandle: Hashable, Sendable {
  public var number: UInt32
  public var generation: UInt32
  @inlinable public init(number: UInt32, generation: UInt32) {
    self.number = number
    self.generation = generation
  }
  public static let none = ChannelHandle(number: 0, generation: 0)
}

extension ByteWriter {
  @inlinable mutating func handle(_ handle: ChannelHandle) {
    u32(handle.number)
    u32(handle.generation)
  }
  /// One byte: 1 for yes, 0 for no.
  @inlinable mutating func bool(_ value: Bool) { u8(value ? 1 : 0) }
  /// An epoch as text; empty for none.
  mutating func epoch(_ epoch: Epoch?) {
    guard let epoch else { return u16(0) }
    u16(UInt16(truncatingIfNeeded: epoch.count))
    epoch.append(to: &bytes)
  }
}

extension ByteCursor {
  mutating func handle(_ s: borrowing Span<UInt8>) throws(ByteError) -> ChannelHandle {
    ChannelHandle(number: try u32(s), generation: try u32(s))
  }
  /// A byte that is 0 or 1: whatever else it is, the two ends don't mean the same layout.
  mutating func bool(_ s: borrowing Span<UInt8>) throws(ByteError) -> Bool {
    let value = try u8(s)
    guard value <= 1 else { throw .invalidValue }
    return value == 1
  }
  mutating func epoch(_ s: borrowing Span<UInt8>) throws(ByteError) -> Epoch? {
    let text = try range16(s)
    if text.isEmpty { return nil }
    guard let epoch = Epoch(s.extracting(text)) else { throw .invalidValue }
    return epoch
  }
  mutating func channelName(_ s: borrowing Span<UInt8>) throws(ByteError) -> ChannelName {
    guard let name = ChannelName(try text16(s)) else { throw .invalidValue }
    return name
  }
  mutating func payloadKind(_ s: borrowing Span<UInt8>) throws(ByteError) -> PayloadKind {
    guard let kind = PayloadKind(rawValue: try u8(s)) else { throw .invalidValue }
    return kind
  }
}

/// What an *open* asks for.
public struct OpenFlags: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }
  /// Send me the channel's publications.
  public static let subscribe = OpenFlags(rawValue: 1)
  /// I am going to publish.
  public static let publish = OpenFlags(rawValue: 2)
  /// Tell me when the number of subscribers changes.
  public static let count = OpenFlags(rawValue: 4)
}

/// Interns a channel and says what it is wanted for. Opening again replaces the flags.
public struct OpenChannel: WireMessage {
  public static let kind = Kind.openChannel
  public static let layout =
    "remainingMs:u32 name:text16 flags:u8 durable:u8 historyCount:u32 historyMs:u32 subscribers:u32"
  public var remainingMs: UInt32
  public var name: ChannelName
  public var flags: OpenFlags
  /// The event store is the channel's sequencer; the hub keeps no history of it.
  public var isDurable: Bool
  /// How many publications the hub keeps, and how long; 0 for a channel without history.
  public var historyCount: UInt32
  public var historyMs: UInt32
  /// How many clients subscribe through this link now.
  public var subscribers: UInt32
  public init(
    remainingMs: UInt32, name: ChannelName, flags: OpenFlags, isDurable: Bool,
    historyCount: UInt32, historyMs: UInt32, subscribers: UInt32
  ) {
    self.remainingMs = remainingMs
    self.name = name
    self.flags = flags
    self.isDurable = isDurable
    self.historyCount = historyCount
    self.historyMs = historyMs
    self.subscribers = subscribers
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(name.text)
    w.u8(flags.rawValue)
    w.bool(isDurable)
    w.u32(historyCount)
    w.u32(historyMs)
    w.u32(subscribers)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    name = try c.channelName(s)
    flags = OpenFlags(rawValue: try c.u8(s))
    isDurable = try c.bool(s)
    historyCount = try c.u32(s)
    historyMs = try c.u32(s)
    subscribers = try c.u32(s)
  }
}

/// The answer to *open*: the number to use, and where the channel's history stands.
public struct ChannelOpened: WireMessage {
  public static let kind = Kind.channelOpened
  public static let layout = "number:u32 generation:u32 epoch:text16 head:u64 subscribers:u32"
  public var handle: ChannelHandle
  /// Nil for a channel without history at the hub.
  public var epoch: Epoch?
  public var head: Offset
  /// Clients subscribed through all links.
  public var subscribers: UInt32
  public init(handle: ChannelHandle, epoch: Epoch?, head: Offset, subscribers: UInt32) {
    self.handle = handle
    self.epoch = epoch
    self.head = head
    self.subscribers = subscribers
  }
  public func encode(into w: inout ByteWriter) {
    w.handle(handle)
    w.epoch(epoch)
    w.u64(head.value)
    w.u32(subscribers)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    handle = try c.handle(s)
    epoch = try c.epoch(s)
    head = Offset(try c.u64(s))
    subscribers = try c.u32(s)
  }
}

/// Gives a channel's number back.
public struct CloseChannel: WireMessage {
  public static let kind = Kind.closeChannel
  public static let layout = "number:u32 generation:u32"
  public var handle: ChannelHandle
  public init(handle: ChannelHandle) { self.handle = handle }
  public func encode(into w: inout ByteWriter) { w.handle(handle) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    handle = try c.handle(s)
  }
}

/// The answer to *close*: nothing more will carry this number and generation.
public struct ChannelClosed: WireMessage {
  public static let kind = Kind.channelClosed
  public static let layout = CloseChannel.layout
  public var handle: ChannelHandle
  public init(handle: ChannelHandle) { self.handle = handle }
  public func encode(into w: inout ByteWriter) { w.handle(handle) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    handle = try c.handle(s)
  }
}

/// Who published: the client's number at its gateway and its user, both empty for a service.
public struct Publisher: Hashable, Sendable {
  /// Unique among the clients of all gateways; 0 for the API and services.
  public var client: UInt64
  public var user: String
  public init(client: UInt64 = 0, user: String = "") {
    self.client = client
    self.user = user
  }
}

/// A publication on its way to the hub. With a correlation the hub answers *published*.
public struct Publish: WireMessage {
  public static let kind = Kind.publish
  public static let layout =
    "remainingMs:u32 number:u32 generation:u32 name:text16 flags:u8 payloadKind:u8 timeMs:i64 client:u64 user:text16 eventType:text16 key:text16 expected:u64 epoch:text16 offset:u64 payload:bytes32"

  public struct Flags: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// `epoch` and `offset` are the event store's: the hub passes them on. Set where there is a
    /// position and nowhere else, whatever flags are given.
    public static let sequenced = Flags(rawValue: 1)
    /// Not to be kept in the hub's history.
    public static let skipHistory = Flags(rawValue: 2)
    /// Not for the client that published it.
    public static let forOthers = Flags(rawValue: 4)
    /// May be left out first when a client can't keep up.
    public static let lowPriority = Flags(rawValue: 8)
    /// Goes before what waits for a client, where a door can do that.
    public static let highPriority = Flags(rawValue: 16)
    /// What a publication carries on from its publish.
    public static let carried: Flags = [.forOthers, .lowPriority, .highPriority]
  }

  public var remainingMs: UInt32
  /// The channel by number, or by `name` when the number is 0.
  public var handle: ChannelHandle
  public var name: String
  public var flags: Flags {
    get { position == nil ? ownFlags : ownFlags.union(.sequenced) }
    set { ownFlags = newValue.subtracting(.sequenced) }
  }
  /// INVARIANT: without `sequenced`, so that it can't contradict `position`.
  private var ownFlags: Flags
  /// Milliseconds since 1970.
  public var timeMs: Int64
  public var publisher: Publisher
  public var eventType: String
  /// The idempotency key; empty for none.
  public var key: String
  /// The history must stand exactly here; nil for wherever it stands.
  public var expected: Offset?
  /// Where the event store put it; nil for what the hub is to sequence.
  public var position: Position?
  public var payload: Payload

  public init(
    remainingMs: UInt32, handle: ChannelHandle, name: String = "", flags: Flags = [],
    timeMs: Int64, publisher: Publisher, eventType: String = "", key: String = "",
    expected: Offset? = nil, position: Position? = nil, payload: Payload
  ) {
    self.remainingMs = remainingMs
    self.handle = handle
    self.name = name
    ownFlags = flags.subtracting(.sequenced)
    self.timeMs = timeMs
    self.publisher = publisher
    self.eventType = eventType
    self.key = key
    self.expected = expected
    self.position = position
    self.payload = payload
  }

  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.handle(handle)
    w.text16(name)
    w.u8(flags.rawValue)
    w.u8(payload.kind.rawValue)
    w.i64(timeMs)
    w.u64(publisher.client)
    w.text16(publisher.user)
    w.text16(eventType)
    w.text16(key)
    w.u64(expected?.value ?? .max)
    w.epoch(position?.epoch)
    w.u64(position?.offset.value ?? 0)
    w.bytes32(payload.bytes)
  }

  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    handle = try c.handle(s)
    name = try c.text16(s)
    let flags = Flags(rawValue: try c.u8(s))
    ownFlags = flags.subtracting(.sequenced)
    let kind = try c.payloadKind(s)
    timeMs = try c.i64(s)
    publisher = Publisher(client: try c.u64(s), user: try c.text16(s))
    eventType = try c.text16(s)
    key = try c.text16(s)
    let expected = try c.u64(s)
    self.expected = expected == .max ? nil : Offset(expected)
    let epoch = try c.epoch(s)
    let offset = Offset(try c.u64(s))
    position = epoch.map { Position(epoch: $0, offset: offset) }
    guard flags.contains(.sequenced) == (position != nil) else { throw .invalidValue }
    payload = Payload(kind, try c.bytes32(s))
  }
}

/// The hub's answer to a publish that asked for one.
public struct Published: WireMessage {
  public static let kind = Kind.published
  public static let layout = "epoch:text16 offset:u64 duplicate:u8 subscribers:u32"
  /// Nil for a channel without history.
  public var position: Position?
  /// The key was seen before: nothing new was published, `position` is the first one's.
  public var isDuplicate: Bool
  public var subscribers: UInt32
  public init(position: Position?, isDuplicate: Bool = false, subscribers: UInt32 = 0) {
    self.position = position
    self.isDuplicate = isDuplicate
    self.subscribers = subscribers
  }
  public func encode(into w: inout ByteWriter) {
    w.epoch(position?.epoch)
    w.u64(position?.offset.value ?? 0)
    w.bool(isDuplicate)
    w.u32(subscribers)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    let epoch = try c.epoch(s)
    let offset = Offset(try c.u64(s))
    position = epoch.map { Position(epoch: $0, offset: offset) }
    isDuplicate = try c.bool(s)
    subscribers = try c.u32(s)
  }
}

/// One publication to a link that subscribes. The same bytes go to every such link.
public struct Publication: WireMessage {
  public static let kind = Kind.publication
  public static let layout =
    "number:u32 generation:u32 payloadKind:u8 flags:u8 epoch:text16 offset:u64 timeMs:i64 origin:u64 client:u64 user:text16 eventType:text16 payload:bytes32"
  public var handle: ChannelHandle
  /// Those of `Publish.Flags.carried`.
  public var flags: Publish.Flags = []
  /// Nil for a channel without history.
  public var position: Position?
  public var timeMs: Int64
  /// The instance of the hub that ordered it: what keeps bridges between hubs from looping.
  public var origin: UInt64
  public var publisher: Publisher
  public var eventType: String
  public var payload: Payload

  public init(
    handle: ChannelHandle, position: Position?, timeMs: Int64, origin: UInt64,
    publisher: Publisher, eventType: String, payload: Payload
  ) {
    self.handle = handle
    self.position = position
    self.timeMs = timeMs
    self.origin = origin
    self.publisher = publisher
    self.eventType = eventType
    self.payload = payload
  }

  public func encode(into w: inout ByteWriter) {
    w.handle(handle)
    w.u8(payload.kind.rawValue)
    w.u8(flags.rawValue)
    w.epoch(position?.epoch)
    w.u64(position?.offset.value ?? 0)
    w.i64(timeMs)
    w.u64(origin)
    w.u64(publisher.client)
    w.text16(publisher.user)
    w.text16(eventType)
    w.bytes32(payload.bytes)
  }

  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    handle = try c.handle(s)
    let kind = try c.payloadKind(s)
    flags = Publish.Flags(rawValue: try c.u8(s))
    let epoch = try c.epoch(s)
    let offset = Offset(try c.u64(s))
    position = epoch.map { Position(epoch: $0, offset: offset) }
    timeMs = try c.i64(s)
    origin = try c.u64(s)
    publisher = Publisher(client: try c.u64(s), user: try c.text16(s))
    eventType = try c.text16(s)
    payload = Payload(kind, try c.bytes32(s))
  }
}

/// This link could not keep up: so many publications of the channel were left out just now.
public struct Gap: WireMessage {
  public static let kind = Kind.gap
  public static let layout = "number:u32 generation:u32 dropped:u64"
  public var handle: ChannelHandle
  public var dropped: UInt64
  public init(handle: ChannelHandle, dropped: UInt64) {
    self.handle = handle
    self.dropped = dropped
  }
  public func encode(into w: inout ByteWriter) {
    w.handle(handle)
    w.u64(dropped)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    handle = try c.handle(s)
    dropped = try c.u64(s)
  }
}

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

/// Asks for channels that have subscribers, by prefix, in the order of their names.
public struct CountChannels: WireMessage {
  public static let kind = Kind.countChannels
  public static let layout = "remainingMs:u32 prefix:text16 after:text16 limit:u32 exact:u8"
  public var remainingMs: UInt32
  public var prefix: String
  /// Names greater than this one; empty for the first page.
  public var after: String
  /// Channels of the page at most; 0 asks for the total alone.
  public var limit: UInt32
  /// `prefix` is the one channel's whole name; `after` and `limit` are passed over. Costs one
  /// look-up, where a prefix costs a walk through all channels.
  public var isExact: Bool
  public init(
    remainingMs: UInt32, prefix: String, after: String, limit: UInt32, isExact: Bool = false
  ) {
    self.remainingMs = remainingMs
    self.prefix = prefix
    self.after = after
    self.limit = limit
    self.isExact = isExact
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(prefix)
    w.text16(after)
    w.u32(limit)
    w.bool(isExact)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    prefix = try c.text16(s)
    after = try c.text16(s)
    limit = try c.u32(s)
    isExact = try c.bool(s)
  }
}

/// The answer to *countChannels*.
public struct ChannelCounts: WireMessage {
  public static let kind = Kind.channelCounts
  public static let layout = "total:u32 more:u8 channels:[name:text16 subscribers:u32]u16"
  public struct Entry: Equatable, Sendable {
    public var name: ChannelName
    public var subscribers: UInt32
    public init(name: ChannelName, subscribers: UInt32) {
      self.name = name
      self.subscribers = subscribers
    }
  }
  /// Channels that match in all.
  public var total: UInt32
  public var hasMore: Bool
  public var channels: [Entry]
  public init(total: UInt32, hasMore: Bool, channels: [Entry]) {
    self.total = total
    self.hasMore = hasMore
    self.channels = channels
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(total)
    w.bool(hasMore)
    w.list(channels) { entry, w in
      w.text16(entry.name.text)
      w.u32(entry.subscribers)
    }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    total = try c.u32(s)
    hasMore = try c.bool(s)
    let count = Int(try c.u16(s))
    channels = []
    for _ in 0..<count {
      channels.append(Entry(name: try c.channelName(s), subscribers: try c.u32(s)))
    }
  }
}

/// How many clients subscribe. From a gateway: through this link. From the hub: through all.
public struct SubscriberCount: WireMessage {
  public static let kind = Kind.subscriberCount
  public static let layout = "number:u32 generation:u32 subscribers:u32"
  public var handle: ChannelHandle
  public var subscribers: UInt32
  public init(handle: ChannelHandle, subscribers: UInt32) {
    self.handle = handle
    self.subscribers = subscribers
  }
  public func encode(into w: inout ByteWriter) {
    w.handle(handle)
    w.u32(subscribers)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    handle = try c.handle(s)
    subscribers = try c.u32(s)
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
