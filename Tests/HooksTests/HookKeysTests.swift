import Config
import Foundation
import Platform
import Testing

@testable import Hooks

@Suite struct HookKeysTests {
  private func withFile(
    _ text: String, mode: UInt32 = 0o600, _ body: (FilePath) throws -> Void
  ) throws {
    let path = FilePath(FileManager.default.temporaryDirectory.path)
      .appending("hooks-\(UInt64.random(in: 0 ... .max)).key")
    try Files.create(path, content: [UInt8](text.utf8), mode: mode)
    try Files.setMode(path, mode)
    defer { try? Files.remove(path) }
    try body(path)
  }

  /// HMAC-SHA256 by another implementation.
  @Test func aBodyIsSignedWithItsTime() throws {
    try withFile("# ours\n\na key of the tests, 32 characters\n") { path in
      let keys = try HookKeys(path.description)
      #expect(
        keys.signature(of: [UInt8](#"{"a":1}"#.utf8), at: 1_795_299_188)
          == "t=1795299188,v1=\(Self.expected)")
    }
  }

  static let expected = "762ddbe054237a278ef593b3fc541ee5cde31cc87b7230b7bef1da7a1c142698"

  @Test func eachKeyOfTheFileSigns() throws {
    try withFile("first-key-of-16-chars\nsecond-key-of-16-chars\n") { path in
      let keys = try HookKeys(path.description)
      let text = try #require(keys.signature(of: [], at: 1))
      #expect(text.split(separator: ",").count == 3)
      try Files.remove(path)
      try Files.create(path, content: [UInt8]("second-key-of-16-chars".utf8))
      try keys.reload()
      let alone = try #require(keys.signature(of: [], at: 1))
      #expect(text.hasSuffix(alone.dropFirst("t=1".count)))
    }
  }

  @Test func withoutAFileNothingIsSigned() throws {
    #expect(try HookKeys(nil).signature(of: [], at: 1) == nil)
  }

  @Test(arguments: ["", "# only a remark\n", "short\n", String(repeating: "x", count: 513)])
  func whatIsNoKeyIsRefusedAndNotRepeated(_ text: String) throws {
    try withFile(text) { path in
      do throws(HookFileRefused) {
        _ = try HookKeys(path.description)
        Issue.record("there is no key")
      } catch {
        #expect(text.isEmpty || !error.description.contains(text))
      }
    }
  }

  @Test func aFileThatEverybodyMayReadIsRefused() throws {
    try withFile("first-key-of-16-chars\n", mode: 0o644) { path in
      #expect(throws: HookFileRefused.self) { try HookKeys(path.description) }
    }
  }

  @Test func aFileThatHasGoneLeavesTheKeys() throws {
    var kept: HookKeys?
    try withFile("first-key-of-16-chars\n") { kept = try HookKeys($0.description) }
    let keys = try #require(kept)
    #expect(throws: HookFileRefused.self) { try keys.reload() }
    #expect(keys.signature(of: [], at: 1) != nil)
  }
}

@Suite struct HookURLTests {
  @Test func anAddressIsTakenApart() throws {
    let url = try #require(HookURL("http://back.example:3000/a/b?c=d"))
    #expect(!url.isSecure && url.host == "back.example" && url.port == 3000)
    #expect(url.target == "/a/b?c=d" && url.authority == "back.example:3000")
    #expect("\(url)" == "http://back.example:3000/a/b")
    let secure = try #require(HookURL("https://[::1]?x"))
    #expect(secure.isSecure && secure.port == 443 && secure.target == "/?x")
    #expect(secure.authority == "[::1]")
    #expect(HookURL("http://127.0.0.1")?.target == "/")
  }

  @Test(arguments: [
    "", "back.example", "ftp://a/", "http://", "http:///x", "http://a:b/", "http://a:0/",
    "http://a:70000/", "http://u:p@a/", "http://a/#x", "http://a/ b", "http://a/\r\nx",
    "http://unix:/x", "http://a\\b/", "http://::1/",
  ])
  func whatIsNoAddressIsRefused(_ text: String) { #expect(HookURL(text) == nil) }
}
