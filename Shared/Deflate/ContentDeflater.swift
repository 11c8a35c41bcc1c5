/// Compresses whole contents as HTTP carries them: gzip (RFC 1952) or zlib (RFC 1950), which HTTP calls
/// `deflate` (RFC 9110 §8.4.1).
///
/// What it gives depends on the content alone; one for each loop serves all connections and holds some
/// 270 KB. Never where what an attacker writes stands beside a secret (BREACH). Isolation: its holder's loop.
public final class ContentDeflater {
  public enum Format: Sendable { case gzip, zlib }

  private var stream: DeflateStream

  /// A level out of 1 to 9 is a programmer error. Without memory the process stops.
  public init(_ format: Format, level: Int) {
    precondition(MessageDeflater.levels ~= level, "the level is 1 to 9")
    stream = DeflateStream(
      level: Int32(level), windowBits: 15, memoryLevel: 8, format == .gzip ? .gzip : .zlib)
  }

  /// `content`, compressed.
  ///
  /// - Cost: some 10 µs, and 20 to 60 ns a byte by the level.
  public func compress(_ content: [UInt8]) -> [UInt8] {
    stream.reset()
    var output: [UInt8] = []
    stream.finish(content.span, into: &output)
    return output
  }
}

@available(*, unavailable) extension ContentDeflater: Sendable {}
