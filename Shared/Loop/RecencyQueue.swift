/// Something that waits in a `RecencyQueue`, in one at a time. The queue alone sets the two.
public protocol RecencyNode: AnyObject {
  /// Its neighbours; both nil for one that is in no queue. `unowned`: the queue owns nobody.
  var older: Self? { get set }
  var newer: Self? { get set }
}

/// Things in the order they were last put here, for who has been left alone longest.
///
/// Owns none of them: who lets go of one takes it out first. Loop-confined.
/// - Cost: adding, removing and renewing are the same however many there are, and allocate nothing.
///   Inlinable, so that it is specialised for its nodes: it stands on the way of publications.
public struct RecencyQueue<Node: RecencyNode> {
  @usableFromInline unowned var first: Node?
  @usableFromInline unowned var newest: Node?

  public init() {}

  /// The one that was put here longest ago.
  @inlinable public var oldest: Node? { first }

  /// Puts something that is in no queue at the new end.
  @inlinable
  public mutating func append(_ node: Node) {
    let last = newest
    node.older = last
    last?.newer = node
    newest = node
    if last == nil { first = node }
  }

  /// Takes something out; does nothing for what is in no queue.
  @inlinable
  public mutating func remove(_ node: Node) {
    let (older, newer) = (node.older, node.newer)
    if first === node { first = newer }
    if newest === node { newest = older }
    older?.newer = newer
    newer?.older = older
    node.older = nil
    node.newer = nil
  }

  /// Puts something at the new end, whether it is here or in no queue.
  @inlinable
  public mutating func renew(_ node: Node) {
    guard newest !== node else { return }
    remove(node)
    append(node)
  }

  /// The oldest ones, at most `count`, in order.
  public func oldest(_ count: Int) -> [Node] {
    var found: [Node] = []
    var next = first
    while let node = next, found.count < count {
      found.append(node)
      next = node.newer
    }
    return found
  }
}
