internal import Bytes
internal import Deflate
internal import Observe
internal import WebSocketCodec

/// Writes messages as frames, compressed where that is worth it (RFC 7692 §6).
///
/// Without a context what it writes depends on the message alone: one for each window serves all
/// connections of a loop, and what goes to many is compressed once. With a context it belongs to
/// one connection, and all that it writes has to be sent there, in order. Loop-confined.
final class MessageCompressor {
  enum Kind { case shared, ownContext }

  /// BUDGET: a context makes small messages smaller too; below this there is nothing to gain.
  static let ownThreshold = 64
  /// BUDGET: what is kept of the buffer between two messages.
  private static let bufferBytesMax = 65_536

  private let kind: Kind
  private let windowBits: Int
  private var level: Int
  private var deflater: MessageDeflater
  private var threshold: Int
  private let metrics: CompressionMetrics
  private var compressed: [UInt8] = []

  init(
    _ kind: Kind, windowBits: Int, level: Int, threshold: Int, _ metrics: CompressionMetrics
  ) {
    self.kind = kind
    self.windowBits = windowBits
    self.level = level
    deflater = Self.deflater(kind, windowBits, level)
    self.threshold = kind == .shared ? threshold : Self.ownThreshold
    self.metrics = metrics
  }

  private static func deflater(_ kind: Kind, _ windowBits: Int, _ level: Int) -> MessageDeflater {
    MessageDeflater(
      context: kind == .shared ? .newForEachMessage : .keptBetweenMessages, windowBits: windowBits,
      memoryLevel: memoryLevel(windowBits), level: level)
  }

  /// Goes on with other settings. For one without a context: what follows depends on nothing before.
  func adopt(level: Int, threshold: Int) {
    guard kind == .shared else { return }
    self.threshold = threshold
    guard level != self.level else { return }
    self.level = level
    deflater = Self.deflater(kind, windowBits, level)
  }

  /// What one holds for as long as it lives.
  static func memoryBytes(windowBits: Int) -> Int {
    MessageDeflater.memoryBytes(windowBits: windowBits, memoryLevel: memoryLevel(windowBits))
  }

  /// zlib's own proportion, 8 for 15 bits, at every window: its tables are as large as its window.
  private static func memoryLevel(_ windowBits: Int) -> Int { max(1, windowBits - 7) }

  /// Appends `payload` as one message. Small messages go as they are, and without a context those
  /// that do not shrink.
  func append(
    _ opcode: WebSocketOpcode, _ payload: borrowing Span<UInt8>, into output: inout [UInt8]
  ) {
    guard payload.count >= threshold else {
      return WebSocketFrame.append(opcode, payload, into: &output)
    }
    compressed.removeAll(keepingCapacity: true)
    deflater.compress(payload, into: &compressed)
    metrics.compressions.add()
    metrics.plainBytes.add(count: payload.count)
    if kind == .ownContext || compressed.count < payload.count {
      metrics.compressedBytes.add(count: compressed.count)
      let message = compressed
      WebSocketFrame.append(opcode, message.span, isCompressed: true, into: &output)
    } else {
      metrics.compressedBytes.add(count: payload.count)
      WebSocketFrame.append(opcode, payload, into: &output)
    }
    if compressed.capacity > Self.bufferBytesMax { compressed = [] }
  }

  /// Appends the messages of `frames`, which are whole, final and not compressed, as those above.
  func append(frames: borrowing Span<UInt8>, into output: inout [UInt8]) {
    let rules = WebSocketFrameHeader.Rules(
      role: .client, isAssembling: false, payloadBytesMax: .max)
    var offset = 0
    while offset < frames.count {
      // Our own frames have no errors; what can't be read isn't sent on.
      guard let header = try? WebSocketFrameHeader.parse(frames, from: offset, rules),
        header.payloadBytes <= frames.count - offset - header.headerBytes
      else { return }
      let start = offset + header.headerBytes
      offset = start + header.payloadBytes
      append(header.opcode, frames.extracting(start..<offset), into: &output)
    }
  }
}
