import Bytes
import Config
import Testing

private let digest = String(repeating: "ab", count: 32)

private func check(_ text: String) -> ConfigCheck {
  Configuration.check(file: "f", text: [UInt8](text.utf8), channelTypes: ["relay"])
}

@Suite struct IdentitySettingsTests {
  @Test func readsEverySetting() {
    let check = check(
      """
      { identity: { keyFiles: ["/etc/a.jwks", "/etc/b.pem"], algorithms: ["ES256", "EdDSA"],
        issuer: "https://id.example", audience: "sapphire", type: "at+jwt", leeway: "5s",
        required: true, connectTimeout: "3s", ticketTTL: "20s", ticketDirectory: "/run/t", revocationTTL: "2d" } }
      """)
    #expect(check.report == "")
    let identity = check.configuration.identity
    #expect(identity.keyFiles == ["/etc/a.jwks", "/etc/b.pem"])
    #expect(identity.algorithms == [.es256, .edDSA])
    #expect(identity.issuer == "https://id.example" && identity.audience == "sapphire")
    #expect(identity.type == "at+jwt" && identity.leeway == .seconds(5))
    #expect(identity.isRequired && identity.connectTimeout == .seconds(3))
    #expect(identity.ticketDirectory == "/run/t" && identity.ticketTTL == .seconds(20) && identity.revocationTTL == .seconds(172_800))
  }

  @Test(arguments: [
    ("{ identity: { algorithms: \"none\" } }", "f:1: identity.algorithms: write one of \"HS256\""),
    ("{ identity: { leeway: \"31s\" } }", "f:1: identity.leeway: write a duration from 0s to 30s"),
    ("{ identity: { required: true } }", "f: identity.keyFiles: name a file with the keys"),
    ("{ identity: { keyFile: \"a\" } }", "did you mean \"keyFiles\"?"),
    ("{ apiKeys: {} }", "f:1: apiKeys: write a list of keys"),
    ("{ apiKeys: [{}] }", "f:1: apiKeys[0].name: a key needs name, sha256 and scopes"),
    ("{ apiKeys: [{ name: \"a b\", sha256: \"\(digest)\", scopes: \"publish\" }] }",
      "f:1: apiKeys[0].name: write a name of 1 to 64"),
    ("{ apiKeys: [{ name: \"a\", sha256: \"\(digest)\", scopes: [\"write\"] }] }",
      "f:1: apiKeys[0].scopes[0]: write one of \"publish\""),
    ("{ apiKeys: [{ name: \"a\", sha256: \"\(digest)\", scopes: \"admin\", channels: \"a:*\" }] }",
      "f:1: apiKeys[0].channels: admin is not bound to channels"),
    ("{ apiKeys: [{ name: \"a\", sha256: \"\(digest)\", scopes: \"publish\", channels: \"a b\" }] }",
      "f:1: apiKeys[0].channels: write a pattern of channels"),
    ("{ apiKeys: [{ name: \"a\", sha256: \"\(digest)\", scopes: \"publish\" },\n"
      + "{ name: \"a\", sha256: \"\(digest)\", scopes: \"history\" }] }",
      "f:2: apiKeys[1].name: another key has this name"),
    ("{ channels: [{ match: \"a:*\", subscribe: \"owners\" }] }", "\"owners\" is nobody"),
    ("{ channels: [{ match: \"a\", subscribe: \"owner\" }] }", "\"owner\" is nobody here"),
    ("{ channels: [{ match: \"*{user}\", subscribe: \"owner\" }] }", "write a pattern of 1 to 255"),
    ("{ channels: [{ match: \"{user}{user}\" }] }", "write a pattern of 1 to 255"),
  ])
  func refusesWithTheLineAndTheReason(text: String, report: String) {
    #expect(check(text).report.contains(report), "\(check(text).report)")
  }

