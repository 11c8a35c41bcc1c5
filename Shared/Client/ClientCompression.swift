internal import Deflate
internal import Platform
internal import WebSocketCodec

/// Whether a client offers permessage-deflate (RFC 7692).
public enum ClientCompression: Sendable, Hashable {
  /// Where the server is not on this machine: on loopback bytes are cheaper than their compression.
  case auto
  case on, off

  func isOffered(to url: ServerURL) -> Bool {
    switch self {
    case .auto: !url.address.isLoopback
    case .on: true
    case .off: false
    }
  }
}

/// What one connection of a client unfolds and compresses with, as its handshake agreed.
///
/// Loop-confined. Holds nothing before the first message that needs it; then up to some 50 KiB to
/// read and 270 KiB to write.
final class ConnectionCompression {
  private let agreement: PermessageDeflate.Agreement
  private let inflater: MessageInflater
  private lazy var deflater = MessageDeflater(
    context: .newForEachMessage, windowBits: agreement.clientWindowBits)

  /// BUDGET: messages below it go out as they are; without a context they hardly get smaller.
  static let threshold = 1_024

  init(_ agreement: PermessageDeflate.Agreement) {
    self.agreement = agreement
    // A publication may be as dull as it likes: what bounds a message is its size alone.
    inflater = MessageInflater(
      context: agreement.serverContext == .newForEachMessage
        ? .newForEachMessage : .keptBetweenMessages,
      windowBits: agreement.serverWindowBits, ratioFreeBytes: WebSocketConnection.messageBytesMax)
  }

  func inflate(
    _ compressed: borrowing Span<UInt8>, _ bytesMax: Int, _ output: inout [UInt8]
  ) throws(WebSocketError) {
    do throws(InflateError) {
      try inflater.inflate(compressed, into: &output, bytesMax: bytesMax)
    } catch {
      switch error {
      case .corrupt, .truncated: throw .invalidCompression
      case .tooBig: throw .messageTooBig
      case .bomb: throw .compressionBomb
      }
    }
  }

  /// BUDGET: what gets smaller than this share goes out as it is where it is large: a server takes it
  /// for a bomb from 100 on (`limits.wsInflateRatio`).
  private static let ratioMax = 50
  private static let ratioFreeBytes = 65_536

  /// The message, compressed by itself; nil where that is of no use. A context is never kept: what
  /// is published may be a secret, and what came before it somebody else's.
  func compressed(_ message: [UInt8]) -> [UInt8]? {
    guard message.count >= Self.threshold else { return nil }
    let compressed = deflater.compress(message)
    let looksLikeBomb =
      message.count > Self.ratioFreeBytes && message.count / compressed.count >= Self.ratioMax
    return compressed.count < message.count && !looksLikeBomb ? compressed : nil
  }
}
