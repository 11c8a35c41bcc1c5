internal import Bytes

/// The types of Engine.IO v4; the raw value is the ASCII digit that stands first.
public enum EnginePacketType: UInt8, Sendable, CaseIterable {
  case open = 0x30
  case close = 0x31
  case ping = 0x32
  case pong = 0x33
  case message = 0x34
  case upgrade = 0x35
  case noop = 0x36
}

/// What one frame of an Engine.IO session says.
///
/// Text is a digit and what follows it; a message in binary has no digit.
/// Source: socketio/socket.io `docs/engine.io-protocol/v4-current.md`.
public enum EnginePacket: Hashable, Sendable {
  /// A message in text; UTF-8 as far as the reader checked it.
  case text([UInt8])
  /// A message in binary.
  case binary([UInt8])
  /// Any other packet, with what follows its digit; never `.message`.
  case control(EnginePacketType, [UInt8])

  /// The packet that a frame of text spells: a digit, then its contents.
  ///
  /// - Limits: `span` is as large as whoever read it let it be.
  /// - Errors: `.emptyPacket`, `.unknownPacketType`.
  public init(text span: borrowing Span<UInt8>) throws(EngineError) {
    guard span.count > 0 else { throw .emptyPacket }
    guard let type = EnginePacketType(rawValue: span[0]) else { throw .unknownPacketType(span[0]) }
    let contents = [UInt8](copying: span.extracting(1..<span.count))
    self = type == .message ? .text(contents) : .control(type, contents)
  }

  /// The frame that says it.
  public var frame: EngineFrame {
    switch self {
    case .text(let contents): .text([EnginePacketType.message.rawValue] + contents)
    case .binary(let contents): .binary(contents)
    case .control(let type, let contents): .text([type.rawValue] + contents)
    }
  }
}

/// A packet as it is written: on a WebSocket the payload of one text or binary message, in a
/// polling payload the text as it is and the binary in base64.
///
/// Made once and shared: the bytes of one frame may go to any number of sessions.
public enum EngineFrame: Hashable, Sendable {
  /// Digit and contents, valid UTF-8.
  case text([UInt8])
  case binary([UInt8])

  /// What it takes in a polling payload, without separator.
  public var pollingBytes: Int {
    switch self {
    case .text(let bytes): bytes.count
    case .binary(let bytes): 1 + (bytes.count + 2) / 3 * 4
    }
  }

  static func control(_ type: EnginePacketType, _ contents: String = "") -> EngineFrame {
    .text([type.rawValue] + Array(contents.utf8))
  }
}

/// What a peer did that ends its Engine.IO session.
public enum EngineError: Error, Hashable, Sendable {
  case emptyPacket
  case unknownPacketType(UInt8)
  /// `b` with something else than base64 behind it.
  case invalidBase64
  /// A polling payload that is not UTF-8.
  case invalidText
  case payloadTooBig
  case tooManyPackets
}
