public import Bytes

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
    remainingMs: UInt32, transfer: UInt32, sha256: [UInt8], offset: UInt64, count: UInt64,
    credit: UInt32
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
