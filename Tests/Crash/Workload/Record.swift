import Archive
internal import Bytes
internal import EventStoreCore
internal import TestKit
internal import Wire

/// Runs a store through random appends, repeats, reads, forks, trims, deletions, confirmations,
/// checkpoints and restarts, all from one seed, and journals every try and every acknowledgement.
struct Record {
  var random: SeededGenerator
  let journal: Journal
  /// The streams that are there, as far as the workload was told.
  var streams: [String: History] = [:]
  var now = StoreInstant(monotonic: 0, wall: 1_700_000_000_000)
  private let directory: String
  private var options: EventStore.Options
  private var keyed: [Keyed] = []
  private var requests = 0
  private var announced: Int64 = 0
  /// Epochs that streams had which were deleted.
  var pastEpochs: Set<Epoch> = []

  private struct Keyed {
    let request: AppendRequest
    let first: UInt64
    let at: Int64
  }

  /// One request on its way, and where the stream was before it.
  private struct Try {
    let stream: String
    let planned: [Planned]
    let first: UInt64
    let request: AppendRequest
  }

  private enum Step {
    case commit
    case check
    case confirm
    case fork
    case trim
    case delete
    case reclaim
    case nothing
  }

  init(_ directory: String, seed: UInt64, isLossy: Bool) {
    random = SeededGenerator(seed: seed)
    self.directory = directory
    options = isLossy ? .losesOnPowerFailure : EventStore.Options()
    options.keysKept = 400
    options.tailBytes = Int.random(in: 0...4_000, using: &random)
    options.sweptEvents = Int64.random(in: 1...40, using: &random)
    options.checkpointPages = Int.random(in: 8...60, using: &random)
    options.markSync = Bool.random(using: &random) ? .beforeOutcome : .within(5)
    options.retention = { name in Names.kept(name.text).map { Retention(events: $0) } }
    journal = Journal("\(directory)/acks")
  }

  /// - Parameter steps: few of them go through what there is in turn, so that each is there.
  mutating func run(steps: Int) throws(StoreFailure) {
    for stream in Names.roots + Names.forks {
      if let kept = Names.kept(stream) { journal.line("keeps \(stream) \(kept)") }
    }
    let turns: [Step] = [.commit, .fork, .commit, .trim, .delete, .reclaim]
    var store: EventStore? = try open()
    for number in 0..<steps {
      try step(steps < 20 ? turns[number % turns.count] : any(), running(store))
      if Int.random(in: 0..<60, using: &random) == 0 {
        try running(store).settle(at: now)
        store = nil
        store = try open()
      }
    }
    try running(store).settle(at: now)
  }

