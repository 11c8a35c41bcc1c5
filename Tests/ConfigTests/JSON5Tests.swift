import Config
import JSON
import Testing

@Suite struct JSON5Tests {
  static func json(_ text: String) throws -> String {
    String(decoding: try JSON5.parse([UInt8](text.utf8)).json.jsonBytes, as: UTF8.self)
  }

  static func error(_ bytes: [UInt8]) -> JSON5Error? {
    do throws(JSON5Error) {
      _ = try JSON5.parse(bytes)
      return nil
    } catch { return error }
  }

  @Test(arguments: [
    ("{}", "{}"), ("{a:1}", #"{"a":1}"#),
    ("{$a_1:1,'b c':2,\"d\":3,}", #"{"$a_1":1,"b c":2,"d":3}"#),
    ("[1,2,]", "[1,2]"), ("// c\n[/* a\n b */1] // end", "[1]"),
    ("\u{FEFF}\u{A0}\u{2003}1\u{2028}", "1"),
    ("0x1F", "31"), ("-0xff", "-255"), ("+5", "5"), (".5", "0.5"), ("5.", "5"), ("-.5e3", "-0.5e3"),
    ("1.e2", "1e2"), ("1e+2", "1e+2"), ("'it\\'s \"ok\"'", #""it's \"ok\"""#),
    (#""a\x41\u0042\v\0\q""#, #""aAB\u000b\u0000q""#), ("'one \\\ntwo'", #""one two""#),
    ("'one \\\r\ntwo'", #""one two""#), (#"'\ud83d\ude00'"#, #""😀""#),
    ("{true:null}", #"{"true":null}"#),
    ("[true,false,null]", "[true,false,null]"), ("{a:{b:[{}]}}", #"{"a":{"b":[{}]}}"#),
  ])
  func readsJSON5(text: String, json: String) throws {
    #expect(try Self.json(text) == json)
  }

  @Test(arguments: [
    ("", 1, "value"), ("{", 1, "}"), ("{\n\n\"a\": 1\n", 4, "line 1"), ("[1 2]", 1, "comma"),
    ("{a 1}", 1, "colon"), ("{,}", 1, "key"), ("{é:1}", 1, "quotes"), ("{1a:1}", 1, "key"),
    ("{\na:1,\nb:2,\na:3}", 4, "line 2"), ("{a:1}}", 1, "brace"), ("{a:yes}", 1, "quotes"),
    ("\n\nInfinity", 3, "Infinity"), ("-Infinity", 1, "-Infinity"), ("NaN", 1, "NaN"),
    ("5s", 1, "\"5s\""), ("01", 1, "number"), (".", 1, "number"), ("1e", 1, "number"),
    ("0x", 1, "hexadecimal"), ("0x11112222333344445", 1, "hexadecimal"), ("--1", 1, "number"),
    ("'abc", 1, "quote"), ("'abc\ndef'", 1, "quote"), (#"'\u12'"#, 1, "4"), (#"'\x1'"#, 1, "2"),
    (#"'\ud800'"#, 1, "surrogate"), (#"'\udc00'"#, 1, "surrogate"), (#"'\1'"#, 1, "escape"),
    (#"'\ud800\u0041'"#, 1, "surrogate"), ("/* open\n", 2, "*/"), ("/ 1", 1, "comment"),
    ("[1,,2]", 1, "value"), ("{a:}", 1, "value"), ("[1}", 1, "]"),
  ])
  func saysLineAndRemedy(text: String, line: Int, word: String) throws {
    let error = try #require(Self.error([UInt8](text.utf8)))
    #expect(error.line == line, "\(error.reason)")
    #expect(error.reason.contains(word), "\(error.reason)")
  }

  @Test func refusesWhatIsNotUTF8AndSaysWhere() throws {
    let error = try #require(Self.error([UInt8]("{\n a: '".utf8) + [0xFF] + [UInt8]("'}".utf8)))
    #expect(error.line == 2)
    #expect(error.reason.contains("UTF-8"))
  }

  @Test func deepNestingIsRefusedWithoutUsingStack() {
    for open in ["[", "{a:"] {
      #expect(
        Self.error([UInt8](String(repeating: open, count: 100_000).utf8))?.reason.contains("deep")
          == true)
    }
  }

  @Test func valuesKnowTheirLines() throws {
    let value = try JSON5.parse(
      [UInt8]("// top\n{\r\n  a: 1,\n  /* x\n */ b:\n   [2,\n 3]\n}".utf8))
    guard case .object(let members) = value.content else { throw Unexpected() }
    #expect(value.place == .line(2))
    #expect(members.map(\.place) == [.line(3), .line(5)])
    guard case .array(let elements) = members[1].value.content else { throw Unexpected() }
    #expect(elements.map(\.place) == [.line(6), .line(7)])
  }

  /// Whatever bytes come, reading ends with a value or an error.
  @Test func everyPrefixAndEveryChangedByteIsSurvived() {
    let text = [UInt8](
      "{a:[0x1F,-.5,'\\u00e9\\\n',\"\\ud83d\\ude00\"],/*c*/b:{c:null,},//d\n}".utf8)
    #expect(Self.error(text) == nil)
    for index in text.indices {
      _ = Self.error([UInt8](text[..<index]))
      for byte in UInt8.min...UInt8.max {
        var changed = text
        changed[index] = byte
        _ = Self.error(changed)
      }
    }
  }
}

struct Unexpected: Error {}
