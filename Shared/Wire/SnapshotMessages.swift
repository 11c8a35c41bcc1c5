public import Bytes

// What was folded from a stream's events up to an offset, kept beside the stream. Only to who knows it
// (`Hello.snapshots`).

/// Which fold of a stream: what made the bytes, and in which version of its rules. Others' bytes are
/// nothing to it.
public struct FoldName: Equatable, Sendable {
  public static let layout = "fold:text16 version:u32"
  /// 1 to `nameBytesMax` bytes.
  public var name: String
  public var version: UInt32
  public static let nameBytesMax = 64
  public init(_ name: String, version: UInt32) {
    self.name = name
    self.version = version
  }
  func encode(into w: inout ByteWriter) {
    w.text16(name)
    w.u32(version)
  }
  init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    name = try c.text16(s)
    version = try c.u32(s)
    guard (1...Self.nameBytesMax).contains(name.utf8.count) else { throw .invalidValue }
  }
}

/// Keeps what a fold made of a stream's events up to an offset. Answered by *snapshotKept*.
///
/// *notFound* where there is no such stream, *unrecoverable* for another epoch, another chain or what
/// is up to the stream's floor, *beyondHead*, *tooLarge*, *badRequest* for bytes that don't fit their
/// sum.
public struct PutSnapshot: WireMessage {
  public static let kind = Kind.putSnapshot
  public static let layout =
    "remainingMs:u32 stream:text16 \(FoldName.layout) epoch:text16 offset:u64 sha256:bytes32 crc:u32 state:bytes32"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var stream: ChannelName
  public var fold: FoldName
  public var epoch: Epoch
  /// The last event that it was folded from.
  public var offset: Offset
  /// The stream's chain there, 32 bytes; empty to have the store note its own.
  public var sha256: [UInt8]
  /// CRC-32C of `state`.
  public var crc: UInt32
  /// At most `Limits.snapshotBytesMax`.
  public var state: [UInt8]
  public init(
    remainingMs: UInt32, stream: ChannelName, fold: FoldName, epoch: Epoch, offset: Offset,
    sha256: [UInt8] = [], crc: UInt32, state: [UInt8]
  ) {
    self.remainingMs = remainingMs
    self.stream = stream
    self.fold = fold
    self.epoch = epoch
    self.offset = offset
    self.sha256 = sha256
    self.crc = crc
    self.state = state
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(stream.text)
    fold.encode(into: &w)
    w.epoch(epoch)
    w.u64(offset.value)
    w.bytes32(sha256)
    w.u32(crc)
    w.bytes32(state)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    stream = try c.channelName(s)
    fold = try FoldName(&c, s)
    guard let epoch = try c.epoch(s) else { throw .invalidValue }
    self.epoch = epoch
    offset = Offset(try c.u64(s))
    sha256 = try c.bytes32(s)
    crc = try c.u32(s)
    state = try c.bytes32(s)
    guard sha256.isEmpty || sha256.count == 32 else { throw .invalidValue }
  }
}

/// The snapshot is on disk, or one that reaches as far was there already.
public struct SnapshotKept: WireMessage {
  public static let kind = Kind.snapshotKept
  public static let layout = "isNew:u8 offset:u64"
  /// False where nothing was written.
  public var isNew: Bool
  /// Of the newest that is kept.
  public var offset: Offset
  public init(isNew: Bool, offset: Offset) {
    self.isNew = isNew
    self.offset = offset
  }
  public func encode(into w: inout ByteWriter) {
    w.bool(isNew)
    w.u64(offset.value)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    isNew = try c.bool(s)
    offset = Offset(try c.u64(s))
  }
}

/// Asks for the latest snapshot of a fold at or before an offset, of the stream itself or of what it was
/// forked from. Answered by *snapshotFound*, or *notFound*.
public struct ReadSnapshot: WireMessage {
  public static let kind = Kind.readSnapshot
  public static let layout =
    "remainingMs:u32 stream:text16 \(FoldName.layout) at:u64 wantsState:u8"
  /// Milliseconds until the asker no longer waits.
  public var remainingMs: UInt32
  public var stream: ChannelName
  public var fold: FoldName
  /// Nil for the head.
  public var at: Offset?
  /// Else only where it is: what it holds is neither read nor checked.
  public var wantsState: Bool
  public init(
    remainingMs: UInt32, stream: ChannelName, fold: FoldName, at: Offset?, wantsState: Bool
  ) {
    self.remainingMs = remainingMs
    self.stream = stream
    self.fold = fold
    self.at = at
    self.wantsState = wantsState
  }
  public func encode(into w: inout ByteWriter) {
    w.u32(remainingMs)
    w.text16(stream.text)
    fold.encode(into: &w)
    w.u64(at?.value ?? .max)
    w.bool(wantsState)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    remainingMs = try c.u32(s)
    stream = try c.channelName(s)
    fold = try FoldName(&c, s)
    let found = try c.u64(s)
    at = found == .max ? nil : Offset(found)
    wantsState = try c.bool(s)
  }
}

/// A snapshot whose chain is still the stream's there. What follows it can be read: it is not below
/// the floor.
public struct SnapshotFound: WireMessage {
  public static let kind = Kind.snapshotFound
  public static let layout =
    "epoch:text16 offset:u64 sha256:bytes32 timeMs:i64 crc:u32 state:bytes32"
  /// Of the stream that was asked for.
  public var epoch: Epoch?
  public var offset: Offset
  /// The chain there, 32 bytes.
  public var sha256: [UInt8]
  /// When it was kept, in milliseconds since 1970.
  public var timeMs: Int64
  /// CRC-32C of the state, whether it comes or not.
  public var crc: UInt32
  /// Empty where it was not asked for.
  public var state: [UInt8]
  public init(
    epoch: Epoch?, offset: Offset, sha256: [UInt8], timeMs: Int64, crc: UInt32, state: [UInt8]
  ) {
    self.epoch = epoch
    self.offset = offset
    self.sha256 = sha256
    self.timeMs = timeMs
    self.crc = crc
    self.state = state
  }
  public func encode(into w: inout ByteWriter) {
    w.epoch(epoch)
    w.u64(offset.value)
    w.bytes32(sha256)
    w.i64(timeMs)
    w.u32(crc)
    w.bytes32(state)
  }
  public init(_ c: inout ByteCursor, _ s: borrowing Span<UInt8>) throws(ByteError) {
    epoch = try c.epoch(s)
    offset = Offset(try c.u64(s))
    sha256 = try c.bytes32(s)
    timeMs = try c.i64(s)
    crc = try c.u32(s)
    state = try c.bytes32(s)
  }
}
