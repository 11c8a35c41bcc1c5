public import Bytes

/// Stored events in the bytes that pages carry them in (`StoredEvent.layout`), one after the other.
///
/// What a store has on its disk and what it answers are these bytes, so that a page is copied and not
/// made anew. Bounds are the holder's. Pure.
public struct EncodedEvents: Equatable, Sendable {
  public private(set) var bytes: [UInt8] = []
  public private(set) var count = 0

  public init() {}

  /// Takes over bytes that are known to hold `count` events, from a checksum or from their writer.
  public init(trusting bytes: [UInt8], count: Int) {
    self.bytes = bytes
    self.count = count
  }

  /// Appends one event, and says which bytes it is.
  @discardableResult
  public mutating func append(_ event: StoredEvent) -> Range<Int> {
    let start = bytes.count
    var writer = ByteWriter()
    swap(&writer.bytes, &bytes)
    event.encode(into: &writer)
    swap(&writer.bytes, &bytes)
    count += 1
    return start..<bytes.count
  }

  /// Appends `count` encoded events.
  public mutating func append(copying span: borrowing Span<UInt8>, count: Int) {
    bytes.append(copying: span)
    self.count += count
  }

  public mutating func append(_ other: EncodedEvents) {
    bytes += other.bytes
    count += other.count
  }

  /// The events; nil where the bytes are not exactly `count` of them.
  public var events: [StoredEvent]? {
    let span = bytes.span
    var cursor = ByteCursor(span)
    var events: [StoredEvent] = []
    events.reserveCapacity(count)
    do throws(ByteError) {
      for _ in 0..<count { events.append(try StoredEvent(&cursor, span)) }
    } catch { return nil }
    return cursor.isAtEnd ? events : nil
  }
}

/// Where an encoded event's parts are, without copying them.
public struct EncodedEvent: Equatable, Sendable {
  /// The whole event.
  public let range: Range<Int>
  public let offset: Offset
  public let timeMs: Int64
  public let kind: PayloadKind
  public let client: UInt64
  public let user: Range<Int>
  public let type: Range<Int>
  public let meta: Range<Int>
  public let payload: Range<Int>

  /// Bytes of an event in which nothing has any length.
  static let bytesMin = 37

  /// Reads past the next event. Checks lengths, not what text and payload hold.
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    let start = c.offset
    offset = Offset(try c.u64(s))
    timeMs = try c.i64(s)
    kind = try c.payloadKind(s)
    client = try c.u64(s)
    user = try c.range16(s)
    type = try c.range16(s)
    meta = try c.range32(s)
    payload = try c.range32(s)
    range = start..<c.offset
  }
}

/// A page whose events stay where they are: what `EventPage` holds, without a copy of any of them. Offsets
/// are those of the body that it was read from.
public struct OutlinedPage: Equatable, Sendable {
  public let epoch: Epoch?
  public let floor: Offset
  public let head: Offset
  public let hasMore: Bool
  public let events: [EncodedEvent]

  /// - Errors: as `EventPage`.
  public init(body: borrowing Span<UInt8>) throws(ByteError) {
    var cursor = ByteCursor(body)
    epoch = try cursor.epoch(body)
    floor = Offset(try cursor.u64(body))
    head = Offset(try cursor.u64(body))
    hasMore = try cursor.bool(body)
    let count = Int(try cursor.u16(body))
    var list: [EncodedEvent] = []
    list.reserveCapacity(min(count, cursor.remaining / EncodedEvent.bytesMin))
    for _ in 0..<count {
      let event = try EncodedEvent(&cursor, body)
      // Text that may not be UTF-8 is looked at closely.
      if !body.isASCII(in: event.user) || !body.isASCII(in: event.type) {
        _ = try StoredEvent(event, in: body)
      }
      list.append(event)
    }
    events = list
  }
}

extension Span<UInt8> {
  fileprivate func isASCII(in range: Range<Int>) -> Bool {
    for i in range where self[i] >= 0x80 { return false }
    return true
  }
}

extension StoredEvent {
  /// The event at a place in `bytes`.
  public init(_ place: EncodedEvent, in bytes: borrowing Span<UInt8>) throws(ByteError) {
    var cursor = ByteCursor(from: place.range.lowerBound, to: place.range.upperBound)
    try self.init(&cursor, bytes)
  }
}

/// A *streamPage* whose events are encoded already: the same frame as `StreamPage`, byte for byte.
public struct EncodedPage: WireMessage, Equatable {
  public static let kind = Kind.streamPage
  public static let layout = EventPage.layout
  public var epoch: Epoch?
  public var floor: Offset
  public var head: Offset
  public var hasMore: Bool
  public var events: EncodedEvents

  public init(
    epoch: Epoch?, floor: Offset, head: Offset, hasMore: Bool = false,
    events: EncodedEvents = EncodedEvents()
  ) {
    self.epoch = epoch
    self.floor = floor
    self.head = head
    self.hasMore = hasMore
    self.events = events
  }

  public func encode(into w: inout ByteWriter) {
    precondition(events.count <= Int(UInt16.max), "a page is within its bound")
    w.epoch(epoch)
    w.u64(floor.value)
    w.u64(head.value)
    w.bool(hasMore)
    w.u16(UInt16(events.count))
    w.raw(events.bytes)
  }

  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    let page = try EventPage(&c, s)
    self.init(epoch: page.epoch, floor: page.floor, head: page.head, hasMore: page.hasMore)
    for event in page.events { events.append(event) }
  }

  /// The page with its events read; nil where the bytes are no events.
  public var decoded: EventPage? {
    guard let list = events.events else { return nil }
    return EventPage(epoch: epoch, floor: floor, head: head, hasMore: hasMore, events: list)
  }
}
