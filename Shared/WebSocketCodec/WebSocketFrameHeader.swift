/// Which end of the connection this process is.
public enum WebSocketRole: Sendable {
  /// Receives masked frames, sends unmasked ones.
  case server
  /// Receives unmasked frames, sends masked ones.
  case client
}

/// What a frame is (RFC 6455 §5.2).
public enum WebSocketOpcode: UInt8, Sendable {
  case continuation = 0
  case text = 1
  case binary = 2
  case close = 8
  case ping = 9
  case pong = 10

  @inlinable public var isControl: Bool { rawValue >= 8 }
}

/// The head of one frame, 2 to 14 bytes (RFC 6455 §5.2):
///
///     byte 0   FIN RSV1 RSV2 RSV3 | opcode (4 bits)
///     byte 1   MASK | length (7 bits), 126: u16 follows, 127: u64 follows, both big-endian
///     then     4 bytes of masking key where MASK is set
public struct WebSocketFrameHeader: Equatable, Sendable {
  public var isFinal: Bool
  /// RSV1: the message that this frame begins is compressed (RFC 7692 §6).
  public var isCompressed: Bool
  public var opcode: WebSocketOpcode
  public var payloadBytes: Int
  /// The masking key, its first byte on the wire the least significant; nil when not masked.
  public var mask: UInt32?
  /// The bytes that this header itself took.
  public var headerBytes: Int

  /// What the state of the connection allows the next frame to be.
  public struct Rules: Equatable, Sendable {
    public var role: WebSocketRole
    /// Whether a message has begun and not ended.
    public var isAssembling: Bool
    /// The most that a data frame may hold.
    public var payloadBytesMax: Int
    /// The same for the first frame of a compressed message; nil where none may come.
    public var compressedBytesMax: Int?

    public init(
      role: WebSocketRole, isAssembling: Bool, payloadBytesMax: Int, compressedBytesMax: Int? = nil
    ) {
      self.role = role
      self.isAssembling = isAssembling
      self.payloadBytesMax = payloadBytesMax
      self.compressedBytesMax = compressedBytesMax
    }
  }

  /// Reads a header at `start`; nil while bytes of it are missing.
  ///
  /// Each rule is checked as soon as the byte that can break it is there and before any later
  /// byte, so the error does not depend on how the bytes arrived, and a frame that is too big is
  /// refused before its masking key and payload.
  public static func parse(
    _ input: borrowing Span<UInt8>, from start: Int, _ rules: Rules
  ) throws(WebSocketError) -> WebSocketFrameHeader? {
    let available = input.count - start
    guard available >= 1 else { return nil }
    let first = input[start]
    let opcode = try checkFirst(first, rules)
    guard available >= 2 else { return nil }
    let second = input[start + 1]
    try checkSecond(second, opcode, rules)
    let short = Int(second & 0x7F)
    let lengthEnd = 2 + (short < 126 ? 0 : short == 126 ? 2 : 8)
    guard available >= lengthEnd else { return nil }
    let count = short < 126 ? short : try long(input, start + 2, start + lengthEnd, rules)
    let isCompressed = first & 0x40 != 0
    let bytesMax = isCompressed ? rules.compressedBytesMax ?? 0 : rules.payloadBytesMax
    if !opcode.isControl, count > bytesMax { throw .messageTooBig }
    let isMasked = second & 0x80 != 0
    let end = lengthEnd + (isMasked ? 4 : 0)
    guard available >= end else { return nil }
    return WebSocketFrameHeader(
      isFinal: first & 0x80 != 0, isCompressed: isCompressed, opcode: opcode, payloadBytes: count,
      mask: isMasked ? key(input, start + lengthEnd) : nil, headerBytes: end)
  }

  private static func checkFirst(_ byte: UInt8, _ rules: Rules) throws(WebSocketError)
    -> WebSocketOpcode
  {
    guard byte & 0x30 == 0 else { throw .reservedBits }
    // RFC 7692 §6.1: RSV1 stands on the first frame of a message, never on the others.
    let mayBeCompressed = rules.compressedBytesMax != nil && (1...2).contains(byte & 0x0F)
    guard byte & 0x40 == 0 || mayBeCompressed else { throw .reservedBits }
    guard let opcode = WebSocketOpcode(rawValue: byte & 0x0F) else {
      throw .unknownOpcode(byte & 0x0F)
    }
    if opcode.isControl {
      guard byte & 0x80 != 0 else { throw .malformedControlFrame }
    } else if opcode == .continuation {
      guard rules.isAssembling else { throw .unexpectedContinuation }
    } else {
      guard !rules.isAssembling else { throw .expectedContinuation }
    }
    return opcode
  }

  private static func checkSecond(
    _ byte: UInt8, _ opcode: WebSocketOpcode, _ rules: Rules
  ) throws(WebSocketError) {
    guard (byte & 0x80 != 0) == (rules.role == .server) else { throw .wrongMasking }
    if opcode.isControl, byte & 0x7F > 125 { throw .malformedControlFrame }
  }

  /// The extended length at `start ..< end`, big-endian.
  private static func long(
    _ input: borrowing Span<UInt8>, _ start: Int, _ end: Int, _ rules: Rules
  ) throws(WebSocketError) -> Int {
    var value: UInt64 = 0
    for index in start..<end { value = value << 8 | UInt64(input[index]) }
    guard value > (end - start == 2 ? 125 : 65_535) else { throw .lengthNotMinimal }
    // The top bit must be zero (§5.2); a length with it is over every limit as well.
    guard let count = Int(exactly: value) else { throw .messageTooBig }
    return count
  }

  private static func key(_ input: borrowing Span<UInt8>, _ start: Int) -> UInt32 {
    UInt32(input[start]) | UInt32(input[start + 1]) << 8
      | UInt32(input[start + 2]) << 16 | UInt32(input[start + 3]) << 24
  }
}
