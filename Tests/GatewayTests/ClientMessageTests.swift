import Bytes
import Testing

@testable import GatewayCore

struct ClientMessageTests {
  private func parse(_ text: String) throws -> ClientMessage {
    try ClientMessage.parse([UInt8](text.utf8))
  }

  private func refusal(_ text: String) -> ClientMessage.Malformed? {
    do throws(ClientMessage.Malformed) {
      _ = try ClientMessage.parse([UInt8](text.utf8))
      return nil
    } catch { return error }
  }

  @Test func aPublicationCarriesItsJSONAsItIsWritten() throws {
    #expect(
      try parse(#"{"channel":"a","data":{"b": [1, 2.50]},"id":7,"idempotency_key":"k"}"#)
        == .publish(
          id: .number(7), channel: "a", payload: Payload(json: #"{"b": [1, 2.50]}"#), key: "k"))
  }

  @Test func aJSONStringIsTextAndNullIsData() throws {
    #expect(
      try parse(#"{"channel":"a","data":"x\ny"}"#)
        == .publish(id: nil, channel: "a", payload: Payload(text: "x\ny"), key: ""))
    #expect(
      try parse(#"{"channel":"a","data":null,"id":"m-1"}"#)
        == .publish(id: .text("m-1"), channel: "a", payload: Payload(json: "null"), key: ""))
  }

  @Test func b64dataIsBinary() throws {
    #expect(
      try parse(#"{"type":"publish","channel":"a","b64data":"AAH/"}"#)
        == .publish(id: nil, channel: "a", payload: Payload(.binary, [0, 1, 255]), key: ""))
  }

  @Test func subscribingUnsubscribingAndPingsAreUnderstood() throws {
    #expect(
      try parse(#"{"type":"subscribe","id":1,"channel":"a","since":"start"}"#)
        == .subscribe(id: .number(1), channel: "a", since: "start", token: nil))
    #expect(
      try parse(#"{"type":"subscribe","channel":"a"}"#)
        == .subscribe(id: nil, channel: "a", since: nil, token: nil))
    #expect(
      try parse(#"{"type":"unsubscribe","id":"x","channel":"a"}"#)
        == .unsubscribe(id: .text("x"), channel: "a"))
    #expect(try parse(#"{"type":"ping","id":9}"#) == .ping(id: .number(9)))
  }

  @Test(arguments: [
    "", "x", "[]", "\"a\"", "1", "null", "{", #"{"channel":"a","data":1"#, #"{"channel":"a","data":}"#,
    #"{"channel":"a","data":1} x"#, #"{"channel":"a","data":nul}"#,
  ])
  func whatIsNoJSONObjectIsRefused(text: String) { #expect(refusal(text) != nil) }

  @Test(arguments: [
    (#"{"id":1,"data":1}"#, "channel"), (#"{"id":1,"channel":"a"}"#, "data"),
    (#"{"id":1,"channel":5,"data":1}"#, "channel"),
    (#"{"id":1,"channel":"a","data":1,"b64data":"AA=="}"#, "not both"),
    (#"{"id":1,"channel":"a","b64data":"***"}"#, "base64"),
    (#"{"id":1,"channel":"a","b64data":5}"#, "base64"),
    (#"{"id":1,"channel":"a","data":1,"idempotency_key":5}"#, "idempotency_key"),
    (#"{"id":1,"type":"dance","channel":"a"}"#, "type"),
    (#"{"id":1,"type":5,"channel":"a","data":1}"#, "type"),
    (#"{"id":1,"type":"subscribe"}"#, "channel"),
    (#"{"id":1,"type":"subscribe","channel":"a","since":5}"#, "since"),
  ])
  func aRefusalNamesTheFieldAndTheMessage(text: String, field: String) throws {
    let found = try #require(refusal(text))
    #expect(found.message.contains(field))
    #expect(found.id == .number(1))
  }

  @Test func anIdThatIsNeitherNumberNorTextIsRefused() {
    #expect(refusal(#"{"id":[1],"channel":"a","data":1}"#) != nil)
    #expect(refusal(#"{"id":1.5,"channel":"a","data":1}"#) != nil)
    #expect(refusal(#"{"id":null,"channel":"a","data":1}"#) == nil)
  }

  @Test func aKeyOver255BytesIsRefused() {
    let key = String(repeating: "k", count: 255)
    #expect(refusal(#"{"channel":"a","data":1,"idempotency_key":"\#(key)"}"#) == nil)
    #expect(refusal(#"{"channel":"a","data":1,"idempotency_key":"\#(key)k"}"#) != nil)
  }
}
