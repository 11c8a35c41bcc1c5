internal import Bytes
internal import JSON
internal import WebSocketCodec
internal import Wire

/// Envelopes: JSON `{channel, epoch, offset, time, user, data}`.
extension Encoding {
  static func envelope(
    _ payload: Payload, position: Position?, timeMs: Int64, user: String = "", prefix: [UInt8]
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(prefix.count + payload.bytes.count + 96)
    appendHead(position, timeMs, user, prefix, to: &bytes)
    appendData(payload, to: &bytes)
    bytes.append(UInt8(ascii: "}"))
    return bytes
  }

  /// All of an envelope that stands before its data.
  static func appendHead(
    _ position: Position?, _ timeMs: Int64, _ user: String, _ prefix: [UInt8],
    to bytes: inout [UInt8]
  ) {
    bytes.append(contentsOf: prefix)
    if let position {
      appendEpoch(position.epoch, to: &bytes)
      Self.append(position.offset.value, to: &bytes)
    }
    bytes.append(contentsOf: ",\"time\":".utf8)
    Self.append(UInt64(clamping: timeMs), to: &bytes)
    append(user: user, to: &bytes)
    bytes.append(UInt8(ascii: ","))
  }

  /// `,"user":"…"` where a user published it.
  static func append(user: String, to bytes: inout [UInt8]) {
    guard !user.isEmpty else { return }
    bytes.append(contentsOf: ",\"user\":".utf8)
    JSON.appendQuoted(user, to: &bytes)
  }

  private static func appendEpoch(_ epoch: Epoch, to bytes: inout [UInt8]) {
    bytes.append(contentsOf: ",\"epoch\":\"".utf8)
    epoch.append(to: &bytes)
    bytes.append(contentsOf: "\",\"offset\":".utf8)
  }

  /// `"data":…` or `"b64data":"…"`.
  static func appendData(_ payload: Payload, to bytes: inout [UInt8]) {
    appendData(payload.kind, payload.bytes.span, to: &bytes)
  }

  private static func appendData(
    _ kind: PayloadKind, _ payload: borrowing Span<UInt8>, to bytes: inout [UInt8]
  ) {
    switch kind {
    case .json:
      bytes.append(contentsOf: "\"data\":".utf8)
      bytes.append(copying: payload)
    case .uncheckedText where JSON.isArrayOrObject(payload):
      bytes.append(contentsOf: "\"data\":".utf8)
      bytes.append(copying: payload)
    case .text, .uncheckedText:
      bytes.append(contentsOf: "\"data\":".utf8)
      JSON.appendQuoted(utf8: payload, to: &bytes)
    // No door makes JSON with parts. One that came all the same is shown as the bytes it is, so
    // that the envelope stays one JSON object.
    case .binary, .jsonWithParts:
      bytes.append(contentsOf: "\"b64data\":\"".utf8)
      bytes.append(contentsOf: base64([UInt8](copying: payload)).utf8)
      bytes.append(UInt8(ascii: "\""))
    }
  }

  // MARK: from pages

  /// All of an envelope that stands before its offset, the same for all of an epoch.
  static func head(_ epoch: Epoch, _ prefix: [UInt8]) -> [UInt8] {
    var bytes = prefix
    appendEpoch(epoch, to: &bytes)
    return bytes
  }

  /// Appends the frame of an event's envelope, the same as `append` does, from the event's place in a page.
  ///
  /// - Parameter head: what `head` says.
  static func appendEnvelope(
    _ event: EncodedEvent, _ page: borrowing Span<UInt8>, _ head: [UInt8],
    to output: inout [UInt8]
  ) {
    let start = output.count
    // Most are of 126 to 65,535 bytes, whose header has four.
    output.append(addingCapacity: 4) { $0.append(littleEndian: UInt32(0)) }
    output.append(contentsOf: head)
    append(event.offset.value, to: &output)
    output.append(contentsOf: ",\"time\":".utf8)
    append(UInt64(clamping: event.timeMs), to: &output)
    if !event.user.isEmpty {
      output.append(contentsOf: ",\"user\":".utf8)
      JSON.appendQuoted(utf8: page.extracting(event.user), to: &output)
    }
    output.append(UInt8(ascii: ","))
    appendData(event.kind, page.extracting(event.payload), to: &output)
    output.append(UInt8(ascii: "}"))
    let count = output.count - start - 4
    guard (126...65_535).contains(count) else {
      let body = [UInt8](output[(start + 4)...])
      output.removeSubrange(start...)
      return WebSocketFrame.append(.text, body.span, into: &output)
    }
    output[start] = 0x80 | WebSocketOpcode.text.rawValue
    output[start + 1] = 126
    output[start + 2] = UInt8(truncatingIfNeeded: count >> 8)
    output[start + 3] = UInt8(truncatingIfNeeded: count)
  }
}