  /// Who puts a key where its digest belongs must not find it in a log.
  @Test func neverRepeatsWhatMayBeAKey() {
    let key = "PgX0secretsecretsecretsecretsecretsecret"
    let text = "{ apiKeys: [{ name: \"a\", sha256: \"\(key)\", scopes: \"publish\" }] }"
    #expect(!check(text).report.contains("secret"))
    #expect(check(text).report.contains("never the key"))
    for file in ["\(key) behind", "sha256:\(key) name=a scopes=publish", "\(key.prefix(10))"] {
      #expect {
        _ = try APIKeyFile([UInt8](file.utf8), file: "k")
      } throws: { "\($0)".hasPrefix("k:1: ") && !"\($0)".contains("secret") }
    }
  }

  @Test func readsAKeyFileLineByLine() throws {
    let text = """
      # the first is the command line's
      0123456789abcdef

      sha256:\(digest) name=shop scopes=publish,history channels=chat:* channels=a,b\r
      """
    let file = try APIKeyFile([UInt8](text.utf8), file: "k")
    let channels = try ["chat:*", "a,b"].map { try #require(ChannelPattern($0)) }
    let rule = APIKeyRule(
      name: "shop", digest: [UInt8](repeating: 0xAB, count: 32), scopes: [.publish, .history],
      channels: channels)
    #expect(file.entries.map(\.line) == [2, 4])
    #expect(file.entries.map(\.entry) == [.plain([UInt8]("0123456789abcdef".utf8)), .digest(rule)])
    let again = try APIKeyFile([UInt8](APIKeyFile.line(rule).utf8), file: "k")
    #expect(again.entries.map(\.entry) == [.digest(rule)])
  }

  @Test(arguments: [
    ("sha256:\(digest)", "k:1: a key needs"), ("sha256:\(digest) name=a", "k:1: a key needs"),
    ("sha256:\(digest) name=a scopes=all", "k:1: scopes are"),
    ("sha256:\(digest) name=a scopes=publish color=red", "k:1: a key has name="),
    ("sha256:\(digest) name=a scopes=admin channels=a", "k:1: admin is not bound"),
    ("\nshort", "k:2: an API key has at least 16"), ("a b", "k:1: write one key in a line"),
    ("sha256:\(digest) name=a scopes=publish\nsha256:\(digest) name=a scopes=publish",
      "k:2: another key of the file"),
  ])
  func refusesAKeyFileWithItsLine(text: String, reason: String) {
    #expect { _ = try APIKeyFile([UInt8](text.utf8), file: "k") } throws: {
      "\($0)".hasPrefix(reason)
    }
  }
}

@Suite struct OwnerTests {
  static func owners(_ pattern: String, _ name: String) throws -> [String] {
    let pattern = try #require(ChannelPattern(rule: pattern))
    let name = try channel(name)
    #expect(pattern.matches(name), "\(pattern) \(name)")
    return pattern.owners(of: name)
  }

  @Test(arguments: [
    ("user:{user}:*", "user:ada:inbox", ["ada"]), ("user:{user}:*", "user:ada:a:b", ["ada"]),
    ("user:{user}", "user:ada", ["ada"]), ("user:{user}", "user:a:b", ["a:b"]),
    ("{user}-box", "ada-box", ["ada"]), ("*#*", "dialog#ada,bob", ["ada", "bob"]),
    ("dialog#*", "dialog#ada", ["ada"]), ("*", "dialog#ada", ["ada"]),
  ])
  func aNameSaysWhoseItIs(pattern: String, name: String, owners: [String]) throws {
    #expect(try Self.owners(pattern, name) == owners)
  }

  /// What could be cut in two ways belongs to nobody: `a` must not be taken for `a-b`.
  @Test(arguments: [
    ("u:{user}-box:*", "u:a-b-box:1"), ("user:{user}:*", "user::x"), ("*#*", "a#b#c"),
    ("*", "a"), ("*#", "a#"), ("user:{user}", "user:"),
  ])
  func whereNothingIsClearNobodyOwns(pattern: String, name: String) throws {
    #expect(try Self.owners(pattern, name) == [])
  }

  @Test func anOwnerIsComparedByBytes() {
    let rule = AccessRule([.owner])
    #expect(rule.allows(user: "ada", roles: [], owners: ["bob", "ada"]))
    #expect(!rule.allows(user: nil, roles: [], owners: ["ada"]))
    #expect(!rule.allows(user: "e\u{301}", roles: [], owners: ["\u{e9}"]))
  }
}
