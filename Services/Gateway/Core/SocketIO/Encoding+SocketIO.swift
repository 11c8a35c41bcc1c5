internal import Bytes
internal import EngineIO
internal import JSON
internal import WebSocketCodec
internal import Wire

/// Publications as Socket.IO packets in WebSocket messages: one in text, and one in binary behind it
/// where bytes were published. Pure.
///
/// What goes over polling is taken out of the same frames, so that there is one encoding.
extension Encoding {
  /// Of an attachment that is the only one.
  private static let placeholder = #"{"_placeholder":true,"num":0}"#

  /// What is said here is followed by the client's position.
  var isRecoverable: Bool { self == .recoverablePublication || self == .recoverableEvent }

  /// `42["publication",{…}]`, or `451-["publication",{…}]` with an attachment as `data`;
  /// `42["publication",{…},"POSITION"]` where that is recoverable.
  static func socketPublication(
    _ payload: Payload, position: Position?, timeMs: Int64, user: String, prefix: [UInt8],
    isRecoverable: Bool = false
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(prefix.count + payload.bytes.count + 128)
    bytes.append(contentsOf: payload.isAttached ? "451-".utf8 : "42".utf8)
    bytes.append(contentsOf: "[\"publication\",".utf8)
    appendHead(position, timeMs, user, prefix, to: &bytes)
    bytes.append(contentsOf: "\"data\":".utf8)
    appendValue(payload, to: &bytes)
    bytes.append(UInt8(ascii: "}"))
    if isRecoverable, let position { appendPlace(position, prefix, to: &bytes) }
    bytes.append(UInt8(ascii: "]"))
    return bytes
  }

  /// `42["map:cursor",…]`, `42["map:cursor",…,"POSITION"]` where that is recoverable.
  ///
  /// Clients take a string that stands last for their position, so one that is none is followed by
  /// one as well.
  static func socketEvent(
    _ payload: Payload, _ position: Position? = nil, _ prefix: [UInt8],
    _ isRecoverable: Bool = false
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(prefix.count + payload.bytes.count + 32)
    bytes.append(contentsOf: payload.isAttached ? "451-[".utf8 : "42[".utf8)
    // The prefix is `{"channel":"NAME"`.
    bytes.append(contentsOf: prefix.dropFirst(11))
    bytes.append(UInt8(ascii: ","))
    let start = bytes.count
    appendValue(payload, to: &bytes)
    if let position {
      appendPlace(position, prefix, to: &bytes)
    } else if isRecoverable, bytes[start] == UInt8(ascii: "\"") {
      bytes.append(contentsOf: ",\"\(RecoveryVector.none)\"".utf8)
    }
    bytes.append(UInt8(ascii: "]"))
    return bytes
  }

  /// `,"POSITION"` of a client that is in the prefix' channel alone.
  private static func appendPlace(_ position: Position, _ prefix: [UInt8], to bytes: inout [UInt8]) {
    bytes.append(contentsOf: ",\"".utf8)
    // The prefix is `{"channel":"NAME"`.
    RecoveryVector.append(prefix.dropFirst(12).dropLast(), position, to: &bytes)
    bytes.append(UInt8(ascii: "\""))
  }

  /// What was published as a JSON value.
  private static func appendValue(_ payload: Payload, to bytes: inout [UInt8]) {
    switch payload.kind {
    case .json: bytes.append(contentsOf: payload.bytes)
    case .uncheckedText where JSON.isArrayOrObject(payload.bytes.span):
      bytes.append(contentsOf: payload.bytes)
    case .text, .uncheckedText: JSON.appendQuoted(utf8: payload.bytes.span, to: &bytes)
    case .binary, .jsonWithParts: bytes.append(contentsOf: placeholder.utf8)
    }
  }

  /// The packet's text, then its attachment if it has one.
  static func messages(
    _ text: [UInt8], _ payload: Payload, _ compressor: MessageCompressor?, _ output: inout [UInt8]
  ) {
    message(.text, text, compressor, &output)
    if payload.isAttached { message(.binary, payload.bytes, compressor, &output) }
  }
}

extension Payload {
  /// Whether Socket.IO carries it beside the JSON.
  var isAttached: Bool { kind == .binary || kind == .jsonWithParts }
}

/// The messages in frames of ours, which are whole, final and not compressed.
struct FramedMessages: Sequence, IteratorProtocol {
  private let bytes: [UInt8]
  private var offset: Int
  private let end: Int

  init(_ bytes: [UInt8], _ start: Int = 0, _ end: Int? = nil) {
    self.bytes = bytes
    offset = start
    self.end = end ?? bytes.count
  }

  mutating func next() -> EngineFrame? {
    guard offset < end else { return nil }
    let rules = WebSocketFrameHeader.Rules(
      role: .client, isAssembling: false, payloadBytesMax: .max, compressedBytesMax: .max)
    // Our own frames have no errors; what can't be read isn't sent on.
    guard let header = try? WebSocketFrameHeader.parse(bytes.span, from: offset, rules),
      header.payloadBytes <= end - offset - header.headerBytes
    else { return nil }
    let start = offset + header.headerBytes
    offset = start + header.payloadBytes
    let payload = [UInt8](bytes[start..<offset])
    return header.opcode == .binary ? .binary(payload) : .text(payload)
  }
}
