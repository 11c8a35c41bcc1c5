public import Bytes
internal import Crypto
public import Wire

/// A running SHA-256 over the events of one stream: equal chains mean equal histories.
///
/// `h(0)` is 32 zero bytes, `h(n) = SHA-256(h(n−1) · event n)`, the event in the bytes of
/// `StoredEvent.layout` (docs/PROTOCOL.md). It knows no epoch and no position, so that a restored,
/// copied or forked stream can be compared with its origin.
public struct StreamChain: Sendable, Hashable {
  public static let byteCount = SHA256.byteCount
  public private(set) var bytes: [UInt8]

  /// The chain before the first event.
  public init() { bytes = Self.zeros }

  /// Nil for other than 32 bytes.
  public init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = bytes
  }

  /// Adds the event that follows. For a few: it makes anew what `Maker` keeps.
  public mutating func add(_ event: StoredEvent) {
    var encoded = EncodedEvents()
    encoded.append(event)
    var maker = Maker()
    self = maker.chain(self, adding: encoded.bytes.span)
  }

  fileprivate init(digest: [UInt8]) { bytes = digest }

  private static let zeros = [UInt8](repeating: 0, count: byteCount)

  public var hexadecimal: String { hex(bytes) }

  /// Adds events to chains: what a digest needs is made once. Confined to its holder.
  public struct Maker: ~Copyable {
    private var series = SHA256Series()

    public init() {}

    /// The chain with one event more.
    public mutating func chain(_ before: StreamChain, adding event: borrowing Span<UInt8>) -> StreamChain {
      StreamChain(digest: series.digest(before.bytes, event))
    }

    /// The chain with all encoded events of `bytes` more, up to `last`; nil where they are not events
    /// in the order of their offsets from `first` on.
    public mutating func chain(
      _ before: StreamChain, addingAll bytes: borrowing Span<UInt8>, count: Int, from first: Offset,
      through last: Offset = Offset(.max)
    ) -> StreamChain? {
      var cursor = ByteCursor(bytes)
      var chain = before
      var next = first
      do throws(ByteError) {
        for _ in 0..<count {
          let event = try EncodedEvent(&cursor, bytes)
          guard event.offset == next else { return nil }
          if next > last { return chain }
          chain = self.chain(chain, adding: bytes.extracting(event.range))
          next = next.next
        }
      } catch { return nil }
      return cursor.isAtEnd ? chain : nil
    }
  }
}
