import Bytes
import Config
import JSON
import Platform
import Testing

@testable import CommandCore

struct IdentityCommandTests {
  private func arguments(_ words: [String], _ command: Command) throws -> Arguments {
    try Arguments(words, options: command.options)
  }

  private func claims(_ words: [String]) throws -> JSONValue {
    let bytes = try TokenCommands.claims(
      try arguments(words, TokenCommands.make), now: 1_800_000_000)
    return try JSONValue.parse(bytes.span)
  }

  @Test func optionsBecomeClaims() throws {
    let claims = try claims([
      "--user", "ada", "--roles", "admin,staff", "--info", #"{"n":1}"#, "--channel", "room",
      "--expires", "15m", "--session", "s", "--issuer", "i", "--audience", "a",
    ])
    #expect(claims["sub"]?.string == "ada" && claims["channel"]?.string == "room")
    #expect(claims["roles"]?.array?.map(\.string) == ["admin", "staff"])
    #expect(claims["info"]?["n"]?.int == 1 && claims["sid"]?.string == "s")
    #expect(claims["iss"]?.string == "i" && claims["aud"]?.string == "a")
    #expect(claims["iat"]?.int == 1_800_000_000 && claims["exp"]?.int == 1_800_000_900)
    #expect(claims["jti"]?.string?.isEmpty == false)
  }

  @Test func otherClaimsComeFromAFile() throws {
    let directory = try TemporaryDirectory()
    let file = directory("claims")
    try Files.replace(file, with: Array(#"{"exp":5,"caps":[],"sub":"bob"}"#.utf8))
    let claims = try claims(["--claims", file.description, "--user", "ada"])
    #expect(claims["exp"]?.int == 5 && claims["sub"]?.string == "ada")
    #expect(claims["caps"]?.array == [])
  }

  @Test(arguments: [
    ["--expires", "soon"], ["--expires", "0s"], ["--expires", "400d"], ["--info", "{"],
  ])
  func refusesWhatCanNotBeAClaim(words: [String]) throws {
    #expect(throws: UsageError.self) { try claims(words) }
  }

  @Test(arguments: [
    [], ["shop"], ["shop", "--scopes", "write"], ["a b", "--scopes", "publish"],
    ["shop", "--scopes", "admin", "--channels", "a"], ["shop", "--scopes", "publish", "--channels", "a/b"],
    ["shop", "more", "--scopes", "publish"],
  ])
  func refusesKeysThatAreNotClear(words: [String]) throws {
    #expect(throws: UsageError.self) {
      try KeyCommands.newRule(try arguments(words, KeyCommands.make))
    }
  }

  @Test func aKeyFileKeepsItsOtherLines() throws {
    let directory = try TemporaryDirectory()
    let path = directory("api.key")
    try Files.replace(path, with: Array("# ours\n0123456789abcdef".utf8))
    var file = try KeyFile(path)
    var rule = try KeyCommands.newRule(
      try arguments(["shop", "--scopes", "history,publish", "--channels", "a:* b,c"], KeyCommands.make))
    rule.digest = [UInt8](repeating: 0xAB, count: 32)
    file.add(rule)
    try file.save()
    let line =
      "sha256:\(String(repeating: "ab", count: 32)) name=shop scopes=publish,history "
      + "channels=a:* channels=b,c"
    func text() throws -> String {
      String(decoding: try Files.read(path, bytesMax: 4096), as: UTF8.self)
    }
    #expect(try text() == "# ours\n0123456789abcdef\n\(line)\n")
    #expect(try Files.status(path).mode == 0o600)
    file = try KeyFile(path)
    #expect(file.keys.map(\.name) == ["line-2", "shop"])
    let isRemoved = file.remove("shop")
    let isThere = file.remove("till")
    #expect(isRemoved && !isThere)
    try file.save()
    #expect(try text() == "# ours\n0123456789abcdef\n")
  }

  @Test func aFileThatIsNotThereHasNoKeys() throws {
    let directory = try TemporaryDirectory()
    #expect(try KeyFile(directory("none")).keys.isEmpty)
  }
}
