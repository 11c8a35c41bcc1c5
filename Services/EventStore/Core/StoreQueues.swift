internal import Bytes
internal import Synchronization

/// What waits for the writer: appends and orders one after the other, probes, and the hub's last confirmation.
final class WriteQueue: Sendable {
  struct Entry {
    let tag: StoreThread.Tag
    let request: AppendRequest
    let bytes: Int
  }

  /// Something else that is to be done to a stream, in a commit of its own.
  struct Ordered {
    let tag: StoreThread.Tag
    let order: StoreThread.Order
    /// Appends that wait and come first.
    var place: Int
  }

  /// What the writer does in one turn: appends, then orders.
  struct Work {
    var appends: [Entry] = []
    var orders: [Ordered] = []
    var probes: [StoreThread.Tag] = []
    var confirmed: Int64?
    var isLast = false
  }

  private struct State {
    var appends: [Entry] = []
    /// INVARIANT: in order of their places.
    var orders: [Ordered] = []
    var events = 0
    var bytes = 0
    var probes: [StoreThread.Tag] = []
    var confirmed: Int64?
    var isStopped = false
    var bounds: WriteBounds
  }

  private let state: Mutex<State>
  private let point: WaitPoint

  var waitingBytes: Int { state.withLock { $0.bytes } }

  init(_ bounds: WriteBounds = WriteBounds()) throws(StoreFailure) {
    state = Mutex(State(bounds: bounds))
    point = try WaitPoint()
  }

  /// Goes on with other bounds; what was accepted stays so.
  func adopt(_ bounds: WriteBounds) { state.withLock { $0.bounds = bounds } }

  func add(_ request: AppendRequest, _ tag: StoreThread.Tag) -> StoreThread.Submission {
    let bytes = request.byteCount
    let result = state.withLock { state -> StoreThread.Submission in
      if state.isStopped { return .stopped }
      guard state.events + request.events.count <= StoreLimits.queueEventsMax,
        state.bytes + bytes <= state.bounds.queueBytes
      else { return .overloaded }
      state.appends.append(Entry(tag: tag, request: request, bytes: bytes))
      state.events += request.events.count
      state.bytes += bytes
      return .accepted
    }
    if result == .accepted { point.wake() }
    return result
  }

  func add(_ order: StoreThread.Order, _ tag: StoreThread.Tag) -> StoreThread.Submission {
    let result = state.withLock { state -> StoreThread.Submission in
      if state.isStopped { return .stopped }
      guard state.orders.count < StoreLimits.queueOrdersMax else { return .overloaded }
      state.orders.append(Ordered(tag: tag, order: order, place: state.appends.count))
      return .accepted
    }
    if result == .accepted { point.wake() }
    return result
  }

  func add(probe tag: StoreThread.Tag) -> StoreThread.Submission {
    let result = state.withLock { state -> StoreThread.Submission in
      if state.isStopped { return .stopped }
      guard state.probes.count < StoreLimits.queueReadsMax else { return .overloaded }
      state.probes.append(tag)
      return .accepted
    }
    if result == .accepted { point.wake() }
    return result
  }

  /// Wakes nobody: the writer looks with its next work, or a quarter of a second after the last.
  func confirm(_ position: Int64) {
    state.withLock { $0.confirmed = max($0.confirmed ?? 0, position) }
  }

  /// Accepts nothing more; what was accepted is still taken.
  func stop() {
    state.withLock { $0.isStopped = true }
    point.wake()
  }

  /// Drops what waits: the store can't go on, and all of it is unknown.
  func abandon() {
    state.withLock { state in
      state = State(bounds: state.bounds)
      state.isStopped = true
    }
  }

  /// The next turn's work: at most one commit of appends. Waits until there is some, or for so many
  /// milliseconds; then the work is empty.
  func take(waiting milliseconds: Int64) -> Work {
    if let work = takeNow() { return work }
    point.wait(milliseconds: milliseconds)
    return takeNow() ?? Work()
  }

  private func takeNow() -> Work? {
    state.withLock { state in
      guard
        !state.appends.isEmpty || !state.orders.isEmpty || !state.probes.isEmpty
          || state.confirmed != nil || state.isStopped
      else { return nil }
      var work = Work()
      swap(&work.probes, &state.probes)
      work.confirmed = state.confirmed.take()
      takeAppends(&state, &work)
      takeOrders(&state, &work)
      work.isLast = state.isStopped && state.appends.isEmpty && state.orders.isEmpty
      return work
    }
  }

  /// Takes those that no append comes before any more.
  private func takeOrders(_ state: inout State, _ work: inout Work) {
    guard !state.orders.isEmpty else { return }
    for index in state.orders.indices { state.orders[index].place -= work.appends.count }
    work.orders = Array(state.orders.prefix { $0.place <= 0 })
    state.orders.removeFirst(work.orders.count)
  }

  /// Takes appends up to the bounds of a commit and the next order; at least one, if none is next.
  private func takeAppends(_ state: inout State, _ work: inout Work) {
    var events = 0
    var bytes = 0
    var count = 0
    let most = state.orders.first?.place ?? .max
    for entry in state.appends {
      guard count < most else { break }
      events += entry.request.events.count
      bytes += entry.bytes
      if count > 0, events > state.bounds.commitEvents || bytes > state.bounds.commitBytes {
        events -= entry.request.events.count
        bytes -= entry.bytes
        break
      }
      count += 1
    }
    state.events -= events
    state.bytes -= bytes
    if count == state.appends.count {
      swap(&work.appends, &state.appends)
    } else {
      work.appends = Array(state.appends[..<count])
      state.appends.removeFirst(count)
    }
  }
}

/// What waits for the reader, in order.
final class ReadQueue: Sendable {
  struct Entry {
    let tag: StoreThread.Tag
    let query: StoreThread.Query
  }

  private struct State {
    var entries: [Entry] = []
    var isStopped = false
  }

  private let state = Mutex(State())
  private let point: WaitPoint

  init() throws(StoreFailure) { point = try WaitPoint() }

  func add(_ query: StoreThread.Query, _ tag: StoreThread.Tag) -> StoreThread.Submission {
    let result = state.withLock { state -> StoreThread.Submission in
      if state.isStopped { return .stopped }
      guard state.entries.count < StoreLimits.queueReadsMax else { return .overloaded }
      state.entries.append(Entry(tag: tag, query: query))
      return .accepted
    }
    if result == .accepted { point.wake() }
    return result
  }

  func stop() {
    state.withLock { $0.isStopped = true }
    point.wake()
  }

  /// All that waits, waiting until there is something; nil once stopped and empty.
  func take() -> [Entry]? {
    while true {
      let (entries, isStopped) = state.withLock { state in
        var entries: [Entry] = []
        swap(&entries, &state.entries)
        return (entries, state.isStopped)
      }
      if !entries.isEmpty { return entries }
      if isStopped { return nil }
      point.wait(milliseconds: nil)
    }
  }
}

/// How the thread that opens a store tells the one that waits for it.
final class Opening: Sendable {
  private let result = Mutex<Result<StoreReader.Source, StoreFailure>?>(nil)
  private let point: WaitPoint

  init() throws(StoreFailure) { point = try WaitPoint() }

  func finish(_ outcome: Result<StoreReader.Source, StoreFailure>) {
    result.withLock { $0 = outcome }
    point.wake()
  }

  func wait() throws(StoreFailure) -> StoreReader.Source {
    while true {
      if let outcome = result.withLock({ $0 }) { return try outcome.get() }
      point.wait(milliseconds: nil)
    }
  }
}
