import Bytes
import JSON
import TestKit
import Testing

/// Elements as ranges, and the same refusals as everywhere.
@Suite struct ArrayScannerTests {
  /// The elements' texts, or the reason of the refusal.
  private func elements(_ text: String) -> Result<[String], JSONError> {
    elements(Array(text.utf8))
  }

  private func elements(_ bytes: [UInt8]) -> Result<[String], JSONError> {
    do {
      var scanner = try JSONArrayScanner(array: bytes.span)
      var texts: [String] = []
      while let element = try scanner.next(bytes.span) {
        texts.append(String(decoding: bytes[element.value], as: UTF8.self))
      }
      if try scanner.next(bytes.span) != nil { texts.append("something after the end") }
      return .success(texts)
    } catch {
      return .failure(error)
    }
  }

  @Test func givesElementsWithTheirVeryBytes() throws {
    #expect(try elements("[]").get() == [])
    #expect(try elements(" [ ] ").get() == [])
    #expect(
      try elements(#" [ "a" ,1e3,{"b": [ 1 ]},null ] "#).get()
        == [#""a""#, "1e3", #"{"b": [ 1 ]}"#, "null"])
  }

  @Test func knowsTextsAndNumbers() throws {
    let bytes = Array(#"["a\u00e4",-7,1.5,true]"#.utf8)
    var scanner = try JSONArrayScanner(array: bytes.span)
    #expect(try scanner.next(bytes.span)?.text(in: bytes.span) == "aä")
    let number = try scanner.next(bytes.span)
    #expect(number?.int(in: bytes.span) == -7)
    #expect(number?.text(in: bytes.span) == nil)
    #expect(try scanner.next(bytes.span)?.int(in: bytes.span) == nil)
    #expect(try scanner.next(bytes.span)?.kind == .bool)
  }

  @Test(arguments: [
    ("", JSONError.Reason.unexpectedEnd), ("{}", .unexpectedByte), ("[", .unexpectedEnd),
    ("[,]", .unexpectedByte), ("[1,]", .unexpectedByte), ("[1 2]", .unexpectedByte),
    ("[1]x", .trailingBytes), ("[1", .unexpectedEnd), (#"["\ud800"]"#, .loneSurrogate),
  ])
  func refuses(_ text: String, _ reason: JSONError.Reason) {
    guard case .failure(let error) = elements(text) else {
      Issue.record("\(text) was taken")
      return
    }
    #expect(error.reason == reason)
  }

  @Test func depthCountsFromTheArrayItself() throws {
    let deepest = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
    #expect(try elements(deepest).get().count == 1)
    #expect(throws: JSONError.self) { try elements("[" + deepest + "]").get() }
  }

  /// Damaged as it may be, it takes exactly what the validator takes as an array.
  @Test func agreesWithTheValidator() {
    let sample = Array(#"["aä",[1,{"b":null}],-0.5e7,true,{}]"#.utf8)
    for index in sample.indices {
      for byte in UInt8.min...UInt8.max {
        var damaged = sample
        damaged[index] = byte
        let isArray = (try? JSON.validate(damaged.span)) == .array
        #expect(((try? elements(damaged).get()) != nil) == isArray, "\(damaged)")
      }
    }
  }
}
