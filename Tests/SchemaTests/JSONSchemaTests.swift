import JSON
import Schema
import Testing

struct JSONSchemaTests {
  private static func fault(_ schema: String, _ value: String) throws -> String? {
    let schema = try JSONSchema(try JSONValue.parse(schema))
    let parsed = try JSONValue.parse(value)
    do throws(SchemaFault) {
      try schema.check(parsed)
      return nil
    } catch { return "\(error)" }
  }

  @Test(arguments: [
    (#"{}"#, "1"), ("true", "[]"), (#"{"type":"integer"}"#, "1.0"), (#"{"type":"integer"}"#, "1e3"),
    (#"{"type":["string","null"]}"#, "null"),
    (#"{"enum":[1,"a",{"x":1,"y":2}]}"#, #"{"y":2,"x":1.0}"#),
    (#"{"const":1}"#, "1.0"), (#"{"minimum":1,"maximum":2}"#, "2"),
    (#"{"exclusiveMinimum":0}"#, "0.1"),
    (#"{"maximum":9007199254740993}"#, "9007199254740993"),
    (#"{"minLength":2,"maxLength":2}"#, #""é😀""#), (#"{"pattern":"^a"}"#, #""ab""#),
    (#"{"pattern":"^a"}"#, "5"), (#"{"items":{"type":"number"},"maxItems":2}"#, "[1,2]"),
    (#"{"required":["a"],"properties":{"a":{"type":"string"}}}"#, #"{"a":"x","b":1}"#),
    (#"{"additionalProperties":{"type":"boolean"}}"#, #"{"x":true}"#),
    (#"{"title":"T","description":"D","$schema":"x"}"#, "null"),
  ])
  func takesWhatItAllows(_ schema: String, _ value: String) throws {
    #expect(try Self.fault(schema, value) == nil)
  }

  @Test(arguments: [
    ("false", "1", "the payload may not be there"),
    (#"{"type":"integer"}"#, "1.5", "the payload has to be a whole number"),
    (#"{"type":["string","null"]}"#, "1", "the payload has to be a text or null"),
    (#"{"enum":[1]}"#, "2", "the payload is not one of the values that are allowed"),
    (
      #"{"maximum":9007199254740992}"#, "9007199254740993",
      "the payload is over the maximum 9007199254740992"
    ),
    (#"{"maximum":5}"#, "1e999", "the payload is over the maximum 5"),
    (#"{"minimum":5}"#, "-1e999", "the payload is below the minimum 5"),
    (#"{"exclusiveMaximum":5}"#, "5", "the payload has to be below 5"),
    (#"{"minLength":2}"#, #""a""#, "the payload has 1 characters, at least 2 are due"),
    (#"{"pattern":"^b"}"#, #""ab""#, "the payload does not match the pattern ^b"),
    (#"{"required":["type","timestamp"]}"#, #"{"type":"x"}"#, "/timestamp is missing"),
    (
      #"{"properties":{"user":{"properties":{"age":{"maximum":150}}}}}"#, #"{"user":{"age":200}}"#,
      "/user/age is over the maximum 150"
    ),
    (#"{"items":{"items":{"type":"null"}}}"#, "[[null],[null,1]]", "/1/1 has to be null"),
    (
      #"{"additionalProperties":false}"#, #"{"a/b~c":1}"#,
      "/a~1b~0c is not a member that is allowed"
    ),
    (#"{"properties":{"__proto__":false}}"#, #"{"__proto__":1}"#, "/__proto__ may not be there"),
    (#"{"maxItems":1}"#, "[1,2]", "the payload has 2 elements, at most 1 are allowed"),
  ])
  func refusesTheRestWithItsPlace(_ schema: String, _ value: String, _ reason: String) throws {
    #expect(try Self.fault(schema, value) == reason)
  }

  @Test(arguments: [
    ("1", "", "write a schema"), (#"{"typ":"x"}"#, "typ", "isn't checked"),
    (#"{"properties":{"a":{"format":"date"}}}"#, "properties.a.format", "isn't checked"),
    (#"{"type":"text"}"#, "type", "write one of"), (#"{"type":[]}"#, "type", "empty list"),
    (#"{"required":"a"}"#, "required", "list of names"),
    (#"{"required":[1]}"#, "required", "list of names"),
    (#"{"enum":[]}"#, "enum", "write a list"), (#"{"minLength":-1}"#, "minLength", "whole number"),
    (#"{"minimum":"1"}"#, "minimum", "write a number"),
    (#"{"pattern":"("}"#, "pattern", "without its"),
    (#"{"items":[{}]}"#, "items", "write a schema"),
    (#"{"properties":[]}"#, "properties", "write an object"),
  ])
  func refusesASchemaWithThePlaceOfItsProblem(_ schema: String, _ path: String, _ reason: String) {
    #expect {
      try JSONSchema(try JSONValue.parse(schema))
    } throws: { error in
      guard let problem = error as? SchemaProblem else { return false }
      return problem.path == path && problem.reason.contains(reason)
    }
  }

  @Test func boundsWhatASchemaMayBe() throws {
    var deep = JSONValue.object([:])
    for _ in 0..<JSONSchema.depthMax { deep = .object(["items": deep]) }
    #expect(throws: SchemaProblem.self) { try JSONSchema(deep) }
    var wide = JSONObject()
    for number in 0...JSONSchema.nodesMax { wide["p\(number)"] = .bool(true) }
    #expect(throws: SchemaProblem.self) { try JSONSchema(.object(["properties": .object(wide)])) }
  }

  private static let thousandNumbers = (0..<1000).map { #""\#($0)""# }.joined(separator: ",")
  private static let longTexts = (0..<240).map { _ in
    #""\#(String(repeating: "a", count: 4_090))@ab""#
  }.joined(separator: ",")
  private static let lastNumbers = (0..<2_000).map { _ in #""999""# }.joined(separator: ",")

  /// Whoever checks has others to serve: what an attacker makes as dear as can be costs no more.
  @Test(arguments: [
    (#"{"items":{"pattern":"[a-z0-9.]{2,64}@[a-z0-9.]{2,64}"}}"#, longTexts),
    (#"{"items":{"pattern":"(a|b|ab){1,90}c"}}"#, longTexts),
    (#"{"items":{"enum":[\#(thousandNumbers)]}}"#, lastNumbers),
  ])
  func whatTakesTooLongIsRefused(schema: String, values: String) throws {
    #expect(try Self.fault(schema, "[\(values)]")?.contains("takes too long") == true)
    #expect(try Self.fault(schema, #"["999"]"#)?.contains("too long") != true)
  }

  /// Back ends compare bytes: what only looks like an allowed text isn't one.
  @Test func tellsTextsApartThatLookAlike() throws {
    let one = "\"\u{E9}\""
    let two = "\"e\u{301}\""
    #expect(try Self.fault("{\"enum\":[\(one)]}", one) == nil)
    #expect(try Self.fault("{\"enum\":[\(one)]}", two) != nil)
    let closed = "{\"properties\":{\(one):{}},\"additionalProperties\":false}"
    #expect(try Self.fault(closed, "{\(one):1}") == nil)
    #expect(try Self.fault(closed, "{\(two):1}") != nil)
  }

  @Test func asksForMembersAlone() throws {
    let schema = JSONSchema(requiring: ["type", "timestamp"])
    try schema.check(try JSONValue.parse(#"{"type":1,"timestamp":2,"more":3}"#))
    #expect(throws: SchemaFault.self) { try schema.check(.object(["type": .null])) }
    #expect(throws: SchemaFault.self) { try schema.check(.string("x")) }
  }
}
