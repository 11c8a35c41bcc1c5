internal import Archive
public import Bytes
internal import SQLite
public import Wire

/// What is done to bring a stream in from elsewhere.
public enum ImportOrder: Sendable, Equatable {
  /// - Parameter chain: that before the first event, 32 bytes.
  /// - Parameter time: milliseconds since 1970.
  case begin(ChannelName, first: Offset, chain: [UInt8], time: Int64)
  case events(id: UInt64, [StoredEvent])
  case finish(id: UInt64, last: Offset, chain: [UInt8])
}

/// What became of a step of an import.
public enum ImportOutcome: Sendable, Equatable {
  /// - Parameter position: up to where the store's commits go now; what was staged is not announced.
  case ready(id: UInt64, next: Offset, position: Int64)
  case finished(StreamHead)
  case refused(ImportRefusal)
  case outOfSpace
}

/// Why a step of an import was refused.
public enum ImportRefusal: String, Sendable, Equatable {
  case nameTaken = "there is a stream of this name"
  case unknown = "there is no such import any more: begin again"
  case tooMany = "as many imports are open as may be"
  case beginning = "an import begins with an offset of 1 to 2^62 and a chain of 32 bytes"
  case order = "these are not the events that come next"
  case limits = "an event is outside the limits of appends"
  case chain = "what came is not what was said: another last offset, or another chain"
}

/// Imports that are open: streams without a name, as deleted ones are. Whatever ends the process leaves
/// nothing to undo: streams without a name are removed (`reclaim`).
struct StagedImports {
  struct Staged {
    let stream: Int64
    let name: ChannelName
    /// The monotonic millisecond at which it is given up.
    var due: Int64
  }

  /// BUDGET: imports that are open at once, and how long one is kept without a word.
  static let countMax = 16
  static let idleMs: Int64 = 60_000
  /// Offsets behind it are far from what a row can hold.
  static let firstMax = Offset(1 << 62)

  private var imports: [UInt64: Staged] = [:]

  var isFull: Bool { imports.count >= Self.countMax }
  var due: Int64 { imports.values.map(\.due).min() ?? .max }
  subscript(id: UInt64) -> Staged? { imports[id] }
  func holds(_ stream: Int64) -> Bool { imports.values.contains { $0.stream == stream } }

  mutating func begin(_ id: UInt64, _ stream: Int64, _ name: ChannelName, at now: Int64) {
    imports[id] = Staged(stream: stream, name: name, due: now &+ Self.idleMs)
  }
  mutating func heard(_ id: UInt64, at now: Int64) { imports[id]?.due = now &+ Self.idleMs }
  mutating func end(_ id: UInt64) { imports[id] = nil }

  /// The streams of those that are given up now.
  mutating func takeAbandoned(at now: Int64) -> [Int64] {
    let gone = imports.filter { $0.value.due <= now }
    for id in gone.keys { imports[id] = nil }
    return gone.values.map(\.stream).sorted()
  }
}

extension EventStore {
  /// Carries out a step of an import, in a commit of its own.
  ///
  /// - Shape: events come in the order of their offsets, with their own times and publishers. Nobody is
  ///   given them, and the hub is not told, before the last step has given the stream its name; that one
  ///   wants the chain that was said, and drops everything where it is another.
  /// - Errors: `mustExit` as of `commit`.
  public func carryOut(_ order: ImportOrder, at now: StoreInstant) throws(StoreFailure) -> ImportOutcome {
    switch order {
    case .begin(let name, let first, let chain, let time):
      return try begin(name, first, chain, time, now)
    case .events(let id, let events): return try add(events, to: id, now)
    case .finish(let id, let last, let chain): return try finish(id, last, chain, now)
    }
  }

