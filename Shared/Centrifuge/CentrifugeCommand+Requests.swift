// What a client asks for, one type a request. Empty texts, payloads and lists and zeros mean that the
// client didn't say.

extension CentrifugeCommand {
  /// The first request of a connection.
  public struct Connect: Sendable, Equatable {
    /// A JWT; empty for an anonymous client, or one that the transport has vouched for.
    public var token = ""
    /// For the application.
    public var data: [UInt8] = []
    /// Server-side subscriptions that the client had, with the positions to go on from.
    public var subs: NamedValues<Subscribe> = [:]
    /// Name and version of the client's library.
    public var name = ""
    public var version = ""
    /// Stand for headers of the HTTP request, which browsers can't set.
    public var headers: NamedValues<String> = [:]
    /// Bits for features of the connection that the client knows.
    public var flag: Int64 = 0
    public init() {}
  }

  public struct Subscribe: Sendable, Equatable {
    public var channel = ""
    /// A JWT for this channel; empty where none is needed.
    public var token = ""
    /// Whether to go on from `epoch` and `offset`.
    public var recover = false
    public var epoch = ""
    public var offset: UInt64 = 0
    /// For the application.
    public var data: [UInt8] = []
    public var positioned = false
    public var recoverable = false
    public var joinLeave = false
    /// `fossil` where the client can apply deltas.
    public var delta = ""
    public var filter: CentrifugeTagFilter?
    /// Bits for features of the subscription: 1 numbers in place of channel names in pushes, 2 an
    /// error in place of `recovered: false`.
    public var flag: Int64 = 0
    /// 0 for a stream of publications; other kinds of subscription are not known here.
    public var type: Int32 = 0
    public init() {}
    public init(channel: String) { self.channel = channel }
  }

  public struct Publish: Sendable, Equatable {
    public var channel = ""
    public var data: [UInt8] = []
    /// 0 for a publication; other kinds are not known here.
    public var type: Int32 = 0
    public init() {}
    public init(channel: String, data: [UInt8]) {
      self.channel = channel
      self.data = data
    }
  }

  public struct History: Sendable, Equatable {
    public var channel = ""
    /// 0 for the position alone, negative for as many as the server gives at once.
    public var limit: Int32 = 0
    /// Where to begin, that publication not included; nil for an end of the history.
    public var since: CentrifugePosition?
    /// From the newest to the oldest.
    public var reverse = false
    public init() {}
  }

  /// A call that is answered with data.
  public struct RPC: Sendable, Equatable {
    public var method = ""
    public var data: [UInt8] = []
    public init() {}
  }

  /// A new token for a subscription.
  public struct SubRefresh: Sendable, Equatable {
    public var channel = ""
    public var token = ""
    /// 0 for a new token; other kinds are not known here.
    public var type: Int32 = 0
    public init() {}
  }
}

extension CentrifugeCommand.Connect: Message {
  enum Field: UInt32, MessageField {
    case token = 1
    case data = 2
    case subs = 3
    case libraryName = 4
    case version = 5
    case headers = 6
    case flag = 7

    var name: String {
      switch self {
      case .token: "token"
      case .data: "data"
      case .subs: "subs"
      case .libraryName: "name"
      case .version: "version"
      case .headers: "headers"
      case .flag: "flag"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.token, token)
    out.payload(Field.data, data)
    out.map(Field.subs, subs)
    out.text(Field.libraryName, name)
    out.text(Field.version, version)
    out.map(Field.headers, headers)
    out.int(Field.flag, flag)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .token: token = try value.text(s)
    case .data: data = try value.payload(s)
    case .subs: try value.map(&subs, s)
    case .libraryName: name = try value.text(s)
    case .version: version = try value.text(s)
    case .headers: try value.map(&headers, s)
    case .flag: flag = try value.int64(s)
    }
  }
}

