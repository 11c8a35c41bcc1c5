import Bytes
import JSON
import Testing
import WebSocketCodec
import Wire

@testable import GatewayCore

struct EncodingTests {
  private func envelope(_ payload: Payload, _ at: Position? = nil, timeMs: Int64 = 5) -> String {
    text(
      Encoding.envelope(
        payload, position: at, timeMs: timeMs, prefix: Encoding.prefix(channel("a:b"))))
  }

  @Test func anEnvelopeHasChannelPositionTimeAndData() {
    #expect(
      envelope(Payload(json: #"{"x": 1}"#), position("e", 42))
        == #"{"channel":"a:b","epoch":"e","offset":42,"time":5,"data":{"x": 1}}"#)
    #expect(envelope(Payload(json: "1")) == #"{"channel":"a:b","time":5,"data":1}"#)
  }

  @Test func eachKindStandsInAnEnvelopeAsItsRuleSays() {
    #expect(envelope(Payload(text: "x\"\n")) == #"{"channel":"a:b","time":5,"data":"x\"\n"}"#)
    #expect(envelope(Payload(text: "{}")) == #"{"channel":"a:b","time":5,"data":"{}"}"#)
    #expect(
      envelope(Payload(.binary, [0, 255])) == #"{"channel":"a:b","time":5,"b64data":"AP8="}"#)
    for (unchecked, data) in [
      (#"{"y":2}"#, #"{"y":2}"#), ("[1]", "[1]"), ("5", "\"5\""), ("{broken", "\"{broken\""),
      ("", "\"\""), ("{}{}", "\"{}{}\""),
    ] {
      #expect(
        envelope(Payload(.uncheckedText, [UInt8](unchecked.utf8)))
          == #"{"channel":"a:b","time":5,"data":\#(data)}"#)
    }
  }

  /// At every length where a frame's header grows, too.
  @Test func anEventInAPageIsEncodedAsAnArrivalIs() throws {
    let epoch = position("Ab_-9", 1).epoch
    let prefix = Encoding.prefix(channel("log:a"))
    let head = Encoding.head(epoch, prefix)
    let payloads =
      [Payload(text: ""), Payload(text: "x\"\n é"), Payload(json: "[1]"), Payload(.binary, [0, 255])]
      + [Payload(.uncheckedText, [UInt8]("{}".utf8)), Payload(.uncheckedText, [UInt8]("{".utf8))]
      + (20...80).map { Payload(text: String(repeating: "p", count: $0)) }
      + (65_430...65_470).map { Payload(text: String(repeating: "p", count: $0)) }
    for (number, payload) in payloads.enumerated() {
      for user in ["", "ada", "\"é"] {
        let event = StoredEvent(
          offset: Offset(UInt64(number) * 7_919), timeMs: Int64(number) * 1_000_003 - 1,
          publisher: Publisher(client: 3, user: user), eventType: "t", payload: payload)
        var page = EncodedEvents()
        page.append(StoredEvent(offset: .zero, timeMs: 0, publisher: Publisher(), eventType: "", payload: payload))
        let range = page.append(event)
        var cursor = ByteCursor(from: range.lowerBound, to: range.upperBound)
        let place = try EncodedEvent(&cursor, page.bytes.span)
        #expect(try StoredEvent(place, in: page.bytes.span) == event)
        var fromPage: [UInt8] = [1]
        Encoding.appendEnvelope(place, page.bytes.span, head, to: &fromPage)
        var fromArrival: [UInt8] = [1]
        Encoding.envelope.append(
          payload, position: Position(epoch: epoch, offset: event.offset), timeMs: event.timeMs,
          publisher: event.publisher, prefix: prefix, to: &fromArrival)
        #expect(fromPage == fromArrival, "payload \(number), user \(user)")
      }
    }
  }

  @Test func jsonWithPartsIsShownAsBytesSinceNoDoorCarriesIt() {
    let parts = Payload(.jsonWithParts, [0x7b, 0x7d, 0, 0xff])
    #expect(envelope(parts) == #"{"channel":"a:b","time":5,"b64data":"e30A/w=="}"#)
    var frame: [UInt8] = []
    Encoding.raw.append(parts, position: nil, timeMs: 0, prefix: [], to: &frame)
    #expect(frame == [0x82, 4] + parts.bytes, "a text frame would not be UTF-8")
  }

  @Test func everyEnvelopeIsOneJSONObject() throws {
    for payload in [
      Payload(.jsonWithParts, [0x7b, 0xff]),
      Payload(text: "\u{0}\u{1f}\u{2028}\\\""), Payload(.uncheckedText, [UInt8]("}".utf8)),
      Payload(.binary, []), Payload(json: "null"),
    ] {
      let bytes = [UInt8](envelope(payload, position("e", .max)).utf8)
      let value = try JSONValue.parse(bytes.span)
      #expect(value["channel"]?.string == "a:b")
      #expect(value["type"] == nil, "an envelope has no type")
    }
  }

  @Test func aTimeBeforeTheEpochIsZero() {
    #expect(envelope(Payload(json: "1"), timeMs: -1) == #"{"channel":"a:b","time":0,"data":1}"#)
  }

  @Test(arguments: [0, 9, 10, 1_000_000, UInt64.max])
  func numbersAreWrittenInFull(number: UInt64) {
    var bytes: [UInt8] = []
    Encoding.append(number, to: &bytes)
    #expect(text(bytes) == String(number))
  }

  @Test func rawFramesAreThePublishedBytesInOneFrameOfTheirKind() {
    for (payload, first) in [
      (Payload(.uncheckedText, [104, 105]), UInt8(0x81)), (Payload(json: "1"), 0x81),
      (Payload(.binary, [1, 2, 3]), 0x82),
    ] {
      var frame: [UInt8] = []
      Encoding.raw.append(payload, position: position("e", 1), timeMs: 5, prefix: [], to: &frame)
      #expect(frame == [first, UInt8(payload.bytes.count)] + payload.bytes)
    }
  }
}

struct PositionVectorTests {
  @Test func whatIsEncodedIsDecoded() {
    let places: [(ChannelName, Subscription.Since)] = [
      (channel("log:a"), .position(position("Ab_-9", 7))),
      (channel("x=y="), .position(position("e", 0))),
      (channel("p:q,r#s@t.u-v_w"), .position(position("e", .max))), (channel("z"), .empty),
      (channel("s="), .start),
    ]
    let vector = PositionVector.encode(places)
    #expect(vector.utf8.allSatisfy { $0 != 43 && $0 != 47 && $0 != 61 }, "stands in a URL as it is")
    #expect(PositionVector.decode(vector) == Dictionary(uniqueKeysWithValues: places))
    #expect(PositionVector.decode(PositionVector.encode([])) == [:])
    #expect(PositionVector.encode([(channel("a"), .now)]).isEmpty, "nowhere to go on from")
  }

  @Test func aVectorMayBePlainText() {
    #expect(
      PositionVector.decode("x=y=e:7;b=empty;c=start")
        == [
          channel("x=y"): .position(position("e", 7)), channel("b"): .empty,
          channel("c"): .start,
        ])
    #expect(PositionVector.decode("b=empty") == [channel("b"): .empty])
    #expect(PositionVector.decode("a=e:1;b=") == nil, "now is no place")
  }

  @Test(arguments: ["***", "a", "log:a=e:x", base64URL([UInt8]("log:a".utf8)),
    base64URL([UInt8]("log:a=e".utf8)), base64URL([UInt8]("log:a=e:-1".utf8)),
    base64URL([UInt8]("bad name=e:1".utf8)), base64URL([UInt8]("a=bad epoch:1".utf8)),
    base64URL([0xff, 0xfe]), base64URL([UInt8]("a=e:18446744073709551616".utf8))])
  func whatIsNoVectorIsRefused(text: String) { #expect(PositionVector.decode(text) == nil) }
}
