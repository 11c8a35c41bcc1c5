import Centrifuge
import TestKit
import Testing

/// A comparison of one tag.
private func compare(_ key: String, _ cmp: String, _ val: String = "", _ vals: [String] = [])
  -> CentrifugeTagFilter
{
  var filter = CentrifugeTagFilter()
  (filter.key, filter.cmp, filter.val, filter.vals) = (key, cmp, val, vals)
  return filter
}

private func join(_ op: String, _ nodes: CentrifugeTagFilter...) -> CentrifugeTagFilter {
  var filter = CentrifugeTagFilter()
  (filter.op, filter.nodes) = (op, nodes)
  return filter
}

private func matches(_ filter: CentrifugeTagFilter, _ tags: NamedValues<String>) throws -> Bool {
  try CentrifugeTagCondition(filter).matches(tags)
}

@Suite("Tag filters") struct TagConditionTests {
  private let tags: NamedValues<String> = [
    "ticker": "BTC", "price": "42.50", "empty": "", "city": "Zürich",
  ]

  @Test(arguments: [
    ("ticker", "eq", "BTC", true), ("ticker", "eq", "btc", false), ("none", "eq", "BTC", false),
    ("ticker", "neq", "BTC", false), ("ticker", "neq", "ETH", true), ("none", "neq", "BTC", true),
    ("ticker", "ex", "", true), ("none", "ex", "", false), ("empty", "ex", "", true),
    ("ticker", "nex", "", false), ("none", "nex", "", true),
    ("city", "sw", "Zü", true), ("city", "sw", "rich", false), ("none", "sw", "Z", false),
    ("city", "ew", "ürich", true), ("city", "ew", "Zü", false), ("none", "ew", "h", false),
    ("city", "ct", "üri", true), ("city", "ct", "üriü", false), ("none", "ct", "ü", false),
    ("city", "ct", "Zürich", true), ("city", "ct", "Zürich!", false), ("empty", "ct", "x", false),
    ("price", "gt", "42.5", false), ("price", "gte", "42.5", true), ("price", "lt", "42.51", true),
    ("price", "lte", "42.49", false), ("price", "gt", "9", true), ("price", "lt", "100", true),
    ("price", "gt", "-100", true), ("price", "gt", "x", false), ("price", "lte", "x", false),
    ("ticker", "gt", "1", false), ("ticker", "lte", "1", false), ("none", "lt", "1", false),
  ])
  func aTagIsCompared(_ key: String, _ cmp: String, _ val: String, _ expected: Bool) throws {
    #expect(try matches(compare(key, cmp, val), tags) == expected)
  }

  @Test func listsAreLookedThrough() throws {
    #expect(try matches(compare("ticker", "in", "", ["ETH", "BTC"]), tags))
    #expect(try !matches(compare("ticker", "nin", "", ["ETH", "BTC"]), tags))
    #expect(try !matches(compare("none", "in", "", ["ETH"]), tags))
    #expect(try matches(compare("none", "nin", "", ["ETH"]), tags))
    #expect(try matches(compare("none", "in", "", ["ETH", ""]), tags))
  }

  @Test func textsAreComparedByteForByte() throws {
    let composed: NamedValues<String> = ["k": "\u{E9}"]
    #expect(try matches(compare("k", "eq", "\u{E9}"), composed))
    #expect(try !matches(compare("k", "eq", "e\u{301}"), composed))
    #expect(try !matches(compare("k", "in", "", ["e\u{301}"]), composed))
    #expect(try matches(compare("k", "sw", "e"), ["k": "e\u{301}"]))
  }

  @Test func nodesAreJoined() throws {
    let (yes, no) = (compare("ticker", "ex"), compare("ticker", "nex"))
    #expect(try matches(join("and", yes, yes), tags))
    #expect(try !matches(join("and", yes, no), tags))
    #expect(try matches(join("or", no, yes), tags))
    #expect(try !matches(join("or", no, no), tags))
    #expect(try matches(join("not", no), tags))
    #expect(try matches(join("and", join("not", no), join("or", no, join("and", yes))), tags))
  }