  private func begin(
    _ name: ChannelName, _ first: Offset, _ chain: [UInt8], _ time: Int64, _ now: StoreInstant
  ) throws(StoreFailure) -> ImportOutcome {
    guard first > .zero, first <= StagedImports.firstMax, let before = StreamChain(chain) else { return .refused(.beginning) }
    guard !imports.isFull else { return .refused(.tooMany) }
    let id = options.entropy.word()
    let floor = Offset(first.value - 1)
    var made: Int64?
    let done = try transact(at: now) { draft throws(SQLiteError) in
      guard try streams.find(name) == nil else { return }
      let row = StreamRow(
        id: draft.nextStream(), name: nil, epoch: Epoch(random: options.entropy.bits128),
        floor: floor, head: floor, chain: before, created: time)
      _ = try streams.create(row)
      made = row.id
      draft.hasChanges = true
    }
    guard done != .outOfSpace else { return .outOfSpace }
    guard let made else { return .refused(.nameTaken) }
    imports.begin(id, made, name, at: now.monotonic)
    return .ready(id: id, next: first, position: state.position)
  }

  private func add(
    _ events: [StoredEvent], to id: UInt64, _ now: StoreInstant
  ) throws(StoreFailure) -> ImportOutcome {
    guard let staged = imports[id] else { return .refused(.unknown) }
    guard Self.areWithinLimits(events) else { return .refused(.limits) }
    imports.heard(id, at: now.monotonic)
    var outcome = ImportOutcome.refused(.unknown)
    let done = try transact(at: now) { draft throws(SQLiteError) in
      guard let slot = try streams.find(id: staged.stream) else { return }
      let stream = streams[slot]
      var offset = stream.head
      for event in events {
        guard event.offset == offset.next else { return outcome = .refused(.order) }
        offset = offset.next
      }
      let place = draft.run(of: slot, stream)
      for event in events { draft.runs[place].append(event, event.weight, &chains) }
      streams[slot].head = offset
      streams[slot].chain = draft.runs[place].chain
      draft.hasChanges = true
      try writeLog(&draft)
      outcome = .ready(id: id, next: offset.next, position: draft.state.position)
    }
    return done == .outOfSpace ? .outOfSpace : outcome
  }

  /// What an append of the same events would be held to.
  private static func areWithinLimits(_ events: [StoredEvent]) -> Bool {
    (1...StoreLimits.appendEventsMax).contains(events.count)
      && events.reduce(0) { $0 + $1.weight } <= StoreLimits.appendBytesMax
      && events.allSatisfy {
        $0.eventType.utf8.count <= StoreLimits.typeBytesMax
          && $0.publisher.user.utf8.count <= StoreLimits.userBytesMax
      }
  }

  private func finish(
    _ id: UInt64, _ last: Offset, _ chain: [UInt8], _ now: StoreInstant
  ) throws(StoreFailure) -> ImportOutcome {
    guard let staged = imports[id] else { return .refused(.unknown) }
    var outcome = ImportOutcome.refused(.unknown)
    let done = try transact(at: now) { draft throws(SQLiteError) in
      guard let slot = try streams.find(id: staged.stream) else { return }
      guard streams[slot].head == last, streams[slot].chain.bytes == chain else {
        return outcome = .refused(.chain)
      }
      guard try streams.find(staged.name) == nil else { return outcome = .refused(.nameTaken) }
      let isFork = staged.name.root.isFork
      let epoch =
        isFork ? Epoch(random: options.entropy.bits128) : try firstEpoch(of: staged.name)
      try successors.forget(staged.name)
      streams[slot].row.name = staged.name
      streams[slot].row.epoch = epoch
      try streams.write(streams[slot].row)
      draft.forgetsStreams = true
      draft.hasChanges = true
      outcome = .finished(
        StreamHead(
          name: staged.name, epoch: epoch, floor: streams[slot].row.floor, head: last))
    }
    // On a full disk it is as it was, and may be tried again.
    if done == .outOfSpace { return .outOfSpace }
    imports.end(id)
    if case .refused = outcome { reclaimQueue.add(staged.stream) }
    return outcome
  }

  /// Has those removed that nobody goes on with.
  func dropAbandonedImports(at now: StoreInstant) {
    for stream in imports.takeAbandoned(at: now.monotonic) { reclaimQueue.add(stream) }
  }
}
