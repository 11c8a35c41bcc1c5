internal import Bytes

/// Writes frames (RFC 6455 §5.2). Servers pass no mask; clients pass one that nobody can guess, a
/// new one for each frame (§5.3). Its least significant byte is the first on the wire.
public enum WebSocketFrame {
  /// The most that a control frame may hold.
  public static let controlBytesMax = 125
  /// The most that a close frame's reason may hold.
  public static let reasonBytesMax = 123

  /// Appends a header for `count` bytes of payload, which the caller appends behind it, masked
  /// where there is a mask. `isCompressed` is for the first frame of a message (RFC 7692 §6.1).
  public static func header(
    _ opcode: WebSocketOpcode, count: Int, isFinal: Bool = true, isCompressed: Bool = false,
    mask: UInt32? = nil, into output: inout [UInt8]
  ) {
    output.append(opcode.rawValue | (isFinal ? 0x80 : 0) | (isCompressed ? 0x40 : 0))
    let masked: UInt8 = mask == nil ? 0 : 0x80
    if count < 126 {
      output.append(masked | UInt8(truncatingIfNeeded: count))
    } else if count <= 65_535 {
      output.append(masked | 126)
      output.append(UInt8(truncatingIfNeeded: count >> 8))
      output.append(UInt8(truncatingIfNeeded: count))
    } else {
      output.append(masked | 127)
      for shift in stride(from: 56, through: 0, by: -8) {
        output.append(UInt8(truncatingIfNeeded: count >> shift))
      }
    }
    guard let mask else { return }
    for shift in stride(from: UInt32(0), through: 24, by: 8) {
      output.append(UInt8(truncatingIfNeeded: mask >> shift))
    }
  }

  /// Appends a whole frame.
  ///
  /// A control frame over `controlBytesMax` is a programmer error.
  public static func append(
    _ opcode: WebSocketOpcode, _ payload: borrowing Span<UInt8>, isFinal: Bool = true,
    isCompressed: Bool = false, mask: UInt32? = nil, into output: inout [UInt8]
  ) {
    precondition(
      !opcode.isControl || payload.count <= controlBytesMax, "a control frame holds 125 bytes")
    header(
      opcode, count: payload.count, isFinal: isFinal, isCompressed: isCompressed, mask: mask,
      into: &output)
    let start = output.count
    output.append(copying: payload)
    if let mask { applyMask(mask, to: &output, from: start) }
  }

  /// Appends a message in one frame.
  public static func append(
    _ kind: WebSocketMessageKind, _ payload: [UInt8], mask: UInt32? = nil,
    into output: inout [UInt8]
  ) {
    append(kind == .text ? .text : .binary, payload.span, mask: mask, into: &output)
  }

  /// Appends a close frame; nil for none of the codes. The reason is cut at a character to what
  /// fits. A code that may not be sent is a programmer error.
  public static func close(
    _ code: WebSocketCloseCode?, reason: String = "", mask: UInt32? = nil,
    into output: inout [UInt8]
  ) {
    var payload: [UInt8] = []
    if let code {
      precondition(code.isValidOnWire, "this close code may not be sent")
      payload.append(UInt8(truncatingIfNeeded: code.rawValue >> 8))
      payload.append(UInt8(truncatingIfNeeded: code.rawValue))
      for scalar in reason.unicodeScalars {
        let bytes = UTF8.encode(scalar).map(Array.init) ?? []
        guard payload.count + bytes.count <= controlBytesMax else { break }
        payload += bytes
      }
    }
    append(.close, payload.span, mask: mask, into: &output)
  }
}
