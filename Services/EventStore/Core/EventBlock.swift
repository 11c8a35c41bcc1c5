internal import Archive
internal import Bytes
internal import Wire

/// Consecutive events of one stream, as they stand on the disk: in the log those of one commit, in a
/// segment those of many.
struct EventBlock: Equatable, Sendable {
  var stream: Int64
  /// The offset of its first event; the others follow one by one.
  var first: Offset
  /// The stream's chain before the first event.
  var chain: StreamChain
  var events: EncodedEvents

  /// BUDGET: bytes of a block, unless a single event is larger. A read checks a whole block, and a
  /// damaged one takes all its events with it.
  static let bytesMax = 60 << 10

  init(stream: Int64, first: Offset, chain: StreamChain, events: EncodedEvents = EncodedEvents()) {
    self.stream = stream
    self.first = first
    self.chain = chain
    self.events = events
  }

  var count: Int { events.count }
  /// INVARIANT: read only of blocks that hold events.
  var last: Offset { Offset(first.value &+ UInt64(events.count) &- 1) }

  func contains(_ offset: Offset) -> Bool { offset >= first && offset <= last }

  /// Whether `more` bytes would make it too large.
  func isFull(for more: Int) -> Bool {
    events.count > 0 && events.bytes.count + more > Self.bytesMax
  }

  /// CRC-32C over `i64 position · i64 stream · u64 first · u32 count · chain · bytes`, little-endian:
  /// a block that was moved, cut or given to another stream fails as surely as one that changed.
  /// - Parameter position: that of its first event in the log; 0 for a segment.
  func checksum(at position: Int64) -> UInt32 {
    Self.checksum(
      at: position, stream: stream, first: first, count: count, chain: chain, events.bytes.span)
  }

  static func checksum(
    at position: Int64, stream: Int64, first: Offset, count: Int, chain: StreamChain,
    _ bytes: borrowing Span<UInt8>
  ) -> UInt32 {
    var head = ByteWriter(reserving: 28 + StreamChain.byteCount)
    head.i64(position)
    head.i64(stream)
    head.u64(first.value)
    head.u32(UInt32(clamping: count))
    head.raw(chain.bytes)
    return crc32c(bytes, continuing: crc32c(head.bytes))
  }
}
