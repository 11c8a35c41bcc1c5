/// What a pattern says, as a tree.
indirect enum PatternNode: Hashable, Sendable {
  case empty
  case scalar(ScalarSet)
  case sequence([PatternNode])
  case either(PatternNode, PatternNode)
  /// At least `least` times, at most `most` (nil: any).
  case repeated(PatternNode, least: Int, most: Int?)
  case atStart, atEnd
}

/// Reads a pattern. Its depth is bounded, so that no pattern exhausts the stack.
struct PatternParser {
  private let scalars: [Unicode.Scalar]
  private var index = 0
  private var depth = 0
  /// Groups within groups.
  static let depthMax = 32
  static let repeatMax = 1_000

  init(_ source: String) { scalars = [Unicode.Scalar](source.unicodeScalars) }

  private var next: Unicode.Scalar? { index < scalars.count ? scalars[index] : nil }

  private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard next == scalar else { return false }
    index += 1
    return true
  }

  private func problem(_ reason: String) -> SchemaProblem {
    SchemaProblem(path: "", reason: "\(reason), at character \(index + 1) of the pattern")
  }

  mutating func parse() throws(SchemaProblem) -> PatternNode {
    let tree = try alternatives()
    guard next == nil else { throw problem("a \")\" without its \"(\"") }
    return tree
  }

  private mutating func alternatives() throws(SchemaProblem) -> PatternNode {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthMax else {
      throw problem("more than \(Self.depthMax) groups in each other")
    }
    var tree = try sequence()
    while take("|") { tree = .either(tree, try sequence()) }
    return tree
  }

  private mutating func sequence() throws(SchemaProblem) -> PatternNode {
    var parts: [PatternNode] = []
    while let scalar = next, scalar != "|", scalar != ")" {
      let part = try repetition(of: try atom())
      if part != .empty { parts.append(part) }
    }
    return parts.count == 1 ? parts[0] : parts.isEmpty ? .empty : .sequence(parts)
  }

  private mutating func atom() throws(SchemaProblem) -> PatternNode {
    guard let scalar = next else { return .empty }
    index += 1
    switch scalar {
    case "^": return .atStart
    case "$": return .atEnd
    case ".": return .scalar(.any)
    case "(": return try group()
    case "[": return .scalar(try characterClass())
    case "\\": return .scalar(try escape())
    case "*", "+", "?":
      index -= 1
      throw problem(
        "nothing before the \"\(scalar)\" to repeat; write \\\(scalar) for the character")
    case "{", "}", "]":
      index -= 1
      throw problem("write \\\(scalar) for the character \"\(scalar)\"")
    default: return .scalar(ScalarSet(scalar))
    }
  }

  private mutating func group() throws(SchemaProblem) -> PatternNode {
    if take("?"), !take(":") {
      throw problem("of the groups with \"(?\" there is only \"(?:\": others need backtracking")
    }
    let tree = try alternatives()
    guard take(")") else { throw problem("a \"(\" without its \")\"") }
    return tree
  }

  private mutating func repetition(of node: PatternNode) throws(SchemaProblem) -> PatternNode {
    guard let scalar = next else { return node }
    var least = 0
    var most: Int?
    switch scalar {
    case "*": index += 1
    case "+":
      index += 1
      least = 1
    case "?":
      index += 1
      most = 1
    case "{":
      index += 1
      least = try number()
      most = least
      if take(",") { most = next == "}" ? nil : try number() }
      guard take("}") else {
        throw problem("a \"{\" without its \"}\"; write \\{ for the character")
      }
      if let most, most < least { throw problem("{\(least),\(most)} is the wrong way round") }
    default: return node
    }
    // Which match is found first does not matter, so neither does a lazy quantifier.
    _ = take("?")
    if let another = next, another == "*" || another == "+" || another == "{" {
      throw problem("a quantifier after a quantifier")
    }
    // Nothing, however often, is nothing: repeating it would cost time and no steps.
    return node == .empty || most == 0 ? .empty : .repeated(node, least: least, most: most)
  }

  private mutating func number() throws(SchemaProblem) -> Int {
    var value = 0
    var digits = 0
    while let scalar = next, ("0"..."9").contains(scalar) {
      value = value * 10 + Int(scalar.value - 0x30)
      digits += 1
      index += 1
      guard value <= Self.repeatMax else {
        throw problem("more than \(Self.repeatMax) repetitions")
      }
    }
    guard digits > 0 else { throw problem("a number is missing; write \\{ for the character") }
    return value
  }

  // MARK: characters

  /// What follows a backslash outside of a class.
  private mutating func escape() throws(SchemaProblem) -> ScalarSet {
    guard let scalar = next else { throw problem("nothing after the \"\\\"") }
    if let ranges = ScalarSet.ofClass(scalar) {
      index += 1
      return ScalarSet(ranges, isNegated: scalar.properties.isUppercase)
    }
    return ScalarSet(try escapedScalar())
  }

  private mutating func escapedScalar() throws(SchemaProblem) -> Unicode.Scalar {
    guard let scalar = next else { throw problem("nothing after the \"\\\"") }
    index += 1
    switch scalar {
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "f": return "\u{0C}"
    case "v": return "\u{0B}"
    case "x": return try hexadecimal(2)
    case "u": return try hexadecimal(4)
    case "1"..."9": throw problem("\\\(scalar) refers back, which needs backtracking")
    case "a"..."z", "A"..."Z", "0": throw problem("\\\(scalar) has no meaning here")
    default: return scalar
    }
  }

  private mutating func hexadecimal(_ count: Int) throws(SchemaProblem) -> Unicode.Scalar {
    var value: UInt32 = 0
    for _ in 0..<count {
      guard let digit = next.flatMap({ Character($0).hexDigitValue }) else {
        throw problem("\(count) hexadecimal digits are due")
      }
      value = value << 4 | UInt32(digit)
      index += 1
    }
    guard let scalar = Unicode.Scalar(value) else { throw problem("half a character") }
    return scalar
  }

  private mutating func characterClass() throws(SchemaProblem) -> ScalarSet {
    let isNegated = take("^")
    var ranges: [ClosedRange<UInt32>] = []
    while let scalar = next, scalar != "]" {
      index += 1
      if scalar == "\\", let letter = next, let found = ScalarSet.ofClass(letter) {
        index += 1
        ranges += letter.properties.isUppercase ? ScalarSet.complement(found) : found
        continue
      }
      let low = scalar == "\\" ? try escapedScalar() : scalar
      guard next == "-", index + 1 < scalars.count, scalars[index + 1] != "]" else {
        ranges.append(low.value...low.value)
        continue
      }
      index += 1
      guard let after = next else { break }
      index += 1
      if after == "\\", let letter = next, ScalarSet.ofClass(letter) != nil {
        throw problem("a class of characters ends no range")
      }
      let high = after == "\\" ? try escapedScalar() : after
      guard low.value <= high.value else { throw problem("\(low)-\(high) is the wrong way round") }
      ranges.append(low.value...high.value)
    }
    guard take("]") else { throw problem("a \"[\" without its \"]\"") }
    return ScalarSet(ranges, isNegated: isNegated)
  }
}

