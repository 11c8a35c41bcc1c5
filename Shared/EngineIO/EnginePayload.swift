internal import Bytes

/// The body of a polling request or response: packets joined by the byte 0x1E, binary as `b` and
/// base64.
public enum EnginePayload {
  public static let separator: UInt8 = 0x1E
  static let binaryMark = UInt8(ascii: "b")

  public struct Limits: Hashable, Sendable {
    /// The handshake's `maxPayload`, the reference server's `maxHttpBufferSize`.
    public var bytesMax: Int
    /// BUDGET: packets of one payload. What a client gathers while a request is under way is far
    /// below; a megabyte of the smallest packets is far above.
    public var packetsMax: Int

    public init(bytesMax: Int = 1_000_000, packetsMax: Int = 4_096) {
      self.bytesMax = bytesMax
      self.packetsMax = packetsMax
    }
  }

  /// Appends the frames as one payload. Frames of text hold no separator (`canCarry`).
  public static func append(_ frames: some Sequence<EngineFrame>, to bytes: inout [UInt8]) {
    var isFirst = true
    for frame in frames {
      if !isFirst { bytes.append(separator) }
      isFirst = false
      switch frame {
      case .text(let text): bytes.append(contentsOf: text)
      case .binary(let binary):
        bytes.append(binaryMark)
        bytes.append(contentsOf: base64(binary).utf8)
      }
    }
  }

  /// Whether a payload can say that frame: text with a separator inside would be read as two
  /// packets. JSON never has one, since it is a control character.
  public static func canCarry(_ frame: EngineFrame) -> Bool {
    guard case .text(let bytes) = frame else { return true }
    return firstSeparator(bytes.span, from: 0) == bytes.count
  }

  /// The offset of the next separator, or the end.
  static func firstSeparator(_ s: borrowing Span<UInt8>, from start: Int) -> Int {
    var index = start
    while let word = s.word(at: index), !word.hasByte(separator) { index += 8 }
    while index < s.count, s[index] != separator { index += 1 }
    return index
  }
}

/// Reads the packets of one polling payload front to back.
///
/// - Shape: pass the same bytes to each call; nil after the last packet.
/// - Cost: linear in the payload; one copy of each packet's contents, nothing kept.
/// - Errors: the first fault, after the packets before it were given; every later call throws it
///   again. An empty payload holds one empty packet, which is a fault.
public struct EnginePayloadReader: Sendable {
  private let limits: EnginePayload.Limits
  /// Where the next packet begins; beyond the end when all were read.
  private var offset = 0
  private var packets = 0
  private var failure: EngineError?

  /// `.payloadTooBig` and `.invalidText` show here, before any packet.
  public init(_ span: borrowing Span<UInt8>, limits: EnginePayload.Limits) throws(EngineError) {
    guard span.count <= limits.bytesMax else { throw .payloadTooBig }
    guard Self.isUTF8(span) else { throw .invalidText }
    self.limits = limits
  }

  public mutating func next(_ span: borrowing Span<UInt8>) throws(EngineError) -> EnginePacket? {
    if let failure { throw failure }
    guard offset <= span.count else { return nil }
    do throws(EngineError) {
      return try advance(span)
    } catch {
      failure = error
      throw error
    }
  }

  private mutating func advance(
    _ span: borrowing Span<UInt8>
  ) throws(EngineError) -> EnginePacket {
    guard packets < limits.packetsMax else { throw .tooManyPackets }
    packets += 1
    let end = EnginePayload.firstSeparator(span, from: offset)
    let packet = span.extracting(offset..<end)
    offset = end + 1
    guard packet.count > 0, packet[0] == EnginePayload.binaryMark else {
      return try EnginePacket(text: packet)
    }
    guard let text = String(validating: packet.extracting(1..<packet.count)),
      let contents = bytes(base64: text)
    else { throw .invalidBase64 }
    return .binary(contents)
  }

  private static func isUTF8(_ span: borrowing Span<UInt8>) -> Bool {
    if span.isASCII { return true }
    return String(validating: span) != nil
  }
}
