import Centrifuge
import TestKit

/// Makes messages that both encodings can carry, of every kind, with every field now and then.
struct MessageGenerator {
  var random: SeededGenerator

  private static let texts = [
    "", "a", "chat:1", "größe", "\"quoted\"\\\n\t\u{1}", "😀", "ключ",
    String(repeating: "long ", count: 40),
  ]
  private static let payloads = [
    "", "null", "{}", "[]", "0", "-1.5e300", "\"text\"", #"{"a":[1,{"b":null}]}"#, #""é\u0000\n""#,
    #"{"long":""# + String(repeating: "x", count: 300) + #""}"#,
  ]

  mutating func chance(_ n: Int) -> Bool { Int.random(in: 0..<n, using: &random) == 0 }
  mutating func text() -> String { Self.texts.randomElement(using: &random) ?? "" }
  mutating func payload() -> [UInt8] { utf8(Self.payloads.randomElement(using: &random) ?? "") }
  mutating func flag() -> Bool { chance(2) }

  mutating func number() -> UInt64 {
    chance(3) ? 0 : random.next() >> UInt64.random(in: 0...63, using: &random)
  }

  mutating func u32() -> UInt32 { UInt32(truncatingIfNeeded: number()) }
  mutating func i32() -> Int32 { Int32(truncatingIfNeeded: number()) }
  mutating func i64() -> Int64 { Int64(bitPattern: number()) * (chance(2) ? 1 : -1) }

  mutating func list<Element>(_ max: Int, _ make: (inout Self) -> Element) -> [Element] {
    (0..<Int.random(in: 0...max, using: &random)).map { _ in make(&self) }
  }

  mutating func map<Value>(_ make: (inout Self) -> Value) -> NamedValues<Value> {
    var values = NamedValues<Value>()
    for _ in 0..<Int.random(in: 0...4, using: &random) {
      values["\(text())\(Int.random(in: 0...9, using: &random))"] = make(&self)
    }
    return values
  }

  mutating func info() -> CentrifugeClientInfo {
    CentrifugeClientInfo(user: text(), client: text(), connInfo: payload(), chanInfo: payload())
  }

  mutating func publication() -> CentrifugePublication {
    var it = CentrifugePublication(
      data: payload(), offset: number(), info: chance(2) ? info() : nil)
    it.tags = map { $0.text() }
    (it.isDelta, it.timeMs, it.channel) = (flag(), i64() / 2, text())
    return it
  }

  mutating func filter(depth: Int = 3) -> CentrifugeTagFilter {
    var it = CentrifugeTagFilter()
    (it.op, it.key, it.cmp, it.val) = (text(), text(), text(), text())
    it.vals = list(3) { $0.text() }
    if depth > 0 { it.nodes = list(2) { $0.filter(depth: depth - 1) } }
    return it
  }

  mutating func subscribe() -> CentrifugeCommand.Subscribe {
    var it = CentrifugeCommand.Subscribe(channel: text())
    (it.token, it.recover, it.epoch, it.offset) = (text(), flag(), text(), number())
    (it.data, it.positioned, it.recoverable, it.joinLeave) = (payload(), flag(), flag(), flag())
    (it.delta, it.flag, it.type) = (text(), i64() / 2, i32())
    it.filter = chance(3) ? filter() : nil
    return it
  }

  mutating func command() -> CentrifugeCommand {
    var it = CentrifugeCommand()
    it.id = u32()
    it.request = chance(20) ? nil : request()
    return it
  }

  private mutating func request() -> CentrifugeCommand.Request {
    switch Int.random(in: 0..<12, using: &random) {
    case 0:
      var it = CentrifugeCommand.Connect()
      (it.token, it.data, it.name, it.version) = (text(), payload(), text(), text())
      (it.subs, it.headers, it.flag) = (map { $0.subscribe() }, map { $0.text() }, i64() / 2)
      return .connect(it)
    case 1: return .subscribe(subscribe())
    case 2: return .unsubscribe(channel: text())
    case 3:
      var it = CentrifugeCommand.Publish(channel: text(), data: payload())
      it.type = i32()
      return .publish(it)
    case 4: return .presence(channel: text())
    case 5: return .presenceStats(channel: text())
    case 6:
      var it = CentrifugeCommand.History()
      (it.channel, it.limit, it.reverse) = (text(), i32(), flag())
      it.since = chance(2) ? CentrifugePosition(offset: number(), epoch: text()) : nil
      return .history(it)
    case 7: return .ping
    case 8: return .send(data: payload())
    case 9:
      var it = CentrifugeCommand.RPC()
      (it.method, it.data) = (text(), payload())
      return .rpc(it)
    case 10: return .refresh(token: text())
    default:
      var it = CentrifugeCommand.SubRefresh()
      (it.channel, it.token, it.type) = (text(), text(), i32())
      return .subRefresh(it)
    }
  }
}

