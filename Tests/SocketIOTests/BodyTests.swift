import Bytes
import JSON
import SocketIO
import Testing

/// What is written once and sent to many.
@Suite struct SocketBodyTests {
  @Test func writesEventsAndAcknowledgements() throws {
    #expect(text(event("foo").frames().text) == #"42["foo"]"#)
    #expect(text(event("foo", "1", "{}").frames().text) == #"42["foo",1,{}]"#)
    #expect(
      text(event("foo").frames(in: namespace("/a"), id: ackID(12)).text) == #"42/a,12["foo"]"#)
    #expect(text(acknowledgement().frames(id: ackID(1)).text) == "431[]")
    #expect(
      text(acknowledgement(#""ok""#).frames(in: namespace("/admin"), id: ackID(13)).text)
        == #"43/admin,13["ok"]"#)
  }

  @Test func appendsAnOffset() {
    #expect(text(event("foo", "1").frames(appending: "MzUPkW0").text) == #"42["foo",1,"MzUPkW0"]"#)
    #expect(text(acknowledgement().frames(id: ackID(0), appending: "a\"b").text) == #"430["a\"b"]"#)
  }

  @Test func attachesBinaryWhereItStands() throws {
    var writer = try SocketBodyWriter(event: "publication")
    writer.json.beginObject()
    writer.json.field("channel", "map:cursor")
    writer.json.key("data")
    writer.attach([1, 2])
    writer.json.endObject()
    writer.attach([3])
    let frames = writer.finish().frames()
    #expect(
      text(frames.text) == #"452-["publication",{"channel":"map:cursor","data":"#
        + #"{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]"#)
    #expect(frames.attachments == [[1, 2], [3]])
  }

  @Test func partsAreNumberedAfterWhatIsThere() throws {
    var writer = SocketBodyWriter()
    writer.attach([1])
    try writer.attach(
      utf8(#"{"b":{"_placeholder":true,"num":1},"a":{"_placeholder":true,"num":0}}"#),
      parts: [[2], [3]])
    let frames = writer.finish().frames(id: ackID(5))
    #expect(
      text(frames.text) == #"463-5[{"_placeholder":true,"num":0},"#
        + #"{"b":{"_placeholder":true,"num":2},"a":{"_placeholder":true,"num":1}}]"#)
    #expect(frames.attachments == [[1], [2], [3]])
  }

  @Test func refusesPartsThatDontFitAndWritesNothing() throws {
    var writer = SocketBodyWriter()
    #expect(throws: SocketError.invalidPlaceholder) {
      try writer.attach(utf8(#"{"_placeholder":true,"num":1}"#), parts: [[1]])
    }
    #expect(text(writer.finish().frames(id: ackID(0)).text) == "430[]")
  }

  @Test func refusesNamesNoClientCouldTake() {
    for name in SocketEventName.reserved {
      #expect(throws: SocketError.reservedEventName) { try SocketBodyWriter(event: name) }
    }
    let long = String(repeating: "n", count: 256)
    #expect(throws: SocketError.invalidEventName) { try SocketBodyWriter(event: long) }
  }

  @Test func everyValueComesBackAsWhatItWas() throws {
    let values: [SocketValue] = [
      .json(utf8(#"{"a":[1]}"#)), .json(utf8("null")), .text(utf8("a\"\n€")), .binary([0, 255]),
      .jsonWithParts(
        utf8(#"[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#), [[7], [8]]),
    ]
    var writer = try SocketBodyWriter(event: "e")
    for value in values { try writer.value(value) }
    let frames = writer.finish().frames(in: namespace("/n"), id: ackID(3))
    let packet = try decode(Array(frames.text.dropFirst()), frames.attachments).get()
    guard case .event(_, let event, _) = packet else {
      Issue.record("no event")
      return
    }
    #expect((0..<event.arguments.count).compactMap { event.arguments.value(at: $0) } == values)
  }

  @Test func namespacesAreTheirBytes() {
    #expect(SocketNamespace("/\u{E9}") != SocketNamespace("/e\u{301}"))
    #expect(SocketNamespace("admin") == nil)
    #expect(SocketNamespace("") == nil)
    #expect(SocketNamespace("/a,b") == nil)
    #expect(SocketNamespace("/") == .main)
  }

  @Test func readsWhatAClientComesBackWith() {
    #expect(
      SocketRecovery(auth: utf8(#"{"pid":"p","offset":"o","token":"t"}"#))
        == SocketRecovery(pid: "p", offset: "o"))
    for auth in [
      "{}", #"{"offset":"o"}"#, #"{"pid":1,"offset":"o"}"#, "[]", "",
      #"{"pid":"p","pid":"q","offset":"o"}"#,
    ] {
      #expect(SocketRecovery(auth: utf8(auth)) == nil)
    }
    let long = String(repeating: "x", count: 4_097)
    #expect(SocketRecovery(auth: utf8(#"{"pid":"\#(long)"}"#)) == nil)
    for auth in [#"{"pid":"p"}"#, #"{"pid":"p","offset":7}"#, #"{"pid":"p","offset":"\#(long)"}"#] {
      #expect(SocketRecovery(auth: utf8(auth)) == SocketRecovery(pid: "p", offset: nil))
    }
  }
}
