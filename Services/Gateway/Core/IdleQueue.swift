internal import Platform

/// Something that waits in an `IdleQueue`, in one at a time.
class IdleNode {
  /// Since when it waits; nil while it doesn't.
  fileprivate(set) var idleSince: Instant?
  fileprivate unowned var older: IdleNode?
  fileprivate unowned var newer: IdleNode?
}

/// Things in the order they were put here; adding, removing and renewing cost the same however many
/// there are. Owns none of them: who lets go of one takes it out first. Loop-confined.
struct IdleQueue {
  private(set) unowned var oldest: IdleNode?
  private unowned var newest: IdleNode?

  /// Puts something at the new end, from wherever it is.
  mutating func renew(_ node: IdleNode, _ now: Instant) {
    remove(node)
    node.idleSince = now
    node.older = newest
    newest?.newer = node
    newest = node
    if oldest == nil { oldest = node }
  }

  mutating func remove(_ node: IdleNode) {
    guard node.idleSince != nil else { return }
    node.idleSince = nil
    if oldest === node { oldest = node.newer }
    if newest === node { newest = node.older }
    node.older?.newer = node.newer
    node.newer?.older = node.older
    node.older = nil
    node.newer = nil
  }

  /// The oldest ones, at most `count`.
  func oldest(_ count: Int) -> [IdleNode] {
    var found: [IdleNode] = []
    var next = oldest
    while let node = next, found.count < count {
      found.append(node)
      next = node.newer
    }
    return found
  }
}

/// How many channels each address has brought into being. Pure.
struct ChannelShares {
  private var counts: [AddressKey: Int] = [:]

  func count(of owner: AddressKey) -> Int { counts[owner] ?? 0 }

  mutating func enter(_ owner: AddressKey) { counts[owner, default: 0] += 1 }

  mutating func leave(_ owner: AddressKey) {
    guard let count = counts[owner] else { return }
    counts[owner] = count > 1 ? count - 1 : nil
  }
}
