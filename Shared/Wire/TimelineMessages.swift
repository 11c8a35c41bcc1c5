public import Bytes

/// Makes a stream that begins as another one is up to an offset, and goes on by itself. Only to who
/// knows it (`Hello.timelines`).
///
/// Answered by *streamForked* once it is on disk. *notFound* where there is no such source,
/// *unrecoverable* for an offset that was removed or another epoch, *beyondHead*, *nameTaken* where
/// another stream has the name, *badRequest* for a name that is no fork's.
public struct ForkStream: WireMessage {
  public static let kind = Kind.forkStream
  public static let layout =
    "remainingMs:u32 source:text16 name:text16 at:u64 epoch:text16 author:text16"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var source: ChannelName
  /// `ROOT@LABEL`, where `ROOT` is the source's name up to its own `@`.
  public var name: ChannelName
  /// The last offset that both have; nil for the head.
  public var at: Offset?
  /// The epoch the source must be in; nil for whichever.
  public var epoch: Epoch?
  /// Who forks; may be empty.
  public var author: String
  public init(
    remainingMs: UInt32, source: ChannelName, name: ChannelName, at: Offset? = nil,
    epoch: Epoch? = nil, author: String = ""
  ) {
    self.remainingMs = remainingMs
    self.source = source
    self.name = name
    self.at = at
    self.epoch = epoch
    self.author = author
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(source.text)
    w.text16(name.text)
    w.u64(at?.value ?? .max)
    w.epoch(epoch)
    w.text16(author)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    source = try c.channelName(s)
    name = try c.channelName(s)
    let atFound = try c.u64(s)
    at = atFound == .max ? nil : Offset(atFound)
    epoch = try c.epoch(s)
    author = try c.text16(s)
  }
}

/// The fork is on disk: where it stands, and where it begins.
public struct StreamForked: WireMessage {
  public static let kind = Kind.streamForked
  public static let layout = "\(StreamHead.layout) at:u64 isNew:u8"
  public var head: StreamHead
  public var at: Offset
  /// False where the same fork was there before.
  public var isNew: Bool
  public init(head: StreamHead, at: Offset, isNew: Bool) {
    self.head = head
    self.at = at
    self.isNew = isNew
  }
  public func encode(into w: inout ByteWriter) {
    head.encode(into: &w)
    w.u64(at.value)
    w.bool(isNew)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    head = try StreamHead(&c, s)
    at = Offset(try c.u64(s))
    isNew = try c.bool(s)
  }
}

/// Raises a stream's floor: nobody is given what is up to an offset any more. Answered by
/// *historyRemoved*. Only to who knows it (`Hello.timelines`).
public struct TrimStream: WireMessage {
  public static let kind = Kind.trimStream
  public static let layout = "remainingMs:u32 name:text16 through:u64"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var name: ChannelName
  /// Nil for the head; beyond the head it is the head.
  public var through: Offset?
  public init(remainingMs: UInt32, name: ChannelName, through: Offset?) {
    self.remainingMs = remainingMs
    self.name = name
    self.through = through
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(name.text)
    w.u64(through?.value ?? .max)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    name = try c.channelName(s)
    let found = try c.u64(s)
    through = found == .max ? nil : Offset(found)
  }
}

/// Deletes a stream. Its forks stay, with what they have in common with it; a stream that begins under
/// the name again does so in another epoch. Answered by *streamDeleted*, or *notFound*. Only to who
/// knows it (`Hello.timelines`).
public struct DeleteStream: WireMessage {
  public static let kind = Kind.deleteStream
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

/// The stream is gone.
public struct StreamDeleted: WireMessage {
  public static let kind = Kind.streamDeleted
  public static let layout = "forks:u32"
  /// Forks that keep what they have in common with it.
  public var forks: UInt32
  public init(forks: UInt32) { self.forks = forks }
  public func encode(into w: inout ByteWriter) { w.u32(forks) }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    forks = try c.u32(s)
  }
}

/// Asks what there is to say of streams, by prefix, in the order of their names. Only to who knows it
/// (`Hello.timelines`).
public struct DescribeStreams: WireMessage {
  public static let kind = Kind.describeStreams
  public static let layout = "\(ListStreams.layout) at:u64?"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var prefix: String
  /// Names greater than this one; empty for the first page.
  public var after: String
  public var limit: UInt32
  /// The offset whose chain is asked for, in place of the head's; nil for the head's. Only to who knows it
  /// (`Hello.imports`).
  public var at: Offset?
  public init(
    remainingMs: UInt32, prefix: String, after: String, limit: UInt32, at: Offset? = nil
  ) {
    self.remainingMs = remainingMs
    self.prefix = prefix
    self.after = after
    self.limit = limit
    self.at = at
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(prefix)
    w.text16(after)
    w.u32(limit)
    w.u64(at?.value ?? .max)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    prefix = try c.text16(s)
    after = try c.text16(s)
    limit = try c.u32(s)
    let found = c.isAtEnd ? .max : try c.u64(s)
    at = found == .max ? nil : Offset(found)
  }
}

/// What there is to say of one stream.
public struct StreamDescription: Equatable, Sendable {
  public static let layout =
    "\(StreamHead.layout) bytes:u64 createdMs:i64 source:text16 fork:u64 isFork:u8 author:text16 sha256:bytes32"
  public var head: StreamHead
  /// Bytes of its own events, as they are stored; of a fork without those it shares.
  public var bytes: UInt64
  /// Milliseconds since 1970.
  public var createdMs: Int64
  /// What it was forked from; empty where that was deleted, and for a stream that is no fork.
  public var source: String
  /// The last offset that it shares with its source.
  public var fork: Offset
  public var isFork: Bool
  /// Who forked it; may be empty.
  public var author: String
  /// The chain over all its events up to the head, or to the offset that was asked for
  /// (docs/PROTOCOL.md), 32 bytes; empty where the stream has no such offset, or not any more.
  public var sha256: [UInt8]
  public init(
    head: StreamHead, bytes: UInt64, createdMs: Int64, source: String, fork: Offset, isFork: Bool,
    author: String, sha256: [UInt8]
  ) {
    self.head = head
    self.bytes = bytes
    self.createdMs = createdMs
    self.source = source
    self.fork = fork
    self.isFork = isFork
    self.author = author
    self.sha256 = sha256
  }
  func encode(into w: inout ByteWriter) {
    head.encode(into: &w)
    w.u64(bytes)
    w.i64(createdMs)
    w.text16(source)
    w.u64(fork.value)
    w.bool(isFork)
    w.text16(author)
    w.bytes32(sha256)
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    head = try StreamHead(&c, s)
    bytes = try c.u64(s)
    createdMs = try c.i64(s)
    source = try c.text16(s)
    fork = Offset(try c.u64(s))
    isFork = try c.bool(s)
    author = try c.text16(s)
    sha256 = try c.bytes32(s)
  }
}

/// The answer to *describeStreams*.
public struct StreamDescriptions: WireMessage {
  public static let kind = Kind.streamDescriptions
  public static let layout = "hasMore:u8 streams:[\(StreamDescription.layout)]u16"
  public var hasMore: Bool
  public var streams: [StreamDescription]
  public init(hasMore: Bool, streams: [StreamDescription]) {
    self.hasMore = hasMore
    self.streams = streams
  }
  public func encode(into w: inout ByteWriter) {
    w.bool(hasMore)
    w.list(streams) { element, w in element.encode(into: &w) }
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    hasMore = try c.bool(s)
    let count = Int(try c.u16(s))
    streams = []
    for _ in 0..<count { streams.append(try StreamDescription(&c, s)) }
  }
}
