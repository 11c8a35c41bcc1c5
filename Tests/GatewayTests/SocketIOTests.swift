import Bytes
import Config
import EngineIO
import JSON
import SocketIO
import Testing
import Wire

@testable import GatewayCore

struct SocketIOPublicationTests {
  private func messages(
    _ encoding: Encoding, _ payload: Payload, _ at: Position? = nil, user: String = ""
  ) -> [EngineFrame] {
    var bytes: [UInt8] = []
    encoding.append(
      payload, position: at, timeMs: 5, publisher: Publisher(client: 0, user: user),
      prefix: Encoding.prefix(channel("a:b")), to: &bytes)
    return Array(FramedMessages(bytes))
  }

  private func frame(_ text: String) -> EngineFrame { .text([UInt8](text.utf8)) }

  @Test func aPublicationIsAnEventWithItsEnvelope() {
    #expect(
      messages(.socketPublication, Payload(json: #"{"x": 1}"#), position("e", 42), user: "ada") == [
        frame(
          #"42["publication",{"channel":"a:b","epoch":"e","offset":42,"time":5,"user":"ada","#
            + #""data":{"x": 1}}]"#
        )
      ])
    #expect(
      messages(.socketPublication, Payload(text: "\"")) == [
        frame(#"42["publication",{"channel":"a:b","time":5,"data":"\""}]"#)
      ])
  }

  @Test func aChannelSpokenAsAnEventHasItsName() {
    #expect(messages(.socketEvent, Payload(json: "[1]")) == [frame(#"42["a:b",[1]]"#)])
    #expect(messages(.socketEvent, Payload(.uncheckedText, [0x7b])) == [frame(#"42["a:b","{"]"#)])
  }

  /// What a client's library makes of them is bytes again.
  @Test func bytesAreAnAttachment() {
    let bytes = [UInt8](repeating: 7, count: 70_000)
    #expect(
      messages(.socketPublication, Payload(.binary, bytes)) == [
        frame(
          #"451-["publication",{"channel":"a:b","time":5,"data":{"_placeholder":true,"num":0}}]"#),
        .binary(bytes),
      ])
    #expect(
      messages(.socketEvent, Payload(.binary, [])) == [
        frame(#"451-["a:b",{"_placeholder":true,"num":0}]"#), .binary([]),
      ])
  }

  @Test func whatPollingTakesOutOfFramesIsWhatWasPutIn() {
    var bytes: [UInt8] = []
    for text in ["1", String(repeating: "x", count: 200), String(repeating: "y", count: 70_000)] {
      Encoding.socketEvent.append(
        Payload(text: text), position: nil, timeMs: 0, prefix: Encoding.prefix(channel("c")),
        to: &bytes)
    }
    let all = Array(FramedMessages(bytes))
    #expect(all.count == 3 && all[0] == frame(#"42["c","1"]"#))
    // A part that isn't whole is not sent on.
    #expect(Array(FramedMessages(bytes, 0, bytes.count - 1)).count == 2)
  }
}

