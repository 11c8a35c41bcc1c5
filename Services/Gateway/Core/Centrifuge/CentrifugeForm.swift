internal import Bytes
internal import Centrifuge
internal import Wire

/// How the Centrifuge protocol stands on the wire: in which encoding, framed by what, and whether the
/// client only listens. Pure.
struct CentrifugeForm: Equatable {
  enum Framing {
    /// A frame of a WebSocket.
    case frame
    /// An event of an event stream.
    case event
    /// A line; in Protobuf nothing, since each message says how long it is.
    case line
  }

  var encoding: CentrifugeEncoding
  var framing: Framing
  /// Pushes stand alone, in no reply, and nothing is answered.
  var isUnidirectional = false

  /// A frame's content.
  func encode(_ reply: CentrifugeReply) -> [UInt8] {
    guard isUnidirectional else { return encoding.encode(reply) }
    switch reply.body {
    case nil: return encoding.ping
    case .push(let push)?: return push.unidirectionalJSON
    case .connect(let result)?: return CentrifugePush(.connect(result)).unidirectionalJSON
    default: return []
    }
  }

  /// Appends what is between frames of a socket to one that is none.
  func append(line frame: [UInt8], to output: inout [UInt8]) {
    switch framing {
    case .frame: break
    case .event: EventStream.append(data: frame, to: &output)
    case .line:
      output.append(contentsOf: frame)
      if encoding == .json { output.append(UInt8(ascii: "\n")) }
    }
  }
}

extension Encoding {
  init(_ form: CentrifugeForm) {
    switch (form.framing, form.isUnidirectional) {
    case (.frame, false): self = form.encoding == .json ? .centrifugeJSON : .centrifugeProtobuf
    case (.event, false): self = .centrifugeEvent
    case (.line, false): self = form.encoding == .json ? .centrifugeLine : .centrifugeBytes
    case (.frame, true): self = .pushFrame
    case (.event, true): self = .pushEvent
    case (.line, true): self = .pushLine
    }
  }

  /// Nil for forms of our own protocol.
  var centrifuge: CentrifugeForm? {
    switch self {
    case .centrifugeJSON: CentrifugeForm(encoding: .json, framing: .frame)
    case .centrifugeProtobuf: CentrifugeForm(encoding: .protobuf, framing: .frame)
    case .centrifugeEvent: CentrifugeForm(encoding: .json, framing: .event)
    case .centrifugeLine: CentrifugeForm(encoding: .json, framing: .line)
    case .centrifugeBytes: CentrifugeForm(encoding: .protobuf, framing: .line)
    case .pushFrame: CentrifugeForm(encoding: .json, framing: .frame, isUnidirectional: true)
    case .pushEvent: CentrifugeForm(encoding: .json, framing: .event, isUnidirectional: true)
    case .pushLine: CentrifugeForm(encoding: .json, framing: .line, isUnidirectional: true)
    default: nil
    }
  }
}
