// What a request is answered with, one type a result.

extension CentrifugeReply {
  /// The answer to `connect`, and what a unidirectional connection begins with.
  public struct Connect: Sendable, Equatable {
    /// The id of the connection, as others see it.
    public var client = ""
    public var version = ""
    /// Whether the connection ends in `ttlSeconds` unless its token is refreshed.
    public var expires = false
    public var ttlSeconds: UInt32 = 0
    /// From the application.
    public var data: [UInt8] = []
    /// Server-side subscriptions, by channel.
    public var subs: NamedValues<Subscribe> = [:]
    /// The server pings this often, in seconds; 0 for never.
    public var pingSeconds: UInt32 = 0
    /// Whether it wants to be answered.
    public var pong = false
    /// Secret name of the session and name of the server that has it, for `CentrifugeEmulation`.
    public var session = ""
    public var node = ""
    /// Unix time in milliseconds; 0 for not told.
    public var timeMs: Int64 = 0
    /// The bits of `CentrifugeCommand.Connect.flag` that the server goes by.
    public var flag: Int64 = 0
    public init() {}
  }

  public struct Subscribe: Sendable, Equatable {
    public var expires = false
    public var ttlSeconds: UInt32 = 0
    public var recoverable = false
    /// Where the subscription stands, the publications below included.
    public var epoch = ""
    public var offset: UInt64 = 0
    /// What was missed, in order of offsets.
    public var publications: [CentrifugePublication] = []
    /// Whether nothing is missing now.
    public var recovered = false
    public var positioned = false
    public var data: [UInt8] = []
    /// Whether the client had asked to go on from a position.
    public var wasRecovering = false
    /// Whether publications may come as deltas.
    public var delta = false
    public init() {}
  }

  public struct Presence: Sendable, Equatable {
    /// By the id of the connection.
    public var clients: NamedValues<CentrifugeClientInfo> = [:]
    public init() {}
  }

  public struct PresenceStats: Sendable, Equatable {
    public var numClients: UInt32 = 0
    public var numUsers: UInt32 = 0
    public init() {}
  }

  public struct History: Sendable, Equatable {
    public var publications: [CentrifugePublication] = []
    /// The end of the history.
    public var epoch = ""
    public var offset: UInt64 = 0
    public init() {}
  }

  public struct Refresh: Sendable, Equatable {
    public var client = ""
    public var version = ""
    public var expires = false
    public var ttlSeconds: UInt32 = 0
    public init() {}
  }

  public struct SubRefresh: Sendable, Equatable {
    public var expires = false
    public var ttlSeconds: UInt32 = 0
    public init() {}
  }

  /// Why a request was refused. `CentrifugeErrorCode` has those that are known.
  public struct Failure: Sendable, Hashable {
    public var code: UInt32 = 0
    public var message = ""
    /// Whether the same request may succeed later.
    public var temporary = false
    public init() {}
  }
}

extension CentrifugeReply.Connect: Message {
  enum Field: UInt32, MessageField {
    case client = 1
    case version = 2
    case expires = 3
    case ttl = 4
    case data = 5
    case subs = 6
    case ping = 7
    case pong = 8
    case session = 9
    case node = 10
    case time = 11
    case flag = 12

    var name: String {
      switch self {
      case .client: "client"
      case .version: "version"
      case .expires: "expires"
      case .ttl: "ttl"
      case .data: "data"
      case .subs: "subs"
      case .ping: "ping"
      case .pong: "pong"
      case .session: "session"
      case .node: "node"
      case .time: "time"
      case .flag: "flag"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.client, client)
    out.text(Field.version, version)
    out.bool(Field.expires, expires)
    out.uint(Field.ttl, ttlSeconds)
    out.payload(Field.data, data)
    out.map(Field.subs, subs)
    out.uint(Field.ping, pingSeconds)
    out.bool(Field.pong, pong)
    out.text(Field.session, session)
    out.text(Field.node, node)
    out.int(Field.time, timeMs)
    out.int(Field.flag, flag)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .client: client = try value.text(s)
    case .version: version = try value.text(s)
    case .expires: expires = try value.bool(s)
    case .ttl: ttlSeconds = try value.uint32(s)
    case .data: data = try value.payload(s)
    case .subs: try value.map(&subs, s)
    case .ping: pingSeconds = try value.uint32(s)
    case .pong: pong = try value.bool(s)
    case .session: session = try value.text(s)
    case .node: node = try value.text(s)
    case .time: timeMs = try value.int64(s)
    case .flag: flag = try value.int64(s)
    }
  }
}