struct SocketIORequestTests {
  private func event(_ text: String, _ attachments: [[UInt8]] = []) throws -> SocketEvent {
    var decoder = SocketDecoder()
    var packet = try decoder.text([UInt8](text.utf8).span)
    for attachment in attachments { packet = try decoder.binary(attachment) }
    guard case .event(_, let event, _) = try #require(packet) else {
      throw ClientMessage.Malformed(id: nil, message: "no event")
    }
    return event
  }

  private func message(_ text: String, _ attachments: [[UInt8]] = []) throws -> ClientMessage? {
    guard
      case .message(let message) = try SocketIORequest.read(event(text, attachments), .number(7))
    else { return nil }
    return message
  }

  @Test func eventsAreTheMessagesOfTheOtherSocket() throws {
    #expect(
      try message(#"2["subscribe",{"channel":"a","since":"e:4"}]"#)
        == .subscribe(id: .number(7), channel: "a", since: "e:4", token: nil))
    #expect(
      try message(#"2["unsubscribe",{"channel":"a"}]"#)
        == .unsubscribe(id: .number(7), channel: "a"))
    #expect(try message(#"2["ping"]"#) == .ping(id: .number(7)))
    // What the object says of itself counts for nothing.
    #expect(
      try message(#"2["publish",{"type":"ping","id":"x","channel":"a","data":[1],"idempotency_key":"k"}]"#)
        == .publish(id: .number(7), channel: "a", payload: Payload(json: "[1]"), key: "k"))
  }

  @Test func attachedBytesArePublishedAsBytes() throws {
    let text = #"51-["publish",{"channel":"a","data":{"_placeholder":true,"num":0}}]"#
    #expect(
      try message(text, [[1, 0]])
        == .publish(id: .number(7), channel: "a", payload: Payload(.binary, [1, 0]), key: ""))
    #expect(throws: ClientMessage.Malformed.self) {
      _ = try message(
        #"51-["publish",{"channel":"a","data":[{"_placeholder":true,"num":0}]}]"#, [[1]])
    }
    let own = try event(#"51-["a",{"_placeholder":true,"num":0}]"#, [[9]])
    #expect(try SocketIORequest.payload(of: own, nil) == Payload(.binary, [9]))
  }

  @Test(arguments: [
    #"2["subscribe"]"#, #"2["subscribe","a"]"#, #"2["subscribe",{}]"#, #"2["publish",{"channel":"a"}]"#,
    #"2["history",{"channel":"a","since":"here"}]"#, #"2["history",{"channel":"a","limit":-1}]"#,
    #"2["presence",{"channel":1}]"#, #"2["refresh",{}]"#,
  ])
  func whatIsNoRequestIsRefusedWithItsID(text: String) throws {
    let event = try event(text)
    let error = #expect(throws: ClientMessage.Malformed.self) {
      _ = try SocketIORequest.read(event, .number(7))
    }
    #expect(error?.id == .number(7))
  }

  @Test func aHistoryHasItsRange() throws {
    let event = try event(#"2["history",{"channel":"a","since":"e:3","limit":9,"reverse":true}]"#)
    guard case .history("a", let range) = try SocketIORequest.read(event, nil) else {
      return #expect(Bool(false))
    }
    #expect(range.since == position("e", 3) && range.limit == 9 && range.isReverse)
  }
}

struct EngineRulesTests {
  private func rules(_ text: String) -> EngineRules {
    let check = Configuration.check(file: "f", text: [UInt8](text.utf8))
    #expect(check.isSound, "\(check.report)")
    return EngineRules(check.configuration.socketio)
  }

  @Test func defaultsAreTheReferenceServers() {
    let rules = EngineRules()
    #expect(rules.engine.pingInterval == .seconds(25) && rules.engine.pingTimeout == .seconds(20))
    #expect(rules.engine.maxHttpBufferSize == 1_000_000 && rules.engine.allowUpgrades)
    #expect(rules.socket.connectTimeout == .seconds(45) && rules.socket.packets.maxAttachments == 10)
    #expect(rules.serves(.socketIO) && !rules.serves(.engineIO))
    #expect(rules.tick == .seconds(1))
  }

  @Test func aSwitchedOffDoorIsNone() {
    #expect(!rules("{socketio:{enabled:false, engine:'x'}}").serves(.engineIO))
    #expect(rules("{socketio:{engine:'x'}}").serves(.engineIO))
  }

  @Test func channelsAreEventsAsTheConfigurationSays() {
    let rules = rules("{socketio:{events:['map:*','sim:tick']}}")
    #expect(rules.speaksAsEvent(channel("map:cursor")) && rules.speaksAsEvent(channel("sim:tick")))
    #expect(!rules.speaksAsEvent(channel("sim:tock")))
    #expect(rules.joinedByAll == [channel("sim:tick")])
    // Names that clients' libraries keep to themselves stay publications.
    #expect(!self.rules("{socketio:{events:['*']}}").speaksAsEvent(channel("disconnect")))
  }
}
