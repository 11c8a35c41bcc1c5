internal import Bytes
internal import Crypto
internal import SQLite

/// The writing side of one store directory: durable, append-only streams in one SQLite database.
///
/// Owns the directory (no second process gets it), the only connection that writes or checkpoints,
/// and the head mark. One thread uses it at a time; every call may block on the disk. It knows no
/// sockets, no clock (moments are arguments) and no clients. After a failed write it is *poisoned*:
/// what is on disk is unknown, and only a new process that recovers can tell.
///
/// A commit, step by step: begin → check each request and insert its events → the `store` row
/// → COMMIT, which syncs the log → the head mark, synced → outcomes. Reading is `StoreReader`'s.
public final class EventStore {
  /// When the head mark is synced.
  public enum MarkSync: Sendable {
    /// Before an append is acknowledged: rot of the log is noticed whatever happens next.
    case beforeOutcome
    /// Written before, synced at most so many milliseconds later. The commit itself is synced either
    /// way: the difference is only whether damage to the log's last moments *and* a power failure
    /// in the same moments are noticed together.
    case within(Int64)
  }

  /// What opening does with a store that lost acknowledged commits.
  public enum LossPolicy: Sendable {
    /// Refuses to open it.
    case refuse
    /// Serves what is left, with a new epoch for every stream.
    case acceptWithNewEpochs
  }

  public struct Options: Sendable {
    public var loss = LossPolicy.refuse
    /// How long idempotency keys are kept, in milliseconds of the store's own time.
    public var keysKept: Int64 = 24 * 3_600_000
    /// BUDGET: one client at a time waits 143 us for a commit, and 265 us if the mark is synced
    /// too (64 at a time: 370 and 500 us); 10 ms is what the promise allows.
    public var markSync = MarkSync.within(5)
    /// Events that may wait for the index; 1 keeps the index current with every commit.
    public var indexLag = StoreLimits.indexLagMax
    /// Pages in the write-ahead log from which `maintain` checkpoints.
    public var checkpointPages = StoreLimits.walPagesDue
    public var writes = WriteBounds()
    var durability = StoreSchema.Durability.full

    public init() {}

    /// Options whose commits are synced at checkpoints only: a store that loses what it
    /// acknowledged. Exists so that a crash test can show that it finds the loss.
    public static var losesOnPowerFailure: Options {
      var options = Options()
      options.durability = .atCheckpoints
      return options
    }
  }

  public let directory: String
  let options: Options
  let tail = CommittedTail()
  let connection: Connection
  var streams: StreamTable
  var events: EventTable
  let keys: KeyTable
  let places: PlaceTable
  private let table: StateTable
  private let begin: Statement
  private let end: Statement
  private let undo: Statement
  private let lock: StoreLock
  private var mark: HeadMarkFile
  private let clock: StoreClock

  private(set) var state: StoreState
  private var isPoisoned = false
  /// When the mark that was written last has to be synced; nil once it is.
  private var markDue: Int64?
  /// When the hub's confirmation has to be stored, commit or no commit.
  var announceDue: Int64?
  /// The position the hub has confirmed, to be stored with the next commit.
  private var confirmed: Int64
  /// Events in `tail`.
  private var tailCount = 0
  var checkpointDue: Int
  var sweepDue: Int64 = 0
  /// Bytes of the smallest batch that was refused for want of space since one of that size fitted.
  var refusedBytes: Int?

