/// One command of a client.
///
/// Which of its requests it has is decided here: none or one. A command with two is refused as
/// ambiguous, since whoever applied the first of them would do half of what was asked.
public struct CentrifugeCommand: Sendable, Equatable {
  /// Chosen by the client, and repeated in the reply; 0 where no reply is wanted.
  public var id: UInt32 = 0
  public var request: Request?

  public enum Request: Sendable, Equatable {
    case connect(Connect)
    case subscribe(Subscribe)
    case unsubscribe(channel: String)
    case publish(Publish)
    case presence(channel: String)
    case presenceStats(channel: String)
    case history(History)
    case ping
    case send(data: [UInt8])
    case rpc(RPC)
    case refresh(token: String)
    case subRefresh(SubRefresh)
  }

  public init() {}
  public init(id: UInt32, _ request: Request) {
    self.id = id
    self.request = request
  }

  /// What a server is to make of a command.
  public enum Meaning: Sendable, Equatable {
    /// The answer to a ping: a command that says nothing.
    case pong
    /// Data that nobody answers.
    case message([UInt8])
    /// What has to be answered under `id`, which is not 0.
    case request(id: UInt32, Request)
    /// A request without an id, or an id without a request: `CentrifugeDisconnect.badRequest`.
    case malformed
  }

  public var meaning: Meaning {
    switch (id, request) {
    case (0, nil): .pong
    case (_, .send(let data)): .message(data)
    case (0, _), (_, nil): .malformed
    case (let id, let request?): .request(id: id, request)
    }
  }
}

extension CentrifugeCommand: Message {
  enum Field: UInt32, MessageField {
    case id = 1
    case connect = 4
    case subscribe = 5
    case unsubscribe = 6
    case publish = 7
    case presence = 8
    case presenceStats = 9
    case history = 10
    case ping = 11
    case send = 12
    case rpc = 13
    case refresh = 14
    case subRefresh = 15

    var name: String {
      switch self {
      case .id: "id"
      case .connect: "connect"
      case .subscribe: "subscribe"
      case .unsubscribe: "unsubscribe"
      case .publish: "publish"
      case .presence: "presence"
      case .presenceStats: "presence_stats"
      case .history: "history"
      case .ping: "ping"
      case .send: "send"
      case .rpc: "rpc"
      case .refresh: "refresh"
      case .subRefresh: "sub_refresh"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.uint(Field.id, id)
    switch request {
    case nil: break
    case .connect(let value): out.message(Field.connect, value)
    case .subscribe(let value): out.message(Field.subscribe, value)
    case .unsubscribe(let channel):
      out.message(Field.unsubscribe, ChannelMessage(channel: channel))
    case .publish(let value): out.message(Field.publish, value)
    case .presence(let channel): out.message(Field.presence, ChannelMessage(channel: channel))
    case .presenceStats(let channel):
      out.message(Field.presenceStats, ChannelMessage(channel: channel))
    case .history(let value): out.message(Field.history, value)
    case .ping: out.message(Field.ping, EmptyMessage())
    case .send(let data): out.message(Field.send, DataMessage(data: data))
    case .rpc(let value): out.message(Field.rpc, value)
    case .refresh(let token): out.message(Field.refresh, TokenMessage(token: token))
    case .subRefresh(let value): out.message(Field.subRefresh, value)
    }
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .id: id = try value.uint32(s)
    case .connect: try take(&value, s) { .connect($0) }
    case .subscribe: try take(&value, s) { .subscribe($0) }
    case .unsubscribe:
      try take(&value, s) { (it: ChannelMessage) in .unsubscribe(channel: it.channel) }
    case .publish: try take(&value, s) { .publish($0) }
    case .presence: try take(&value, s) { (it: ChannelMessage) in .presence(channel: it.channel) }
    case .presenceStats:
      try take(&value, s) { (it: ChannelMessage) in .presenceStats(channel: it.channel) }
    case .history: try take(&value, s) { .history($0) }
    case .ping: try take(&value, s) { (_: EmptyMessage) in .ping }
    case .send: try take(&value, s) { (it: DataMessage) in .send(data: it.data) }
    case .rpc: try take(&value, s) { .rpc($0) }
    case .refresh: try take(&value, s) { (it: TokenMessage) in .refresh(token: it.token) }
    case .subRefresh: try take(&value, s) { .subRefresh($0) }
    }
  }

  private mutating func take<M: Message>(
    _ value: inout some FieldReader, _ s: borrowing Span<UInt8>, as request: (M) -> Request
  ) throws(CentrifugeDecodeError) {
    var message: M?
    try value.message(&message, s)
    guard let message else { return }
    guard self.request == nil else { throw .ambiguous }
    self.request = request(message)
  }
}
