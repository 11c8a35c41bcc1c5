/// A client's commands on their way to the server that holds its stream: the body of a POST to
/// `/emulation`, for transports that only lead one way.
public struct CentrifugeEmulation: Sendable, Equatable {
  /// What `CentrifugeReply.Connect` has told the client.
  public var node = ""
  public var session = ""
  /// A frame in the encoding of the stream. In JSON it stands as a string, so it has to be UTF-8.
  public var data: [UInt8] = []
  public init() {}
  public init(node: String, session: String, data: [UInt8]) {
    self.node = node
    self.session = session
    self.data = data
  }
}

extension CentrifugeEmulation: Message {
  enum Field: UInt32, MessageField {
    case node = 1
    case session = 2
    case data = 3

    var name: String {
      switch self {
      case .node: "node"
      case .session: "session"
      case .data: "data"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.node, node)
    out.text(Field.session, session)
    out.embeddedText(Field.data, data)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .node: node = try value.text(s)
    case .session: session = try value.text(s)
    case .data: data = try value.embeddedText(s)
    }
  }
}
