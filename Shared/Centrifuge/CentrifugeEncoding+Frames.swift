internal import Bytes
internal import JSON

// Frames, made. One that holds a single reply is an array of its own: a publication's is made once
// for an encoding and shared by all who get it.

extension CentrifugeEncoding {
  /// A frame with one reply.
  ///
  /// - Shape: JSON without a line break at the end; Protobuf with its length before it.
  /// - Limits: payloads are valid JSON where the encoding is JSON (`carries(_:)`); they are not
  ///   looked at again.
  public func encode(_ reply: CentrifugeReply) -> [UInt8] { frame(reply) }

  /// A frame with one command, as a client sends it; see `encode(_:)` for replies.
  public func encode(_ command: CentrifugeCommand) -> [UInt8] { frame(command) }

  /// A frame that pings a client, and one that answers.
  public var ping: [UInt8] {
    switch self {
    case .json: [UInt8(ascii: "{"), UInt8(ascii: "}")]
    case .protobuf: [0]
    }
  }

  /// Adds what `frame` holds to a frame of more than one command or reply.
  ///
  /// On a stream without messages (`http_stream`), the transport ends each JSON frame with a line
  /// break; Protobuf needs none.
  public func append(_ frame: [UInt8], to batch: inout [UInt8]) {
    if self == .json, !batch.isEmpty { batch.append(UInt8(ascii: "\n")) }
    batch.append(contentsOf: frame)
  }

  /// Whether a payload can travel in this encoding: any bytes in Protobuf, one value in JSON.
  ///
  /// - Cost: JSON is read once.
  public func carries(_ payload: borrowing Span<UInt8>) -> Bool {
    switch self {
    case .protobuf: true
    case .json: payload.isEmpty || (try? JSON.validate(payload)) != nil
    }
  }

  /// A payload or a delta as the `data` of a publication for a subscriber that asked for deltas:
  /// the bytes themselves, or in JSON the string of them, which has to be UTF-8.
  public func deltaData(_ bytes: [UInt8]) -> [UInt8] {
    guard self == .json else { return bytes }
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count + bytes.count / 8 + 2)
    JSON.appendQuoted(utf8: bytes.span, to: &text)
    return text
  }

  private func frame(_ message: some Message) -> [UInt8] {
    switch self {
    case .json: Self.object(message)
    case .protobuf: Self.delimited(message)
    }
  }

  static func object(_ message: some Message) -> [UInt8] {
    var out = JSONFieldWriter(writer: JSONWriter(reserving: 256))
    out.object(message)
    return out.writer.bytes
  }

  private static func delimited(_ message: some Message) -> [UInt8] {
    var out = ProtobufFieldWriter(writer: ProtobufWriter(reserving: 256))
    let mark = out.writer.beginDelimited()
    message.write(to: &out)
    out.writer.endDelimited(mark)
    return out.writer.bytes
  }
}

extension CentrifugePush {
  /// The push as a unidirectional connection gets it: the JSON object alone, in no reply.
  public var unidirectionalJSON: [UInt8] { CentrifugeEncoding.object(self) }
}

extension CentrifugeCommand.Connect {
  /// What a unidirectional connection begins with: the request alone, in no command, as JSON.
  ///
  /// - Limits: the size is the transport's to bound.
  /// - Errors: the first fault.
  public static func decode(
    unidirectionalJSON text: borrowing Span<UInt8>, limits: CentrifugeLimits = .init()
  ) throws(CentrifugeDecodeError) -> CentrifugeCommand.Connect {
    var message = CentrifugeCommand.Connect()
    try CentrifugeEncoding.json.read(&message, 0..<text.count, text, limits)
    return message
  }
}

extension CentrifugeEmulation {
  /// The body of the POST. Protobuf's is not delimited: it ends with the body.
  public func encode(_ encoding: CentrifugeEncoding) -> [UInt8] {
    switch encoding {
    case .json: return CentrifugeEncoding.object(self)
    case .protobuf:
      var out = ProtobufFieldWriter(writer: ProtobufWriter())
      write(to: &out)
      return out.writer.bytes
    }
  }

  /// What the body of a POST says: Protobuf for the type `application/octet-stream`, else JSON.
  ///
  /// - Limits: the body's size is the transport's to bound.
  /// - Errors: the first fault.
  public static func decode(
    _ encoding: CentrifugeEncoding, _ body: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) -> CentrifugeEmulation {
    var message = CentrifugeEmulation()
    try encoding.read(&message, 0..<body.count, body, CentrifugeLimits())
    return message
  }
}

extension CentrifugeEncoding {
  /// Reads the message that stands in `range`.
  func read<M: Message>(
    _ message: inout M, _ range: Range<Int>, _ s: borrowing Span<UInt8>, _ limits: CentrifugeLimits
  ) throws(CentrifugeDecodeError) {
    var allowance = Allowance(limits)
    switch self {
    case .json: try JSONFieldReader.read(&message, s.extracting(range), &allowance)
    case .protobuf: try ProtobufFieldReader.read(&message, range, s, &allowance)
    }
  }
}
