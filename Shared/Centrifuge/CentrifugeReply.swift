/// What a server says: the answer to a command, a push, or (with nothing in it) a ping.
public struct CentrifugeReply: Sendable, Equatable {
  /// That of the command; 0 for pushes and pings.
  public var id: UInt32 = 0
  public var body: Body?

  public enum Body: Sendable, Equatable {
    case failure(Failure)
    case push(CentrifugePush)
    case connect(Connect)
    case subscribe(Subscribe)
    case unsubscribe
    case publish
    case presence(Presence)
    case presenceStats(PresenceStats)
    case history(History)
    case ping
    case rpc(data: [UInt8])
    case refresh(Refresh)
    case subRefresh(SubRefresh)
  }

  /// A ping.
  public init() {}
  public init(id: UInt32, _ body: Body) {
    self.id = id
    self.body = body
  }
  public init(_ push: CentrifugePush) { body = .push(push) }
}

extension CentrifugeReply: Message {
  enum Field: UInt32, MessageField {
    case id = 1
    case error = 2
    case push = 4
    case connect = 5
    case subscribe = 6
    case unsubscribe = 7
    case publish = 8
    case presence = 9
    case presenceStats = 10
    case history = 11
    case ping = 12
    case rpc = 13
    case refresh = 14
    case subRefresh = 15

    var name: String {
      switch self {
      case .id: "id"
      case .error: "error"
      case .push: "push"
      case .connect: "connect"
      case .subscribe: "subscribe"
      case .unsubscribe: "unsubscribe"
      case .publish: "publish"
      case .presence: "presence"
      case .presenceStats: "presence_stats"
      case .history: "history"
      case .ping: "ping"
      case .rpc: "rpc"
      case .refresh: "refresh"
      case .subRefresh: "sub_refresh"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.uint(Field.id, id)
    switch body {
    case nil: break
    case .failure(let value): out.message(Field.error, value)
    case .push(let value): out.message(Field.push, value)
    case .connect(let value): out.message(Field.connect, value)
    case .subscribe(let value): out.message(Field.subscribe, value)
    case .unsubscribe: out.message(Field.unsubscribe, EmptyMessage())
    case .publish: out.message(Field.publish, EmptyMessage())
    case .presence(let value): out.message(Field.presence, value)
    case .presenceStats(let value): out.message(Field.presenceStats, value)
    case .history(let value): out.message(Field.history, value)
    case .ping: out.message(Field.ping, EmptyMessage())
    case .rpc(let data): out.message(Field.rpc, DataMessage(data: data))
    case .refresh(let value): out.message(Field.refresh, value)
    case .subRefresh(let value): out.message(Field.subRefresh, value)
    }
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .id: id = try value.uint32(s)
    case .error: try take(&value, s) { .failure($0) }
    case .push: try take(&value, s) { .push($0) }
    case .connect: try take(&value, s) { .connect($0) }
    case .subscribe: try take(&value, s) { .subscribe($0) }
    case .unsubscribe: try take(&value, s) { (_: EmptyMessage) in .unsubscribe }
    case .publish: try take(&value, s) { (_: EmptyMessage) in .publish }
    case .presence: try take(&value, s) { .presence($0) }
    case .presenceStats: try take(&value, s) { .presenceStats($0) }
    case .history: try take(&value, s) { .history($0) }
    case .ping: try take(&value, s) { (_: EmptyMessage) in .ping }
    case .rpc: try take(&value, s) { (it: DataMessage) in .rpc(data: it.data) }
    case .refresh: try take(&value, s) { .refresh($0) }
    case .subRefresh: try take(&value, s) { .subRefresh($0) }
    }
  }

  private mutating func take<M: Message>(
    _ value: inout some FieldReader, _ s: borrowing Span<UInt8>, as body: (M) -> Body
  ) throws(CentrifugeDecodeError) {
    var message: M?
    try value.message(&message, s)
    guard let message else { return }
    guard self.body == nil else { throw .ambiguous }
    self.body = body(message)
  }
}