  private mutating func any() -> Step {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<58: .commit
    case 58..<66: .check
    case 66..<73: .confirm
    case 73..<81: .fork
    case 81..<86: .trim
    case 86..<90: .delete
    case 90..<96: .reclaim
    default: .nothing
    }
  }

  private mutating func step(_ step: Step, _ store: EventStore) throws(StoreFailure) {
    now.monotonic += Int64.random(in: 0..<6, using: &random)
    now.wall += 3
    switch step {
    case .commit: try commit(store)
    case .check: try check(anyName(), store)
    case .confirm: confirm(store)
    case .fork: try fork(store)
    case .trim: try trim(store)
    case .delete: try delete(store)
    case .reclaim: try reclaim(store)
    case .nothing: break
    }
    try store.maintain(at: now)
    note(store)
  }

  private func open() throws(StoreFailure) -> EventStore {
    try EventStore(directory: directory, options: options, now: now)
  }

  private func running(_ store: EventStore?) -> EventStore {
    guard let store else { give("no store", 2) }
    return store
  }

  /// A stream that is there, most times.
  mutating func anyName() -> String {
    let known = streams.keys.sorted()
    if Int.random(in: 0..<8, using: &random) > 0, let one = known.randomElement(using: &random) {
      return one
    }
    return (Names.roots + Names.forks).randomElement(using: &random) ?? "s0"
  }

  private mutating func commit(_ store: EventStore) throws(StoreFailure) {
    var tries: [Try] = []
    for _ in 0..<Int.random(in: 1...8, using: &random) { tries.append(plan()) }
    let outcomes = try store.commit(tries.map(\.request), at: now)
    for (one, outcome) in zip(tries, outcomes) { settle(one, outcome) }
    if outcomes.contains(.outOfSpace) {
      guard outcomes.allSatisfy({ $0 == .outOfSpace }) else { give("half a commit", 99) }
      journal.line(tries.reversed().flatMap { undo($0) }.joined(separator: "\n"))
    }
    try repeatOne(store)
  }

  /// Plans a request, journals it, and takes it as done until told otherwise.
  private mutating func plan() -> Try {
    let forks = streams.keys.filter { $0.contains("@") }.sorted()
    let fork = Bool.random(using: &random) ? forks.randomElement(using: &random) : nil
    let stream = fork ?? Names.roots.randomElement(using: &random) ?? "s0"
    let planned = (0..<Int.random(in: 1...3, using: &random)).map { _ in
      let isLarge = Int.random(in: 0..<40, using: &random) == 0
      let bytes = Int.random(in: 0..<(isLarge ? 20_000 : 700), using: &random)
      return Planned(seed: random.next(), bytes: bytes)
    }
    requests += 1
    let key = Int.random(in: 0..<4, using: &random) == 0 ? "k\(requests)" : nil
    if streams[stream] == nil { journal.line("begin \(stream)") }
    var history = streams[stream] ?? History()
    let first = history.head + 1
    var request = Self.request(
      stream, planned, expected: Bool.random(using: &random) ? first - 1 : nil, key: key)
    if key == nil, Int.random(in: 0..<4, using: &random) == 0 {
      // Each an incarnation more, so that none waits for one that was refused. The verifier compares what
      // is known of producers with the events that are there.
      request.producer = ProducerMark(id: "p\(requests % 3)", epoch: UInt64(requests), sequence: 0)
    }
    for one in planned {
      history.add(one, time: planned[0].time)
      let chain = history.chain(at: history.head).hexadecimal
      journal.line(
        "try \(requests) \(stream) \(history.head) \(chain) \(one.seed) \(one.bytes) \(key ?? "-")")
    }
    streams[stream] = history
    return Try(stream: stream, planned: planned, first: first, request: request)
  }

  static func request(
    _ stream: String, _ planned: [Planned], expected: UInt64?, key: String?
  ) -> AppendRequest {
    // One time a request: that of its first event, which the chain knows for all of them.
    AppendRequest(
      to: name(stream), planned.map(\.event), expected: expected.map { Offset($0) },
      idempotencyKey: key, time: planned[0].time)
  }

  static func name(_ stream: String) -> ChannelName {
    guard let name = ChannelName(stream) else { give("bad name", 2) }
    return name
  }

  private mutating func settle(_ one: Try, _ outcome: AppendOutcome) {
    switch outcome {
    case .committed(let receipt):
      let last = one.first + UInt64(one.planned.count) - 1
      guard receipt.first.value == one.first, receipt.last.value == last else {
        give("wrong offset", 99)
      }
      take(receipt.epoch, of: one.stream)
      journal.line("ack \(one.stream) \(last) \(receipt.epoch.text)")
      if one.request.idempotencyKey != nil {
        keyed.append(Keyed(request: one.request, first: one.first, at: now.monotonic))
      }
    case .outOfSpace: break
    case .conflict, .idempotencyConflict, .fenced, .sequenceGap, .refused:
      give("refused without a reason", 99)
    }
  }

  /// A stream has one epoch for good, and none that one before it had.
  mutating func take(_ epoch: Epoch?, of stream: String) {
    guard let epoch, streams[stream]?.epoch ?? epoch == epoch, !pastEpochs.contains(epoch) else {
      give("wrong epoch", 99)
    }
    streams[stream]?.epoch = epoch
  }

  /// Takes back a request that was certainly not written, and gives its lines; the last one first.
  private mutating func undo(_ one: Try) -> [String] {
    guard var history = streams[one.stream] else { return [] }
    let lines = one.planned.indices.map { index in
      let offset = one.first + UInt64(index)
      return "no \(one.stream) \(offset) \(history.chain(at: offset).hexadecimal)"
    }
    history.removeLast(one.planned.count)
    streams[one.stream] = history.head == 0 && !history.isFork ? nil : history
    return lines
  }

  /// Sends a keyed request again; it must be a duplicate at its first place.
  private mutating func repeatOne(_ store: EventStore) throws(StoreFailure) {
    keyed.removeAll { $0.at + 200 < now.monotonic }
    guard let one = keyed.randomElement(using: &random) else { return }
    switch try store.commit([one.request], at: now)[0] {
    case .committed(let receipt):
      guard receipt.origin == .duplicate, receipt.first.value == one.first else {
        give("a repeated request was appended again", 99)
      }
    case .outOfSpace: break
    default: give("a repeated request was refused", 99)
    }
  }

  /// A stream that was deleted knows no keys.
  mutating func forgetKeys(of stream: String) {
    keyed.removeAll { $0.request.stream.text == stream }
  }

  private mutating func confirm(_ store: EventStore) {
    let position = Int64.random(in: 0...store.position, using: &random)
    journal.line("confirm \(position)")
    store.confirmAnnounced(through: position, at: now)
  }

  private mutating func note(_ store: EventStore) {
    guard store.announced > announced else { return }
    announced = store.announced
    journal.line("announced \(announced)")
  }
}
