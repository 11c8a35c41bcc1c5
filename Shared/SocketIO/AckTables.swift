/// Acknowledgements that the client owes: few, each with a deadline of its own.
struct AskTable: Sendable {
  private struct Ask: Sendable {
    var stay: UInt64
    var namespace: SocketNamespace
    var id: SocketAckID
    var deadline: UInt64
  }

  private var asks: [Ask] = []

  var count: Int { asks.count }
  /// The earliest of all; linear in what few there are.
  var deadline: UInt64? { asks.lazy.map(\.deadline).min() }

  mutating func add(
    _ id: SocketAckID, in namespace: SocketNamespace, stay: UInt64, deadline: UInt64
  ) {
    asks.append(Ask(stay: stay, namespace: namespace, id: id, deadline: deadline))
  }

  /// Whether that one was owed, which it then isn't any more.
  mutating func take(_ id: SocketAckID, stay: UInt64) -> Bool {
    guard let index = asks.firstIndex(where: { $0.id == id && $0.stay == stay }) else {
      return false
    }
    asks.remove(at: index)
    return true
  }

  /// Those that are late, in the order in which they were asked.
  mutating func takeDue(now: UInt64) -> [(SocketNamespace, SocketAckID)] {
    take { $0.deadline <= now }
  }

  /// Those of a stay that has ended.
  mutating func takeAll(stay: UInt64) -> [(SocketNamespace, SocketAckID)] {
    take { $0.stay == stay }
  }

  private mutating func take(_ isTaken: (Ask) -> Bool) -> [(SocketNamespace, SocketAckID)] {
    guard asks.contains(where: isTaken) else { return [] }
    let taken = asks.filter(isTaken)
    asks.removeAll(where: isTaken)
    return taken.map { ($0.namespace, $0.id) }
  }
}

/// Acknowledgements that the client waits for: perhaps many, all with as much time, so that the
/// first to come is the first to go.
struct AnswerTable: Sendable {
  private struct Key: Hashable, Sendable {
    var stay: UInt64
    var id: SocketAckID
  }

  private var open: [Key: UInt64] = [:]
  private var order: [(key: Key, deadline: UInt64)] = []
  /// Where `order` begins; what is before was dropped.
  private var first = 0

  var count: Int { open.count }

  /// May name a moment at which nothing is left to do.
  var deadline: UInt64? { first < order.count ? order[first].deadline : nil }

  /// False where that id is open already.
  mutating func add(_ id: SocketAckID, stay: UInt64, deadline: UInt64) -> Bool {
    let key = Key(stay: stay, id: id)
    guard open[key] == nil else { return false }
    open[key] = deadline
    order.append((key, deadline))
    return true
  }

  /// Whether that one was open, which it then isn't any more.
  mutating func take(_ id: SocketAckID, stay: UInt64) -> Bool {
    guard open.removeValue(forKey: Key(stay: stay, id: id)) != nil else { return false }
    // What was answered may not outnumber what is open for long.
    if order.count > 64, order.count > 2 * open.count { rebuild() }
    return true
  }

  mutating func dropDue(now: UInt64) {
    while first < order.count, order[first].deadline <= now {
      let (key, deadline) = order[first]
      if open[key] == deadline { open[key] = nil }
      first += 1
    }
    if first == order.count { reset() }
  }

  mutating func dropAll(stay: UInt64) {
    guard !open.isEmpty else { return }
    open = open.filter { $0.key.stay != stay }
    rebuild()
  }

  private mutating func rebuild() {
    order = order[first...].filter { open[$0.key] == $0.deadline }
    first = 0
  }

  private mutating func reset() {
    order.removeAll(keepingCapacity: order.count <= 64)
    first = 0
  }
}
