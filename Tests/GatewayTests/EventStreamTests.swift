import Bytes
import JSON
import TestKit
import Testing

@testable import GatewayCore

/// Reads an event stream as WHATWG HTML §9.2.6 says a browser does: the judge of what we write.
struct EventStreamReader {
  struct Event: Equatable {
    var name: String
    var data: String
    var lastID: String
  }

  private(set) var events: [Event] = []
  private(set) var lastID = ""
  private(set) var retryMs: Int?
  private var idBuffer = ""
  private var name = ""
  private var data = ""
  private var line: [UInt8] = []
  private var wasCarriageReturn = false

  mutating func read(_ bytes: some Sequence<UInt8>) {
    for byte in bytes {
      defer { wasCarriageReturn = byte == 13 }
      switch byte {
      case 10 where wasCarriageReturn: continue
      case 10, 13: endLine()
      default: line.append(byte)
      }
    }
  }

  private mutating func endLine() {
    let text = String(decoding: line, as: UTF8.self)
    line = []
    guard !text.isEmpty else { return dispatch() }
    guard let colon = text.firstIndex(of: ":") else { return take(text, "") }
    guard colon != text.startIndex else { return }
    var value = text[text.index(after: colon)...]
    if value.first == " " { value = value.dropFirst() }
    take(String(text[..<colon]), String(value))
  }

  private mutating func take(_ field: String, _ value: String) {
    switch field {
    case "event": name = value
    case "data": data += value + "\n"
    case "id": if !value.unicodeScalars.contains("\0") { idBuffer = value }
    case "retry":
      if !value.isEmpty, value.utf8.allSatisfy({ (48...57).contains($0) }) { retryMs = Int(value) }
    default: break
    }
  }

  private mutating func dispatch() {
    lastID = idBuffer
    defer { (name, data) = ("", "") }
    guard !data.isEmpty else { return }
    events.append(
      Event(name: name.isEmpty ? "message" : name, data: String(data.dropLast()), lastID: lastID))
  }
}

struct EventStreamTests {
  private func read(_ bytes: [UInt8]) -> EventStreamReader {
    var reader = EventStreamReader()
    reader.read(bytes)
    return reader
  }

  private func encoded(
    _ encoding: Encoding, _ payload: Payload, _ at: Position? = nil, in name: String = "a:b"
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    encoding.append(
      payload, position: at, timeMs: 5, prefix: Encoding.prefix(channel(name)), to: &bytes)
    return bytes
  }

  @Test(arguments: [
    ("", ""), ("plain", "plain"), (" leading", " leading"), ("a\nb", "a\nb"), ("a\r\nb", "a\nb"),
    ("a\rb", "a\nb"), ("\n", "\n"), ("\r\n\r\n", "\n\n"), ("\r\r\n\n", "\n\n\n"), ("end\n", "end\n"),
    ("data: x\n\nevent: gap", "data: x\n\nevent: gap"), (":c", ":c"), ("id: 7\r\nretry: 1", "id: 7\nretry: 1"),
    ("ä\u{2028}\u{85}\0", "ä\u{2028}\u{85}\0"), ("\u{feff}x", "\u{feff}x"),
  ])
  func dataComesOutAsItWentInWithLineFeeds(sent: String, got: String) {
    var bytes: [UInt8] = []
    EventStream.append(id: "1", data: [UInt8](sent.utf8), to: &bytes)
    let reader = read(bytes)
    #expect(reader.events == [.init(name: "message", data: got, lastID: "1")])
    #expect(reader.retryMs == nil)
  }

