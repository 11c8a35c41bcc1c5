/// Something that a server tells without having been asked.
public struct CentrifugePush: Sendable, Equatable {
  /// Empty for what is about the connection.
  public var channel = ""
  public var event: Event?

  public enum Event: Sendable, Equatable {
    case publication(CentrifugePublication)
    case join(CentrifugeClientInfo)
    case leave(CentrifugeClientInfo)
    case unsubscribe(Unsubscribe)
    case message(data: [UInt8])
    case subscribe(Subscribe)
    /// What a unidirectional connection begins with; `flag` isn't carried.
    case connect(CentrifugeReply.Connect)
    case disconnect(Disconnect)
    case refresh(Refresh)
  }

  public init() {}
  public init(channel: String = "", _ event: Event) {
    self.channel = channel
    self.event = event
  }
}

extension CentrifugePush: Message {
  enum Field: UInt32, MessageField {
    case channel = 2
    case pub = 4
    case join = 5
    case leave = 6
    case unsubscribe = 7
    case message = 8
    case subscribe = 9
    case connect = 10
    case disconnect = 11
    case refresh = 12

    var name: String {
      switch self {
      case .channel: "channel"
      case .pub: "pub"
      case .join: "join"
      case .leave: "leave"
      case .unsubscribe: "unsubscribe"
      case .message: "message"
      case .subscribe: "subscribe"
      case .connect: "connect"
      case .disconnect: "disconnect"
      case .refresh: "refresh"
      }
    }
  }

  func write(to out: inout some FieldWriter) {
    out.text(Field.channel, channel)
    switch event {
    case nil: break
    case .publication(let value): out.message(Field.pub, value)
    case .join(let info): out.message(Field.join, InfoMessage(info: info))
    case .leave(let info): out.message(Field.leave, InfoMessage(info: info))
    case .unsubscribe(let value): out.message(Field.unsubscribe, value)
    case .message(let data): out.message(Field.message, DataMessage(data: data))
    case .subscribe(let value): out.message(Field.subscribe, value)
    case .connect(let result): out.message(Field.connect, ConnectPush(result: result))
    case .disconnect(let value): out.message(Field.disconnect, value)
    case .refresh(let value): out.message(Field.refresh, value)
    }
  }

  mutating func read(
    _ field: Field, from value: inout some FieldReader, _ s: borrowing Span<UInt8>
  ) throws(CentrifugeDecodeError) {
    switch field {
    case .channel: channel = try value.text(s)
    case .pub: try take(&value, s) { .publication($0) }
    case .join: try take(&value, s) { (it: InfoMessage) in .join(it.info ?? .init()) }
    case .leave: try take(&value, s) { (it: InfoMessage) in .leave(it.info ?? .init()) }
    case .unsubscribe: try take(&value, s) { .unsubscribe($0) }
    case .message: try take(&value, s) { (it: DataMessage) in .message(data: it.data) }
    case .subscribe: try take(&value, s) { .subscribe($0) }
    case .connect: try take(&value, s) { (it: ConnectPush) in .connect(it.result) }
    case .disconnect: try take(&value, s) { .disconnect($0) }
    case .refresh: try take(&value, s) { .refresh($0) }
    }
  }

  private mutating func take<M: Message>(
    _ value: inout some FieldReader, _ s: borrowing Span<UInt8>, as event: (M) -> Event
  ) throws(CentrifugeDecodeError) {
    var message: M?
    try value.message(&message, s)
    guard let message else { return }
    guard self.event == nil else { throw .ambiguous }
    self.event = event(message)
  }
}
