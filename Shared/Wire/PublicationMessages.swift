public import Bytes

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
    "remainingMs:u32 number:u32 generation:u32 name:text16 flags:u8 payloadKind:u8 timeMs:i64 client:u64 user:text16 eventType:text16 key:text16 expected:u64 epoch:text16 offset:u64 payload:bytes32 meta:bytes32?"

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
  /// Small data about the event, as of `NewEvent`.
  public var meta: [UInt8]

  public init(
    remainingMs: UInt32, handle: ChannelHandle, name: String = "", flags: Flags = [],
    timeMs: Int64, publisher: Publisher, eventType: String = "", key: String = "",
    expected: Offset? = nil, position: Position? = nil, payload: Payload, meta: [UInt8] = []
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
    self.meta = meta
  }

  public func encode(into w: inout ByteWriter) {
    let room = Field.room(name) + Field.room(publisher.user) + Field.room(eventType) + Field.room(key)
    // In one step up to the payload, since this is done for every publication.
    w.bytes.append(addingCapacity: 60 + Epoch.bytesMax + room) { out in
      out.u32(remainingMs)
      out.handle(handle)
      out.text16(name)
      out.u8(flags.rawValue)
      out.u8(payload.kind.rawValue)
      out.u64(UInt64(bitPattern: timeMs))
      out.u64(publisher.client)
      out.text16(publisher.user)
      out.text16(eventType)
      out.text16(key)
      out.u64(expected?.value ?? .max)
      out.epoch(position?.epoch)
      out.u64(position?.offset.value ?? 0)
      out.u32(UInt32(truncatingIfNeeded: payload.bytes.count))
    }
    w.raw(payload.bytes)
    w.bytes32(meta)
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
    meta = c.isAtEnd ? [] : try c.bytes32(s)
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
    w.bytes.append(addingCapacity: 15 + Epoch.bytesMax) { out in
      out.epoch(position?.epoch)
      out.u64(position?.offset.value ?? 0)
      out.u8(isDuplicate ? 1 : 0)
      out.u32(subscribers)
    }
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
    "number:u32 generation:u32 payloadKind:u8 flags:u8 epoch:text16 offset:u64 timeMs:i64 origin:u64 client:u64 user:text16 eventType:text16 payload:bytes32 meta:bytes32?"
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
  /// Small data about the event, as of `NewEvent`.
  public var meta: [UInt8]

  public init(
    handle: ChannelHandle, position: Position?, timeMs: Int64, origin: UInt64,
    publisher: Publisher, eventType: String, payload: Payload, meta: [UInt8] = []
  ) {
    self.handle = handle
    self.position = position
    self.timeMs = timeMs
    self.origin = origin
    self.publisher = publisher
    self.eventType = eventType
    self.payload = payload
    self.meta = meta
  }

  public func encode(into w: inout ByteWriter) {
    let room = Field.room(publisher.user) + Field.room(eventType)
    w.bytes.append(addingCapacity: 52 + Epoch.bytesMax + room) { out in
      out.handle(handle)
      out.u8(payload.kind.rawValue)
      out.u8(flags.rawValue)
      out.epoch(position?.epoch)
      out.u64(position?.offset.value ?? 0)
      out.u64(UInt64(bitPattern: timeMs))
      out.u64(origin)
      out.u64(publisher.client)
      out.text16(publisher.user)
      out.text16(eventType)
      out.u32(UInt32(truncatingIfNeeded: payload.bytes.count))
    }
    w.raw(payload.bytes)
    w.bytes32(meta)
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
    meta = c.isAtEnd ? [] : try c.bytes32(s)
  }

  /// The channel of a publication, read out of its body alone.
  public static func handle(of body: borrowing Span<UInt8>) throws(FrameError) -> ChannelHandle {
    do throws(ByteError) {
      var cursor = ByteCursor(body)
      return try cursor.handle(body)
    } catch { throw .malformedBody(kind, error) }
  }

  /// Its place, read out of its body alone; nil for a channel without history.
  public static func position(of body: borrowing Span<UInt8>) throws(FrameError) -> Position? {
    do throws(ByteError) {
      var cursor = ByteCursor(body)
      _ = try cursor.handle(body)
      _ = try cursor.u16(body)
      let epoch = try cursor.epoch(body)
      let offset = Offset(try cursor.u64(body))
      return epoch.map { Position(epoch: $0, offset: offset) }
    } catch { throw .malformedBody(kind, error) }
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
