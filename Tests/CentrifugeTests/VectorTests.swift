import Bytes
import Centrifuge
import Testing

@Suite("Vectors") struct VectorTests {
  @Test func allAreThere() { #expect(MessageVector.all.count == 48) }

  @Test(arguments: MessageVector.all)
  func bothEncodingsSayTheSame(_ vector: MessageVector) throws {
    let json = try AnyMessage(vector.kind, .json, vector.json)
    let protobuf = try AnyMessage(vector.kind, .protobuf, vector.protobuf)
    #expect(json == protobuf)
  }

  /// Byte for byte what the other implementation writes.
  @Test(arguments: MessageVector.all)
  func whatIsReadIsWrittenTheSame(_ vector: MessageVector) throws {
    for encoding in CentrifugeEncoding.allCases {
      let message = try AnyMessage(vector.kind, encoding, vector.frame(encoding))
      #expect(message.encode(encoding) == vector.frame(encoding), "\(encoding)")
    }
  }

  @Test(arguments: MessageVector.all)
  func everyMessageGoesFromOneEncodingIntoTheOther(_ vector: MessageVector) throws {
    let message = try AnyMessage(vector.kind, .json, vector.json)
    #expect(message.encode(.protobuf) == vector.protobuf)
    #expect(try AnyMessage(vector.kind, .protobuf, vector.protobuf).encode(.json) == vector.json)
  }

  /// What the vectors say is what their labels do: written out for one of each kind.
  @Test func valuesAreInTheirPlaces() throws {
    var subscribe = CentrifugeCommand.Subscribe(channel: "chat:größe#7")
    subscribe.token = "t"
    subscribe.recover = true
    subscribe.epoch = "ep"
    subscribe.offset = 9_007_199_254_740_993
    subscribe.data = utf8("\"text\"")
    subscribe.positioned = true
    subscribe.recoverable = true
    subscribe.joinLeave = true
    subscribe.delta = "fossil"
    subscribe.flag = 2
    subscribe.type = 1
    var (all, member, not, below) = (
      CentrifugeTagFilter(), CentrifugeTagFilter(), CentrifugeTagFilter(), CentrifugeTagFilter()
    )
    (member.key, member.cmp, member.vals) = ("ticker", "in", ["BTC", "", "ETH"])
    (below.key, below.cmp, below.val) = ("n", "lt", "7")
    (not.op, not.nodes) = ("not", [below])
    (all.op, all.nodes) = ("and", [member, not])
    subscribe.filter = all
    try expect("subscribe, everything", .command(.init(id: 3, .subscribe(subscribe))))
  }

  @Test func aPublicationIsInItsPlace() throws {
    var publication = CentrifugePublication(
      data: utf8(#"{"x":1.5}"#), offset: .max,
      info: CentrifugeClientInfo(
        user: "u-7", client: "c1", connInfo: utf8(#"{"name":"Zoë"}"#), chanInfo: utf8("[1,2]")))
    publication.tags = ["a": "1", "ключ": "значение"]
    publication.isDelta = true
    publication.timeMs = 1_763_750_000_123
    publication.channel = "map:*"
    let push = CentrifugePush(channel: "map:cursor", .publication(publication))
    try expect("push publication", .reply(.init(push)))
  }

  @Test func smallRequestsAreInTheirPlaces() throws {
    try expect("unsubscribe", .command(.init(id: 5, .unsubscribe(channel: "chat:1"))))
    try expect("presence_stats", .command(.init(id: 9, .presenceStats(channel: "chat:1"))))
    try expect("send", .command(.init(id: 0, .send(data: utf8(#"{"a":1}"#)))))
    try expect("refresh", .command(.init(id: 14, .refresh(token: "a.b.c"))))
    try expect("pong", .command(.init()))
    var publish = CentrifugeCommand.Publish(channel: "chat:1", data: utf8("null"))
    publish.type = 1
    try expect("publish null", .command(.init(id: 7, .publish(publish))))
    var history = CentrifugeCommand.History()
    (history.channel, history.limit, history.reverse) = ("chat:1", -1, true)
    history.since = CentrifugePosition(offset: 3, epoch: "ep")
    try expect("history", .command(.init(id: 10, .history(history))))
  }

  private func expect(_ label: String, _ message: AnyMessage) throws {
    let kind = if case .reply = message { "reply" } else { "command" }
    let vector = try #require(
      MessageVector.all.first { $0.kind == kind && $0.label == label })
    #expect(try AnyMessage(kind, .json, vector.json) == message)
    #expect(try AnyMessage(kind, .protobuf, vector.protobuf) == message)
  }
}
