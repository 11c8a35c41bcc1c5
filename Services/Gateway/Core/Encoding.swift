internal import Bytes
internal import JSON
internal import WebSocketCodec
internal import Wire

/// One form in which publications reach clients. Each is encoded once for all who get it.
enum Encoding: Int, CaseIterable {
  /// The published bytes as they are, text as text, binary as binary.
  case raw
  /// JSON `{channel, epoch, offset, time, data}`.
  case envelope

  /// Whether carriers need to know where each publication ends.
  var hasMarks: Bool { false }

  /// Appends one publication in the form of its carrier.
  func append(
    _ payload: Payload, position: Position?, timeMs: Int64, prefix: [UInt8],
    to output: inout [UInt8]
  ) {
    switch self {
    case .raw:
      WebSocketFrame.append(payload.kind.isText ? .text : .binary, payload.bytes, into: &output)
    case .envelope:
      let body = Self.envelope(payload, position: position, timeMs: timeMs, prefix: prefix)
      WebSocketFrame.append(.text, body, into: &output)
    }
  }

  /// `{"channel":"NAME"`, which every envelope of a channel begins with.
  static func prefix(_ channel: ChannelName) -> [UInt8] {
    [UInt8]("{\"channel\":\"\(channel.text)\"".utf8)
  }

  static func envelope(_ payload: Payload, position: Position?, timeMs: Int64, prefix: [UInt8])
    -> [UInt8]
  {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(prefix.count + payload.bytes.count + 96)
    bytes.append(contentsOf: prefix)
    if let position {
      bytes.append(contentsOf: ",\"epoch\":\"".utf8)
      position.epoch.append(to: &bytes)
      bytes.append(contentsOf: "\",\"offset\":".utf8)
      Self.append(position.offset.value, to: &bytes)
    }
    bytes.append(contentsOf: ",\"time\":".utf8)
    Self.append(UInt64(clamping: timeMs), to: &bytes)
    bytes.append(UInt8(ascii: ","))
    appendData(payload, to: &bytes)
    bytes.append(UInt8(ascii: "}"))
    return bytes
  }

  /// `"data":…` or `"b64data":"…"`.
  static func appendData(_ payload: Payload, to bytes: inout [UInt8]) {
    switch payload.kind {
    case .json:
      bytes.append(contentsOf: "\"data\":".utf8)
      bytes.append(contentsOf: payload.bytes)
    case .uncheckedText where JSON.isArrayOrObject(payload.bytes.span):
      bytes.append(contentsOf: "\"data\":".utf8)
      bytes.append(contentsOf: payload.bytes)
    case .text, .uncheckedText:
      bytes.append(contentsOf: "\"data\":".utf8)
      JSON.appendQuoted(utf8: payload.bytes.span, to: &bytes)
    // No door makes JSON with parts. One that came all the same is shown as the bytes it is, so
    // that the envelope stays one JSON object.
    case .binary, .jsonWithParts:
      bytes.append(contentsOf: "\"b64data\":\"".utf8)
      bytes.append(contentsOf: base64(payload.bytes).utf8)
      bytes.append(UInt8(ascii: "\""))
    }
  }

  static func append(_ number: UInt64, to bytes: inout [UInt8]) {
    guard number >= 10 else {
      bytes.append(48 + UInt8(truncatingIfNeeded: number))
      return
    }
    append(number / 10, to: &bytes)
    bytes.append(48 + UInt8(truncatingIfNeeded: number % 10))
  }
}
