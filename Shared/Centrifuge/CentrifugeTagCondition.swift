internal import Bytes

/// Why a tag filter can't be applied; told as `CentrifugeErrorCode.badRequest`.
public enum CentrifugeFilterError: Error, Hashable, Sendable, CaseIterable {
  /// An `op` that isn't known.
  case unknownOperation
  /// A `cmp` that isn't known, or none in a comparison.
  case unknownComparison
  /// A comparison without the key, the value or the values that it needs.
  case missingOperand
  /// A value or values that the comparison has no use for.
  case unusedOperand
  /// `and` and `or` need a node or more, `not` exactly one.
  case wrongNodes
  /// More nodes than `CentrifugeTagCondition.nodesMax`.
  case tooManyNodes
}

/// A tag filter that is known to make sense, ready to be asked about each publication.
///
/// - Shape: a tag that isn't there is unequal to everything (`neq`), in a list only where that has
///   the empty text (`in`, `nin`), and fails every other comparison but `nex`. Texts are compared
///   byte for byte. `gt gte lt lte` compare decimal numbers exactly, however long; what is no
///   number fails them.
/// - Limits: as deep as the decoder lets filters be.
/// - Cost: linear in the tags it looks at. Equal filters are equal here, so that one answer can
///   serve all who asked alike.
public struct CentrifugeTagCondition: Sendable, Hashable {
  /// BUDGET: nodes of one filter; each is looked at for every publication.
  public static let nodesMax = 100

  private let root: Node

  /// Errors: the first node, from the top, that makes no sense.
  public init(_ filter: CentrifugeTagFilter) throws(CentrifugeFilterError) {
    var left = Self.nodesMax
    root = try Node(filter, &left)
  }

  /// Whether a publication with these tags is wanted.
  public func matches(_ tags: NamedValues<String>) -> Bool { root.matches(tags) }
}

private indirect enum Node: Sendable, Hashable {
  case all([Node])
  case any([Node])
  case not(Node)
  case tag(key: String, Comparison)

  init(_ filter: CentrifugeTagFilter, _ left: inout Int) throws(CentrifugeFilterError) {
    guard left > 0 else { throw .tooManyNodes }
    left -= 1
    switch filter.op {
    case "": self = .tag(key: filter.key, try Comparison(filter))
    case "and": self = .all(try Self.nodes(filter, &left))
    case "or": self = .any(try Self.nodes(filter, &left))
    case "not":
      guard filter.nodes.count == 1 else { throw .wrongNodes }
      self = .not(try Node(filter.nodes[0], &left))
    default: throw .unknownOperation
    }
  }

  private static func nodes(
    _ filter: CentrifugeTagFilter, _ left: inout Int
  ) throws(CentrifugeFilterError) -> [Node] {
    guard !filter.nodes.isEmpty else { throw .wrongNodes }
    var nodes: [Node] = []
    for node in filter.nodes { nodes.append(try Node(node, &left)) }
    return nodes
  }

  func matches(_ tags: NamedValues<String>) -> Bool {
    switch self {
    case .all(let nodes): nodes.allSatisfy { $0.matches(tags) }
    case .any(let nodes): nodes.contains { $0.matches(tags) }
    case .not(let node): !node.matches(tags)
    case .tag(let key, let comparison): comparison.matches(tags[key])
    }
  }
}

private enum Comparison: Sendable, Hashable {
  case equal(ExactText)
  case notEqual(ExactText)
  case among(Set<ExactText>)
  case notAmong(Set<ExactText>)
  case exists
  case missing
  case startsWith([UInt8])
  case endsWith([UInt8])
  case contains(TextSearch)
  /// Nil where the filter's value is no number: nothing compares with it.
  case number(Order, DecimalNumber?)

  enum Order: Sendable, Hashable { case above, atLeast, below, atMost }

