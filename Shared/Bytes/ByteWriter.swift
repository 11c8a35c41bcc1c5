/// Builds bytes front to back; integers are little-endian.
///
/// Owns one growing array. Knows nothing of what the bytes mean; limits are the caller's.
public struct ByteWriter {
  public var bytes: [UInt8]

  @inlinable public init(reserving capacity: Int = 0) {
    bytes = []
    if capacity > 0 { bytes.reserveCapacity(capacity) }
  }

  @inlinable public var count: Int { bytes.count }

  @inlinable public mutating func u8(_ value: UInt8) { bytes.append(value) }

  @inlinable public mutating func u16(_ value: UInt16) { bytes.append(littleEndian: value) }

  @inlinable public mutating func u32(_ value: UInt32) { bytes.append(littleEndian: value) }

  @inlinable public mutating func u64(_ value: UInt64) { bytes.append(littleEndian: value) }

  @inlinable public mutating func i64(_ value: Int64) { u64(UInt64(bitPattern: value)) }

  @inlinable public mutating func raw(_ span: borrowing Span<UInt8>) { bytes.append(copying: span) }

  @inlinable public mutating func raw(_ array: [UInt8]) { bytes.append(contentsOf: array) }

  /// A `u16` count and the text's UTF-8. Of a text over 65,535 bytes what comes before the character
  /// that does not fit: texts that mean something are held to far less where they come in.
  @inlinable public mutating func text16(_ text: String) {
    if text.isEmpty { return u16(0) }
    var text = text
    text.makeContiguousUTF8()
    if text.utf8.count > Int(UInt16.max) { text = Self.cut(text) }
    let utf8 = text.utf8Span.span
    u16(UInt16(truncatingIfNeeded: utf8.count))
    bytes.append(copying: utf8)
  }

  /// The characters at the beginning of a text over 65,535 bytes that fit into so many.
  public static func cut(_ text: String) -> String {
    var end = text.utf8.index(text.startIndex, offsetBy: Int(UInt16.max))
    // Not within a character: its further bytes begin with the bits 10.
    while text.utf8[end] & 0xC0 == 0x80 { end = text.utf8.index(before: end) }
    return String(text[..<end])
  }

  /// A `u32` count and the bytes.
  @inlinable public mutating func bytes32(_ array: [UInt8]) {
    u32(UInt32(truncatingIfNeeded: array.count))
    bytes.append(contentsOf: array)
  }

  /// A `u32` count and the bytes.
  @inlinable public mutating func bytes32(_ span: borrowing Span<UInt8>) {
    u32(UInt32(truncatingIfNeeded: span.count))
    bytes.append(copying: span)
  }

  /// Overwrites four bytes that were written before, little-endian. For lengths known late.
  @inlinable public mutating func patch(u32 value: UInt32, at offset: Int) {
    bytes[offset] = UInt8(truncatingIfNeeded: value)
    bytes[offset + 1] = UInt8(truncatingIfNeeded: value >> 8)
    bytes[offset + 2] = UInt8(truncatingIfNeeded: value >> 16)
    bytes[offset + 3] = UInt8(truncatingIfNeeded: value >> 24)
  }
}
