import Bytes
import JSON
import Testing

@Suite struct ValueTests {
  @Test func numbersKeepTheirText() throws {
    let huge = try #require(try JSONValue.parse("1e309").number)
    #expect(huge.text == "1e309")
    #expect(huge.double == nil)
    #expect(huge.int == nil)
    let long = try JSONValue.parse("123456789012345678901234567890")
    #expect(long.int == nil)
    #expect(String(decoding: long.jsonBytes, as: UTF8.self) == "123456789012345678901234567890")
    #expect(try JSONValue.parse("9223372036854775807").int == Int64.max)
    #expect(try JSONValue.parse("9223372036854775808").int == nil)
    #expect(try JSONValue.parse("1.0").int == nil)
    #expect(try JSONValue.parse("-0").int == 0)
    #expect(try JSONValue.parse("2.5e1").double == 25)
  }

  @Test func objectsKeepOrderAndCompareKeysByteForByte() throws {
    var object = try #require(
      try JSONValue.parse("{\"b\":1,\"a\":2,\"\u{E9}\":3,\"e\u{301}\":4}").object)
    #expect(object.members.map(\.key.utf8.count) == [1, 1, 2, 3])
    #expect(object["\u{E9}"]?.int == 3)
    #expect(object["e\u{301}"]?.int == 4)
    object["b"] = nil
    object["a"] = .int(5)
    object["z"] = .null
    #expect(object.members.map(\.key).first == "a")
    #expect(object["a"]?.int == 5)
    #expect(object["missing"] == nil)
  }

  @Test func writesCompactTextWithItsOwnCommas() {
    var writer = JSONWriter()
    writer.beginObject()
    writer.field("text", "a\"b\\c\n\u{1}é😀")
    writer.field("int", Int64.min)
    writer.field("uint", UInt64.max)
    writer.field("yes", true)
    writer.key("list")
    writer.beginArray()
    writer.double(0.1)
    writer.double(1e21)
    writer.double(.infinity)
    writer.null()
    writer.beginArray()
    writer.endArray()
    writer.beginObject()
    writer.endObject()
    writer.raw([UInt8](#"{"raw":1}"#.utf8))
    writer.int(0)
    writer.endArray()
    writer.endObject()
    #expect(
      String(decoding: writer.bytes, as: UTF8.self)
        == #"{"text":"a\"b\\c\n\u0001é😀","int":-9223372036854775808,"#
        + #""uint":18446744073709551615,"yes":true,"#
        + #""list":[0.1,1e+21,null,null,[],{},{"raw":1},0]}"#)
    #expect(throws: Never.self) { try JSON.validate(writer.bytes.span) }
  }

  @Test func escapesEveryByteThatNeedsIt() throws {
    for scalar in UInt8(0)..<0x80 {
      let text = "before" + String(Unicode.Scalar(scalar)) + "after"
      var fromText: [UInt8] = []
      JSON.appendQuoted(text, to: &fromText)
      var fromBytes: [UInt8] = []
      JSON.appendQuoted(utf8: [UInt8](text.utf8).span, to: &fromBytes)
      #expect(fromText == fromBytes)
      #expect(try JSONValue.parse(fromText.span).string == text)
    }
  }

  /// Eight bytes are looked at together: each place in them, beside bytes that are no ASCII.
  @Test func escapesAtEveryPlaceOfAWord() throws {
    for scalar in [UInt8(0), 0x1f, 0x20, 0x21, 0x22, 0x23, 0x5b, 0x5c, 0x5d, 0x7f] {
      for before in 0..<17 {
        for filler in ["a", "é", "\u{7f}", "\u{20}"] {
          let text =
            String(repeating: filler, count: before) + String(Unicode.Scalar(scalar))
            + String(repeating: filler, count: 16 - before)
          var bytes: [UInt8] = []
          JSON.appendQuoted(utf8: [UInt8](text.utf8).span, to: &bytes)
          #expect(try JSONValue.parse(bytes.span).string == text)
        }
      }
    }
  }

  @Test func whatIsWrittenReadsBackEqual() throws {
    let seed: UInt64 = 0x5A99_41E5
    var random = SplitMix(state: seed)
    for round in 0..<2_000 {
      let value = Self.value(&random, depth: 0)
      let bytes = value.jsonBytes
      #expect(try JSONValue.parse(bytes.span) == value, "seed \(seed) round \(round)")
      #expect(throws: Never.self, "seed \(seed) round \(round)") { try JSON.validate(bytes.span) }
    }
  }

  @Test func brokenTextIsNeverTakenByOneReaderAlone() throws {
    let seed: UInt64 = 0xB0B5_1E55
    var random = SplitMix(state: seed)
    for round in 0..<3_000 {
      var bytes = Self.value(&random, depth: 0).jsonBytes
      for _ in 0..<(1 + random.below(3)) where !bytes.isEmpty {
        bytes[random.below(bytes.count)] = UInt8(random.below(256))
      }
      let validated = GrammarTests.reason(validating: bytes)
      let parsed = GrammarTests.reason(parsing: bytes)
      // The parser alone compares keys.
      if parsed != .duplicateKey {
        #expect(validated == parsed, "seed \(seed) round \(round) \(hex(bytes))")
      }
    }
  }

  static func value(_ random: inout SplitMix, depth: Int) -> JSONValue {
    switch random.below(depth < 4 ? 8 : 6) {
    case 0: return .null
    case 1: return .bool(random.below(2) == 1)
    case 2: return .int(Int64(bitPattern: random.next()))
    case 3: return .double(Double(bitPattern: random.next()))
    case 4, 5: return .string(text(&random))
    case 6: return .array((0..<random.below(5)).map { _ in value(&random, depth: depth + 1) })
    default:
      var object = JSONObject()
      for _ in 0..<random.below(12) { object[text(&random)] = value(&random, depth: depth + 1) }
      return .object(object)
    }
  }

  static func text(_ random: inout SplitMix) -> String {
    var text = ""
    for _ in 0..<random.below(12) {
      let limit: UInt32 = [0x80, 0x800, 0x11_0000][random.below(3)]
      if let scalar = Unicode.Scalar(UInt32(random.below(Int(limit)))) {
        text.unicodeScalars.append(scalar)
      }
    }
    return text
  }
}

/// SplitMix64: a seeded generator whose values are the same on every run.
struct SplitMix {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
