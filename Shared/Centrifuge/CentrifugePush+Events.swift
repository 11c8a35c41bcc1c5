// What a push may tell, where it is no publication, join or leave.

extension CentrifugePush {
  /// The server has ended a subscription; `CentrifugeUnsubscribeCode` says what to do.
  public struct Unsubscribe: Sendable, Hashable {
    public var code: UInt32 = 0
    public var reason = ""
    public init() {}
  }

  /// The server has subscribed the client.
  public struct Subscribe: Sendable, Equatable {
    public var recoverable = false
    public var epoch = ""
    public var offset: UInt64 = 0
    public var positioned = false
    public var data: [UInt8] = []
    public init() {}
  }

  /// The connection ends; `CentrifugeDisconnect` says what the code means. On a WebSocket, code and
  /// reason are those of the close frame instead.
  public struct Disconnect: Sendable, Hashable {
    public var code: UInt32 = 0
    public var reason = ""
    public var reconnect = false
    public init() {}
  }

  /// When the connection expires has changed.
  public struct Refresh: Sendable, Hashable {
    public var expires = false
    public var ttlSeconds: UInt32 = 0
    public init() {}
  }
}

extension CentrifugePush.Unsubscribe: Message {
  enum Field: UInt32, MessageField {
    case code = 2
    case reason = 3

    var name: String {
      switch self {
      case .code: "code"
      case .reason: "reason"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.uint(Field.code, code)
    out.text(Field.reason, reason)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .code: code = try value.uint32(s)
    case .reason: reason = try value.text(s)
    }
  }
}

extension CentrifugePush.Subscribe: Message {
  enum Field: UInt32, MessageField {
    case recoverable = 1
    case epoch = 4
    case offset = 5
    case positioned = 6
    case data = 7

    var name: String {
      switch self {
      case .recoverable: "recoverable"
      case .epoch: "epoch"
      case .offset: "offset"
      case .positioned: "positioned"
      case .data: "data"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.bool(Field.recoverable, recoverable)
    out.text(Field.epoch, epoch)
    out.uint(Field.offset, offset)
    out.bool(Field.positioned, positioned)
    out.payload(Field.data, data)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .recoverable: recoverable = try value.bool(s)
    case .epoch: epoch = try value.text(s)
    case .offset: offset = try value.uint64(s)
    case .positioned: positioned = try value.bool(s)
    case .data: data = try value.payload(s)
    }
  }
}

extension CentrifugePush.Disconnect: Message {
  enum Field: UInt32, MessageField {
    case code = 1
    case reason = 2
    case reconnect = 3

    var name: String {
      switch self {
      case .code: "code"
      case .reason: "reason"
      case .reconnect: "reconnect"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.uint(Field.code, code)
    out.text(Field.reason, reason)
    out.bool(Field.reconnect, reconnect)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .code: code = try value.uint32(s)
    case .reason: reason = try value.text(s)
    case .reconnect: reconnect = try value.bool(s)
    }
  }
}

extension CentrifugePush.Refresh: Message {
  enum Field: UInt32, MessageField {
    case expires = 1
    case ttl = 2

    var name: String {
      switch self {
      case .expires: "expires"
      case .ttl: "ttl"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.bool(Field.expires, expires)
    out.uint(Field.ttl, ttlSeconds)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .expires: expires = try value.bool(s)
    case .ttl: ttlSeconds = try value.uint32(s)
    }
  }
}

/// `connect` as a push: the same as the result, under numbers of its own.
struct ConnectPush: Equatable {
  var result = CentrifugeReply.Connect()
}

extension ConnectPush: Message {
  enum Field: UInt32, MessageField {
    case client = 1
    case version = 2
    case data = 3
    case subs = 4
    case expires = 5
    case ttl = 6
    case ping = 7
    case pong = 8
    case session = 9
    case node = 10
    case time = 11

    var name: String {
      switch self {
      case .client: "client"
      case .version: "version"
      case .data: "data"
      case .subs: "subs"
      case .expires: "expires"
      case .ttl: "ttl"
      case .ping: "ping"
      case .pong: "pong"
      case .session: "session"
      case .node: "node"
      case .time: "time"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.client, result.client)
    out.text(Field.version, result.version)
    out.payload(Field.data, result.data)
    out.map(Field.subs, result.subs)
    out.bool(Field.expires, result.expires)
    out.uint(Field.ttl, result.ttlSeconds)
    out.uint(Field.ping, result.pingSeconds)
    out.bool(Field.pong, result.pong)
    out.text(Field.session, result.session)
    out.text(Field.node, result.node)
    out.int(Field.time, result.timeMs)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .client: result.client = try value.text(s)
    case .version: result.version = try value.text(s)
    case .data: result.data = try value.payload(s)
    case .subs: try value.map(&result.subs, s)
    case .expires: result.expires = try value.bool(s)
    case .ttl: result.ttlSeconds = try value.uint32(s)
    case .ping: result.pingSeconds = try value.uint32(s)
    case .pong: result.pong = try value.bool(s)
    case .session: result.session = try value.text(s)
    case .node: result.node = try value.text(s)
    case .time: result.timeMs = try value.int64(s)
    }
  }
}

/// `join` and `leave`.
struct InfoMessage: Equatable {
  var info: CentrifugeClientInfo?
}

extension InfoMessage: Message {
  enum Field: UInt32, MessageField {
    case info = 1

    var name: String {
      "info"
    }
  }

  func write(to out: inout some FieldWriter) {
    out.message(Field.info, info)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    try value.message(&info, s)
  }
}