extension CentrifugeReply.Subscribe: Message {
  enum Field: UInt32, MessageField {
    case expires = 1
    case ttl = 2
    case recoverable = 3
    case epoch = 6
    case publications = 7
    case recovered = 8
    case offset = 9
    case positioned = 10
    case data = 11
    case wasRecovering = 12
    case delta = 13

    var name: String {
      switch self {
      case .expires: "expires"
      case .ttl: "ttl"
      case .recoverable: "recoverable"
      case .epoch: "epoch"
      case .publications: "publications"
      case .recovered: "recovered"
      case .offset: "offset"
      case .positioned: "positioned"
      case .data: "data"
      case .wasRecovering: "was_recovering"
      case .delta: "delta"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.bool(Field.expires, expires)
    out.uint(Field.ttl, ttlSeconds)
    out.bool(Field.recoverable, recoverable)
    out.text(Field.epoch, epoch)
    out.messages(Field.publications, publications)
    out.bool(Field.recovered, recovered)
    out.uint(Field.offset, offset)
    out.bool(Field.positioned, positioned)
    out.payload(Field.data, data)
    out.bool(Field.wasRecovering, wasRecovering)
    out.bool(Field.delta, delta)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .expires: expires = try value.bool(s)
    case .ttl: ttlSeconds = try value.uint32(s)
    case .recoverable: recoverable = try value.bool(s)
    case .epoch: epoch = try value.text(s)
    case .publications: try value.messages(&publications, s)
    case .recovered: recovered = try value.bool(s)
    case .offset: offset = try value.uint64(s)
    case .positioned: positioned = try value.bool(s)
    case .data: data = try value.payload(s)
    case .wasRecovering: wasRecovering = try value.bool(s)
    case .delta: delta = try value.bool(s)
    }
  }
}

extension CentrifugeReply.Presence: Message {
  enum Field: UInt32, MessageField {
    case presence = 1

    var name: String {
      "presence"
    }
  }

  func write(to out: inout some FieldWriter) {
    out.map(Field.presence, clients, .writtenInJSON)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    try value.map(&clients, s)
  }
}

extension CentrifugeReply.PresenceStats: Message {
  enum Field: UInt32, MessageField {
    case numClients = 1
    case numUsers = 2

    var name: String {
      switch self {
      case .numClients: "num_clients"
      case .numUsers: "num_users"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.uint(Field.numClients, UInt64(numClients), .writtenInJSON)
    out.uint(Field.numUsers, UInt64(numUsers), .writtenInJSON)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .numClients: numClients = try value.uint32(s)
    case .numUsers: numUsers = try value.uint32(s)
    }
  }
}

extension CentrifugeReply.History: Message {
  enum Field: UInt32, MessageField {
    case publications = 1
    case epoch = 2
    case offset = 3

    var name: String {
      switch self {
      case .publications: "publications"
      case .epoch: "epoch"
      case .offset: "offset"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.messages(Field.publications, publications, .writtenInJSON)
    out.text(Field.epoch, epoch, .writtenInJSON)
    out.uint(Field.offset, offset, .writtenInJSON)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .publications: try value.messages(&publications, s)
    case .epoch: epoch = try value.text(s)
    case .offset: offset = try value.uint64(s)
    }
  }
}

extension CentrifugeReply.Refresh: Message {
  enum Field: UInt32, MessageField {
    case client = 1
    case version = 2
    case expires = 3
    case ttl = 4

    var name: String {
      switch self {
      case .client: "client"
      case .version: "version"
      case .expires: "expires"
      case .ttl: "ttl"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.client, client)
    out.text(Field.version, version)
    out.bool(Field.expires, expires)
    out.uint(Field.ttl, ttlSeconds)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .client: client = try value.text(s)
    case .version: version = try value.text(s)
    case .expires: expires = try value.bool(s)
    case .ttl: ttlSeconds = try value.uint32(s)
    }
  }
}

extension CentrifugeReply.SubRefresh: Message {
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

extension CentrifugeReply.Failure: Message {
  enum Field: UInt32, MessageField {
    case code = 1
    case message = 2
    case temporary = 3

    var name: String {
      switch self {
      case .code: "code"
      case .message: "message"
      case .temporary: "temporary"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.uint(Field.code, code)
    out.text(Field.message, message)
    out.bool(Field.temporary, temporary)
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .code: code = try value.uint32(s)
    case .message: message = try value.text(s)
    case .temporary: temporary = try value.bool(s)
    }
  }
}
