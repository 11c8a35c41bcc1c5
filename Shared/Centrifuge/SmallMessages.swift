// Messages of one field or none, which are values of another kind outside.

/// A message without fields: what it says is that it is there.
struct EmptyMessage: Equatable {}

extension EmptyMessage: Message {
  enum Field: MessageField {
    typealias RawValue = UInt32
    static let allCases: [Field] = []
    init?(rawValue: UInt32) { return nil }
    var rawValue: UInt32 { switch self {} }
    var name: String { switch self {} }
  }

  func write(to out: inout some FieldWriter) {}

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {}
}

/// A request about a channel.
struct ChannelMessage: Equatable {
  var channel = ""
}

extension ChannelMessage: Message {
  enum Field: UInt32, MessageField {
    case channel = 1

    var name: String {
      "channel"
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.channel, channel)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    channel = try value.text(s)
  }
}

/// A request that brings a token.
struct TokenMessage: Equatable {
  var token = ""
}

extension TokenMessage: Message {
  enum Field: UInt32, MessageField {
    case token = 1

    var name: String {
      "token"
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.token, token)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    token = try value.text(s)
  }
}

/// Data and nothing else.
struct DataMessage: Equatable {
  var data: [UInt8] = []
}

extension DataMessage: Message {
  enum Field: UInt32, MessageField {
    case data = 1

    var name: String {
      "data"
    }
  }

  func write(to out: inout some FieldWriter) {
    out.payload(Field.data, data)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    data = try value.payload(s)
  }
}
