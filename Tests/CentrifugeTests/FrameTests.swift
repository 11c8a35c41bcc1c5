import Bytes
import Centrifuge
import Testing

@Suite("Frames") struct FrameTests {
  private let ping = CentrifugeCommand(id: 1, .ping)
  private let leave = CentrifugeCommand(id: 2, .unsubscribe(channel: "a"))

  @Test(arguments: CentrifugeEncoding.allCases)
  func aBatchIsItsCommandsInOrder(_ encoding: CentrifugeEncoding) throws {
    var batch: [UInt8] = []
    for command in [ping, leave, CentrifugeCommand(), ping] {
      encoding.append(encoding.encode(command), to: &batch)
    }
    #expect(try commands(encoding, batch) == [ping, leave, CentrifugeCommand(), ping])
  }

  @Test(arguments: CentrifugeEncoding.allCases)
  func aBatchOfOneIsItsFrame(_ encoding: CentrifugeEncoding) {
    var batch: [UInt8] = []
    encoding.append(encoding.encode(leave), to: &batch)
    #expect(batch == encoding.encode(leave))
  }

  @Test(arguments: CentrifugeEncoding.allCases)
  func anEmptyFrameHoldsNothing(_ encoding: CentrifugeEncoding) throws {
    #expect(try commands(encoding, []) == [])
  }

  @Test(arguments: CentrifugeEncoding.allCases)
  func whatSaysNothingIsAPing(_ encoding: CentrifugeEncoding) throws {
    #expect(encoding.encode(CentrifugeReply()) == encoding.ping)
    #expect(encoding.encode(CentrifugeCommand()) == encoding.ping)
    #expect(try commands(encoding, encoding.ping).map(\.meaning) == [.pong])
    #expect(try replies(encoding, encoding.ping) == [CentrifugeReply()])
  }

  @Test func jsonStandsOnLines() throws {
    let lines = utf8(
      "{\"id\":1,\"ping\":{}}\r\n\n {\"id\":2,\"unsubscribe\":{\"channel\":\"a\"}}\n")
    #expect(try commands(.json, lines) == [ping, leave])
  }

  /// What came before the fault was whole, and has been said.
  @Test(arguments: CentrifugeEncoding.allCases)
  func aFaultComesAfterWhatWasWhole(_ encoding: CentrifugeEncoding) throws {
    var batch = encoding.encode(leave)
    encoding.append(encoding == .json ? utf8("{") : [1, 0xFF], to: &batch)
    var reader = CentrifugeCommandReader(encoding)
    #expect(try reader.next(batch.span) == leave)
    #expect(throws: CentrifugeDecodeError.self) { try reader.next(batch.span) }
  }

  @Test func lengthsAreThoseOfTheFrame() {
    #expect(throws: CentrifugeDecodeError.truncatedFrame) { try commands(.protobuf, [5, 8, 1]) }
    #expect(throws: CentrifugeDecodeError.truncatedFrame) { try commands(.protobuf, [0x80]) }
    let huge = [UInt8](repeating: 0xFF, count: 9) + [1]
    #expect(throws: CentrifugeDecodeError.truncatedFrame) { try commands(.protobuf, huge) }
    let endless = [UInt8](repeating: 0x80, count: 11)
    #expect(throws: CentrifugeDecodeError.protobuf(.varintTooLong)) {
      try commands(.protobuf, endless)
    }
  }

  @Test func meaningFollowsFromIdAndRequest() {
    #expect(CentrifugeCommand().meaning == .pong)
    #expect(CentrifugeCommand(id: 0, .send(data: [1])).meaning == .message([1]))
    #expect(CentrifugeCommand(id: 9, .send(data: [1])).meaning == .message([1]))
    #expect(CentrifugeCommand(id: 9, .ping).meaning == .request(id: 9, .ping))
    #expect(CentrifugeCommand(id: 0, .ping).meaning == .malformed)
    var idle = CentrifugeCommand()
    idle.id = 9
    #expect(idle.meaning == .malformed)
  }

  /// A line is a message, so a payload that was written over several lines is put on one.
  @Test func lineBreaksOfPayloadsAreLeftOut() throws {
    let data = utf8("{\r\n  \"a\": [\n1,\n2],\n \"b\": \"c\\n\"\r}")
    let push = CentrifugePush(channel: "a", .publication(.init(data: data)))
    let line = CentrifugeEncoding.json.encode(CentrifugeReply(push))
    #expect(!line.contains(10) && !line.contains(13))
    guard case .push(let read) = try replies(.json, line).first?.body,
      case .publication(let publication) = read.event
    else { throw CentrifugeDecodeError.ambiguous }
    #expect(publication.data == utf8("{  \"a\": [1,2], \"b\": \"c\\n\"}"))
    let bytes = CentrifugeEncoding.protobuf.encode(CentrifugeReply(push))
    #expect(try replies(.protobuf, bytes) == [CentrifugeReply(push)])
  }

  private func carries(_ encoding: CentrifugeEncoding, _ payload: [UInt8]) -> Bool {
    encoding.carries(payload.span)
  }

  @Test func jsonCarriesJSONAndProtobufAnything() {
    for (text, fits) in [
      ("{\"a\":1}", true), ("\"x\"", true), ("", true), ("{", false), ("x", false),
    ] {
      #expect(carries(.json, utf8(text)) == fits, "\(text)")
      #expect(carries(.protobuf, utf8(text)))
    }
    #expect(!carries(.json, [0xFF]))
    #expect(carries(.protobuf, [0xFF]))
  }

  @Test func dataOfDeltasIsAStringInJSON() throws {
    let data = utf8("{\"a\":\"ä\\n\"}\n")
    #expect(CentrifugeEncoding.protobuf.deltaData(data) == data)
    let text = CentrifugeEncoding.json.deltaData(data)
    #expect(text == utf8(#""{\"a\":\"ä\\n\"}\n""#))
    #expect(carries(.json, text))
  }

  @Test func unidirectionalConnectionsBeginWithTheRequestAlone() throws {
    let text = utf8(#"{"token":"t","subs":{"a":{"recover":true,"epoch":"e","offset":3}}}"#)
    let connect = try CentrifugeCommand.Connect.decode(unidirectionalJSON: text.span)
    #expect(connect.token == "t")
    #expect(connect.subs["a"]?.recover == true && connect.subs["a"]?.offset == 3)
    #expect(throws: CentrifugeDecodeError.self) {
      try CentrifugeCommand.Connect.decode(unidirectionalJSON: utf8("[]").span)
    }
  }

  @Test func unidirectionalPushesStandAlone() {
    var connect = CentrifugeReply.Connect()
    connect.client = "c"
    #expect(
      CentrifugePush(.connect(connect)).unidirectionalJSON == utf8(#"{"connect":{"client":"c"}}"#))
  }
}
