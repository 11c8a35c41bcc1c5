internal import Archive
internal import Bytes
internal import Synchronization
internal import Wire

/// The events that are committed and stand in no segment yet.
///
/// The writer's, read by readers: any thread may call, each call holds the lock for one look-up or one
/// commit. A reader takes its streams' runs *before* its database snapshot: what is missing from a run
/// was put into a segment earlier and is in the snapshot.
///
/// A stream's events gather in blocks of up to `EventBlock.bytesMax`, which become its segments: the
/// longer they wait here, the fewer and larger those are.
final class CommittedTail: Sendable {
  /// One stream's blocks, each following the one before it.
  struct Run: Equatable {
    /// INVARIANT: none is empty, and there is at least one.
    var blocks: [EventBlock]
    /// The chain behind the last event.
    var chain: StreamChain
    var first: Offset { blocks.first?.first ?? .zero }
    var last: Offset { blocks.last?.last ?? .zero }

    /// The block that holds `offset`; nil for one that is not in the run.
    func block(of offset: Offset) -> EventBlock? {
      var low = blocks.startIndex
      var high = blocks.endIndex
      while low < high {
        let middle = (low + high) / 2
        if blocks[middle].last < offset { low = middle + 1 } else { high = middle }
      }
      return low < blocks.endIndex && blocks[low].contains(offset) ? blocks[low] : nil
    }
  }

  /// A block that is to become a segment.
  struct Due: Equatable {
    var block: EventBlock
    /// The chain behind its last event.
    var chain: StreamChain
    /// When its first event was committed, in the store's own time.
    var clock: Int64
  }

  private struct State {
    var runs: [Int64: Run] = [:]
    var bytes = 0
    /// Blocks in the order they were begun, from `begun` on: the position of the first event, and the
    /// stream, and when that was.
    var queue: [(position: Int64, stream: Int64, clock: Int64)] = []
    var begun = 0
  }

  private let state = Mutex(State())

  /// Bytes of the events in it.
  var bytes: Int { state.withLock { $0.bytes } }

  /// Adds a commit's block, whose first event has `position`; `chain` is that behind its last.
  /// - Parameter clock: the store's own time of the commit.
  func append(_ block: EventBlock, at position: Int64, _ chain: StreamChain, clock: Int64) {
    state.withLock { state in
      state.bytes += block.events.bytes.count
      let isJoined = Self.join(block, to: &state.runs[block.stream], chain)
      if !isJoined { state.queue.append((position, block.stream, clock)) }
    }
  }

  /// Adds a block to a run; false where it stands there as a block of its own.
  private static func join(_ block: EventBlock, to run: inout Run?, _ chain: StreamChain) -> Bool {
    guard var found = run.take() else {
      run = Run(blocks: [block], chain: chain)
      return false
    }
    found.chain = chain
    defer { run = found }
    let end = found.blocks.count - 1
    if found.blocks[end].isFull(for: block.events.bytes.count) {
      found.blocks.append(block)
      return false
    }
    found.blocks[end].events.append(block.events)
    return true
  }

  func run(of stream: Int64) -> Run? { state.withLock { $0.runs[stream] } }

  /// The oldest blocks, until no more than `target` bytes would be left and none from before `moment`, or
  /// `budget` bytes are given; at least one where there is something.
  func due(target: Int, before moment: Int64? = nil, budget: Int) -> [Due] {
    state.withLock { state in
      var due: [Due] = []
      var left = state.bytes
      var given = 0
      var taken: [Int64: Int] = [:]
      var next = state.begun
      while next < state.queue.count, due.isEmpty || given < budget {
        let (_, stream, clock) = state.queue[next]
        guard left > target || moment.map({ clock < $0 }) ?? false else { break }
        next += 1
        let index = taken[stream, default: 0]
        guard let run = state.runs[stream], index < run.blocks.count else { continue }
        taken[stream] = index + 1
        let block = run.blocks[index]
        let behind = index + 1 < run.blocks.count ? run.blocks[index + 1].chain : run.chain
        due.append(Due(block: block, chain: behind, clock: clock))
        left -= block.events.bytes.count
        given += block.events.bytes.count
      }
      return due
    }
  }

  /// Whether something has waited since before `moment`, in the store's own time.
  func hasWaited(since moment: Int64) -> Bool {
    state.withLock { state in
      state.begun < state.queue.count && state.queue[state.begun].clock < moment
    }
  }

  /// The position of the oldest event once `count` blocks are gone; nil where none is left.
  func oldest(without count: Int) -> Int64? {
    state.withLock { state in
      let index = state.begun + count
      return index < state.queue.count ? state.queue[index].position : nil
    }
  }

  /// Lets the oldest `count` blocks go: they are in segments.
  func drop(_ count: Int) {
    guard count > 0 else { return }
    state.withLock { state in
      var gone: [Int64: Int] = [:]
      for entry in state.queue[state.begun..<(state.begun + count)] {
        gone[entry.stream, default: 0] += 1
      }
      state.begun += count
      for (stream, count) in gone {
        guard var run = state.runs.removeValue(forKey: stream) else { continue }
        state.bytes -= run.blocks[..<count].reduce(0) { $0 + $1.events.bytes.count }
        run.blocks.removeFirst(count)
        if !run.blocks.isEmpty { state.runs[stream] = run }
      }
      if state.begun > 1_024, state.begun * 2 > state.queue.count {
        state.queue.removeFirst(state.begun)
        state.begun = 0
      }
    }
  }
}
