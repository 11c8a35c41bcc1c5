import Bytes
import JSON
import Testing

/// RFC 8259 from both sides: what must be taken, what must be refused, and where the fault is.
/// Each case goes through the validator and the parser, which must agree.
@Suite struct GrammarTests {
  static func reason(validating bytes: [UInt8]) -> JSONError.Reason? {
    do throws(JSONError) {
      _ = try JSON.validate(bytes.span)
      return nil
    } catch { return error.reason }
  }

  static func reason(parsing bytes: [UInt8]) -> JSONError.Reason? {
    do throws(JSONError) {
      _ = try JSONValue.parse(bytes.span)
      return nil
    } catch { return error.reason }
  }

  @Test(arguments: [
    "null", "true", "false", "0", "-0", "1", "-1", "10", "1.5", "1e1", "1E+1", "1e-1", "0.0e0",
    "1e309", "-1e309", "123456789012345678901234567890", "\"\"", "\"a\"", "[]", "{}", "[1,2]",
    "{\"a\":1}", " [ 1 , 2 ] ", "\t{\r\n\"a\" : [ ] }\n", "[[[[]]]]", "{\"a\":{\"a\":{}}}",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0000\"", "\"\\uD83D\\uDE00\"", "\"\\ud83d\\ude00\"",
    "\"\\uFFFF\"", "\"é€😀\"", "\"\u{7F}\"", "\"\u{2028}\"", "{\"__proto__\":{\"x\":1}}",
    "{\"\":0}", "{\"a\":1,\"A\":2}", "{\"\u{E9}\":1,\"e\u{301}\":2}",
  ])
  func acceptsWhatTheStandardAllows(text: String) {
    #expect(Self.reason(validating: [UInt8](text.utf8)) == nil)
    #expect(Self.reason(parsing: [UInt8](text.utf8)) == nil)
  }

  @Test(
    arguments: [
      ("", .unexpectedEnd), (" ", .unexpectedEnd), ("[", .unexpectedEnd), ("{", .unexpectedEnd),
      ("[1", .unexpectedEnd), ("[1,", .unexpectedEnd), ("{\"a\"", .unexpectedEnd),
      ("{\"a\":", .unexpectedEnd), ("{\"a\":1", .unexpectedEnd), ("{\"a\":1,", .unexpectedEnd),
      ("\"", .unexpectedEnd), ("\"abc", .unexpectedEnd), ("\"\\", .unexpectedEnd),
      ("\"\\u12", .unexpectedEnd), ("tru", .unexpectedEnd), ("-", .unexpectedEnd),
      ("1.", .unexpectedEnd), ("1e", .unexpectedEnd), ("1e+", .unexpectedEnd),
      ("[1,]", .unexpectedByte), ("{\"a\":1,}", .unexpectedByte), ("[,1]", .unexpectedByte),
      ("[1 2]", .unexpectedByte), ("{\"a\" 1}", .unexpectedByte), ("{a:1}", .unexpectedByte),
      ("{'a':1}", .unexpectedByte), ("{1:1}", .unexpectedByte), ("[1}", .unexpectedByte),
      ("{]", .unexpectedByte), ("nul1", .unexpectedByte), ("falsy", .unexpectedByte),
      ("True", .unexpectedByte), ("NaN", .unexpectedByte), ("Infinity", .unexpectedByte),
      ("-Infinity", .invalidNumber), ("+1", .unexpectedByte), (".5", .unexpectedByte),
      ("01", .invalidNumber), ("-01", .invalidNumber), ("1.e1", .invalidNumber),
      ("1ex", .invalidNumber), ("--1", .invalidNumber), ("1 1", .trailingBytes),
      ("{} {}", .trailingBytes), ("0x10", .trailingBytes), ("[] // x", .trailingBytes),
      ("/* */ 1", .unexpectedByte), ("\u{FEFF}1", .unexpectedByte), ("\u{A0}1", .unexpectedByte),
      ("\"\n\"", .controlCharacter), ("\"\u{0}\"", .controlCharacter),
      ("\"\t\"", .controlCharacter),
      ("\"\\x41\"", .invalidEscape), ("\"\\u12G4\"", .invalidEscape), ("\"\\a\"", .invalidEscape),
      ("\"\\uD800\"", .loneSurrogate), ("\"\\uDC00\"", .loneSurrogate),
      ("\"\\uD800\\uD800\"", .loneSurrogate), ("\"\\uD800\\n\"", .loneSurrogate),
      ("\"\\uD800x\"", .loneSurrogate), ("\"\\uDC00\\uD800\"", .loneSurrogate),
    ] as [(String, JSONError.Reason)])
  func refusesWhatItForbids(text: String, reason: JSONError.Reason) {
    #expect(Self.reason(validating: [UInt8](text.utf8)) == reason)
    #expect(Self.reason(parsing: [UInt8](text.utf8)) == reason)
  }

