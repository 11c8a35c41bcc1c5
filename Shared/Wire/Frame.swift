public import Bytes

/// The 16 bytes before every body, little-endian:
///
///     0        4      6      8             12          16
///     | length | kind | flags | correlation | CRC-32C   | body …
///
/// `length` counts the body only. `correlation` is 0 for what is no request and no reply. The
/// checksum covers the first 12 bytes and the body on TCP and is 0 on a Unix socket.
public struct FrameHeader: Equatable, Sendable {
  public static let bytes = 16

  public var length: Int
  public var kind: Kind
  public var flags: FrameFlags
  public var correlation: UInt32
  public var checksum: UInt32

  public init(
    length: Int, kind: Kind, flags: FrameFlags = [], correlation: UInt32 = 0, checksum: UInt32 = 0
  ) {
    self.length = length
    self.kind = kind
    self.flags = flags
    self.correlation = correlation
    self.checksum = checksum
  }
}

/// Frame flags. Bits not named here are zero on send and refused on receipt.
public struct FrameFlags: OptionSet, Sendable {
  public let rawValue: UInt16
  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
  /// A receiver that does not know the kind drops the frame instead of closing the link.
  public static let mayIgnore = FrameFlags(rawValue: 1)
  /// The frame answers the request of the same correlation.
  public static let reply = FrameFlags(rawValue: 2)
  static let known: FrameFlags = [.mayIgnore, .reply]
}

/// Why bytes are no frame. Every case ends the link.
public enum FrameError: Error, Equatable, Sendable {
  case unknownKind(UInt16)
  case reservedFlags(UInt16)
  case bodyTooLong(kind: Kind, length: Int)
  case checksumMismatch
  case malformedBody(Kind, ByteError)
}

/// Whether frames carry a checksum: on TCP they do, a Unix socket needs none.
public enum Checksums: Sendable { case none, crc32c }

/// A body that one kind of frame carries.
///
/// Field order is fixed. Within a protocol version fields are only appended: `init` ignores what
/// follows the fields it knows, and gives absent appended ones their defaults.
public protocol WireMessage: Equatable, Sendable {
  static var kind: Kind { get }
  /// The layout in the notation of docs/PROTOCOL.md; tests hold it against the encoder.
  static var layout: String { get }
  func encode(into writer: inout ByteWriter)
  init(_ cursor: inout ByteCursor, _ bytes: borrowing Span<UInt8>) throws(ByteError)
}

extension ByteWriter {
  /// Appends a whole frame with `message` as its body.
  @inlinable
  public mutating func frame<M: WireMessage>(
    _ message: borrowing M, correlation: UInt32 = 0, flags: FrameFlags = [],
    checksums: Checksums = .none
  ) {
    let start = beginFrame(M.kind, correlation: correlation, flags: flags)
    message.encode(into: &self)
    endFrame(start, checksums)
  }

  /// Writes a header whose length and checksum `endFrame` fills in. Returns where it starts.
  @inlinable
  public mutating func beginFrame(_ kind: Kind, correlation: UInt32, flags: FrameFlags) -> Int {
    let start = count
    // Length, kind, flags; correlation, checksum. In two steps, since this is done for every frame.
    u64(UInt64(kind.rawValue) << 32 | UInt64(flags.rawValue) << 48)
    u64(UInt64(correlation))
    return start
  }

  /// Completes the frame that begins at `start`.
  @inlinable
  public mutating func endFrame(_ start: Int, _ checksums: Checksums) {
    patch(u32: UInt32(truncatingIfNeeded: count - start - FrameHeader.bytes), at: start)
    if checksums == .crc32c { addChecksum(start) }
  }

  @usableFromInline
  mutating func addChecksum(_ start: Int) {
    let value = frameChecksum(bytes.span.extracting(start..<bytes.count))
    patch(u32: value, at: start + 12)
  }
}

/// CRC-32C of a whole frame, its checksum field left out.
func frameChecksum(_ frame: borrowing Span<UInt8>) -> UInt32 {
  let head = crc32c(frame.extracting(0..<12))
  return crc32c(frame.extracting(FrameHeader.bytes..<frame.count), continuing: head)
}

extension WireMessage {
  /// Decodes a whole body.
  public init(body: borrowing Span<UInt8>) throws(FrameError) {
    var cursor = ByteCursor(body)
    do throws(ByteError) {
      try self.init(&cursor, body)
    } catch {
      throw .malformedBody(Self.kind, error)
    }
  }
}
