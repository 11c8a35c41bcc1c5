internal import Bytes
internal import Centrifuge
internal import JSON
internal import WebSocketCodec
internal import Wire

/// One form in which publications reach clients. Each is encoded once for all who get it.
enum Encoding: Int, CaseIterable {
  /// The published bytes as they are, text as text, binary as binary.
  case raw
  /// JSON `{channel, epoch, offset, time, user, data}`.
  case envelope
  /// An event of an event stream of one channel: its position as `id`, the envelope as `data`.
  case event
  /// The same with the published text as `data`; bytes as base64 in an event named `binary`.
  case rawEvent
  /// The `data` of an event of several channels' stream, whose `id` is the client's own.
  case eventPart
  /// The envelope as a line of its own.
  case line
  /// Socket.IO's event `publication` with the envelope, bytes as an attachment.
  case socketPublication
  /// Socket.IO's event of the channel's name, with what was published.
  case socketEvent
  /// The same two for clients that may come back to where they were: behind what they say stands the
  /// client's position, as if it were in this one channel. Carriers put others' in its place.
  case recoverablePublication, recoverableEvent
  /// A push of the Centrifuge protocol: its JSON in a text frame, or Protobuf in a binary one.
  case centrifugeJSON, centrifugeProtobuf
  /// The same in an event, in a line, and as Protobuf that says how long it is.
  case centrifugeEvent, centrifugeLine, centrifugeBytes
  /// The push alone, for clients that only listen: in a text frame, an event, a line.
  case pushFrame, pushEvent, pushLine

  /// Whether carriers need to know where each publication ends.
  var hasMarks: Bool {
    switch self {
    case .eventPart, .line, .socketPublication, .socketEvent, .recoverablePublication,
      .recoverableEvent, .centrifugeLine, .centrifugeBytes, .pushLine:
      true
    default: false
    }
  }

  /// Appends one publication in the form of its carrier, compressed where there is a compressor.
  ///
  func append(
    _ payload: Payload, position: Position?, timeMs: Int64, publisher: Publisher = Publisher(),
    tags: ArrivalTags? = nil, prefix: [UInt8], compressor: MessageCompressor? = nil, to output: inout [UInt8]
  ) {
    switch self {
    case .raw:
      Self.message(payload.kind.isText ? .text : .binary, payload.bytes, compressor, &output)
    case .envelope:
      let body = Self.envelope(
        payload, position: position, timeMs: timeMs, user: publisher.user, prefix: prefix)
      Self.message(.text, body, compressor, &output)
    case .event, .eventPart:
      let body = Self.envelope(
        payload, position: position, timeMs: timeMs, user: publisher.user, prefix: prefix)
      EventStream.append(
        id: self == .event ? Self.id(position, prefix) : nil, data: body, to: &output)
    case .rawEvent: Self.appendRawEvent(payload, Self.id(position, prefix), to: &output)
    case .line:
      let body = Self.envelope(
        payload, position: position, timeMs: timeMs, user: publisher.user, prefix: prefix)
      JSONLines.append(body, to: &output)
    case .socketPublication, .recoverablePublication:
      let body = Self.socketPublication(
        payload, position: position, timeMs: timeMs, user: publisher.user, prefix: prefix,
        isRecoverable: isRecoverable)
      Self.messages(body, payload, compressor, &output)
    case .socketEvent, .recoverableEvent:
      let body = Self.socketEvent(payload, isRecoverable ? position : nil, prefix, isRecoverable)
      Self.messages(body, payload, compressor, &output)
    case .centrifugeJSON, .centrifugeProtobuf, .centrifugeEvent, .centrifugeLine, .centrifugeBytes,
      .pushFrame, .pushEvent, .pushLine:
      guard let form = centrifuge else { return }
      let arrival = Arrival(
        position: position, timeMs: timeMs, publisher: publisher, payload: payload, tags: tags)
      let publication = CentrifugePublication(arrival, in: form.encoding)
      append(form.push(publication, prefix), compressor: compressor, to: &output)
    }
  }

  /// Appends a push of the Centrifuge protocol as it goes on the wire.
  func append(_ push: [UInt8], compressor: MessageCompressor?, to output: inout [UInt8]) {
    guard let form = centrifuge else { return }
    guard form.framing == .frame else { return form.append(line: push, to: &output) }
    Self.message(form.encoding == .json ? .text : .binary, push, compressor, &output)
  }

  /// Where each message in `bytes` ends, of encodings without marks. For what slow clients leave.
  func ends(_ bytes: borrowing Span<UInt8>) -> [Int] {
    switch self {
    case .raw, .envelope, .centrifugeJSON, .centrifugeProtobuf, .pushFrame, .socketPublication,
      .socketEvent, .recoverablePublication, .recoverableEvent:
      Self.frameEnds(bytes)
    case .event, .rawEvent, .eventPart, .centrifugeEvent, .pushEvent: EventStream.ends(bytes)
    case .line, .centrifugeLine, .centrifugeBytes, .pushLine: [bytes.count]
    }
  }

  /// Ends of our own frames, which are whole and not masked (RFC 6455 §5.2).
  private static func frameEnds(_ bytes: borrowing Span<UInt8>) -> [Int] {
    let rules = WebSocketFrameHeader.Rules(
      role: .client, isAssembling: false, payloadBytesMax: .max, compressedBytesMax: .max)
    var ends: [Int] = []
    var offset = 0
    while offset < bytes.count {
      guard let header = try? WebSocketFrameHeader.parse(bytes, from: offset, rules),
        header.payloadBytes <= bytes.count - offset - header.headerBytes
      else { return ends + [bytes.count] }
      offset += header.headerBytes + header.payloadBytes
      ends.append(offset)
    }
    return ends
  }

  /// What a client of this one channel says when it comes back.
  private static func id(_ position: Position?, _ prefix: [UInt8]) -> String? {
    position.map { PositionVector.encode(prefix.dropFirst(12).dropLast(), $0) }
  }

  private static func appendRawEvent(_ payload: Payload, _ id: String?, to output: inout [UInt8]) {
    switch payload.kind {
    case .json, .text, .uncheckedText:
      EventStream.append(id: id, data: payload.bytes, to: &output)
    case .binary, .jsonWithParts:
      EventStream.append(
        id: id, name: "binary", data: [UInt8](base64(payload.bytes).utf8), to: &output)
    }
  }

  static func message(
    _ opcode: WebSocketOpcode, _ body: [UInt8], _ compressor: MessageCompressor?,
    _ output: inout [UInt8]
  ) {
    guard let compressor else { return WebSocketFrame.append(opcode, body.span, into: &output) }
    compressor.append(opcode, body.span, into: &output)
  }

  /// `{"channel":"NAME"`, which every envelope of a channel begins with. No character of a name is
  /// escaped.
  static func prefix(_ channel: ChannelName) -> [UInt8] {
    [UInt8]("{\"channel\":\"\(channel.text)\"".utf8)
  }

  static func append(_ number: UInt64, to bytes: inout [UInt8]) { Decimal.append(number, to: &bytes) }
}
