internal import Bytes
internal import JSON

/// What one schema asks of one value. Nil and empty ask nothing.
struct SchemaNode: Hashable, Sendable {
  var types: [SchemaType] = []
  var values: [JSONValue]?
  var required: [String] = []
  var properties: [ExactText: Box] = [:]
  var others: Others = .any
  var items: Box?
  var itemsLeast: Int?
  var itemsMost: Int?
  var minimum: JSONNumber?
  var maximum: JSONNumber?
  var above: JSONNumber?
  var below: JSONNumber?
  var lengthLeast: Int?
  var lengthMost: Int?
  var pattern: TextPattern?
  /// The schema `false`.
  var refusesAll = false

  /// What members are held to that `properties` does not name.
  enum Others: Hashable, Sendable {
    case any, none
    case node(Box)
  }

  /// A schema within another.
  final class Box: Hashable, Sendable {
    let node: SchemaNode
    init(_ node: SchemaNode) { self.node = node }
    static func == (a: Box, b: Box) -> Bool { a.node == b.node }
    func hash(into hasher: inout Hasher) { hasher.combine(node) }
  }
}

extension SchemaNode {
  func check(_ value: JSONValue, _ steps: inout StepBudget) throws(SchemaFault) {
    try steps.spend(1 + (values?.count ?? 0))
    if refusesAll { throw SchemaFault("may not be there") }
    if !types.isEmpty, !types.contains(where: { $0.includes(value) }) {
      throw SchemaFault("has to be \(types.map(\.noun).joined(separator: " or "))")
    }
    if let values, !values.contains(where: { $0.equals(value) }) {
      throw SchemaFault("is not one of the values that are allowed")
    }
    switch value {
    case .string(let text):
      if let reason = try reason(against: text, &steps) { throw SchemaFault(reason) }
    case .number(let number): if let reason = reason(against: number) { throw SchemaFault(reason) }
    case .array(let elements): try check(elements, &steps)
    case .object(let object): try check(object, &steps)
    case .null, .bool: break
    }
  }

  private func reason(against text: String, _ steps: inout StepBudget) throws(SchemaFault)
    -> String?
  {
    let length = text.unicodeScalars.count
    if let lengthLeast, length < lengthLeast {
      return "has \(length) characters, at least \(lengthLeast) are due"
    }
    if let lengthMost, length > lengthMost {
      return "has \(length) characters, at most \(lengthMost) are allowed"
    }
    guard let pattern else { return nil }
    let trial = pattern.trial(on: text, within: steps.most)
    try steps.spend(trial.steps)
    return trial.isFound ? nil : "does not match the pattern \(pattern.source)"
  }

  private func reason(against number: JSONNumber) -> String? {
    if let minimum, number.isBelow(minimum) { return "is below the minimum \(minimum)" }
    if let maximum, maximum.isBelow(number) { return "is over the maximum \(maximum)" }
    if let above, !above.isBelow(number) { return "has to be over \(above)" }
    if let below, !number.isBelow(below) { return "has to be below \(below)" }
    return nil
  }

  private func check(_ elements: [JSONValue], _ steps: inout StepBudget) throws(SchemaFault) {
    if let itemsLeast, elements.count < itemsLeast {
      throw SchemaFault("has \(elements.count) elements, at least \(itemsLeast) are due")
    }
    if let itemsMost, elements.count > itemsMost {
      throw SchemaFault("has \(elements.count) elements, at most \(itemsMost) are allowed")
    }
    guard let items else { return }
    for (index, element) in elements.enumerated() {
      do throws(SchemaFault) { try items.node.check(element, &steps) } catch {
        throw error.within("\(index)")
      }
    }
  }

  private func check(_ object: JSONObject, _ steps: inout StepBudget) throws(SchemaFault) {
    for name in required where object[name] == nil {
      throw SchemaFault("is missing").within(name)
    }
    for member in object.members {
      do throws(SchemaFault) { try check(member, &steps) } catch { throw error.within(member.key) }
    }
  }

  private func check(_ member: JSONObject.Member, _ steps: inout StepBudget) throws(SchemaFault) {
    if let known = properties[ExactText(member.key)] {
      return try known.node.check(member.value, &steps)
    }
    switch others {
    case .any: break
    case .none: throw SchemaFault("is not a member that is allowed")
    case .node(let box): try box.node.check(member.value, &steps)
    }
  }
}
