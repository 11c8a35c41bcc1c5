import Bytes
import HTTPCodec
import JSON
import Testing

@testable import Client

private func message(_ text: String) -> ServerMessage? { ServerMessage([UInt8](text.utf8)) }

@Suite struct ServerMessageTests {
  private let channel: ChannelName
  init() throws { channel = try #require(ChannelName("map:cursor")) }

  @Test func anEnvelopeHasNoTypeAndIsAPublication() throws {
    let text = #"{"channel":"map:cursor","epoch":"e1","offset":7,"time":1700,"data":{"x": 1}}"#
    let expected = Publication(
      channel: channel, position: Position("e1:7"), timeMs: 1700,
      payload: Payload(json: #"{"x": 1}"#), envelope: [UInt8](text.utf8))
    #expect(message(text) == .publication(expected))
  }

  @Test(arguments: [
    (#""data":"héllo \u0041""#, Payload(text: "héllo A")),
    (#""data":null"#, Payload(json: "null")),
    (#""b64data":"AAEC""#, Payload(.binary, [0, 1, 2])),
  ])
  func payloadKindsFollowTheOneRule(member: String, payload: Payload) throws {
    guard case .publication(let publication)? = message(#"{"channel":"a",\#(member)}"#) else {
      Issue.record("this is a publication")
      return
    }
    #expect(publication.payload == payload)
    #expect(publication.position == nil)
  }

  @Test(arguments: ["join", "update", "leave", "presence"])
  func whoIsThereComesThroughWithItsChannel(type: String) {
    guard
      case .presence(let of, type, _)? = message(#"{"type":"\#(type)","channel":"map:cursor"}"#)
    else {
      Issue.record("\(type) is about presence")
      return
    }
    #expect(of == channel)
  }

  /// A payload whose own members look like the protocol's must not be taken for it.
  @Test func whatStandsInsideDataIsNotLookedAt() {
    guard case .publication? = message(#"{"channel":"a","data":{"type":"error","id":1}}"#) else {
      Issue.record("the type belongs to the payload")
      return
    }
  }

  @Test func answersCarryTheirIdAsTextOrNumber() {
    #expect(
      message(#"{"type":"ack","id":"5","epoch":"e","offset":2}"#) == .ack(id: "5", Position("e:2")))
    #expect(message(#"{"type":"ack","id":5}"#) == .ack(id: "5", nil))
    let refusal = ServerRefusal(code: "permission_denied", message: "no")
    #expect(
      message(#"{"type":"error","id":5,"code":103,"name":"permission_denied","message":"no"}"#)
        == .refusal(id: "5", nil, refusal))
    #expect(
      message(#"{"type":"error","code":103,"message":"no"}"#)
        == .refusal(id: nil, nil, ServerRefusal(code: "103", message: "no")))
    #expect(
      message(#"{"type":"error","channel":"map:cursor","code":103,"message":"no"}"#)
        == .refusal(id: nil, channel, ServerRefusal(code: "103", message: "no")))
  }

  @Test func noticesAreRead() {
    #expect(
      message(#"{"type":"gap","channel":"map:cursor","dropped":3}"#) == .gap(channel, dropped: 3))
    #expect(
      message(#"{"type":"gap","channel":"map:cursor","dropped":null}"#)
        == .gap(channel, dropped: nil))
    #expect(
      message(
        #"{"type":"unrecoverable","channel":"map:cursor","reason":"trimmed","epoch":"e","floor":3,"head":9}"#
      )
        == .unrecoverable(channel, reason: "trimmed", goesOnFrom: Position("e:3")))
    #expect(message(#"{"type":"reconnect","after_ms":250}"#) == .reconnect(afterMs: 250))
    #expect(message(#"{"type":"connection","session":"s"}"#) == .connection(session: "s"))
    #expect(message(#"{"type":"later invention"}"#) == .unknown(type: "later invention"))
  }

  @Test(arguments: [
    "", "null", "[]", "{", "{}", #"{"channel":"a"}"#, #"{"data":1}"#,
    #"{"channel":"a b","data":1}"#,
    #"{"channel":"a","b64data":"?"}"#, #"{"type":5}"#, #"{"type":"ack"}"#,
    #"{"type":"gap","channel":7}"#, #"{"channel":"a","channel":"b","data":1}"#,
  ])
  func whatIsNeitherIsNothing(text: String) {
    #expect(message(text) == nil)
  }

  @Test func numbersThatAreNoPositionsLeaveNone() {
    guard
      case .publication(let publication)? =
        message(#"{"channel":"a","epoch":"e","offset":-1,"data":1}"#)
    else { return }
    #expect(publication.position == nil)
  }
}

@Suite struct SinceTests {
  @Test func isStartOrAPosition() {
    #expect(Since("start") == .start)
    #expect(Since("e-_1:42")?.description == "e-_1:42")
    for text in ["", "42", "e:", "e:-1", ":1", "e:x", "START"] { #expect(Since(text) == nil) }
  }
}

@Suite struct ServerAPITests {
  private func failure(_ status: Int, _ body: String) -> ServerAPI.Failure? {
    do throws(ServerAPI.Failure) {
      _ = try ServerAPI.result(respond(status, body))
      return nil
    } catch { return error }
  }

  @Test func logicalErrorsComeWithStatus200() {
    #expect(
      failure(200, #"{"error":{"code":102,"name":"unknown_channel","message":"m"}}"#)
        == .refused(ServerRefusal(code: "unknown_channel", message: "m")))
  }

  @Test func statusesSayWhetherToTryAgain() {
    #expect(failure(401, "{}") == .notPermitted("{}"))
    #expect(failure(403, #"{"error":{"code":103,"message":"m"}}"#) == .notPermitted("m (103)"))
    #expect(failure(503, #"{"message":"starting"}"#) == .notNow("starting"))
    #expect(failure(503, "")?.isTemporary == true)
    #expect(failure(429, "")?.isTemporary == true)
    #expect(failure(500, "")?.isTemporary == true)
    #expect(failure(413, "")?.isTemporary == false)
    let unknown = #"{"error":{"code":159,"name":"outcome_unknown","message":"m"}}"#
    #expect(failure(200, unknown)?.isTemporary == true)
  }

  @Test func aReceiptHasAPositionWhereTheChannelHasAHistory() throws {
    let result = try ServerAPI.result(respond(200, #"{"result":{"epoch":"e","offset":3}}"#))
    #expect(ServerAPI.receipt(result).position == Position("e:3"))
    let without = try ServerAPI.result(respond(200, #"{"result":{}}"#))
    #expect(ServerAPI.receipt(without).position == nil)
  }

  @Test func aBodyThatIsNoJSONIsMalformed() {
    guard case .transport(.malformed)? = failure(200, "<html>") else {
      Issue.record("HTML is no answer of the API")
      return
    }
  }

  @Test func publishingWritesThePayloadWithItsKind() throws {
    let channel = try #require(ChannelName("a"))
    func body(_ payload: Payload) throws -> String {
      guard case .bytes(let bytes) = try ServerAPI.publish(channel, payload, key: "k").body else {
        return ""
      }
      return String(decoding: bytes, as: UTF8.self)
    }
    #expect(
      try body(Payload(text: "{}")) == #"{"channel":"a","idempotency_key":"k","data":"{}"}"#)
    #expect(
      try body(Payload(json: "{}")) == #"{"channel":"a","idempotency_key":"k","data":{}}"#)
    #expect(
      try body(Payload(.binary, [0])) == #"{"channel":"a","idempotency_key":"k","b64data":"AA=="}"#)
  }
}

/// An answer as if it had come over a connection.
func respond(_ status: Int, _ body: String) -> Result<HTTPResponse, HTTPFailure> {
  let text = "HTTP/1.1 \(status) X\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
  var assembler = HTTPAnswerReader(answering: .post, bytesMax: 1 << 20)
  var offset = 0
  guard let response = try? assembler.received([UInt8](text.utf8).span, from: &offset) else {
    return .failure(.malformed(reason: "not complete"))
  }
  return .success(HTTPResponse(response))
}
