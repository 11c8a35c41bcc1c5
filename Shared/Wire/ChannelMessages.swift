public import Bytes

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
