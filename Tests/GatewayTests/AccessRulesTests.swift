import Bytes
import Config
import HTTPCodec
import Testing

@testable import GatewayCore

/// Which pages and which names for us are let in (reliability rows 95 and 97).
struct AccessRulesTests {
  private func loopback() -> AccessRules {
    AccessRules(isLoopback: true, allowsAnonymous: true, keys: APIKeys([]))
  }

  private func open(_ origins: [String] = [], hosts: [String] = []) -> AccessRules {
    AccessRules(
      isLoopback: false, allowsAnonymous: false, origins: origins, hosts: hosts, keys: APIKeys([]))
  }

  @Test(arguments: [
    "http://localhost", "http://localhost:3000", "https://localhost:8443", "http://127.0.0.1:8000",
    "http://127.0.0.1", "http://[::1]:5173", "http://[::1]", "http://LOCALHOST:1",
  ])
  func aLoopbackListenerLetsInEveryLoopbackOrigin(origin: String) {
    #expect(loopback().allows(origin: origin, host: HTTPAuthority("127.0.0.1:8000")))
  }

  @Test(arguments: [
    "null", "", "https://evil.example", "http://localhost.evil.example", "http://127.0.0.1.evil.example",
    "http://evil.example#localhost", "http://localhost@evil.example", "http://evil.example:localhost",
    "http://localhost/", "http://localhost:8000/path", "http://localhost:99999", "http://localhost:",
    "ftp://localhost", "file://", "HTTP://localhost", "localhost", "//localhost", "http://",
    "http:// localhost", "http://locаlhost", "http://xn--lclhost-5of", "http://127.0.0.2",
    "http://127.1", "http://0.0.0.0", "http://[::ffff:127.0.0.1]", "http://2130706433",
    "http://localhost, http://evil.example", "chrome-extension://localhost",
  ])
  func aLoopbackListenerRefusesEveryOtherOrigin(origin: String) {
    #expect(!loopback().allows(origin: origin, host: HTTPAuthority("127.0.0.1:8000")))
  }

  @Test func noOriginIsNoBrowserAndIsLetIn() {
    #expect(loopback().allows(origin: nil, host: HTTPAuthority("localhost")))
    #expect(open().allows(origin: nil, host: HTTPAuthority("example.org")))
  }

  @Test(arguments: [
    ("https://example.org", "example.org", true), ("https://example.org:8443", "example.org:8443", true),
    ("https://EXAMPLE.org", "example.org", true), ("https://example.org", "example.org:8443", false),
    ("https://good.example.org", "example.org", false), ("https://example.org.evil", "example.org", false),
    ("http://localhost", "example.org", false), ("null", "example.org", false),
    ("https://evil.example", "example.org", false),
  ])
  func anyOtherListenerLetsInItsOwnOriginOnly(origin: String, host: String, isAllowed: Bool) {
    #expect(open().allows(origin: origin, host: HTTPAuthority(host)) == isAllowed)
  }

  @Test func listedOriginsAreLetInExactlyAndBesidesTheOwn() {
    let rules = open(["https://app.example"])
    let host = HTTPAuthority("example.org")
    #expect(rules.allows(origin: "https://app.example", host: host))
    #expect(rules.allows(origin: "https://example.org", host: host))
    for origin in [
      "http://app.example", "https://app.example:8443", "https://app.example.evil",
      "https://x.app.example", "https://app.example/", "null",
    ] {
      #expect(!rules.allows(origin: origin, host: host), "\(origin)")
    }
  }

  @Test func anOriginWithoutAHostToCompareWithIsRefused() {
    #expect(!open().allows(origin: "https://example.org", host: nil))
    #expect(!open().allows(origin: "null", host: nil))
  }

  @Test(arguments: [
    ("localhost", true), ("localhost:8000", true), ("127.0.0.1", true), ("127.0.0.1:1", true),
    ("[::1]", true), ("[::1]:8000", true), ("evil.example", false), ("evil.example:8000", false),
    ("localhost.evil.example", false), ("127.0.0.1.evil.example", false), ("192.168.1.2", false),
    ("127.0.0.2", false),
  ])
  func onLoopbackOnlyTheThreeNamesAreOurs(host: String, isOurs: Bool) {
    #expect(loopback().allows(host: HTTPAuthority(host)) == isOurs)
  }

  @Test func onLoopbackAMissingHostIsNotOurs() { #expect(!loopback().allows(host: nil)) }

  @Test func elsewhereAnyHostIsOursButOneThereMustBe() {
    #expect(open().allows(host: HTTPAuthority("whatever.example")))
    #expect(open(hosts: ["example.org"]).allows(host: HTTPAuthority("whatever.example")))
  }

  @Test func behindAProxyOnLoopbackTheListedHostsAreOursToo() {
    var rules = loopback()
    rules.hosts = ["example.org"]
    #expect(rules.allows(host: HTTPAuthority("example.org:8000")))
    #expect(!rules.allows(host: HTTPAuthority("evil.example")))
  }
}

struct APIKeysTests {
  private func rule(_ key: String) -> APIKeyRule {
    APIKeys.rule(ofPlain: [UInt8](key.utf8), name: "k")
  }

  @Test func onlyAWholeKeyOpens() {
    let keys = APIKeys([rule("0123456789abcdef"), rule("second-key-second")])
    #expect(keys.contains("0123456789abcdef") && keys.contains("second-key-second"))
    for text in ["", "0123456789abcde", "0123456789abcdef ", "0123456789ABCDEF", nil] {
      #expect(!keys.contains(text))
    }
    keys.replace([rule("third-key-third-k")])
    #expect(!keys.contains("0123456789abcdef") && keys.contains("third-key-third-k"))
  }

  @Test func withoutKeysNothingOpens() {
    let keys = APIKeys([])
    #expect(!keys.contains("") && !keys.contains("x"))
    // Whoever knows a digest does not know a key.
    let digest = rule("0123456789abcdef").digest
    #expect(!APIKeys([rule("0123456789abcdef")]).contains(hex(digest)))
  }

  @Test func aKeyOpensItsScopesForItsChannelsAlone() throws {
    var key = rule("0123456789abcdef")
    #expect(key.scopes == .all && key.allowsEverywhere(.admin))
    key.scopes = [.publish, .history]
    key.channels = [try #require(ChannelPattern("chat:*"))]
    #expect(key.allows(.publish, channel("chat:1")) && key.allows(.history, channel("chat:1")))
    #expect(!key.allows(.presence, channel("chat:1")) && !key.allows(.publish, channel("other")))
    #expect(!key.allowsEverywhere(.publish))
  }

  @Test func nobodyGetsAtTheGatewaysOwnChannel() throws {
    let name = try #require(ChannelName.identityOrders)
    #expect(!rule("0123456789abcdef").allows(.history, name))
    #expect(!channel("sapphire:identity").isReserved && !channel("@sapphire").isReserved)
  }
}
