/// Compresses messages for permessage-deflate (RFC 7692 §7.2.1).
///
/// One for each loop, with `.newForEachMessage`, serves all connections: what it gives depends on
/// the message alone, so that subscribers share it. With `.keptBetweenMessages` it belongs to one
/// connection, sees all that is sent compressed there and in that order, and costs
/// `memoryBytes(windowBits:memoryLevel:)` for as long as it lives: count them.
///
/// Whether a message is worth compressing is the caller's to say; below some 256 bytes it seldom is
/// without a context. Never where what an attacker writes stands beside a secret (CRIME, BREACH).
/// Isolation: its holder's loop.
public final class MessageDeflater {
  public enum Context: Sendable {
    case newForEachMessage
    case keptBetweenMessages
  }

  /// What zlib can do: 8 is in the standard and not here.
  public static let windowBits = 9...15
  public static let memoryLevels = 1...9
  /// 1 is fastest; small messages gain next to nothing above it.
  public static let levels = 1...9

  private let context: Context
  private var stream: DeflateStream

  /// Values out of range are a programmer error. Without memory the process stops.
  public init(context: Context, windowBits: Int = 15, memoryLevel: Int = 8, level: Int = 1) {
    precondition(Self.windowBits ~= windowBits, "the compressor's window has 9 to 15 bits")
    precondition(Self.memoryLevels ~= memoryLevel, "the memory level is 1 to 9")
    precondition(Self.levels ~= level, "the level is 1 to 9")
    self.context = context
    stream = DeflateStream(
      level: Int32(level), windowBits: Int32(windowBits), memoryLevel: Int32(memoryLevel))
  }

  /// Bytes that it holds now, exactly.
  public var heldBytes: Int { stream.heldBytes }

  /// What a compressor holds: 2^(windowBits + 2) + 2^(memoryLevel + 9) bytes by zconf.h, and its
  /// state. 268 KB at 15 and 8; 39 KB at 12 and 5; 9 KB at 9 and 1.
  public static func memoryBytes(windowBits: Int, memoryLevel: Int) -> Int {
    1 << (windowBits + 2) + 1 << (memoryLevel + 9) + 6 << 10
  }

  /// Appends `message`, compressed, to `output`: the payload of a frame with RSV1, without the four
  /// bytes `00 00 FF FF` that every flush ends in.
  ///
  /// - Shape: an empty message is the one byte `00` (RFC 7692 §7.2.3.6).
  /// - Cost: some 7 µs for a new context, 3 µs for a kept one, and 10 to 20 ns a byte.
  public func compress(_ message: borrowing Span<UInt8>, into output: inout [UInt8]) {
    guard !message.isEmpty else { return output.append(0) }
    if context == .newForEachMessage { stream.reset() }
    stream.flush(message, into: &output)
    precondition(output.suffix(4) == [0, 0, 0xFF, 0xFF], "a flush ends in an empty block")
    output.removeLast(4)
  }

  /// `message`, compressed; see the other overload.
  public func compress(_ message: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    compress(message.span, into: &output)
    return output
  }
}

@available(*, unavailable) extension MessageDeflater: Sendable {}
