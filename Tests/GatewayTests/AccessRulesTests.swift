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
    #expect(loopback().allows(origin: origin, host: HTTPAuthority("127.0.0.1:8000"), scheme: nil))
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
    #expect(!loopback().allows(origin: origin, host: HTTPAuthority("127.0.0.1:8000"), scheme: nil))
  }

  @Test func noOriginIsNoBrowserAndIsLetIn() {
    #expect(loopback().allows(origin: nil, host: HTTPAuthority("localhost"), scheme: nil))
    #expect(open().allows(origin: nil, host: HTTPAuthority("example.org"), scheme: nil))
  }

  @Test(arguments: [
    ("https://example.org", "example.org", true), ("https://example.org:8443", "example.org:8443", true),
    ("https://EXAMPLE.org", "example.org", true), ("https://example.org", "example.org:8443", false),
    ("https://good.example.org", "example.org", false), ("https://example.org.evil", "example.org", false),
    ("http://localhost", "example.org", false), ("null", "example.org", false),
    ("https://evil.example", "example.org", false),
  ])
  func anyOtherListenerLetsInItsOwnOriginOnly(origin: String, host: String, isAllowed: Bool) {
    #expect(open().allows(origin: origin, host: HTTPAuthority(host), scheme: nil) == isAllowed)
  }

  @Test func listedOriginsAreLetInExactlyAndBesidesTheOwn() {
    let rules = open(["https://app.example"])
    let host = HTTPAuthority("example.org")
    #expect(rules.allows(origin: "https://app.example", host: host, scheme: nil))
    #expect(rules.allows(origin: "https://example.org", host: host, scheme: nil))
    for origin in [
      "http://app.example", "https://app.example:8443", "https://app.example.evil",
      "https://x.app.example", "https://app.example/", "null",
    ] {
      #expect(!rules.allows(origin: origin, host: host, scheme: nil), "\(origin)")
    }
  }

  @Test func anOriginWithoutAHostToCompareWithIsRefused() {
    #expect(!open().allows(origin: "https://example.org", host: nil, scheme: nil))
    #expect(!open().allows(origin: "null", host: nil, scheme: nil))
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

  @Test func elsewhereAnyHostIsOursUnlessSomeAreNamed() {
    for rules in [open(), open(hosts: ["*"]), open(hosts: ["example.org", "*"])] {
      #expect(rules.allows(host: HTTPAuthority("whatever.example")) && rules.allows(host: nil))
    }
  }

  @Test(arguments: [
    ("example.org", true), ("example.org:8443", true), ("EXAMPLE.org", true), ("[2001:db8::1]:80", true),
    ("evil.example", false), ("example.org.evil.example", false), ("x.example.org", false),
    ("192.168.1.2:8000", false), ("[2001:db8::2]", false),
    // Tools of this machine; nobody else's name can stand for it.
    ("localhost:8000", true), ("127.0.0.1", true), ("[::1]", true),
  ])
  func whereHostsAreNamedNoOthersAreOurs(host: String, isOurs: Bool) {
    let rules = open(["https://evil.example"], hosts: ["example.org", "[2001:db8::1]"])
    #expect(rules.allows(host: HTTPAuthority(host)) == isOurs)
    #expect(!rules.allows(host: nil))
  }

  @Test(arguments: [
    ("https://example.org", WebScheme.https, true), ("http://example.org", .https, false),
    ("http://example.org", .http, true), ("https://example.org", .http, false),
    ("https://example.org", nil, true), ("http://example.org", nil, true),
  ] as [(String, WebScheme?, Bool)])
  func theOwnOriginHasTheOwnScheme(origin: String, scheme: WebScheme?, isAllowed: Bool) {
    let host = HTTPAuthority("example.org")
    #expect(open().allows(origin: origin, host: host, scheme: scheme) == isAllowed)
    // A listed origin is what it says, and this machine's pages are trusted by either.
    #expect(open([origin]).allows(origin: origin, host: host, scheme: scheme))
    #expect(loopback().allows(origin: "http://localhost", host: host, scheme: .https))
  }

  private func headers(_ lines: String) throws -> HTTPHeaders {
    try requestHead("GET / HTTP/1.1\r\nHost: a\r\n\(lines)\r\n\r\n").headers
  }

  @Test func namesNobodyTwice() throws {
    for name in ["Origin", "Authorization", "X-API-Key", "x-api-key", "ORIGIN"] {
      let one = try headers("\(name): a")
      #expect(AccessRules.repeatedField(one) == nil)
      // The same twice is twice all the same, and so is nothing.
      for second in ["a", "b", ""] {
        let two = try headers("\(name): a\r\n\(name.lowercased()): \(second)")
        #expect(AccessRules.repeatedField(two) != nil)
      }
    }
    let others = try headers("Accept: a\r\nAccept: b")
    #expect(AccessRules.repeatedField(others) == nil)
  }

  @Test func behindAProxyOnLoopbackTheListedHostsAreOursToo() {
    var rules = loopback()
    rules.hostsOfOrigins = ["example.org"]
    rules.hosts = ["chat.example.org"]
    #expect(rules.allows(host: HTTPAuthority("example.org:8000")))
    #expect(rules.allows(host: HTTPAuthority("chat.example.org")))
    #expect(rules.allows(host: HTTPAuthority("localhost")))
    #expect(!rules.allows(host: HTTPAuthority("evil.example")) && !rules.allows(host: nil))
    rules.hosts = ["*"]
    #expect(rules.allows(host: HTTPAuthority("evil.example")))
  }
}