  /// Opens the store in `directory`, which is made where there is none.
  ///
  /// - Cost: SQLite's recovery, and reading the last four thousand events or so.
  /// - Errors: any `StoreFailure` but `poisoned`; what was there before is still there.
  public init(directory: String, options: Options = Options(), now: StoreInstant)
    throws(StoreFailure)
  {
    let opened = try OpenedStore(directory: directory, options: options, now: now)
    self.directory = directory
    self.options = options
    connection = opened.connection
    streams = opened.streams
    table = opened.table
    state = opened.state
    confirmed = opened.state.announced
    clock = opened.clock
    checkpointDue = options.checkpointPages
    do throws(SQLiteError) {
      events = try EventTable(connection)
      keys = try KeyTable(connection)
      places = try PlaceTable(connection)
      begin = try connection.prepare("BEGIN IMMEDIATE")
      end = try connection.prepare("COMMIT")
      undo = try connection.prepare("ROLLBACK")
    } catch {
      throw StoreSchema.opening(error)
    }
    tail.append(opened.places)
    tailCount = opened.places.count
    mark = try HeadMarkFile(existing: directory)
    lock = opened.lock
    try writeMark(at: now)
  }

  /// Commits a batch as one transaction and says what became of each request, in their order.
  ///
  /// - Shape: requests are taken in order; those that write get consecutive positions.
  /// - Limits: the caller keeps a batch within `StoreLimits.commitEventsMax` and `commitBytesMax`.
  /// - Cost: one sync of the log and one of the head mark; none where nothing is written.
  /// - Errors: `mustExit` leaves every request of the batch unknown; end the process.
  public func commit(_ batch: [AppendRequest], at now: StoreInstant) throws(StoreFailure)
    -> [AppendOutcome]
  {
    var outcomes: [AppendOutcome] = []
    outcomes.reserveCapacity(batch.count)
    let done = try transact(at: now) { draft throws(SQLiteError) in
      for request in batch { outcomes.append(try stage(request, &draft)) }
    }
    let bytes = batch.reduce(0) { $0 + $1.byteCount }
    guard done != .outOfSpace else {
      refusedBytes = min(refusedBytes ?? bytes, bytes)
      return [AppendOutcome](repeating: .outOfSpace, count: batch.count)
    }
    if done == .committed, let refused = refusedBytes, bytes >= refused { refusedBytes = nil }
    return outcomes
  }

  /// What one transaction writes, thrown away if it fails.
  struct Draft {
    var state: StoreState
    var places: [Place] = []
    /// Streams whose floor was raised to their head.
    var raised: [StreamTable.Slot] = []
    /// The store's own time.
    let time: Int64
    /// Whether there is something to commit.
    var hasChanges = false
  }

  enum Transacted {
    case committed
    case unchanged
    case outOfSpace
  }

  /// Runs `body` in a transaction, with everything that belongs to every commit.
  func transact(
    at now: StoreInstant, _ body: (inout Draft) throws(SQLiteError) -> Void
  ) throws(StoreFailure) -> Transacted {
    guard !isPoisoned else { throw .poisoned }
    guard try hasRoomInLog() else { return .outOfSpace }
    var draft = Draft(state: state, time: clock.time(at: now))
    do throws(SQLiteError) {
      try begin.run()
      try body(&draft)
      if confirmed != state.announced { draft.hasChanges = true }
      guard draft.hasChanges else {
        try undo.run()
        return .unchanged
      }
      try finish(&draft, wall: now.wall)
      try end.run()
    } catch {
      return try recover(from: error)
    }
    publish(draft)
    try writeMark(at: now)
    return .committed
  }

  /// The last writes of a transaction: the index when it is due, and the `store` row.
  private func finish(_ draft: inout Draft, wall: Int64) throws(SQLiteError) {
    draft.state.commit += 1
    draft.state.chain = mixed(draft.state.chain, draft.state.commit)
    draft.state.announced = confirmed
    draft.state.clock = draft.time
    draft.state.wall = wall
    // A row with a floor has its head beside it, which it has once all is indexed.
    if tailCount + draft.places.count >= options.indexLag || !draft.raised.isEmpty {
      try index(tail.sorted() + draft.places)
      for slot in draft.raised { try streams.write(streams[slot]) }
      draft.state.indexed = draft.state.position
    }
    try table.insert(draft.state)
  }

