/// Values in numbered slots that stay where they are until removed; freed slots are used again.
///
/// An index belongs to its holder: using one after removing its value is a programmer error.
struct Slab<Element> {
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

  /// The value in the slot, or nil if it is free or was never used.
  func element(at index: Int) -> Element? { index < slots.count ? slots[index] : nil }

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