  @Test(
    arguments: [
      [0xFF], [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3, 0x28], [0xE0, 0x9F, 0xBF],
      [0xE2, 0x28, 0xA1], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF], [0xF0, 0x8F, 0xBF, 0xBF],
      [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xF0, 0x9F, 0x98, 0x28],
      [0xE2, 0x82, 0x28],
    ] as [[UInt8]])
  func refusesWhatIsNotUTF8(sequence: [UInt8]) {
    let text = [UInt8(ascii: "\"")] + sequence + [UInt8](" padding\"".utf8)
    #expect(Self.reason(validating: text) == .invalidUTF8)
    #expect(Self.reason(parsing: text) == .invalidUTF8)
  }

  @Test func takesEveryScalarAsUTF8AndAsEscape() throws {
    // One scalar at each edge of the encoding's lengths and of the surrogate gap.
    for value: UInt32 in [
      0x20, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF,
    ] {
      let scalar = try #require(Unicode.Scalar(value))
      let units = Array(String(scalar).utf16)
      let escapes = units.map { "\\u" + hex([UInt8($0 >> 8), UInt8($0 & 0xFF)]) }.joined()
      #expect(try JSONValue.parse("\"\(escapes)\"").string == String(scalar))
      #expect(try JSONValue.parse("\"\(String(scalar))\"").string == String(scalar))
    }
  }

  /// Strings are scanned eight bytes at a time; what ends such a run may stand anywhere.
  @Test func findsWhatIsSpecialAtEveryPlaceOfAString() throws {
    for count in 0...25 {
      for place in 0...count {
        let before = String(repeating: "~", count: place)
        let after = String(repeating: " ", count: count - place)
        for (written, meant) in [("", ""), ("\\n", "\n"), ("\\\"", "\""), ("é", "é"), ("\u{7F}", "\u{7F}")] {
          let document = [UInt8]("{\"k\":\"\(before)\(written)\(after)\"}".utf8)
          var scanner = try JSONScanner(object: document.span)
          let member = try #require(try scanner.next(document.span))
          #expect(try scanner.next(document.span) == nil)
          #expect(member.text(in: document.span) == before + meant + after)
          #expect(member.utf8(in: document.span) == [UInt8]((before + meant + after).utf8))
        }
        for bad: [UInt8] in [[0x00], [0x1F], [0x80], [0xFF], [0xC3], [0x5C, 0x78], [0x22]] {
          let document =
            [UInt8]("{\"k\":\"\(before)".utf8) + bad + [UInt8]("\(after)\"}".utf8)
          #expect(throws: JSONError.self) {
            var scanner = try JSONScanner(object: document.span)
            while try scanner.next(document.span) != nil {}
          }
        }
      }
    }
  }

  @Test func capsDepthWithoutUsingStack() {
    func nested(_ open: String, _ close: String, _ depth: Int) -> [UInt8] {
      [UInt8](
        (String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)).utf8)
    }
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
      #expect(Self.reason(validating: nested(open, close, 64)) == nil)
      #expect(Self.reason(parsing: nested(open, close, 64)) == nil)
      #expect(Self.reason(validating: nested(open, close, 65)) == .tooDeep)
      #expect(Self.reason(parsing: nested(open, close, 65)) == .tooDeep)
      #expect(Self.reason(validating: nested(open, close, 100_000)) == .tooDeep)
      #expect(Self.reason(parsing: nested(open, close, 100_000)) == .tooDeep)
    }
  }

  @Test func refusesEqualKeysAtAnyDepth() {
    let many = (0..<40).map { "\"k\($0)\":0" }.joined(separator: ",")
    for text in [
      "{\"a\":1,\"a\":1}", "[{\"a\":1,\"b\":2,\"a\":3}]", "{\"a\":1,\"\\u0061\":2}",
      "{\(many),\"k0\":1}", "{\(many),\"k39\":1}", "{\"__proto__\":1,\"__proto__\":2}",
    ] {
      #expect(Self.reason(parsing: [UInt8](text.utf8)) == .duplicateKey, "\(text)")
    }
    #expect(Self.reason(parsing: [UInt8]("{\(many)}".utf8)) == nil)
  }

  @Test func saysWhereTheFaultIs() {
    #expect(throws: JSONError.self) { try JSONValue.parse("{\n  \"a\": 1,\n  \"b\": nope\n}") }
    do throws(JSONError) {
      _ = try JSONValue.parse("{\n  \"a\": 1,\n  \"b\": yes\n}")
    } catch {
      #expect(error.offset == 19)
      #expect(error.line == 3)
      #expect(error.column == 8)
      #expect(error.description == "line 3, column 8: this can't stand here")
    }
  }

  @Test func everyPrefixOfADocumentIsRefused() {
    let text = [UInt8](#"{"a":[1.5e3,"x\u00e9\ud83d\ude00é",true,null,{"b":-0}]}"#.utf8)
    #expect(Self.reason(validating: text) == nil)
    for count in 0..<text.count {
      let prefix = [UInt8](text[..<count])
      #expect(Self.reason(validating: prefix) != nil)
      #expect(Self.reason(parsing: prefix) == Self.reason(validating: prefix))
    }
  }
}