struct APIKeysTests {
  private func rule(_ key: String) -> APIKeyRule {
    APIKeys.rule(ofPlain: [UInt8](key.utf8), name: "k")
  }

  @Test func onlyAWholeKeyOpens() {
    let keys = APIKeys([rule("0123456789abcdef"), rule("second-key-second")])
    #expect(keys.find("0123456789abcdef") != nil && keys.find("second-key-second") != nil)
    for text in ["", "0123456789abcde", "0123456789abcdef ", "0123456789ABCDEF"] {
      #expect(keys.find(text) == nil)
    }
    keys.replace([rule("third-key-third-k")])
    #expect(keys.find("0123456789abcdef") == nil && keys.find("third-key-third-k") != nil)
  }

  @Test func whatAKeyOpenedHoldsForTheSameKeyUntilKeysAreReplaced() throws {
    func headers(_ field: String) throws -> HTTPHeaders {
      try requestHead("GET / HTTP/1.1\r\nHost: a\r\n\(field)\r\n").headers
    }
    let ours = try headers("X-API-Key: 0123456789abcdef\r\n")
    let others = [
      "X-API-Key: 0123456789abcdeg\r\n", "X-API-Key: 0123456789abcde\r\n", "",
      "Authorization: apikey 0123456789abcdeg\r\n", "X-API-Key: \r\n",
    ]
    let keys = APIKeys([rule("0123456789abcdef")])
    let found = keys.find(ours, known: nil)
    #expect(found.rule != nil && keys.isInForce(found))
    #expect(keys.find(ours, known: found).rule != nil)
    #expect(keys.find(try headers("Authorization: apikey 0123456789abcdef\r\n"), known: found).rule != nil)
    for field in others {
      let other = keys.find(try headers(field), known: found)
      #expect(other.rule == nil, "\(field)")
      #expect(keys.find(ours, known: other).rule != nil)
    }
    keys.replace([rule("third-key-third-k")])
    #expect(!keys.isInForce(found) && keys.find(ours, known: found).rule == nil)
  }

  @Test func withoutKeysNothingOpens() {
    let keys = APIKeys([])
    #expect(keys.find("") == nil && keys.find("x") == nil)
    // Whoever knows a digest does not know a key.
    let digest = rule("0123456789abcdef").digest
    #expect(APIKeys([rule("0123456789abcdef")]).find(hex(digest)) == nil)
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