  init(_ filter: CentrifugeTagFilter) throws(CentrifugeFilterError) {
    let text = ExactText(filter.val)
    switch filter.cmp {
    case "eq": self = .equal(text)
    case "neq": self = .notEqual(text)
    case "in": self = .among(Set(filter.vals.map { ExactText($0) }))
    case "nin": self = .notAmong(Set(filter.vals.map { ExactText($0) }))
    case "ex": self = .exists
    case "nex": self = .missing
    case "sw": self = .startsWith(Array(filter.val.utf8))
    case "ew": self = .endsWith(Array(filter.val.utf8))
    case "ct": self = .contains(TextSearch(filter.val))
    case "gt": self = .number(.above, DecimalNumber(filter.val))
    case "gte": self = .number(.atLeast, DecimalNumber(filter.val))
    case "lt": self = .number(.below, DecimalNumber(filter.val))
    case "lte": self = .number(.atMost, DecimalNumber(filter.val))
    default: throw .unknownComparison
    }
    try checkOperands(filter)
  }

  private func checkOperands(_ filter: CentrifugeTagFilter) throws(CentrifugeFilterError) {
    let (value, values): (Bool, Bool) =
      switch self {
      case .exists, .missing: (false, false)
      case .among, .notAmong: (false, true)
      default: (true, false)
      }
    if value && filter.val.isEmpty || values && filter.vals.isEmpty { throw .missingOperand }
    if (value || values) && filter.key.isEmpty { throw .missingOperand }
    if !value && !filter.val.isEmpty || !values && !filter.vals.isEmpty { throw .unusedOperand }
    if !filter.nodes.isEmpty { throw .wrongNodes }
  }

  func matches(_ tag: String?) -> Bool {
    switch (self, tag) {
    case (.exists, _): return tag != nil
    case (.missing, _): return tag == nil
    case (.equal(let text), let tag?): return ExactText(tag) == text
    case (.notEqual(let text), _): return tag.map { ExactText($0) != text } ?? true
    case (.among(let texts), _): return texts.contains(ExactText(tag ?? ""))
    case (.notAmong(let texts), _): return !texts.contains(ExactText(tag ?? ""))
    case (.startsWith(let bytes), let tag?): return tag.utf8.starts(with: bytes)
    case (.endsWith(let bytes), let tag?):
      return tag.utf8.reversed().starts(with: bytes.reversed())
    case (.contains(let search), let tag?): return search.isFound(in: tag)
    case (.number(let order, let bound?), let tag?):
      guard let number = DecimalNumber(tag) else { return false }
      return order.holds(number, bound)
    case (_, _): return false
    }
  }
}

extension Comparison.Order {
  fileprivate func holds(_ a: DecimalNumber, _ b: DecimalNumber) -> Bool {
    switch self {
    case .above: b < a
    case .atLeast: !(a < b)
    case .below: a < b
    case .atMost: !(b < a)
    }
  }
}

/// A text that others are searched for, in time linear in both (Knuth, Morris and Pratt).
private struct TextSearch: Sendable, Hashable {
  private let pattern: [UInt8]
  /// By count of matched bytes less one: how many of them are still matched one place on.
  private let borders: [Int]

  init(_ text: String) {
    pattern = Array(text.utf8)
    var borders = [Int](repeating: 0, count: pattern.count)
    var matched = 0
    for index in pattern.indices.dropFirst() {
      while matched > 0, pattern[index] != pattern[matched] { matched = borders[matched - 1] }
      if pattern[index] == pattern[matched] { matched += 1 }
      borders[index] = matched
    }
    self.borders = borders
  }

  func isFound(in text: String) -> Bool {
    guard !pattern.isEmpty else { return true }
    var matched = 0
    for byte in text.utf8 {
      while matched > 0, byte != pattern[matched] { matched = borders[matched - 1] }
      if byte == pattern[matched] { matched += 1 }
      if matched == pattern.count { return true }
    }
    return false
  }
}
