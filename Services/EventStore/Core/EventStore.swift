internal import Archive
public import Bytes
internal import Crypto
internal import SQLite

/// The writing side of one store directory: durable, append-only streams in one SQLite database.
///
/// Owns the directory (no second process gets it), the only connection that writes or checkpoints,
/// and the head mark. One thread uses it at a time; every call may block on the disk. It knows no
/// sockets, no clock (moments are arguments) and no clients. After a failed write it is *poisoned*:
/// what is on disk is unknown, and only a new process that recovers can tell.
///
/// A commit, step by step: begin → check each request and gather its events by stream → a row of the
/// log for each → what has waited longest into segments → the `store` row → COMMIT, which syncs the
/// write-ahead log → the head mark, synced → outcomes. Reading is `StoreReader`'s.
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
    /// Bytes of events that may wait for their segments; 0 puts those of the commits before into
    /// segments with each commit.
    public var tailBytes = StoreLimits.tailBytesMax
    /// Events in the log that are all in segments, before their rows are removed.
    public var sweptEvents = StoreLimits.sweptEventsDue
    /// Pages in the write-ahead log from which `maintain` checkpoints.
    public var checkpointPages = StoreLimits.walPagesDue
    public var writes = WriteBounds()
    /// How much of a stream is kept; nil, and a stream without a rule: all of it.
    public var retention: (@Sendable (ChannelName) -> Retention?)?
    /// The least age that any rule names, in milliseconds; nil where none does.
    public var shortestAge: Int64?
    /// Is told what a migration does (`StoreMigration`), on the thread that opens the store.
    public var migrating: @Sendable (MigrationNews) -> Void = { _ in }
    var durability = StoreSchema.Durability.full
    package var disk: any StoreDisk = SystemDisk()
    package var entropy = StoreEntropy { SystemRandom.uint64() }
    /// Bytes of events that a migration commits together.
    var migrationBytes = StoreLimits.migrationBytesPerCommit
    var migrationProbe = StoreMigration.Probe()

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
  let tail: CommittedTail
  let connection: Connection
  var streams: StreamTable
  let log: LogTable
  let segments: SegmentTable
  let keys: KeyTable
  let producers: ProducerTable
  let successors: SuccessorTable
  let reclaims: ReclaimTable
  let retentions: RetentionTable
  let snapshots: SnapshotWriter
  var chains = StreamChain.Maker()
  private let table: StateTable
  private let begin: Statement
  private let end: Statement
  private let undo: Statement
  private let lock: StoreLock
  let pageBytes: Int
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
  var checkpointDue: Int
  var sweepDue: Int64 = 0
  var reclaimQueue = ReclaimQueue()
  var reclaimDue: Int64 = 0
  var retentionTurns = RetentionTurns()
  var retentionDue: Int64 = 0
  var imports = StagedImports()
  /// Bytes of the smallest batch that was refused for want of space since one of that size fitted.
  var refusedBytes: Int?

  /// Opens the store in `directory`, which is made where there is none.
  ///
  /// - Cost: SQLite's recovery, and reading the last eight megabytes of events or so; of a store of an
  ///   older format everything is read and written anew.
  /// - Errors: any `StoreFailure` but `poisoned`; what was there before is still there.
  public init(directory: String, options: Options = Options(), now: StoreInstant)
    throws(StoreFailure)
  {
    let opened = try OpenedStore(directory: directory, options: options, now: now)
    self.directory = directory
    self.options = options
    connection = opened.connection
    streams = opened.streams
    tail = opened.tail
    table = opened.table
    state = opened.state
    confirmed = opened.state.announced
    clock = opened.clock
    checkpointDue = options.checkpointPages
    do throws(SQLiteError) {
      pageBytes = Int(clamping: try connection.integer("PRAGMA page_size") ?? 0)
      log = try LogTable(connection)
      segments = try SegmentTable(connection)
      keys = try KeyTable(connection)
      producers = try ProducerTable(connection)
      successors = try SuccessorTable(connection)
      reclaims = try ReclaimTable(connection)
      retentions = try RetentionTable(connection)
      snapshots = try SnapshotWriter(connection)
      for stream in try reclaims.candidates() { reclaimQueue.add(stream) }
      begin = try connection.prepare("BEGIN IMMEDIATE")
      end = try connection.prepare("COMMIT")
      undo = try connection.prepare("ROLLBACK")
    } catch {
      throw StoreSchema.opening(error)
    }
    mark = try HeadMarkFile(existing: directory, on: options.disk)
    lock = opened.lock
    // SQLite made the log anew if there was none, and does not tell when the sync of its name fails.
    try options.disk.syncDirectory(directory)
    try recheckLog()
    expectAnnouncements(at: now)
    try writeMark(at: now)
  }

  /// Commits a batch as one transaction and says what became of each request, in their order.
  ///
  /// - Shape: requests are taken in order; the events of one stream get consecutive positions, the
  ///   streams in the order of their first requests.
  /// - Limits: the caller keeps a batch within `StoreLimits.commitEventsMax` and `commitBytesMax`.
  /// - Cost: one sync of the log and one of the head mark; none where nothing is written.
  /// - Errors: `mustExit` leaves every request of the batch unknown; end the process.
  public func commit(_ batch: [AppendRequest], at now: StoreInstant) throws(StoreFailure)
    -> [AppendOutcome]
  {
    var outcomes: [AppendOutcome] = []
    outcomes.reserveCapacity(batch.count)
    let done = try transact(at: now) { draft throws(SQLiteError) in
      for request in batch { outcomes.append(try stage(request, at: outcomes.count, &draft)) }
      try writeLog(&draft)
      draft.tellPositions(&outcomes)
    }
    let bytes = batch.reduce(0) { $0 + $1.byteCount }
    guard done != .outOfSpace else {
      refusedBytes = min(refusedBytes ?? bytes, bytes)
      return [AppendOutcome](repeating: .outOfSpace, count: batch.count)
    }
    if done == .committed, let refused = refusedBytes, bytes >= refused { refusedBytes = nil }
    return outcomes
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
    expectAnnouncements(at: now)
    try writeMark(at: now)
    return .committed
  }

  /// The last writes of a transaction: what has waited longest into segments, and the `store` row.
  private func finish(_ draft: inout Draft, wall: Int64) throws(SQLiteError) {
    draft.state.commit += 1
    draft.state.chain = mixed(draft.state.chain, draft.state.commit)
    draft.state.announced = confirmed
    draft.state.clock = draft.time
    draft.state.wall = wall
    try makeSegments(&draft)
    try sweepLog(&draft)
    try table.insert(draft.state)
  }

  /// Takes over what was committed.
  private func publish(_ draft: Draft) {
    if let queue = draft.reclaimQueue { reclaimQueue = queue }
    if state.swept != draft.state.swept { reclaimQueue.logWasSwept() }
    state = draft.state
    tail.drop(draft.segmentCount)
    for run in draft.runs { tail.append(run, clock: draft.time) }
    for stream in draft.grown { retentionTurns.add(stream) }
    for stream in draft.trimmed { reclaimQueue.add(stream) }
    if draft.forgetsStreams || streams.count > StoreLimits.cachedStreamsMax { streams.forget() }
  }

  /// Decides what a failed transaction means.
  ///
  /// SQLITE_FULL is the one error after which the store goes on: it comes from a write that did not
  /// happen, before the frame that would make the transaction valid was whole, and so before any
  /// sync. That is checked: the transaction must be gone and the `store` row the one we know; and what
  /// was written of it is wiped (`AbandonedFrames`).
  /// Everything else, a failed sync above all, leaves unknown what is on disk.
  private func recover(from error: SQLiteError) throws(StoreFailure) -> Transacted {
    guard error.isFull else { throw poison(.stop(error)) }
    streams.forget()
    do throws(SQLiteError) {
      if !connection.isIdle { try undo.run() }
      guard connection.isIdle, try table.read() == state else { throw error }
    } catch {
      throw poison(.stop(error))
    }
    do throws(StoreFailure) {
      try AbandonedFrames.wipe(
        log: StoreSchema.path(in: directory) + "-wal", pageBytes: pageBytes,
        frames: connection.walFrames, on: options.disk)
    } catch {
      throw poison(.mustExit("what was refused may be in the log: \(error)"))
    }
    return .outOfSpace
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
    min(markDue ?? .max, announceDue ?? .max, sweepDue, retentionDue, imports.due,
      reclaimQueue.isEmpty ? .max : reclaimDue)
  }

  /// Refuses every later call, and gives `failure` back.
  func poison(_ failure: StoreFailure) -> StoreFailure {
    isPoisoned = true
    return failure
  }

  /// Has `maintain` look a quarter of a second after the last commit whether the hub has confirmed more.
  func expectAnnouncements(at now: StoreInstant) {
    announceDue = state.announced < state.position ? now.monotonic &+ Self.announcePauseMs : nil
  }

  private static let announcePauseMs: Int64 = 250

  /// Notes that the hub has all events up to `position`; stored with the next commit, or by
  /// `maintain` when there has been none for a quarter of a second.
  public func confirmAnnounced(through position: Int64, at now: StoreInstant) {
    confirmed = max(confirmed, min(position, state.position))
    if confirmed != state.announced, announceDue == nil {
      announceDue = now.monotonic &+ Self.announcePauseMs
    }
  }

  /// Where readers of this store find it.
  var source: StoreReader.Source {
    StoreReader.Source(
      directory: directory, sqliteName: options.disk.sqliteName, store: state.store, tail: tail,
      announced: state.announced)
  }

  /// The store's own time, by which keys age.
  package func time(at now: StoreInstant) -> Int64 { clock.time(at: now) }

  /// The position of the last event, 0 for an empty store.
  public var position: Int64 { state.position }

  /// The position up to which the hub has confirmed events, as it is on disk.
  public var announced: Int64 { state.announced }

  /// Commits so far.
  public var commits: UInt64 { state.commit }
}

@available(*, unavailable)
extension EventStore: Sendable {}
