import Schema
import TestKit
import Testing

struct TextPatternTests {
  @Test(arguments: [
    ("", "", true), ("", "any", true), ("a", "", false), ("a", "bab", true), ("^a", "ba", false),
    ("^a$", "a", true), ("^a$", "ab", false), ("^$", "", true), ("^$", "x", false),
    ("a$", "ba", true),
    (".", "\n", false), (".", "é", true), ("^.$", "😀", true), ("a|b", "xb", true),
    ("^(a|b)c$", "bc", true), ("^(?:ab)+$", "abab", true), ("^(?:ab)+$", "aba", false),
    ("^a*$", "", true), ("^a*$", "aaa", true), ("^a+$", "", false), ("^a?b$", "b", true),
    ("^a{3}$", "aaa", true), ("^a{3}$", "aa", false), ("^a{2,}$", "aaaa", true),
    ("^a{2,3}$", "aaaa", false), ("^a{0,2}$", "", true), ("^a{0}b$", "b", true),
    (#"^\d{4}-\d\d$"#, "2026-11", true), (#"^\d$"#, "٣", false), (#"^\w+$"#, "a_9", true),
    (#"^\W$"#, "a", false), (#"^\s$"#, "\u{2003}", true), (#"^\S+$"#, "a b", false),
    ("^[a-c]$", "b", true), ("^[^a-c]$", "b", false), ("^[^a-c]$", "z", true),
    (#"^[\d\-]+$"#, "1-2", true), (#"^[\D]$"#, "5", false), ("^[a-]$", "-", true),
    (#"^[\]]$"#, "]", true), (#"^\.\*\\$"#, #".*\"#, true), (#"^\u00e9\x41$"#, "éA", true),
    ("^(a*)*$", "aaab", false), ("^(a?){30}$", "aaa", true), ("(^a|b$)", "xb", true),
    ("x*?y", "xxy", true), ("()", "a", true), ("^(|a)$", "a", true),
  ])
  func isFoundOrNot(_ pattern: String, _ text: String, _ expected: Bool) throws {
    #expect(try TextPattern(pattern).isFound(in: text) == expected)
  }

  @Test(arguments: [
    ("(", "without its"), (")", "without its"), ("[a", "without its"), ("a{2", "without its"),
    ("a{3,2}", "wrong way"), ("[z-a]", "wrong way"), ("*a", "nothing before"),
    ("a**", "quantifier"),
    (#"(a)\1"#, "backtracking"), ("(?=a)", "backtracking"), ("(?<n>a)", "backtracking"),
    (#"\b"#, "no meaning"), (#"\"#, "nothing after"), (#"\u12"#, "hexadecimal"),
    (#"\ud800"#, "half a character"), ("a{1001}", "1000"), ("(a{100}){100}", "too large"),
    ("]", "write"), ("a{}", "number is missing"), (#"[a-\d]"#, "ends no range"),
  ])
  func isRefusedWithAReason(_ pattern: String, _ reason: String) {
    #expect {
      try TextPattern(pattern)
    } throws: { error in
      (error as? SchemaProblem)?.reason.contains(reason) ?? false
    }
  }

  @Test func isRefusedTooDeepWithoutUsingStack() {
    #expect(throws: SchemaProblem.self) {
      try TextPattern(
        String(repeating: "(", count: 100_000) + String(repeating: ")", count: 100_000))
    }
  }

  /// What makes engines that backtrack take years.
  @Test(arguments: ["^(a+)+$", "^(a|a)*$", "^(a*)*b$", "^(.*a){20}$", "(x+x+)+y"])
  func noTextMakesItBacktrack(_ pattern: String) throws {
    let compiled = try TextPattern(pattern)
    let began = ContinuousClock.now
    _ = compiled.isFound(in: String(repeating: "a", count: 4095) + "!")
    _ = compiled.isFound(in: String(repeating: "x", count: 4096))
    // Linear work takes milliseconds; the bound is for a machine that does much else.
    #expect(ContinuousClock.now - began < .seconds(10))
  }

  @Test func aTextOverTheBoundIsNotFound() throws {
    let any = try TextPattern("^a*$")
    #expect(any.isFound(in: String(repeating: "a", count: TextPattern.scalarsMax)))
    #expect(!any.isFound(in: String(repeating: "a", count: TextPattern.scalarsMax + 1)))
  }

  /// Against an engine that is all there is to the meaning: it tries every way.
  @Test(arguments: 0..<20) func agreesWithOneThatTriesEveryWay(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<300 {
      let tree = Tree.random(&random, depth: 4)
      let compiled = try TextPattern("^(?:\(tree.source))$")
      for _ in 0..<8 {
        let text = String(
          (0..<Int.random(in: 0...6, using: &random)).map { _ in
            "abc".randomElement(using: &random) ?? "a"
          })
        #expect(
          compiled.isFound(in: text) == tree.ends(in: Array(text), from: 0).contains(text.count),
          "\(tree.source) on \(text), seed \(seed)")
      }
    }
  }
}

/// A pattern as a tree, and every place at which it may end.
private indirect enum Tree {
  case letter(Character)
  case any
  case sequence(Tree, Tree)
  case either(Tree, Tree)
  case repeated(Tree, Int, Int?)

  static func random(_ random: inout SeededGenerator, depth: Int) -> Tree {
    switch depth == 0
      ? Int.random(in: 0...1, using: &random) : Int.random(in: 0...4, using: &random)
    {
    case 0: .letter("abc".randomElement(using: &random) ?? "a")
    case 1: .any
    case 2: .sequence(.random(&random, depth: depth - 1), .random(&random, depth: depth - 1))
    case 3: .either(.random(&random, depth: depth - 1), .random(&random, depth: depth - 1))
    default: repetition(&random, depth)
    }
  }

  private static func repetition(_ random: inout SeededGenerator, _ depth: Int) -> Tree {
    let least = Int.random(in: 0...2, using: &random)
    let most = Bool.random(using: &random) ? nil : least + Int.random(in: 0...2, using: &random)
    return .repeated(.random(&random, depth: depth - 1), least, most)
  }

  var source: String {
    switch self {
    case .letter(let letter): String(letter)
    case .any: "."
    case .sequence(let a, let b): "(?:\(a.source))(\(b.source))"
    case .either(let a, let b): "(\(a.source)|\(b.source))"
    case .repeated(let a, let least, let most):
      "(?:\(a.source)){\(least),\(most.map(String.init) ?? "")}"
    }
  }

  func ends(in text: [Character], from start: Int) -> Set<Int> {
    switch self {
    case .letter(let letter): return start < text.count && text[start] == letter ? [start + 1] : []
    case .any: return start < text.count ? [start + 1] : []
    case .sequence(let a, let b):
      return Set(a.ends(in: text, from: start).flatMap { b.ends(in: text, from: $0) })
    case .either(let a, let b):
      return a.ends(in: text, from: start).union(b.ends(in: text, from: start))
    case .repeated(let a, let least, let most):
      var now: Set<Int> = [start]
      for _ in 0..<least { now = Set(now.flatMap { a.ends(in: text, from: $0) }) }
      var all = now
      var left = most.map { $0 - least } ?? Int.max
      while !now.isEmpty, left > 0 {
        now = Set(now.flatMap { a.ends(in: text, from: $0) }).subtracting(all)
        all.formUnion(now)
        left -= 1
      }
      return all
    }
  }
}
