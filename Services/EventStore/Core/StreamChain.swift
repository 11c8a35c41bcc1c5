internal import Bytes
internal import Crypto
public import Wire

/// A running SHA-256 over the events of one stream: equal chains mean equal histories.
///
/// `h(0)` is 32 zero bytes, `h(n) = SHA-256(h(n−1) · event n)`, the event as
/// `u64 offset · i64 time · u64 client · u16 user · u8 kind · u16 type · u32 meta · u32 payload`,
/// counts before bytes, little-endian. It knows no epoch and no position, so that a restored or
/// copied stream can be compared with its origin.
public struct StreamChain: Sendable, Hashable {
  public private(set) var bytes = [UInt8](repeating: 0, count: SHA256.byteCount)

  public init() {}

  /// Adds the event that follows.
  public mutating func add(_ event: StoredEvent) {
    var writer = ByteWriter(reserving: 128 + event.payload.bytes.count)
    writer.raw(bytes)
    writer.u64(event.offset.value)
    writer.i64(event.timeMs)
    writer.u64(event.publisher.client)
    writer.text16(event.publisher.user)
    writer.u8(event.payload.kind.rawValue)
    writer.text16(event.eventType)
    writer.bytes32(event.meta)
    writer.bytes32(event.payload.bytes)
    bytes = SHA256.digest(writer.bytes)
  }

  public var hexadecimal: String { hex(bytes) }
}
