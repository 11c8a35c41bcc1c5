import Bytes
import Config
import JSON
import Testing

/// The name that `text` spells.
func channel(_ text: String) throws -> ChannelName { try #require(ChannelName(text)) }

@Suite struct ChannelRulesTests {
  static func matches(_ pattern: String, _ name: String) throws -> Bool {
    let pattern = try #require(ChannelPattern(pattern))
    return pattern.matches(try channel(name))
  }

  @Test(arguments: [
    ("a", "a"), ("*", "a"), ("a*", "a"), ("*a", "a"), ("a*", "abc"), ("*c", "abc"), ("a*c", "ac"),
    ("a*c", "abbc"), ("a*b*c", "axbxc"), ("*b*", "abc"), ("**", "x"), ("a**b", "ab"),
    ("log:*", "log:"),
    ("*aab*", "aaab"), ("a*a", "aa"), ("*ab*ab", "ababab"), ("x*aba*aba", "xabababa"),
  ])
  func matchesRunsOfAnyCharacters(pattern: String, name: String) throws {
    #expect(try Self.matches(pattern, name))
  }

  @Test(arguments: [
    ("a", "b"), ("a", "ab"), ("a", "A"), ("a*a", "a"), ("a*b*c", "acb"), ("log:*", "log"),
    ("*b*", "aca"), ("*ab*ab", "ab"), ("x*aba*aba", "xababa"), ("a*", "ba"), ("*a", "ab"),
  ])
  func matchesNothingElse(pattern: String, name: String) throws {
    #expect(try !Self.matches(pattern, name))
  }

  @Test(arguments: ["", "a b", "é", "a?b", "[a]", "$x", "a/b", String(repeating: "a", count: 256)])
  func refusesPatternsThatNoNameCanMatch(text: String) {
    #expect(ChannelPattern(text) == nil)
  }

  /// A pattern language's plain definition, exponential in the worst case: the oracle.
  static func slow(_ pattern: Substring, _ name: Substring) -> Bool {
    guard let first = pattern.first else { return name.isEmpty }
    if first == "*" {
      return slow(pattern.dropFirst(), name) || !name.isEmpty && slow(pattern, name.dropFirst())
    }
    return name.first == first && slow(pattern.dropFirst(), name.dropFirst())
  }

  @Test func agreesWithThePlainDefinition() throws {
    let letters = ["a", "b", "*"]
    func words(_ letters: [String], _ length: Int) -> [String] {
      length == 0 ? [""] : words(letters, length - 1).flatMap { word in letters.map { word + $0 } }
    }
    let names = (1...6).flatMap { words(["a", "b"], $0) }.compactMap { ChannelName($0) }
    for text in (1...5).flatMap({ words(letters, $0) }) {
      let pattern = try #require(ChannelPattern(text))
      for name in names where pattern.matches(name) != Self.slow(text[...], name.text[...]) {
        Issue.record("\(text) and \(name)")
      }
    }
  }

  @Test func hostilePatternsCostNoMoreThanTheName() throws {
    let pattern = try #require(
      ChannelPattern(String(repeating: "a*", count: 60) + String(repeating: "a", count: 100) + "*b")
    )
    let name = try #require(ChannelName(String(repeating: "a", count: 255)))
    let start = ContinuousClock.now
    for _ in 0..<1_000 { #expect(!pattern.matches(name)) }
    // Backtracking would take longer than the universe; this takes milliseconds.
    #expect(ContinuousClock.now - start < .seconds(10))
  }

  @Test func whatIsKeptOfADurableHistoryIsRead() throws {
    func check(_ history: String) -> ConfigCheck {
      Configuration.check(file: "f", text: [UInt8]("{channels:[{match:'*',history:\(history)}]}".utf8))
    }
    let all = check("{durable:true,keep:{events:1000,bytes:'1MiB',age:'30d'}}")
    #expect(all.problems == [])
    #expect(
      all.configuration.channels.rules[0].retention
        == RetentionRule(events: 1_000, bytes: 1 << 20, age: .seconds(30 * 86_400)))
    #expect(check("{durable:true}").configuration.channels.rules[0].retention == nil)
    for (history, place) in [
      ("{size:5,keep:{events:1}}", "keep: is for a durable history; say size and ttl here"),
      ("{durable:true,keep:5}", "keep: write { events: 100000 }, { bytes: \"1GiB\" } or { age: \"30d\" }"),
      ("{durable:true,keep:{events:0}}", "keep.events: write a whole number from 1 to 1000000000000"),
      ("{durable:true,keep:{evens:1}}", "keep.evens: "),
    ] {
      let problems = check(history).problems.map(\.description)
      #expect(
        problems.count == 1 && problems[0].hasPrefix("f:1: channels[0].history.\(place)"), "\(problems)")
    }
  }

  @Test func theFirstRuleThatMatchesDecides() throws {
    let check = Configuration.check(
      file: "f",
      text: [UInt8]("{channels:[{match:'a:b',type:'one'},{match:['x','a:*'],type:'two'}]}".utf8))
    #expect(check.problems == [])
    let rules = check.configuration.channels
    #expect(try rules.rule(for: channel("a:b"))?.type == "one")
    #expect(try rules.rule(for: channel("a:c"))?.type == "two")
    #expect(try rules.rule(for: channel("x"))?.type == "two")
    #expect(try rules.rule(for: channel("y")) == nil)
  }

  @Test(
    arguments: [
      ("universal-frequency", "relay", .durable), ("log:app", "relay", .durable),
      ("sim:tick", "broadcast", .durable), ("data:refreshed", "broadcast", .durable),
      ("map:cursor", "cursor", .none), ("map:cursor:eu", "cursor", .none),
      ("map:annotation", "board", .durable),
      ("admin:broadcast", "broadcast", .memory(size: 100, ttl: .seconds(300))),
      ("route", "relay", .memory(size: 100, ttl: .seconds(300))),
      ("spell", "relay", .memory(size: 100, ttl: .seconds(300))),
      ("anything.else", "relay", .memory(size: 100, ttl: .seconds(300))),
    ] as [(String, String, HistoryRule)])
  func theStandardNamesTheChannelsOfTheSources(
    name: String, type: String, history: HistoryRule
  ) throws {
    let rule = try #require(try ChannelRules.standard.rule(for: channel(name)))
    #expect(rule.type == type)
    #expect(rule.history == history)
    #expect(rule.presence)
    #expect(rule.subscribe == nil)
  }

  @Test func standardRulesSayWhoPublishes() throws {
    func publish(_ name: String) throws -> AccessRule? {
      try ChannelRules.standard.rule(for: channel(name))?.publish
    }
    #expect(try publish("universal-frequency") == nil)
    #expect(try publish("sim:tick") == AccessRule([]))
    #expect(try publish("admin:broadcast") == AccessRule([.role("admin")]))
    let cursor = try ChannelRules.standard.rule(for: channel("map:cursor"))
    #expect(cursor?.options["framesPerSecond"]?.int == 30)
  }

  @Test func grantsAreAlternatives() {
    let nobody = AccessRule([])
    let some = AccessRule([.user("alice"), .role("admin")])
    #expect(!nobody.allows(user: "alice", roles: ["admin"]))
    #expect(some.allows(user: "alice", roles: []))
    #expect(some.allows(user: "bob", roles: ["x", "admin"]))
    #expect(!some.allows(user: "bob", roles: ["x"]))
    #expect(!some.allows(user: nil, roles: []))
    #expect(AccessRule([.anyUser]).allows(user: "bob", roles: []))
    #expect(!AccessRule([.anyUser]).allows(user: nil, roles: []))
    #expect(AccessRule([.anonymous]).allows(user: nil, roles: []))
  }
}
