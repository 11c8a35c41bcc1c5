import Bytes
import Centrifuge
import ChannelKit
@testable import HTTPCodec
import Identity
import JSON
import Testing
import WebSocketCodec
import Wire

@testable import GatewayCore

struct CentrifugeFormTests {
  private let ann = Publisher(client: 0xab, user: "ann")

  private func frame(
    _ encoding: GatewayCore.Encoding, _ payload: Payload, _ at: Position? = nil,
    by publisher: Publisher = Publisher()
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    encoding.append(
      payload, position: at, timeMs: 5, publisher: publisher,
      prefix: GatewayCore.Encoding.prefix(channel("a:b")), to: &bytes)
    return bytes
  }

  @Test func aPublicationIsAPushInATextFrame() {
    let bytes = frame(.centrifugeJSON, Payload(json: #"{"x":1}"#), position("e", 42), by: ann)
    let json = text([UInt8](bytes[2...]))
    #expect(bytes[0] == 0x81 && Int(bytes[1]) == bytes.count - 2)
    #expect(
      json == #"{"push":{"channel":"a:b","pub":{"data":{"x":1},"#
        + #""info":{"user":"ann","client":"00000000000000ab"},"offset":42,"time":5}}}"#)
  }

  @Test func inProtobufItIsABinaryFrameWithTheBytesAsTheyAre() throws {
    let bytes = frame(.centrifugeProtobuf, Payload(.binary, [0, 255]), position("e", 7), by: ann)
    #expect(bytes[0] == 0x82)
    var reader = CentrifugeReplyReader(.protobuf)
    let body = [UInt8](bytes[2...])
    let reply = try #require(try reader.next(body.span))
    guard case .push(let push)? = reply.body, case .publication(let publication)? = push.event else {
      Issue.record("\(reply)")
      return
    }
    #expect(push.channel == "a:b")
    #expect(publication.data == [0, 255] && publication.offset == 7 && publication.tags.isEmpty)
    #expect(publication.info?.user == "ann")
  }

  @Test func aFrameHoldsOnePublicationSoThatASlowClientCanLeaveSomeOut() {
    for encoding in [GatewayCore.Encoding.centrifugeJSON, .centrifugeProtobuf] {
      let one = frame(encoding, Payload(text: String(repeating: "x", count: 300)))
      #expect(encoding.ends((one + one).span) == [one.count, 2 * one.count])
      #expect(!encoding.hasMarks)
    }
  }

  /// What arrives in JSON is one value, without a line break, whatever was published.
  @Test func eachKindOfPayloadIsOneValueInJSON() throws {
    for (payload, data, isTagged) in [
      (Payload(json: "{\"a\":\n 1}"), "{\"a\": 1}", false), (Payload(json: "1"), "1", false),
      (Payload(text: "a\n\"b\""), #""a\n\"b\"""#, false), (Payload(text: "{}"), #""{}""#, false),
      (Payload(.uncheckedText, [UInt8]("[1]".utf8)), "[1]", false),
      (Payload(.uncheckedText, [UInt8]("{broken".utf8)), #""{broken""#, false),
      (Payload(.binary, [0, 255]), #""AP8=""#, true),
      (Payload(.jsonWithParts, [0x7b]), #""ew==""#, true),
    ] {
      let bytes = frame(.centrifugeJSON, payload)
      let body = [UInt8](bytes[2...])
      #expect(!body.contains(UInt8(ascii: "\n")))
      let value = try JSONValue.parse(body.span)
      #expect(text(body).contains("\"data\":\(data)"), "\(text(body))")
      #expect((value["push"]?["pub"]?["tags"]?["encoding"]?.string == "base64") == isTagged)
    }
  }

  @Test func whatIsPublishedKeepsItsKind() {
    func json(_ text: String) -> Payload? { CentrifugeEncoding.json.payload([UInt8](text.utf8)) }
    #expect(json(#"{"a":1}"#) == Payload(json: #"{"a":1}"#))
    #expect(json(#""a\u00e9\n""#) == Payload(text: "a\u{e9}\n"))
    #expect(json("null") == Payload(json: "null"))
    #expect(json("") == nil)
    let protobuf = CentrifugeEncoding.protobuf
    #expect(protobuf.payload([UInt8]("{}".utf8)) == Payload(.uncheckedText, [UInt8]("{}".utf8)))
    #expect(protobuf.payload([0xff, 0]) == Payload(.binary, [0xff, 0]))
    #expect(protobuf.payload([]) == nil)
  }

  @Test func theEncodingIsChosenBySubprotocolOrAddress() {
    func target(_ items: [HTTPQueryItem]) -> HTTPTarget {
      HTTPTarget(path: ["connection", "websocket"], query: items)
    }
    #expect(CentrifugeDoors.encoding(target([]), nil) == .json)
    #expect(CentrifugeDoors.encoding(target([HTTPQueryItem("format", "protobuf")]), nil) == .protobuf)
    #expect(
      CentrifugeDoors.encoding(target([HTTPQueryItem("cf_protocol", "protobuf")]), nil) == .protobuf)
    #expect(CentrifugeDoors.encoding(target([]), "centrifuge-protobuf") == .protobuf)
    #expect(CentrifugeDoors.subprotocol(["chat,  centrifuge-protobuf ,x"]) == "centrifuge-protobuf")
    #expect(CentrifugeDoors.subprotocol(["centrifuge-json"]) == "centrifuge-json")
    #expect(CentrifugeDoors.subprotocol(["chat"]) == nil && CentrifugeDoors.subprotocol([]) == nil)
  }
}

struct CentrifugeRefusalTests {
  @Test(arguments: [
    (Refusal.permissionDenied, UInt32(103), false), (.unknownChannel("x y"), 102, false),
    (.tokenExpired, 109, false), (.unrecoverable, 112, false), (.unavailable, 100, true),
    (.overloaded, 100, true), (.rateLimited("messages", .seconds(1)), 111, true),
    (.tooLarge(1), 107, false), (.outOfSpace, 100, true), (.conflict, 107, false),
    (Refusal(1234, "mine", "my own", .badRequest), 1234, false), (.noHistory, 108, false),
  ])
  func aRefusalHasACodeOfTheProtocol(refusal: Refusal, code: UInt32, temporary: Bool) {
    let failure = refusal.centrifugeFailure
    #expect(failure.code == code && failure.temporary == temporary)
    #expect(failure.message == refusal.message)
  }

  @Test func aBadSubscriptionTokenIsNoReasonToEndTheConnection() {
    #expect(Refusal.tokenRevoked.centrifugeSubscribeFailure.code == 103)
    #expect(Refusal.tokenExpired.centrifugeSubscribeFailure.code == 109)
  }

  @Test(arguments: [
    (Refusal.tokenExpired, CentrifugeDisconnect.expired, true), (.tokenRevoked, .invalidToken, false),
    (.disconnected, .forceNoReconnect, false), (.signInFirst, .stale, false),
    (.tooManyOfUser, .connectionLimit, false), (.permissionDenied, .permissionDenied, false),
    (.unavailable, .serverError, true), (.internalError, .serverError, true),
  ])
  func aConnectionEndsWithACodeThatSaysWhetherToComeBack(
    refusal: Refusal, code: CentrifugeDisconnect, comesBack: Bool
  ) {
    #expect(refusal.centrifugeDisconnect == code)
    #expect(code.leadsToReconnect == comesBack)
  }

  @Test func aSubscriptionThatMayBeHadAgainIsAskedForAgain() {
    #expect(Refusal.tokenExpired.centrifugeUnsubscribe == .expired)
    #expect(Refusal.unavailable.centrifugeUnsubscribe == .insufficientState)
    #expect(Refusal.permissionDenied.centrifugeUnsubscribe == .server)
    #expect(!Refusal.permissionDenied.centrifugeUnsubscribe.leadsToResubscribe)
  }

  @Test func aTagIsTheCommandsIDAndWhatItAskedFor() {
    for kind in [CentrifugeTag.Kind.subscribe, .publish, .subRefresh] {
      for id in [UInt32(1), .max] {
        let tag = CentrifugeTag(kind, id)
        #expect(CentrifugeTag(tag.messageID) == tag)
      }
    }
    #expect(CentrifugeTag(nil) == nil)
    #expect(CentrifugeTag(.number(7)) == nil && CentrifugeTag(.text("a")) == nil)
  }
}

struct PendingSubscriptionTests {
  private func asked(_ epoch: String, _ offset: UInt64) -> PendingSubscription {
    var ask = CentrifugeCommand.Subscribe(channel: "a")
    (ask.recover, ask.epoch, ask.offset) = (true, epoch, offset)
    return PendingSubscription(ask, id: 1)
  }

  private func recovers(_ asked: PendingSubscription, _ place: Subscription.Since) -> Bool {
    var asked = asked
    asked.place = place
    return asked.isRecovered
  }

  @Test func recoveredIsWhoeverBeginsWhereItStood() {
    #expect(recovers(asked("e", 3), .position(position("e", 3))))
    #expect(!recovers(asked("e", 3), .position(position("e", 4))))
    #expect(!recovers(asked("e", 3), .position(position("f", 3))))
    #expect(!recovers(asked("e", 3), .now) && !recovers(asked("e", 3), .empty))
  }

  /// Without an epoch the client has seen an empty history.
  @Test func anEmptyHistoryIsGoneOnFrom() {
    #expect(asked("", 0).since == .empty)
    #expect(recovers(asked("", 0), .empty))
    #expect(recovers(asked("", 0), .position(position("e", 0))))
    #expect(!recovers(asked("", 0), .position(position("e", 2))))
  }

  @Test func aPositionThatCannotBeIsNoneAndNotRecovered() {
    for odd in [asked("", 5), asked("no epoch!", 1), asked("_ _", 0)] {
      #expect(odd.since == .now && odd.wasRecovering)
      #expect(!recovers(odd, .position(position("e", 5))) && !recovers(odd, .now))
    }
  }

  @Test func whoIsToldOfALossIsNotRecovered() {
    var given = asked("e", 3)
    (given.place, given.isLost) = (.position(position("e", 3)), true)
    #expect(!given.isRecovered)
  }

  @Test func whoDidNotAskIsNotRecovered() {
    var given = PendingSubscription()
    given.place = .now
    #expect(!given.isRecovered && given.position == nil)
  }
}

struct IdentityOrderOfBackEndsTests {
  @Test(arguments: [
    IdentityOrder.subscribe(
      .init(user: "ann", before: 5),
      .init(channel: channel("a:b"), info: [UInt8](#"{"x":1}"#.utf8), until: 9, since: position("e", 3))),
    .subscribe(.init(client: "c"), .init(channel: channel("a"))),
    .refresh(.init(session: "s"), until: 0), .refresh(.init(user: "ann"), until: 1_900_000_000),
  ])
  func whatIsWrittenForOtherGatewaysIsReadByThem(order: IdentityOrder) {
    let json = order.json(origin: "me")
    #expect(IdentityOrder(json: json) == order)
    #expect(IdentityOrder.origin(json: json) == "me")
  }

  @Test(arguments: [
    #"{"by":"x","do":"subscribe","user":"u"}"#, #"{"by":"x","do":"refresh","user":"u"}"#,
    #"{"by":"x","do":"dance","user":"u"}"#,
  ])
  func whatALaterVersionWroteIsPassedOver(json: String) {
    #expect(IdentityOrder(json: [UInt8](json.utf8)) == nil)
  }

  @Test func aBackEndMovesTheEndOfARight() {
    var standing = ClientStanding(ClientID(number: 1), Identity(user: "ann", expiresAt: 10))
    standing.extend(until: 20)
    #expect(standing.expiresAt == 20 && standing.identity?.user == "ann")
    var nobody = ClientStanding(ClientID(number: 2))
    nobody.extend(until: 20)
    #expect(nobody.expiresAt == nil)
  }
}
