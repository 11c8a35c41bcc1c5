/// An object that knows its place in a `NumberedList`.
protocol Numbered: AnyObject {
  /// Nil while it is in no list. Of the list.
  var placeInList: Int? { get set }
}

/// Objects in no order, each of which knows its place, so that none is hashed or looked for.
///
/// INVARIANT: `all[i].placeInList == i`. An object is in one list at most.
struct NumberedList<Element: Numbered> {
  private(set) var all: [Element] = []

  var isEmpty: Bool { all.isEmpty }

  /// An element that is in no list yet.
  mutating func add(_ element: Element) {
    element.placeInList = all.count
    all.append(element)
  }

  /// The last one takes its place. False where it is not in the list.
  mutating func remove(_ element: Element) -> Bool {
    guard let place = element.placeInList, place < all.count, all[place] === element else {
      return false
    }
    element.placeInList = nil
    let last = all.removeLast()
    guard last !== element else { return true }
    all[place] = last
    last.placeInList = place
    return true
  }
}
