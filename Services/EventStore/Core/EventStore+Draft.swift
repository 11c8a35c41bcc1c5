internal import Archive
internal import Bytes
internal import SQLite
internal import Wire

extension EventStore {
  /// What one transaction writes, thrown away if it fails.
  struct Draft {
    /// The events that one stream gets.
    struct Run {
      let slot: StreamTable.Slot
      /// INVARIANT: at least one, and none of them empty once the run is written.
      var blocks: [EventBlock]
      /// The chain behind the last event.
      var chain: StreamChain
      /// Of the first event; set when the run is written.
      var position: Int64 = 0
      var first: Offset { blocks.first?.first ?? .zero }
    }

    var state: StoreState
    /// The store's own time.
    let time: Int64
    var runs: [Run] = []
    /// Where a stream's run is in `runs`.
    private var places: [StreamTable.Slot: Int] = [:]
    /// Outcomes whose receipts get a position, with their runs.
    private var receipts: [(outcome: Int, run: Int)] = []
    /// Blocks of the tail that are in segments.
    var segmentCount = 0
    /// Streams whose floor was raised, or that were deleted: something of them may be removed.
    var trimmed: [Int64] = []
    /// Streams that have a segment more.
    var grown: [Int64] = []
    /// What has waited since before this moment of the store's own time becomes segments, however little
    /// waits; nil for what is too much alone.
    var sealBefore: Int64?
    /// What is left to look through once it is committed; nil for what there is.
    var reclaimQueue: ReclaimQueue?
    /// A stream lost its name or its row.
    var forgetsStreams = false
    /// Whether there is something to commit.
    var hasChanges = false

    init(state: StoreState, time: Int64) {
      self.state = state
      self.time = time
    }

    /// The run of a stream that stands as `stream` says; made where there is none.
    mutating func run(of slot: StreamTable.Slot, _ stream: LiveStream) -> Int {
      if let found = places[slot] { return found }
      let block = EventBlock(stream: stream.row.id, first: stream.head.next, chain: stream.chain)
      runs.append(Run(slot: slot, blocks: [block], chain: stream.chain))
      places[slot] = runs.count - 1
      return runs.count - 1
    }

    /// The number of one stream more.
    mutating func nextStream() -> Int64 {
      state.lastStream += 1
      return state.lastStream
    }

    mutating func note(outcome: Int, run: Int) { receipts.append((outcome, run)) }

    /// Completes receipts once the runs have their positions.
    func tellPositions(_ outcomes: inout [AppendOutcome]) {
      for (index, run) in receipts {
        guard case .committed(var receipt) = outcomes[index] else { continue }
        let offset = receipt.first.value &- runs[run].first.value
        receipt.position = runs[run].position + Int64(clamping: offset)
        outcomes[index] = .committed(receipt)
      }
    }
  }

  /// Writes what was gathered into the log, the events of each stream at consecutive positions.
  func writeLog(_ draft: inout Draft) throws(SQLiteError) {
    for index in draft.runs.indices {
      draft.runs[index].position = draft.state.position + 1
      for block in draft.runs[index].blocks {
        let sum = try log.append(block, at: draft.state.position + 1)
        draft.state.chain = mixed(draft.state.chain, UInt64(sum))
        draft.state.position += Int64(block.count)
      }
    }
  }

  /// Puts the blocks that have waited longest into segments, where more waits than may. Only what was
  /// committed before: so a transaction that fails leaves the tail as it is.
  func makeSegments(_ draft: inout Draft) throws(SQLiteError) {
    let added = draft.runs.reduce(0) { $0 + $1.blocks.reduce(0) { $0 + $1.events.bytes.count } }
    let budget = max(added * 2, StoreLimits.segmentBytesPerCommit)
    for due in tail.due(target: options.tailBytes, before: draft.sealBefore, budget: budget) {
      try segments.append(due.block, clock: due.clock)
      let row = try streams.settle(due).row
      if options.retention != nil { draft.grown.append(due.block.stream) }
      // What went by while it waited.
      if row.name == nil && !imports.holds(row.id) || row.floor >= due.block.first {
        draft.trimmed.append(due.block.stream)
      }
      draft.segmentCount += 1
    }
  }

  /// Removes rows of the log whose events are all in segments, some thousand at a time.
  func sweepLog(_ draft: inout Draft) throws(SQLiteError) {
    let oldest = tail.oldest(without: draft.segmentCount) ?? state.position + 1
    guard oldest - 1 - state.swept >= options.sweptEvents else { return }
    draft.state.swept = try log.sweep(after: state.swept, through: oldest - 1)
  }
}

extension CommittedTail {
  /// Adds what a commit wrote of one stream.
  func append(_ run: EventStore.Draft.Run, clock: Int64) {
    var position = run.position
    for (index, block) in run.blocks.enumerated() {
      let isLast = index + 1 == run.blocks.count
      append(
        block, at: position, isLast ? run.chain : run.blocks[index + 1].chain, clock: clock)
      position += Int64(block.count)
    }
  }
}