  @Test func anEventIsTheSameHoweverItsBytesAreSplit() {
    var bytes: [UInt8] = []
    EventStream.append(id: "v", retryMs: 1234, to: &bytes)
    EventStream.append(id: "w", name: "gap", data: [UInt8]("a\r\nb\rc\n".utf8), to: &bytes)
    bytes += EventStream.heartbeat
    EventStream.append(data: [UInt8]("é".utf8), to: &bytes)
    let whole = read(bytes)
    #expect(
      whole.events == [
        .init(name: "gap", data: "a\nb\nc\n", lastID: "w"),
        .init(name: "message", data: "é", lastID: "w"),
      ])
    #expect(whole.retryMs == 1234)
    for split in 0...bytes.count {
      var reader = EventStreamReader()
      reader.read(bytes[..<split])
      // What is cut off is no event: a client gets whole ones only.
      #expect(whole.events.starts(with: reader.events))
      reader.read(bytes[split...])
      #expect(reader.events == whole.events)
    }
  }

  @Test func randomDataSurvivesInBothFormsAndInjectsNothing() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededGenerator(seed: seed)
    let alphabet: [String] = ["\r", "\n", "\r\n", ":", " ", "data", "event", "id: 9", "x", "ü", "\0", "\""]
    for _ in 0..<300 {
      let count = Int.random(in: 0...12, using: &generator)
      var sent = ""
      for _ in 0..<count { sent += alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] }
      let payload = Payload(text: sent)
      let raw = read(encoded(.rawEvent, payload, position("e", 1))).events
      // Scalar by scalar, since a CR and an LF are one character.
      var expected = String.UnicodeScalarView()
      var last: Unicode.Scalar = " "
      for scalar in sent.unicodeScalars {
        if scalar != "\n" || last != "\r" { expected.append(scalar == "\r" ? "\n" : scalar) }
        last = scalar
      }
      #expect(raw.map(\.data) == [String(expected)], "seed \(seed)")
      let enveloped = try #require(read(encoded(.event, payload, position("e", 1))).events.first)
      #expect(enveloped.name == "message")
      let json = [UInt8](enveloped.data.utf8)
      let value = try JSONValue.parse(json.span)
      #expect(value["data"]?.string == sent, "seed \(seed)")
    }
  }

  @Test func anEventOfOneChannelHasItsPositionAsID() throws {
    let reader = read(encoded(.event, Payload(json: "{\"x\":\n1}"), position("e", 42)))
    #expect(
      reader.events.map(\.data) == [
        "{\"channel\":\"a:b\",\"epoch\":\"e\",\"offset\":42,\"time\":5,\"data\":{\"x\":\n1}}"
      ])
    #expect(
      PositionVector.decode(reader.lastID) == [channel("a:b"): .position(position("e", 42))])
    #expect(read(encoded(.event, Payload(json: "1"))).lastID.isEmpty, "no history, no id")
  }

  @Test func aPartHasNoIDSoThatEachClientPutsItsOwnBefore() {
    let part = encoded(.eventPart, Payload(json: "1"), position("e", 1))
    #expect(read(part).lastID.isEmpty)
    var bytes: [UInt8] = []
    EventStream.appendID("own", to: &bytes)
    #expect(read(bytes + part).events.map(\.lastID) == ["own"])
  }

  @Test func bytesAreBase64InEveryForm() {
    let payload = Payload(.binary, [0, 255, 10, 13])
    #expect(
      read(encoded(.rawEvent, payload)).events
        == [.init(name: "binary", data: "AP8KDQ==", lastID: "")])
    #expect(read(encoded(.event, payload)).events.first?.data.contains("\"b64data\":\"AP8KDQ==\"") == true)
  }

  @Test func aLineIsOneJSONValueWhateverWasPublished() throws {
    for payload in [
      Payload(json: "{\n  \"x\": [1,\r\n2]\r}"), Payload(text: "a\r\nb"), Payload(.binary, [10, 13]),
      Payload(.uncheckedText, [UInt8]("[\n]".utf8)),
    ] {
      let bytes = encoded(.line, payload, position("e", 1))
      #expect(bytes.last == 10)
      #expect(bytes.dropLast().allSatisfy { $0 != 10 && $0 != 13 })
      let line = [UInt8](bytes.dropLast())
      let value = try JSONValue.parse(line.span)
      #expect(value["channel"]?.string == "a:b")
      if case .text = payload.kind { #expect(value["data"]?.string == "a\r\nb") }
    }
  }
}