extension CentrifugeCommand.Subscribe: Message {
  enum Field: UInt32, MessageField {
    case channel = 1
    case token = 2
    case recover = 3
    case epoch = 6
    case offset = 7
    case data = 8
    case positioned = 9
    case recoverable = 10
    case joinLeave = 11
    case delta = 12
    case tf = 13
    case flag = 14
    case type = 15

    var name: String {
      switch self {
      case .channel: "channel"
      case .token: "token"
      case .recover: "recover"
      case .epoch: "epoch"
      case .offset: "offset"
      case .data: "data"
      case .positioned: "positioned"
      case .recoverable: "recoverable"
      case .joinLeave: "join_leave"
      case .delta: "delta"
      case .tf: "tf"
      case .flag: "flag"
      case .type: "type"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.channel, channel)
    out.text(Field.token, token)
    out.bool(Field.recover, recover)
    out.text(Field.epoch, epoch)
    out.uint(Field.offset, offset)
    out.payload(Field.data, data)
    out.bool(Field.positioned, positioned)
    out.bool(Field.recoverable, recoverable)
    out.bool(Field.joinLeave, joinLeave)
    out.text(Field.delta, delta)
    out.message(Field.tf, filter)
    out.int(Field.flag, flag)
    out.int(Field.type, Int64(type))
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .channel: channel = try value.text(s)
    case .token: token = try value.text(s)
    case .recover: recover = try value.bool(s)
    case .epoch: epoch = try value.text(s)
    case .offset: offset = try value.uint64(s)
    case .data: data = try value.payload(s)
    case .positioned: positioned = try value.bool(s)
    case .recoverable: recoverable = try value.bool(s)
    case .joinLeave: joinLeave = try value.bool(s)
    case .delta: delta = try value.text(s)
    case .tf: try value.message(&filter, s)
    case .flag: flag = try value.int64(s)
    case .type: type = try value.int32(s)
    }
  }
}

extension CentrifugeCommand.Publish: Message {
  enum Field: UInt32, MessageField {
    case channel = 1
    case data = 2
    case type = 3

    var name: String {
      switch self {
      case .channel: "channel"
      case .data: "data"
      case .type: "type"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.channel, channel)
    out.payload(Field.data, data)
    out.int(Field.type, Int64(type))
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .channel: channel = try value.text(s)
    case .data: data = try value.payload(s)
    case .type: type = try value.int32(s)
    }
  }
}

extension CentrifugeCommand.History: Message {
  enum Field: UInt32, MessageField {
    case channel = 1
    case limit = 7
    case since = 8
    case reverse = 9

    var name: String {
      switch self {
      case .channel: "channel"
      case .limit: "limit"
      case .since: "since"
      case .reverse: "reverse"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.channel, channel)
    out.int(Field.limit, Int64(limit))
    out.message(Field.since, since)
    out.bool(Field.reverse, reverse)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .channel: channel = try value.text(s)
    case .limit: limit = try value.int32(s)
    case .since: try value.message(&since, s)
    case .reverse: reverse = try value.bool(s)
    }
  }
}

extension CentrifugeCommand.RPC: Message {
  enum Field: UInt32, MessageField {
    case data = 1
    case method = 2

    var name: String {
      switch self {
      case .data: "data"
      case .method: "method"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.payload(Field.data, data)
    out.text(Field.method, method)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .data: data = try value.payload(s)
    case .method: method = try value.text(s)
    }
  }
}

extension CentrifugeCommand.SubRefresh: Message {
  enum Field: UInt32, MessageField {
    case channel = 1
    case token = 2
    case type = 3

    var name: String {
      switch self {
      case .channel: "channel"
      case .token: "token"
      case .type: "type"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.channel, channel)
    out.text(Field.token, token)
    out.int(Field.type, Int64(type))
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .channel: channel = try value.text(s)
    case .token: token = try value.text(s)
    case .type: type = try value.int32(s)
    }
  }
}
