/// Who reads a page next: one page at a time for each client, the clients in turn, and only so many
/// at once. Pure.
///
///     ready ──(its turn)──▶ reading ──(page came)──▶ ready
///        └──(no room)──▶ held ──(room came)──▶ ready
///
/// A client is here as long as something of it waits or is being read.
struct ReadingOrder<Client: Hashable, Reader> {
  private enum State { case ready, reading, held }

  private struct Line {
    var state = State.ready
    var waiting: [Reader] = []
  }

  private let most: Int
  private var underWay = 0
  private var lines: [Client: Line] = [:]
  /// Clients whose turn will come; those that have gone meanwhile are passed over.
  private var ready: [Client] = []
  private var first = 0

  init(most: Int) { self.most = most }

  var isEmpty: Bool { lines.isEmpty }

  /// Puts `reader` behind what else its client waits for, but for the less urgent.
  mutating func add(
    _ reader: Reader, of client: Client, beforeThose isLessUrgent: (Reader) -> Bool = { _ in false }
  ) {
    if lines[client] == nil {
      lines[client] = Line()
      ready.append(client)
    }
    let place = lines[client]?.waiting.firstIndex(where: isLessUrgent)
    if let place { lines[client]?.waiting.insert(reader, at: place) } else {
      lines[client]?.waiting.append(reader)
    }
  }

  enum Verdict { case read, wait, forget }

  /// The next one to read a page; `finished` is owed for it. Nil if nobody may begin now.
  mutating func next(_ judge: (Reader) -> Verdict) -> Reader? {
    while underWay < most, let client = popReady() {
      while let reader = lines[client]?.waiting.first {
        switch judge(reader) {
        case .forget:
          lines[client]?.waiting.removeFirst()
          continue
        case .wait: lines[client]?.state = .held
        case .read:
          lines[client]?.waiting.removeFirst()
          lines[client]?.state = .reading
          underWay += 1
          return reader
        }
        break
      }
      if lines[client]?.waiting.isEmpty == true { lines[client] = nil }
    }
    return nil
  }

  /// The page of this client's reader has come, or never will.
  mutating func finished(_ client: Client) {
    underWay -= 1
    guard let line = lines[client] else { return }
    if line.waiting.isEmpty { lines[client] = nil } else { makeReady(client) }
  }

  /// The client has taken what it was sent.
  mutating func roomCame(_ client: Client) {
    if lines[client]?.state == .held { makeReady(client) }
  }

  /// The client is gone; what it reads at the moment is still to be finished.
  mutating func forget(_ client: Client) {
    guard let line = lines[client] else { return }
    if line.state == .reading { lines[client]?.waiting = [] } else { lines[client] = nil }
  }

  private mutating func makeReady(_ client: Client) {
    lines[client]?.state = .ready
    ready.append(client)
  }

  private mutating func popReady() -> Client? {
    while first < ready.count {
      let client = ready[first]
      first += 1
      if first == ready.count || first >= 64 && first * 2 >= ready.count {
        ready.removeFirst(first)
        first = 0
      }
      if lines[client]?.state == .ready { return client }
    }
    return nil
  }
}
