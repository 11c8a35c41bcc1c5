public import Bytes

/// A channel's number at the hub, the same on every link, and the generation of that use of it.
///
/// A number is free again only after the reply to *close* was sent; a frame that still carries the
/// old generation is refused as stale. 0 is no channel.
public struct ChannelHandle: Hashable, Sendable {
  public var number: UInt32
  public var generation: UInt32
  @inlinable public init(number: UInt32, generation: UInt32) {
    self.number = number
    self.generation = generation
  }
  public static let none = ChannelHandle(number: 0, generation: 0)
}

extension ByteWriter {
  @inlinable mutating func handle(_ handle: ChannelHandle) {
    u64(UInt64(handle.number) | UInt64(handle.generation) << 32)
  }
  /// One byte: 1 for yes, 0 for no.
  @inlinable mutating func bool(_ value: Bool) { u8(value ? 1 : 0) }
  /// An epoch as text; empty for none.
  mutating func epoch(_ epoch: Epoch?) {
    guard let epoch else { return u16(0) }
    u16(UInt16(truncatingIfNeeded: epoch.count))
    epoch.append(to: &bytes)
  }
}

/// Fields that are written into room that was made for all of them at once, as `ByteWriter` writes
/// them one by one.
enum Field {
  /// The most bytes that a text takes, without its count.
  static func room(_ text: String) -> Int { min(text.utf8.count, Int(UInt16.max)) }
}

extension OutputSpan where Element == UInt8 {
  mutating func u8(_ value: UInt8) { append(value) }
  mutating func u16(_ value: UInt16) { append(littleEndian: value) }
  mutating func u32(_ value: UInt32) { append(littleEndian: value) }
  mutating func u64(_ value: UInt64) { append(littleEndian: value) }
  mutating func handle(_ handle: ChannelHandle) {
    u64(UInt64(handle.number) | UInt64(handle.generation) << 32)
  }
  mutating func text16(_ text: String) {
    let count = text.utf8.count
    guard count > 0 else { return u16(0) }
    guard count <= Int(UInt16.max) else { return text16(ByteWriter.cut(text)) }
    u16(UInt16(truncatingIfNeeded: count))
    for byte in text.utf8 { append(byte) }
  }
  mutating func epoch(_ epoch: Epoch?) {
    guard let epoch else { return u16(0) }
    u16(UInt16(truncatingIfNeeded: epoch.count))
    epoch.append(to: &self)
  }
}

extension ByteCursor {
  mutating func handle(_ s: borrowing Span<UInt8>) throws(ByteError) -> ChannelHandle {
    ChannelHandle(number: try u32(s), generation: try u32(s))
  }
  /// A byte that is 0 or 1: whatever else it is, the two ends don't mean the same layout.
  mutating func bool(_ s: borrowing Span<UInt8>) throws(ByteError) -> Bool {
    let value = try u8(s)
    guard value <= 1 else { throw .invalidValue }
    return value == 1
  }
  mutating func epoch(_ s: borrowing Span<UInt8>) throws(ByteError) -> Epoch? {
    let text = try range16(s)
    if text.isEmpty { return nil }
    guard let epoch = Epoch(s.extracting(text)) else { throw .invalidValue }
    return epoch
  }
  mutating func channelName(_ s: borrowing Span<UInt8>) throws(ByteError) -> ChannelName {
    guard let name = ChannelName(try text16(s)) else { throw .invalidValue }
    return name
  }
  mutating func payloadKind(_ s: borrowing Span<UInt8>) throws(ByteError) -> PayloadKind {
    guard let kind = PayloadKind(rawValue: try u8(s)) else { throw .invalidValue }
    return kind
  }
}