extension MessageGenerator {
  mutating func reply() -> CentrifugeReply {
    var it = CentrifugeReply()
    it.id = u32()
    it.body = chance(20) ? nil : body()
    return it
  }

  private mutating func subscribed() -> CentrifugeReply.Subscribe {
    var it = CentrifugeReply.Subscribe()
    (it.expires, it.ttlSeconds, it.recoverable, it.epoch) = (flag(), u32(), flag(), text())
    (it.offset, it.recovered, it.positioned, it.data) = (number(), flag(), flag(), payload())
    (it.wasRecovering, it.delta) = (flag(), flag())
    it.publications = list(3) { $0.publication() }
    return it
  }

  private mutating func connected() -> CentrifugeReply.Connect {
    var it = CentrifugeReply.Connect()
    (it.client, it.version, it.expires, it.ttlSeconds) = (text(), text(), flag(), u32())
    (it.data, it.pingSeconds, it.pong) = (payload(), u32(), flag())
    (it.session, it.node, it.timeMs) = (text(), text(), i64() / 2)
    it.subs = map { $0.subscribed() }
    return it
  }

  private mutating func body() -> CentrifugeReply.Body {
    switch Int.random(in: 0..<14, using: &random) {
    case 0:
      var it = CentrifugeReply.Failure()
      (it.code, it.message, it.temporary) = (u32(), text(), flag())
      return .failure(it)
    case 1:
      var it = connected()
      it.flag = i64() / 2
      return .connect(it)
    case 2: return .subscribe(subscribed())
    case 3: return .unsubscribe
    case 4: return .publish
    case 5:
      var it = CentrifugeReply.Presence()
      it.clients = map { $0.info() }
      return .presence(it)
    case 6:
      var it = CentrifugeReply.PresenceStats()
      (it.numClients, it.numUsers) = (u32(), u32())
      return .presenceStats(it)
    case 7:
      var it = CentrifugeReply.History()
      (it.publications, it.epoch, it.offset) = (list(4) { $0.publication() }, text(), number())
      return .history(it)
    case 8: return .ping
    case 9: return .rpc(data: payload())
    case 10:
      var it = CentrifugeReply.Refresh()
      (it.client, it.version, it.expires, it.ttlSeconds) = (text(), text(), flag(), u32())
      return .refresh(it)
    case 11:
      var it = CentrifugeReply.SubRefresh()
      (it.expires, it.ttlSeconds) = (flag(), u32())
      return .subRefresh(it)
    default: return .push(push())
    }
  }

  private mutating func push() -> CentrifugePush {
    var it = CentrifugePush()
    it.channel = text()
    it.event = chance(20) ? nil : event()
    return it
  }

  private mutating func event() -> CentrifugePush.Event {
    switch Int.random(in: 0..<10, using: &random) {
    case 0: return .join(info())
    case 1: return .leave(info())
    case 2:
      var it = CentrifugePush.Unsubscribe()
      (it.code, it.reason) = (u32(), text())
      return .unsubscribe(it)
    case 3: return .message(data: payload())
    case 4:
      var it = CentrifugePush.Subscribe()
      (it.recoverable, it.epoch, it.offset) = (flag(), text(), number())
      (it.positioned, it.data) = (flag(), payload())
      return .subscribe(it)
    case 5: return .connect(connected())
    case 6:
      var it = CentrifugePush.Disconnect()
      (it.code, it.reason, it.reconnect) = (u32(), text(), flag())
      return .disconnect(it)
    case 7:
      var it = CentrifugePush.Refresh()
      (it.expires, it.ttlSeconds) = (flag(), u32())
      return .refresh(it)
    default: return .publication(publication())
    }
  }
}
