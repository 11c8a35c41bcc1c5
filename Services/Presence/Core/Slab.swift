/// Values in numbered slots that stay where they are until removed; freed slots are used again.
///
/// An index belongs to its holder: using one after removing its value is a programmer error.
struct Slab<Element: Placed> {
  private var slots: [Element?] = []
  private var free: [Int] = []

  var count: Int { slots.count - free.count }
  var isEmpty: Bool { count == 0 }
  /// One more than the highest slot in use or freed.
  var end: Int { slots.count }

  mutating func insert(_ element: Element) -> Int {
    if let index = free.popLast() {
      slots[index] = element
      return index
    }
    slots.append(element)
    return slots.count - 1
  }

  @discardableResult
  mutating func remove(at index: Int) -> Element {
    guard let element = slots[index].take() else { preconditionFailure("the slot is free") }
    free.append(index)
    if isEmpty {
      slots = []
      free = []
    }
    return element
  }

  func isUsed(_ index: Int) -> Bool { index < slots.count && slots[index] != nil }

  /// The value in the slot, or nil if it is free or was never used.
  func element(at index: Int) -> Element? { index < slots.count ? slots[index] : nil }

  /// Looks at the value in its place and may change it there. The subscript copies the value, which
  /// for one of many arrays costs more than what is done with it.
  mutating func at<Result>(_ index: Int, _ body: (inout Element) -> Result) -> Result {
    guard let result = slots[index]?.apply(body) else { preconditionFailure("the slot is free") }
    return result
  }

  subscript(index: Int) -> Element {
    get {
      guard let element = slots[index] else { preconditionFailure("the slot is free") }
      return element
    }
    _modify {
      // Moved out and back, so that arrays and dictionaries inside are changed in place.
      guard var element = slots[index].take() else { preconditionFailure("the slot is free") }
      defer { slots[index] = element }
      yield &element
    }
  }
}

extension Slab: Sendable where Element: Sendable {}

/// A value that is worked on where it stands: a call through an optional doesn't move it, as taking
/// it out and putting it back would.
protocol Placed {}

extension Placed {
  fileprivate mutating func apply<Result>(_ body: (inout Self) -> Result) -> Result { body(&self) }
}