  @Test func whatMakesNoSenseIsRefused() {
    let ok = compare("k", "ex")
    var inner = compare("k", "eq", "v")
    inner.nodes = [ok]
    let wrong: [(CentrifugeTagFilter, CentrifugeFilterError)] = [
      (CentrifugeTagFilter(), .unknownComparison), (compare("k", "EQ", "v"), .unknownComparison),
      (join("xor", ok), .unknownOperation), (join("and"), .wrongNodes), (join("or"), .wrongNodes),
      (join("not"), .wrongNodes), (join("not", ok, ok), .wrongNodes), (inner, .wrongNodes),
      (compare("k", "eq"), .missingOperand), (compare("", "eq", "v"), .missingOperand),
      (compare("k", "in"), .missingOperand), (compare("k", "in", "v", ["v"]), .unusedOperand),
      (compare("k", "eq", "v", ["v"]), .unusedOperand), (compare("k", "ex", "v"), .unusedOperand),
      (join("and", ok, join("or", compare("k", "gt"))), .missingOperand),
    ]
    for (filter, error) in wrong {
      #expect(throws: error, "\(filter)") { try CentrifugeTagCondition(filter) }
    }
  }

  @Test func nodesAreCounted() throws {
    var filter = join("or")
    filter.nodes = [CentrifugeTagFilter](
      repeating: compare("k", "ex"), count: CentrifugeTagCondition.nodesMax - 1)
    #expect(try matches(filter, ["k": "v"]))
    filter.nodes.append(compare("k", "ex"))
    #expect(throws: CentrifugeFilterError.tooManyNodes) { try CentrifugeTagCondition(filter) }
  }

  /// Digits decide, however many; a binary fraction would round.
  @Test(arguments: [
    ("0", "0", 0), ("-0", "0.00", 0), ("+1", "1.0", 0), ("007", "7", 0), ("1", "2", -1),
    ("10", "9", 1), ("-10", "-9", -1), ("-1", "1", -1), ("0.1", "0.09", 1), ("1.5", "1.50", 0),
    ("-1.5", "-1.25", -1), ("9007199254740993", "9007199254740992", 1),
    ("0.1000000000000000000001", "0.1", 1),
    ("123456789012345678901234567890", "123456789012345678901234567891", -1),
  ])
  func numbersAreComparedExactly(_ a: String, _ b: String, _ order: Int) throws {
    #expect(try matches(compare("n", "lt", b), ["n": a]) == (order < 0))
    #expect(try matches(compare("n", "lte", b), ["n": a]) == (order <= 0))
    #expect(try matches(compare("n", "gt", b), ["n": a]) == (order > 0))
    #expect(try matches(compare("n", "gte", b), ["n": a]) == (order >= 0))
  }

  @Test(arguments: ["", "-", "+", ".", "1.", ".5", "1e3", "0x1", "1_0", " 1", "1 ", "1.2.3", "--1"])
  func whatIsNoNumberFailsEveryComparison(_ text: String) throws {
    for cmp in ["lt", "lte", "gt", "gte"] {
      #expect(try !matches(compare("n", cmp, "1"), ["n": text]))
      if !text.isEmpty { #expect(try !matches(compare("n", cmp, text), ["n": "1"])) }
    }
  }

  /// Against the plain way of searching, over few letters so that there is much to be found.
  @Test func textIsFoundWhereItStands() throws {
    var random = SeededGenerator()
    func text(_ count: Int) -> String {
      String(decoding: random.bytes(count).map { 97 + $0 % 2 }, as: UTF8.self)
    }
    for _ in 0..<2_000 {
      let (part, whole) = (text(Int.random(in: 1...6, using: &random)), text(24))
      let stands = whole.indices.contains { whole[$0...].hasPrefix(part) }
      #expect(try matches(compare("k", "ct", part), ["k": whole]) == stands, "\(random)")
    }
  }

  @Test(.timeLimit(.minutes(1))) func searchingTakesLinearTime() throws {
    let part = String(repeating: "a", count: 30_000) + "b"
    #expect(try !matches(compare("k", "ct", part), ["k": String(repeating: "a", count: 60_000)]))
  }

  @Test func equalFiltersAreEqualConditions() throws {
    let one = try CentrifugeTagCondition(join("and", compare("k", "in", "", ["a", "b"])))
    let two = try CentrifugeTagCondition(join("and", compare("k", "in", "", ["b", "a"])))
    #expect(one == two)
    #expect(Set([one, two]).count == 1)
  }
}
