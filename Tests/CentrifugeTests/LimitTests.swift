import Bytes
import Centrifuge
import JSON
import Testing

@Suite("Limits and refusals") struct LimitTests {
  @Test(arguments: [
    (#"{"id":"1"}"#, CentrifugeDecodeError.wrongType(field: "id")),
    (#"{"id":1.5}"#, .numberOutOfRange(field: "id")),
    (#"{"id":1e2}"#, .numberOutOfRange(field: "id")),
    (#"{"id":-1}"#, .numberOutOfRange(field: "id")),
    (#"{"id":4294967296}"#, .numberOutOfRange(field: "id")),
    (#"{"id":1,"subscribe":[]}"#, .wrongType(field: "subscribe")),
    (#"{"id":1,"subscribe":{"channel":7}}"#, .wrongType(field: "channel")),
    (#"{"id":1,"subscribe":{"recover":1}}"#, .wrongType(field: "recover")),
    (#"{"id":1,"subscribe":{"offset":18446744073709551616}}"#, .numberOutOfRange(field: "offset")),
    (#"{"id":1,"subscribe":{"type":2147483648}}"#, .numberOutOfRange(field: "type")),
    (#"{"id":1,"subscribe":{"tf":{"vals":"x"}}}"#, .wrongType(field: "vals")),
    (#"{"id":1,"subscribe":{"tf":{"vals":[1]}}}"#, .wrongType(field: "vals")),
    (#"{"id":1,"subscribe":{"tf":{"nodes":[[]]}}}"#, .wrongType(field: "nodes")),
    (#"{"id":1,"connect":{"headers":{"a":1}}}"#, .wrongType(field: "headers")),
    (#"{"id":1,"connect":{"subs":{"a":1}}}"#, .wrongType(field: "subs")),
    (#"{"id":1,"connect":{"subs":[]}}"#, .wrongType(field: "subs")),
    (#"{"id":1,"ping":{},"subscribe":{"channel":"a"}}"#, .ambiguous),
  ])
  func whatHasAnotherTypeIsRefused(_ json: String, _ error: CentrifugeDecodeError) {
    #expect(throws: error) { try command(json) }
  }

  @Test(arguments: [
    "[]", "1", "null", "{", "{}{}", "{\"id\":1,\"id\":1}", "{\"id\":1,\"ping\":{\"a\":1,}}",
    "{\"id\":1,\"subscribe\":{\"channel\":\"a\",\"channel\":\"b\"}}", "{\"x\":[1,}",
  ])
  func whatIsNoObjectIsRefused(_ json: String) {
    do {
      _ = try commands(.json, utf8(json))
      Issue.record("accepted \(json)")
    } catch {
      guard case .json = error else {
        Issue.record("\(error) of \(json)")
        return
      }
    }
  }

  @Test func nullIsNothingExceptAsAPayload() throws {
    let all =
      #"{"id":1,"connect":null,"subscribe":{"channel":null,"token":null,"recover":null,"#
      + #""offset":null,"tf":null,"flag":null,"type":null,"data":null}}"#
    var subscribe = CentrifugeCommand.Subscribe()
    subscribe.data = utf8("null")
    #expect(try command(all) == CentrifugeCommand(id: 1, .subscribe(subscribe)))
    let lists = #"{"id":1,"connect":{"subs":{"a":null},"headers":null}}"#
    var connect = CentrifugeCommand.Connect()
    connect.subs = ["a": .init()]
    #expect(try command(lists) == CentrifugeCommand(id: 1, .connect(connect)))
  }

  @Test func whatIsNotKnownIsSkipped() throws {
    let json = #"{"later":[{"a":"]"}],"id":1,"presence":{"channel":"a","x":{"channel":"b"}}}"#
    #expect(try command(json) == CentrifugeCommand(id: 1, .presence(channel: "a")))
    var writer = ProtobufWriter()
    writer.field(99, text: "later")
    writer.field(1, varint: 1)
    writer.field(2, varint: 300)
    let presence = writer.beginMessage(8)
    writer.field(1, text: "a")
    writer.field(536_870_911, bytes: [1, 2])
    writer.endMessage(presence)
    // Of the fixed layouts and of groups, which nobody of this protocol writes.
    writer.varint(20 << 3 | 1)
    writer.bytes += [UInt8](repeating: 7, count: 8)
    writer.varint(21 << 3 | 5)
    writer.bytes += [UInt8](repeating: 7, count: 4)
    writer.varint(22 << 3 | 3)
    writer.field(1, text: "inside")
    writer.varint(22 << 3 | 4)
    #expect(
      try command(protobuf: writer.bytes) == CentrifugeCommand(id: 1, .presence(channel: "a")))
  }

  @Test(arguments: CentrifugeEncoding.allCases)
  func twoRequestsAreRefused(_ encoding: CentrifugeEncoding) throws {
    var writer = ProtobufWriter()
    for number: UInt32 in [7, 8] { writer.endMessage(writer.beginMessage(number)) }
    let frame = encoding == .json ? utf8(#"{"publish":{},"presence":{}}"#) : delimited(writer.bytes)
    #expect(throws: CentrifugeDecodeError.ambiguous) { try commands(encoding, frame) }
  }

  @Test(arguments: CentrifugeEncoding.allCases)
  func depthIsBounded(_ encoding: CentrifugeEncoding) throws {
    // The command, its request and the filters.
    for (depth, fits) in [(14, true), (15, false), (20, false)] {
      var filter = CentrifugeTagFilter()
      for _ in 1..<depth {
        var outer = CentrifugeTagFilter()
        outer.nodes = [filter]
        filter = outer
      }
      var subscribe = CentrifugeCommand.Subscribe(channel: "a")
      subscribe.filter = filter
      let command = CentrifugeCommand(id: 1, .subscribe(subscribe))
      if fits {
        #expect(try commands(encoding, encoding.encode(command)) == [command])
      } else {
        #expect(throws: CentrifugeDecodeError.tooDeep) {
          try commands(encoding, encoding.encode(command))
        }
      }
    }
  }

  /// Two bytes in a frame would be a hundred in memory.
  @Test(arguments: CentrifugeEncoding.allCases)
  func itemsAreCounted(_ encoding: CentrifugeEncoding) throws {
    let limits = CentrifugeLimits(itemsMax: 10)
    func fits(_ change: (inout CentrifugeCommand.Connect) -> Void) throws -> Bool {
      var connect = CentrifugeCommand.Connect()
      change(&connect)
      let frame = encoding.encode(CentrifugeCommand(id: 1, .connect(connect)))
      do throws(CentrifugeDecodeError) {
        _ = try commands(encoding, frame, limits: limits)
        return true
      } catch {
        #expect(error == .tooManyItems)
        return false
      }
    }
    for count in [10, 11] {
      #expect(
        try fits { for i in 0..<count { $0.headers["\(i)"] = "x" } } == (count == 10))
      #expect(
        try fits { for i in 0..<count { $0.subs["\(i)"] = .init() } } == (count == 10))
      // All lists together: one subscription, and the rest within its filter.
      #expect(
        try fits {
          var subscribe = CentrifugeCommand.Subscribe()
          var filter = CentrifugeTagFilter()
          filter.vals = [String](repeating: "v", count: count / 2)
          filter.nodes = [CentrifugeTagFilter](repeating: .init(), count: count - count / 2 - 1)
          subscribe.filter = filter
          $0.subs["a"] = subscribe
        } == (count == 10))
    }
  }

  @Test func textOfProtobufIsUTF8() {
    var writer = ProtobufWriter()
    let presence = writer.beginMessage(8)
    writer.field(1, bytes: [0x61, 0xFF])
    writer.endMessage(presence)
    #expect(throws: CentrifugeDecodeError.protobuf(.invalidText)) {
      try command(protobuf: writer.bytes)
    }
  }

  @Test func layoutsOfProtobufHaveToFit() {
    var text = ProtobufWriter()
    text.field(1, text: "1")
    #expect(throws: CentrifugeDecodeError.wrongType(field: "id")) {
      try command(protobuf: text.bytes)
    }
    var number = ProtobufWriter()
    number.field(5, varint: 1)
    #expect(throws: CentrifugeDecodeError.wrongType(field: "subscribe")) {
      try command(protobuf: number.bytes)
    }
    var entry = ProtobufWriter()
    let connect = entry.beginMessage(4)
    let header = entry.beginMessage(6)
    entry.field(1, varint: 1)
    entry.endMessage(header)
    entry.endMessage(connect)
    #expect(throws: CentrifugeDecodeError.wrongType(field: "headers")) {
      try command(protobuf: entry.bytes)
    }
  }

  /// The encoding guide: of a scalar the last one counts, messages are merged, numbers lose what
  /// doesn't fit, and a map's entry may lack either side.
  @Test func protobufIsReadAsItsGuideSays() throws {
    var writer = ProtobufWriter()
    writer.field(1, varint: 1)
    writer.field(1, varint: 1 << 32 | 7)
    let subscribe = writer.beginMessage(5)
    writer.field(1, text: "a")
    writer.field(1, text: "b")
    writer.field(3, varint: 2)
    for (number, text): (UInt32, String) in [(1, "and"), (2, "k")] {
      let filter = writer.beginMessage(13)
      writer.field(number, text: text)
      writer.endMessage(filter)
    }
    writer.endMessage(subscribe)
    var expected = CentrifugeCommand.Subscribe(channel: "b")
    expected.recover = true
    expected.filter = CentrifugeTagFilter()
    expected.filter?.op = "and"
    expected.filter?.key = "k"
    #expect(try command(protobuf: writer.bytes) == .init(id: 7, .subscribe(expected)))
  }

  @Test func mapEntriesMayLackEitherSide() throws {
    var writer = ProtobufWriter()
    let connect = writer.beginMessage(4)
    for number: UInt32 in [6, 3] { writer.endMessage(writer.beginMessage(number)) }
    let header = writer.beginMessage(6)
    writer.field(2, text: "v")
    writer.field(1, text: "n")
    writer.field(3, text: "later")
    writer.endMessage(header)
    writer.endMessage(connect)
    var expected = CentrifugeCommand.Connect()
    expected.headers = ["": "", "n": "v"]
    expected.subs = ["": .init()]
    #expect(try command(protobuf: writer.bytes).request == .connect(expected))
  }

  @Test func aMapNamesEachOnce() throws {
    var values: NamedValues<String> = [:]
    for i in 0..<100 { values["\(i % 40)"] = "\(i)" }
    #expect(values.count == 40)
    #expect(values["7"] == "87" && values["39"] == "79" && values["40"] == nil)
    #expect(values.entries.map(\.name) == (0..<40).map { "\($0)" })
    // Alike to people, two names to machines.
    values = ["\u{E9}": "one", "e\u{301}": "two"]
    #expect(values.count == 2)
  }
}
