import Bytes
import JSON
import Testing

/// A member together with the bytes it is a range of.
struct Scanned {
  let bytes: [UInt8]
  let member: JSONMember

  func isKey(_ name: String) -> Bool { member.isKey(name, in: bytes.span) }
  var text: String? { member.text(in: bytes.span) }
  var int: Int64? { member.int(in: bytes.span) }
  var bool: Bool? { member.bool(in: bytes.span) }

  static func members(of text: String) throws(JSONError) -> [Scanned] {
    let bytes = [UInt8](text.utf8)
    var scanner = try JSONScanner(object: bytes.span)
    var members: [Scanned] = []
    while let member = try scanner.next(bytes.span) {
      members.append(Scanned(bytes: bytes, member: member))
    }
    return members
  }
}

@Suite struct ScannerTests {
  /// Keys and value texts of an object, or the refusal.
  static func scan(_ text: String) throws(JSONError) -> [(String, String)] {
    let bytes = [UInt8](text.utf8)
    let span = bytes.span
    var scanner = try JSONScanner(object: span)
    var found: [(String, String)] = []
    while let member = try scanner.next(span) {
      found.append((member.keyText(in: span), String(decoding: bytes[member.value], as: UTF8.self)))
    }
    let afterTheEnd = try scanner.next(span)
    #expect(afterTheEnd == nil)
    return found
  }

  static func reason(_ text: String) -> JSONError.Reason? {
    do throws(JSONError) {
      _ = try scan(text)
      return nil
    } catch { return error.reason }
  }

  @Test func reportsTopLevelMembersAndTheirVeryBytes() throws {
    let found = try Self.scan(
      #" { "channel" : "a\tb" , "data":{ "x" : [1, 2] } ,"n": -1.50e2, "f":false,"z":null } "#)
    #expect(found.map(\.0) == ["channel", "data", "n", "f", "z"])
    #expect(found.map(\.1) == [#""a\tb""#, #"{ "x" : [1, 2] }"#, "-1.50e2", "false", "null"])
    #expect(try Self.scan("{}").isEmpty)
    #expect(try Self.scan(" {\n} ").isEmpty)
  }

  @Test func readsMembersAsWhatTheyAre() throws {
    let members = try Scanned.members(
      of: #"{"i\u0064":42,"text":"\u00e9\n","yes":true,"frac":1.5}"#)
    try #require(members.count == 4)
    #expect(members[0].isKey("id"))
    #expect(!members[0].isKey("i\\u0064"))
    #expect(members[0].int == 42)
    #expect(members[0].text == nil)
    #expect(members[0].member.kind == .number)
    #expect(members[1].isKey("text"))
    #expect(!members[1].isKey("tex"))
    #expect(!members[1].isKey("texts"))
    #expect(members[1].text == "é\n")
    #expect(members[2].bool == true)
    #expect(members[2].int == nil)
    #expect(members[3].int == nil)
  }

  @Test func refusesAnythingButOneObject() {
    #expect(Self.reason("[]") == .notAnObject)
    #expect(Self.reason("\"x\"") == .notAnObject)
    #expect(Self.reason("") == .unexpectedEnd)
    #expect(Self.reason("nonsense") == .notAnObject)
    #expect(Self.reason("{}{}") == .trailingBytes)
    #expect(Self.reason("{\"a\":1} x") == .trailingBytes)
    #expect(Self.reason("\u{FEFF}{}") == .unexpectedByte)
  }

  @Test func validatesWhatItSkips() {
    #expect(Self.reason(#"{"a":[1,]}"#) == .unexpectedByte)
    #expect(Self.reason(#"{"a":{"b":01}}"#) == .invalidNumber)
    #expect(Self.reason(#"{"a":"\ud800"}"#) == .loneSurrogate)
    #expect(Self.reason(#"{"a":1,}"#) == .unexpectedByte)
    #expect(Self.reason(#"{"a":1 "b":2}"#) == .unexpectedByte)
    #expect(Self.reason(#"{"a""#) == .unexpectedEnd)
    let deep = String(repeating: "[", count: 100_000)
    #expect(Self.reason("{\"a\":\(deep)") == .tooDeep)
    let allowed = String(repeating: "[", count: 63) + String(repeating: "]", count: 63)
    #expect(Self.reason("{\"a\":\(allowed)}") == nil)
    #expect(Self.reason("{\"a\":[\(allowed)]}") == .tooDeep)
  }

  private static func isObject(_ bytes: [UInt8]) -> Bool {
    do throws(JSONError) {
      var scanner = try JSONScanner(object: bytes.span)
      while try scanner.next(bytes.span) != nil {}
      return true
    } catch { return false }
  }

  /// Strings are looked at eight bytes at a time.
  @Test func findsWhatIsSpecialInAStringAtEveryPlace() {
    for count in 1...20 {
      for place in 0..<count {
        for byte in UInt8.min...UInt8.max {
          var text = [UInt8](repeating: UInt8(ascii: "a") + UInt8(count % 2), count: count)
          text[place] = byte
          let document = [UInt8](#"{"k":""#.utf8) + text + [UInt8](#""}"#.utf8)
          let isValid = byte >= 0x20 && byte < 0x80 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
          // Behind a backslash an `a` is none of its escapes, and `b` is.
          let isEscape = byte == UInt8(ascii: "\\") && place + 1 < count && count % 2 == 1
          #expect(Self.isObject(document) == (isValid || isEscape), "\(byte) at \(place) of \(count)")
        }
      }
    }
  }

  @Test func refusesEqualKeysHoweverManyAndHoweverSpelled() {
    #expect(Self.reason(#"{"a":1,"b":2,"a":3}"#) == .duplicateKey)
    #expect(Self.reason(#"{"a":1,"\u0061":2}"#) == .duplicateKey)
    #expect(Self.reason(#"{"\u0061":1,"a":2}"#) == .duplicateKey)
    #expect(Self.reason(#"{"ab":1,"ba":2,"bb":3,"aa":4}"#) == nil)
    let many = (0..<200).map { "\"key\($0)\":\($0)" }.joined(separator: ",")
    #expect(Self.reason("{\(many)}") == nil)
    for repeated in [0, 31, 32, 33, 199] {
      #expect(Self.reason("{\(many),\"key\(repeated)\":0}") == .duplicateKey)
    }
  }

  @Test func protoIsAKeyLikeAnyOther() throws {
    #expect(try Self.scan(#"{"__proto__":{"admin":true}}"#).map(\.0) == ["__proto__"])
  }

  @Test func brokenObjectsAreRefusedAsTheValidatorRefusesThem() throws {
    let seed: UInt64 = 0x0B7E_C751
    var random = SplitMix(state: seed)
    var refused = 0
    for round in 0..<3_000 {
      var object = JSONObject()
      for _ in 0..<random.below(6) {
        object[ValueTests.text(&random)] = ValueTests.value(&random, depth: 1)
      }
      var bytes = JSONValue.object(object).jsonBytes
      bytes[random.below(bytes.count)] = UInt8(random.below(256))
      guard let text = String(validating: bytes.span), let kind = try? JSON.validate(bytes.span)
      else {
        let reason = String(validating: bytes.span).flatMap { Self.reason($0) }
        if String(validating: bytes.span) != nil {
          #expect(reason != nil, "seed \(seed) round \(round) \(hex(bytes))")
        }
        refused += 1
        continue
      }
      let reason = Self.reason(text)
      #expect(
        reason == nil || reason == .duplicateKey || kind != .object,
        "seed \(seed) round \(round) \(hex(bytes))")
    }
    #expect(refused > 100)
  }
}
