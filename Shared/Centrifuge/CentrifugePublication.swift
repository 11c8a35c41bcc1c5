/// Where a reader stands in a channel's history, as this protocol writes it.
///
/// The epoch is what the other side says: of a client it may be empty, or no epoch of ours.
public struct CentrifugePosition: Sendable, Hashable {
  /// 0 is before the first publication.
  public var offset: UInt64 = 0
  public var epoch = ""
  public init() {}
  public init(offset: UInt64, epoch: String) {
    self.offset = offset
    self.epoch = epoch
  }
}

extension CentrifugePosition: Message {
  enum Field: UInt32, MessageField {
    case offset = 1
    case epoch = 2
    var name: String { self == .offset ? "offset" : "epoch" }
  }

  func write(to out: inout some FieldWriter) {
    out.uint(Field.offset, offset)
    out.text(Field.epoch, epoch)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .offset: offset = try value.uint64(s)
    case .epoch: epoch = try value.text(s)
    }
  }
}

/// A connection as others see it: in presence, in joins and leaves, and as a publisher.
public struct CentrifugeClientInfo: Sendable, Hashable {
  /// Empty for anonymous clients.
  public var user = ""
  /// The id of the connection.
  public var client = ""
  /// What the application says of the connection; empty for nothing. JSON in the JSON encoding.
  public var connInfo: [UInt8] = []
  /// What the application says of the connection in this channel; empty for nothing.
  public var chanInfo: [UInt8] = []
  public init() {}
  public init(user: String, client: String, connInfo: [UInt8] = [], chanInfo: [UInt8] = []) {
    self.user = user
    self.client = client
    self.connInfo = connInfo
    self.chanInfo = chanInfo
  }
}

extension CentrifugeClientInfo: Message {
  enum Field: UInt32, MessageField {
    case user = 1
    case client = 2
    case connInfo = 3
    case chanInfo = 4

    var name: String {
      switch self {
      case .user: "user"
      case .client: "client"
      case .connInfo: "conn_info"
      case .chanInfo: "chan_info"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.user, user, .writtenInJSON)
    out.text(Field.client, client, .writtenInJSON)
    out.payload(Field.connInfo, connInfo)
    out.payload(Field.chanInfo, chanInfo)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .user: user = try value.text(s)
    case .client: client = try value.text(s)
    case .connInfo: connInfo = try value.payload(s)
    case .chanInfo: chanInfo = try value.payload(s)
    }
  }
}

/// One message in a channel.
public struct CentrifugePublication: Sendable, Equatable {
  /// The payload, or (`isDelta`) what changed in it since the publication before. In the JSON
  /// encoding it is one JSON value; for a subscriber that asked for deltas, that is always a JSON
  /// string: of the delta, or of the whole payload (`CentrifugeEncoding.deltaData(_:)`).
  public var data: [UInt8] = []
  /// Who published, where a client did.
  public var info: CentrifugeClientInfo?
  /// Its place in the channel's history, from 1; 0 where there is none.
  public var offset: UInt64 = 0
  public var tags: NamedValues<String> = [:]
  public var isDelta = false
  /// Unix time in milliseconds; 0 for not told.
  public var timeMs: Int64 = 0
  /// The channel it was published in, where the push is of a subscription to many; else empty.
  public var channel = ""
  public init() {}
  public init(data: [UInt8], offset: UInt64 = 0, info: CentrifugeClientInfo? = nil) {
    self.data = data
    self.offset = offset
    self.info = info
  }
}

extension CentrifugePublication: Message {
  enum Field: UInt32, MessageField {
    case data = 4
    case info = 5
    case offset = 6
    case tags = 7
    case delta = 8
    case time = 9
    case channel = 10

    var name: String {
      switch self {
      case .data: "data"
      case .info: "info"
      case .offset: "offset"
      case .tags: "tags"
      case .delta: "delta"
      case .time: "time"
      case .channel: "channel"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.payload(Field.data, data)
    out.message(Field.info, info)
    out.uint(Field.offset, offset)
    out.map(Field.tags, tags)
    out.bool(Field.delta, isDelta)
    out.int(Field.time, timeMs)
    out.text(Field.channel, channel)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .data: data = try value.payload(s)
    case .info: try value.message(&info, s)
    case .offset: offset = try value.uint64(s)
    case .tags: try value.map(&tags, s)
    case .delta: isDelta = try value.bool(s)
    case .time: timeMs = try value.int64(s)
    case .channel: channel = try value.text(s)
    }
  }
}
