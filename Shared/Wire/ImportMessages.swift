public import Bytes

/// Begins to bring a stream in, with its own times and publishers. Only to who knows it (`Hello.imports`).
///
/// What comes is nobody's until *finishImport* gives it its name; without a word for a minute, or when the
/// store ends, it is dropped. Answered by *importReady*; *nameTaken* where there is such a stream,
/// *overloaded* where as many imports are open as may be.
public struct BeginImport: WireMessage {
  public static let kind = Kind.beginImport
  public static let layout = "remainingMs:u32 name:text16 first:u64 chain:bytes32"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  /// The name that the stream is to have.
  public var name: ChannelName
  /// The offset of its first event, 1 or more: its floor is the one before.
  public var first: Offset
  /// The chain before that event, 32 bytes.
  public var chain: [UInt8]
  public init(remainingMs: UInt32, name: ChannelName, first: Offset, chain: [UInt8]) {
    self.remainingMs = remainingMs
    self.name = name
    self.first = first
    self.chain = chain
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(name.text)
    w.u64(first.value)
    w.bytes32(chain)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    name = try c.channelName(s)
    first = Offset(try c.u64(s))
    chain = try c.bytes32(s)
  }
}

/// What came of an import so far is on disk.
public struct ImportReady: WireMessage {
  public static let kind = Kind.importReady
  public static let layout = "id:u64 next:u64"
  /// Which import it is.
  public var id: UInt64
  /// The offset of the event that has to come next.
  public var next: Offset
  public init(id: UInt64, next: Offset) {
    self.id = id
    self.next = next
  }
  public func encode(into w: inout ByteWriter) {
    w.u64(id)
    w.u64(next.value)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    id = try c.u64(s)
    next = Offset(try c.u64(s))
  }
}

/// The next events of an import, one step of it. Answered by *importReady*; *badRequest* for events that
/// are not the next, or that no append would take; *notFound* where there is no such import any more.
public struct ImportEvents: WireMessage {
  public static let kind = Kind.importEvents
  public static let layout = "remainingMs:u32 id:u64 events:[\(StoredEvent.layout)]u16"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var id: UInt64
  /// 1 to `Limits.eventsMax`.
  public var events: [StoredEvent]
  public init(remainingMs: UInt32, id: UInt64, events: [StoredEvent]) {
    self.remainingMs = remainingMs
    self.id = id
    self.events = events
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.u64(id)
    w.list(events) { event, w in event.encode(into: &w) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    id = try c.u64(s)
    let count = Int(try c.u16(s))
    events = []
    for _ in 0..<count { events.append(try StoredEvent(&c, s)) }
  }
}

/// Gives what was imported its name, in one step. Answered by *imported*; *hashMismatch* where it is not
/// what was said, *nameTaken*, *notFound*: after any of them nothing of it is kept.
public struct FinishImport: WireMessage {
  public static let kind = Kind.finishImport
  public static let layout = "remainingMs:u32 id:u64 last:u64 chain:bytes32"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var id: UInt64
  /// The offset of its last event.
  public var last: Offset
  /// The chain behind that event, 32 bytes.
  public var chain: [UInt8]
  public init(remainingMs: UInt32, id: UInt64, last: Offset, chain: [UInt8]) {
    self.remainingMs = remainingMs
    self.id = id
    self.last = last
    self.chain = chain
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.u64(id)
    w.u64(last.value)
    w.bytes32(chain)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    id = try c.u64(s)
    last = Offset(try c.u64(s))
    chain = try c.bytes32(s)
  }
}

/// The stream is there, as any other.
public struct Imported: WireMessage {
  public static let kind = Kind.imported
  public static let layout = StreamHead.layout
  public var head: StreamHead
  public init(_ head: StreamHead) { self.head = head }
  public func encode(into w: inout ByteWriter) { head.encode(into: &w) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    head = try StreamHead(&c, s)
  }
}
