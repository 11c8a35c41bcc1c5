import JSON
import TestKit
import Testing

/// The elements of an array as text, or nil where it is refused.
private func elements(_ text: String) -> [String]? {
  let bytes = [UInt8](text.utf8)
  guard var scanner = try? JSONArrayScanner(array: bytes.span) else { return nil }
  var elements: [String] = []
  do {
    while let element = try scanner.next(bytes.span) {
      elements.append(String(decoding: bytes[element.value], as: UTF8.self))
    }
  } catch { return nil }
  return elements
}

@Suite("Array scanner") struct ArrayScannerTests {
  @Test(arguments: [
    ("[]", []), (" [ ] ", []), ("[1]", ["1"]), ("[1,2]", ["1", "2"]),
    (" [ \"a,b]\" , {\"c\":[1, 2]}\n,[ ], null ] ", ["\"a,b]\"", "{\"c\":[1, 2]}", "[ ]", "null"]),
  ])
  func elementsComeAsTheyAreWritten(_ text: String, _ expected: [String]) {
    #expect(elements(text) == expected)
  }

  @Test(arguments: [
    "", "[", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1}", "[1]]", "[1]x", "{}", "1",
    "[\"a]", "[{\"a\":}]", "]",
  ])
  func whatIsNoArrayIsRefused(_ text: String) { #expect(elements(text) == nil) }

  @Test func kindsAndValuesOfElementsCanBeRead() throws {
    let bytes = [UInt8](#"[true,-7,"é\n"]"#.utf8)
    var scanner = try JSONArrayScanner(array: bytes.span)
    #expect(try scanner.next(bytes.span)?.bool(in: bytes.span) == true)
    #expect(try scanner.next(bytes.span)?.int(in: bytes.span) == -7)
    #expect(try scanner.next(bytes.span)?.text(in: bytes.span) == "é\n")
    #expect(try scanner.next(bytes.span) == nil)
    #expect(try scanner.next(bytes.span) == nil)
  }

  @Test func depthIsBounded() {
    let depth = JSON.depthMax
    let fits = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    #expect(elements(fits)?.count == 1)
    #expect(elements("[" + fits + "]") == nil)
  }
}
