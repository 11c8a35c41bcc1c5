import JSON
import Testing
import Wire

@testable import GatewayCore

@Suite struct EventsParametersTests {
  @Test(arguments: [
    ("1970-01-01T00:00:00Z", 0), ("2000-02-29T23:59:59.987Z", 951_868_799_987),
    ("2030-01-02T03:04:05.6789+09:00", 1_893_521_045_678), ("2030-01-01t18:04:05z", 1_893_521_045_000),
    ("1969-12-31T23:00:00-01:00", nil), ("2100-02-29T00:00:00Z", nil), ("2030-01-01T00:00:00", nil),
    ("2030-13-01T00:00:00Z", nil), ("2030-01-01T00:00:00.Z", nil), ("2030-01-01T00:00:00Zx", nil),
    ("", nil), ("2030-01-01", nil), ("1970-01-01T00:00:00+00:01", nil),
  ] as [(String, Int64?)])
  func aTimeIsReadAsRFC3339WritesIt(text: String, time: Int64?) {
    #expect(EventTime.milliseconds(rfc3339: text) == time)
  }

  private func read(_ json: String) throws -> EventsParameters {
    try EventsParameters(JSONValue.parse([UInt8](json.utf8).span))
  }

  @Test func whatIsLeftOutHasItsDefault() throws {
    let request = try read("{}").request
    #expect(
      request
        == ReadEvents(remainingMs: 0, after: 0, count: 100, bytes: 1 << 20))
    let all = try read(
      #"{"after":7,"prefix":"a:","type":"t","from":5,"to":"1970-01-01T00:00:01Z","limit":9,"reverse":true,"wait":3,"store":"000000000000000f"}"#)
    #expect(
      all.request
        == ReadEvents(
          remainingMs: 0, waitMs: 3_000, store: 15, after: 7, prefix: "a:", eventType: "t", fromMs: 5,
          toMs: 1_000, count: 9, bytes: 1 << 20, isReverse: true))
    #expect(try read(#"{"channel":"a"}"#).request.isExact)
  }

  @Test(arguments: [
    #"{"after":-1}"#, #"{"after":"now"}"#, #"{"limit":0}"#, #"{"limit":1001}"#, #"{"wait":31}"#,
    #"{"channel":"a","prefix":"a"}"#, #"{"channel":"a b"}"#, #"{"from":"yesterday"}"#, #"{"from":-1}"#,
    #"{"store":"xyz"}"#, #"{"reverse":1}"#, #"{"type":7}"#, #"{"prefix":7}"#,
  ])
  func whatIsOutsideItsRangeIsRefused(json: String) {
    #expect(throws: Refusal.self) { try read(json) }
  }

  @Test func aPublicationSaysItsProducerItsTypeAndItsIDs() throws {
    let text =
      #"{"channel":"a","data":1,"producer":{"id":"p","epoch":2,"seq":3},"type":"t","correlation_id":"c","causation_id":null}"#
    let found = try APIParameters.publish([UInt8](text.utf8).span)
    #expect(found.producer == ProducerMark(id: "p", epoch: 2, sequence: 3) && found.type == "t")
    #expect(found.ids == EventIDs(correlation: "c"))
  }

  @Test(arguments: [
    #"{"producer":{"id":"","epoch":2,"seq":3}}"#, #"{"producer":{"id":"p","epoch":-1,"seq":3}}"#,
    #"{"producer":{"id":"p","epoch":1}}"#, #"{"producer":"p"}"#, #"{"type":7}"#, #"{"type":"artifact"}"#,
    #"{"correlation_id":7}"#,
  ])
  func whatAPublicationMustNotSayIsRefused(json: String) {
    #expect(throws: Refusal.self) { try APIParameters.publish([UInt8](json.utf8).span) }
  }

  @Test func anIDIsAtMost255Bytes() throws {
    for (count, fits) in [(255, true), (256, false)] {
      let text = #"{"causation_id":""# + String(repeating: "x", count: count) + #""}"#
      let isTaken = (try? APIParameters.publish([UInt8](text.utf8).span)) != nil
      #expect(isTaken == fits)
    }
  }
}