/// Makes the steps of a tree.
struct PatternCompiler {
  private(set) var steps: [TextPattern.Step] = []

  mutating func append(_ step: TextPattern.Step) throws(SchemaProblem) {
    guard steps.count < TextPattern.stepsMax else {
      throw SchemaProblem(
        path: "",
        reason: "the pattern is too large: \(TextPattern.stepsMax) steps, repetitions counted")
    }
    steps.append(step)
  }

  mutating func add(_ node: PatternNode) throws(SchemaProblem) {
    switch node {
    case .empty: break
    case .scalar(let set): try append(.scalar(set))
    case .sequence(let parts): for part in parts { try add(part) }
    case .atStart: try append(.atStart)
    case .atEnd: try append(.atEnd)
    case .either(let one, let other):
      let fork = steps.count
      try append(.either(0, 0))
      try add(one)
      let end = steps.count
      try append(.jump(0))
      steps[fork] = .either(fork + 1, steps.count)
      try add(other)
      steps[end] = .jump(steps.count)
    case .repeated(let part, let least, let most):
      for _ in 0..<least { try add(part) }
      if let most { try addOptional(part, most - least) } else { try addLoop(part) }
    }
  }

  private mutating func addLoop(_ part: PatternNode) throws(SchemaProblem) {
    let fork = steps.count
    try append(.either(0, 0))
    try add(part)
    try append(.jump(fork))
    steps[fork] = .either(fork + 1, steps.count)
  }

  /// Up to `count` times: each may be the one after which there is no other.
  private mutating func addOptional(_ part: PatternNode, _ count: Int) throws(SchemaProblem) {
    var forks: [Int] = []
    for _ in 0..<count {
      forks.append(steps.count)
      try append(.either(0, 0))
      try add(part)
    }
    for fork in forks { steps[fork] = .either(fork + 1, steps.count) }
  }
}