  /// Puts places into the index and brings the heads of their streams up to date.
  private func index(_ waiting: [Place]) throws(SQLiteError) {
    let sorted = waiting.sorted { ($0.stream, $0.offset) < ($1.stream, $1.offset) }
    try places.insert(sorted)
    var previous: Int64?
    for place in sorted where place.stream != previous {
      previous = place.stream
      guard let slot = try streams.find(id: place.stream) else { continue }
      try streams.write(streams[slot])
    }
  }

  /// Takes over what was committed.
  private func publish(_ draft: Draft) {
    state = draft.state
    if confirmed == state.announced { announceDue = nil }
    guard state.indexed == state.position else {
      tail.append(draft.places)
      tailCount += draft.places.count
      return
    }
    tail.clear()
    tailCount = 0
    if streams.count > StoreLimits.cachedStreamsMax { streams.forget() }
  }

  /// Decides what a failed transaction means.
  ///
  /// SQLITE_FULL is the one error after which the store goes on: it comes from a write that did not
  /// happen, before the frame that would make the transaction valid was whole, and so before any
  /// sync. That is checked: the transaction must be gone and the `store` row the one we know.
  /// Everything else, a failed sync above all, leaves unknown what is on disk.
  private func recover(from error: SQLiteError) throws(StoreFailure) -> Transacted {
    guard error.isFull else { throw poison(.stop(error)) }
    do throws(SQLiteError) {
      if !connection.isIdle { try undo.run() }
      guard connection.isIdle, try table.read() == state else { throw error }
      try reloadHeads()
    } catch {
      throw poison(.stop(error))
    }
    return .outOfSpace
  }

  /// Forgets heads that a failed transaction had moved.
  private func reloadHeads() throws(SQLiteError) {
    streams.forget()
    for place in tail.sorted() {
      guard let slot = try streams.find(id: place.stream) else { continue }
      streams[slot].head = place.offset
    }
  }

  /// Writes the head mark of the last commit, and syncs it if that is due. The two syncs of a commit
  /// can't run at the same time: a mark that is on disk before its commit would be a false alarm.
  private func writeMark(at now: StoreInstant) throws(StoreFailure) {
    do throws(StoreFailure) {
      try mark.write(state.mark)
    } catch {
      throw poison(.mustExit("head mark: \(error)"))
    }
    if markDue == nil {
      switch options.markSync {
      case .beforeOutcome: markDue = now.monotonic
      case .within(let milliseconds): markDue = now.monotonic &+ milliseconds
      }
    }
    try syncMark(at: now)
  }

  /// Syncs the head mark if it was written and its time has come.
  func syncMark(at now: StoreInstant) throws(StoreFailure) {
    if let due = markDue, now.monotonic >= due { try syncMark() }
  }

  func syncMark() throws(StoreFailure) {
    do throws(StoreFailure) {
      try mark.sync()
    } catch {
      throw poison(.mustExit("head mark: \(error)"))
    }
    markDue = nil
  }

  /// The monotonic millisecond by which `maintain` must be called again.
  public var maintenanceDue: Int64 {
    min(markDue ?? .max, announceDue ?? .max, sweepDue)
  }

  /// Refuses every later call, and gives `failure` back.
  func poison(_ failure: StoreFailure) -> StoreFailure {
    isPoisoned = true
    return failure
  }

  /// Notes that the hub has all events up to `position`; stored with the next commit, or by
  /// `maintain` when there has been none for a quarter of a second.
  public func confirmAnnounced(through position: Int64, at now: StoreInstant) {
    confirmed = max(confirmed, min(position, state.position))
    if confirmed != state.announced, announceDue == nil { announceDue = now.monotonic &+ 250 }
  }

  /// Where readers of this store find it.
  var source: StoreReader.Source {
    StoreReader.Source(
      directory: directory, store: state.store, tail: tail, announced: state.announced)
  }

  /// The position of the last event, 0 for an empty store.
  public var position: Int64 { state.position }

  /// The position up to which the hub has confirmed events, as it is on disk.
  public var announced: Int64 { state.announced }

  /// Commits so far.
  public var commits: UInt64 { state.commit }
}

@available(*, unavailable)
extension EventStore: Sendable {}
