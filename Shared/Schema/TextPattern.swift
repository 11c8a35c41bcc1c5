/// A regular expression that is tried in time linear in the text, whatever the text: every way to
/// match is followed at once and none is tried twice (K. Thompson, CACM 11(6), 1968), so no text makes
/// it backtrack.
///
/// The syntax is that of ECMA 262 patterns as far as JSON Schema recommends it (2020-12 Core §6.4):
/// characters, `.`, classes `[a-z]` `[^…]` `\d \w \s \D \W \S`, groups `( )` and `(?: )`, `|`,
/// `* + ? {n} {n,} {n,m}`, `^` and `$`. It is found anywhere in the text unless it is anchored. What can't
/// be tried without backtracking (`\1`, `(?=…)`) and what is not known here is refused.
public struct TextPattern: Hashable, Sendable {
  /// Steps of the compiled pattern; `{n,m}` counts as often as it repeats.
  public static let stepsMax = 1_000
  /// Unicode scalars of a text that is tried; a longer one does not match.
  public static let scalarsMax = 4_096

  public let source: String
  let steps: [Step]

  /// One step of the pattern. Numbers are those of steps.
  enum Step: Hashable, Sendable {
    case scalar(ScalarSet)
    /// Goes on at both.
    case either(Int, Int)
    case jump(Int)
    /// Goes on only at the beginning of the text, or at its end.
    case atStart, atEnd
    case found
  }

  /// - Throws: what is wrong with the pattern, for whoever wrote it.
  public init(_ source: String) throws(SchemaProblem) {
    self.source = source
    var parser = PatternParser(source)
    let tree = try parser.parse()
    var compiler = PatternCompiler()
    try compiler.add(tree)
    try compiler.append(.found)
    steps = compiler.steps
  }

  /// Whether the pattern is found in the text.
  ///
  /// - Cost: at most scalars of the text × steps of the pattern.
  public func isFound(in text: String) -> Bool {
    trial(on: text, within: .max).isFound
  }

  /// Tries the pattern, and counts what that took. Whoever allows `most` steps gets more than
  /// that as the count where they did not do; what was found by then means nothing.
  func trial(on text: String, within most: Int) -> (isFound: Bool, steps: Int) {
    guard text.unicodeScalars.count <= Self.scalarsMax else { return (false, 1) }
    var run = PatternRun(steps, most: most)
    let isFound = run.isFound(in: text.unicodeScalars)
    return (isFound, run.taken)
  }
}

/// One trial of a pattern on a text.
private struct PatternRun {
  private let steps: [TextPattern.Step]
  private var current: StepSet
  private var next: StepSet
  private var waiting: [Int] = []
  private let most: Int
  private(set) var taken = 0

  init(_ steps: [TextPattern.Step], most: Int) {
    self.steps = steps
    self.most = most
    current = StepSet(count: steps.count)
    next = StepSet(count: steps.count)
  }

  mutating func isFound(in scalars: String.UnicodeScalarView) -> Bool {
    var isAtStart = true
    var index = scalars.startIndex
    while true {
      let isAtEnd = index == scalars.endIndex
      taken &+= 1 &+ current.list.count
      guard taken <= most else { return false }
      // The pattern may begin at any place.
      if Self.enter(0, steps, &current, &waiting, isAtStart, isAtEnd) { return true }
      if isAtEnd { return false }
      let scalar = scalars[index].value
      scalars.formIndex(after: &index)
      let isLast = index == scalars.endIndex
      for step in current.list {
        guard case .scalar(let set) = steps[step], set.contains(scalar) else { continue }
        if Self.enter(step + 1, steps, &next, &waiting, false, isLast) { return true }
      }
      swap(&current, &next)
      next.removeAll()
      isAtStart = false
    }
  }

  /// Adds a step and all that is reached from it without a character; true when that is the end.
  private static func enter(
    _ first: Int, _ steps: [TextPattern.Step], _ set: inout StepSet, _ waiting: inout [Int],
    _ isAtStart: Bool, _ isAtEnd: Bool
  ) -> Bool {
    waiting.append(first)
    while let step = waiting.popLast() {
      guard set.insert(step) else { continue }
      switch steps[step] {
      case .scalar: break
      case .either(let one, let other):
        waiting.append(other)
        waiting.append(one)
      case .jump(let target): waiting.append(target)
      case .atStart: if isAtStart { waiting.append(step + 1) }
      case .atEnd: if isAtEnd { waiting.append(step + 1) }
      case .found: return true
      }
    }
    return false
  }
}

/// Steps, each once, in the order they came.
private struct StepSet {
  private(set) var list: [Int] = []
  private var isIn: [Bool]

  init(count: Int) { isIn = [Bool](repeating: false, count: count) }

  mutating func insert(_ step: Int) -> Bool {
    if isIn[step] { return false }
    isIn[step] = true
    list.append(step)
    return true
  }

  mutating func removeAll() {
    for step in list { isIn[step] = false }
    list.removeAll(keepingCapacity: true)
  }
}

/// Unicode scalars by ranges.
struct ScalarSet: Hashable, Sendable {
  var ranges: [ClosedRange<UInt32>]
  var isNegated = false

  func contains(_ scalar: UInt32) -> Bool {
    ranges.contains { $0.contains(scalar) } != isNegated
  }

  init(_ ranges: [ClosedRange<UInt32>], isNegated: Bool = false) {
    self.ranges = ranges
    self.isNegated = isNegated
  }

  init(_ scalar: Unicode.Scalar) { self.init([scalar.value...scalar.value]) }

  /// All but line ends (ECMA 262 §12.3).
  static let any = ScalarSet([0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029], isNegated: true)

  /// `\d`, `\w`, `\s` as ECMA 262 has them without the u flag's case folding.
  static func ofClass(_ letter: Unicode.Scalar) -> [ClosedRange<UInt32>]? {
    switch letter {
    case "d", "D": [0x30...0x39]
    case "w", "W": [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]
    case "s", "S":
      [
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029,
        0x202F...0x202F, 0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
      ]
    default: nil
    }
  }

  /// All that `ranges` leave out.
  static func complement(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
    var left: [ClosedRange<UInt32>] = []
    var next: UInt32 = 0
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if range.lowerBound > next { left.append(next...range.lowerBound - 1) }
      next = max(next, range.upperBound + 1)
    }
    if next <= 0x10FFFF { left.append(next...0x10FFFF) }
    return left
  }
}
