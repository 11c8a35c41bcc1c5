import Bytes
import JSON
import Testing

/// The rule of payload kinds, from a publication to an envelope and back.
@Suite struct PayloadJSONTests {
  static func member(
    _ payload: Payload
  ) throws(PayloadJSON.Refusal) -> String {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("channel", "c")
    try PayloadJSON.appendMember(payload, to: &writer)
    writer.endObject()
    return String(String(decoding: writer.bytes, as: UTF8.self).dropFirst(15).dropLast())
  }

  static func payload(_ text: String) throws -> Payload {
    let scanned = try #require(try Scanned.members(of: "{\(text)}").first)
    if scanned.isKey("b64data") {
      return try PayloadJSON.payload(b64data: scanned.member, in: scanned.bytes.span)
    }
    return PayloadJSON.payload(data: scanned.member, in: scanned.bytes.span)
  }

  @Test func jsonIsEmbeddedWithItsVeryBytes() throws {
    #expect(try Self.member(Payload(json: #"{ "a" : 1.0 }"#)) == #""data":{ "a" : 1.0 }"#)
  }

  @Test func declaredTextIsAStringEvenWhereItLooksLikeJSON() throws {
    #expect(try Self.member(Payload(text: "é\"")) == #""data":"é\"""#)
    #expect(try Self.member(Payload(text: #"{"a":1}"#)) == #""data":"{\"a\":1}""#)
  }

  @Test(arguments: [
    (#"{"a":1}"#, #"{"a":1}"#), (" [1, 2] ", " [1, 2] "), ("[1,]", #""[1,]""#), ("12", #""12""#),
    ("true", #""true""#), (#""x""#, #""\"x\"""#), ("hello", #""hello""#), ("", #""""#),
    ("{", #""{""#),
  ])
  func uncheckedTextIsJSONWhereItIsAnArrayOrObject(text: String, data: String) throws {
    #expect(try Self.member(Payload(.uncheckedText, [UInt8](text.utf8))) == "\"data\":\(data)")
  }

  @Test func binaryIsBase64() throws {
    #expect(try Self.member(Payload(.binary, [0, 255, 16])) == #""b64data":"AP8Q""#)
    #expect(try Self.member(Payload(.binary, [])) == #""b64data":"""#)
  }

  @Test func attachmentsAreRefusedAndNothingIsWritten() {
    var writer = JSONWriter()
    writer.beginObject()
    #expect(throws: PayloadJSON.Refusal.partsNotCarried) {
      try PayloadJSON.appendMember(Payload(.jsonWithParts, []), to: &writer)
    }
    #expect(writer.bytes == [UInt8(ascii: "{")])
  }

  @Test func aStringIsTextAndAllElseIsJSON() throws {
    #expect(try Self.payload(#""data":"h\u00e9""#) == Payload(text: "hé"))
    #expect(try Self.payload(#""data":null"#) == Payload(json: "null"))
    #expect(try Self.payload(#""data": { "a" : [ ] } "#) == Payload(json: #"{ "a" : [ ] }"#))
    #expect(try Self.payload(#""data":1e309"#) == Payload(json: "1e309"))
    #expect(try Self.payload(#""b64data":"AP8Q""#) == Payload(.binary, [0, 255, 16]))
    #expect(try Self.payload(#""b64data":"-_8""#) == Payload(.binary, [0xFB, 0xFF]))
  }

  @Test(arguments: [#""b64data":12"#, #""b64data":"A""#, #""b64data":"A B=""#, #""b64data":null"#])
  func refusesWhatIsNotBase64(text: String) {
    #expect(throws: PayloadJSON.Refusal.invalidBase64) { try Self.payload(text) }
  }
}
