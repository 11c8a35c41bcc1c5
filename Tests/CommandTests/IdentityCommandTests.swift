import Bytes
import Config
import Glibc
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

  private func rule(_ name: String) throws -> APIKeyRule {
    var rule = try KeyCommands.newRule(try arguments([name, "--scopes", "publish"], KeyCommands.make))
    rule.digest = [UInt8](repeating: 0xAB, count: 32)
    return rule
  }

  @Test func aChangedFileIsStillWhoseItWas() throws {
    let directory = try TemporaryDirectory()
    let path = directory("api.key")
    try Files.replace(path, with: Array("0123456789abcdef".utf8))
    try Files.setMode(path, 0o640)
    let before = try Files.status(path)
    let shop = try rule("shop")
    try KeyFile.change(path) { file throws(UsageError) in file.add(shop) }
    let after = try Files.status(path)
    #expect(after.mode == 0o640 && after.user == before.user && after.group == before.group)
    #expect(try KeyFile(path).keys.map(\.name) == ["line-1", "shop"])
    #expect(try Files.list(directory.path).count == 1, "nothing else is left behind")
  }

  private func makeLink(_ path: FilePath, to target: String) throws {
    let result = unsafe symlink(target, path.description)
    try #require(result == 0)
  }

  @Test func aFileBehindALinkIsChangedAndTheLinkIsNot() throws {
    let directory = try TemporaryDirectory()
    try Files.makeDirectories(directory("real"))
    let path = directory("real").appending("api.key")
    try Files.replace(path, with: Array("0123456789abcdef".utf8))
    let link = directory("api.key")
    try makeLink(link, to: "real/api.key")
    let shop = try rule("shop")
    try KeyFile.change(link) { file throws(UsageError) in file.add(shop) }
    #expect(try Files.linkStatus(link).kind == .symbolicLink)
    #expect(try KeyFile(path).keys.map(\.name) == ["line-1", "shop"])
    let dangling = directory("dangling")
    try makeLink(dangling, to: "nowhere")
    #expect(throws: KeyFile.Refused.self) {
      try KeyFile.change(dangling) { file throws(UsageError) in file.add(shop) }
    }
  }

  @Test func aFileOfSeveralNamesIsLeftAsItIs() throws {
    let directory = try TemporaryDirectory()
    let path = directory("api.key")
    try Files.replace(path, with: Array("0123456789abcdef".utf8))
    let result = unsafe link(path.description, directory("other").description)
    #expect(result == 0)
    let shop = try rule("shop")
    #expect(throws: KeyFile.Refused.self) {
      try KeyFile.change(path) { file throws(UsageError) in file.add(shop) }
    }
    #expect(try KeyFile(path).keys.count == 1)
  }

  @Test func onlyOneAtATimeChangesAFile() throws {
    let directory = try TemporaryDirectory()
    let path = directory("api.key")
    guard var lock = try Files.lock(directory: directory.path, within: .zero) else {
      Issue.record("the directory was locked before")
      return
    }
    let shop = try rule("shop")
    #expect(throws: KeyFile.Refused.self) {
      try KeyFile.change(path, within: .milliseconds(30)) { file throws(UsageError) in file.add(shop) }
    }
    #expect(try KeyFile(path).keys.isEmpty)
    lock.close()
    try KeyFile.change(path, within: .milliseconds(30)) { file throws(UsageError) in file.add(shop) }
    #expect(try KeyFile(path).keys.map(\.name) == ["shop"])
    #expect(try Files.status(path).mode == 0o600)
  }

  @Test func aFileThatIsNotThereHasNoKeys() throws {
    let directory = try TemporaryDirectory()
    #expect(try KeyFile(directory("none")).keys.isEmpty)
  }
}
