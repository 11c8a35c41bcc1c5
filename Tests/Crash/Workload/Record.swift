internal import Bytes
internal import EventStoreCore
internal import TestKit
internal import Wire

/// An event of the workload: all of it follows from a number and a count.
struct Planned: Equatable {
  var seed: UInt64
  var bytes: Int

  var event: NewEvent {
    var random = SeededGenerator(seed: seed)
    return NewEvent(
      payload: Payload(.binary, random.bytes(bytes)),
      eventType: seed % 3 == 0 ? "t\(seed % 7)" : "",
      meta: seed % 5 == 0 ? [1, 2, 3] : [])
  }

  var time: Int64 { Int64(seed % 1_000_000_007) }

  func stored(_ offset: UInt64, time: Int64) -> StoredEvent {
    let event = event
    return StoredEvent(
      offset: Offset(offset), timeMs: time, publisher: Publisher(), eventType: event.eventType,
      meta: event.meta, payload: event.payload)
  }
}

/// Runs a store through random appends, repeats, reads, confirmations, checkpoints and restarts, all
/// from one seed, and journals every try and every acknowledgement.
struct Record {
  private var random: SeededGenerator
  private let directory: String
  private let journal: Journal
  private var options: EventStore.Options
  private var streams: [String: [Planned]] = [:]
  private var chains: [String: StreamChain] = [:]
  private var keyed: [Keyed] = []
  /// Where removed histories end.
  private var floors: [String: Int] = [:]
  private var requests = 0
  private var now = StoreInstant(monotonic: 0, wall: 1_700_000_000_000)
  private var announced: Int64 = 0

  private struct Keyed {
    let request: AppendRequest
    let first: UInt64
    let at: Int64
  }

  /// One request on its way, and what the stream was before it.
  private struct Try {
    let stream: String
    let planned: [Planned]
    let first: UInt64
    let before: StreamChain
    let request: AppendRequest
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
    journal = Journal("\(directory)/acks")
  }

  mutating func run(steps: Int) throws(StoreFailure) {
    var store: EventStore? = try open()
    for _ in 0..<steps {
      try step(running(store))
      if Int.random(in: 0..<60, using: &random) == 0 {
        try running(store).settle(at: now)
        store = nil
        store = try open()
      }
    }
    try running(store).settle(at: now)
  }

  private mutating func step(_ store: EventStore) throws(StoreFailure) {
    now.monotonic += Int64.random(in: 0..<6, using: &random)
    now.wall += 3
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<72: try commit(store)
    case 72..<80: try check(store)
    case 80..<90: confirm(store)
    case 90..<92: try remove(store)
    default: break
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
    let stream = "s\(Int.random(in: 0..<6, using: &random))"
    let planned = (0..<Int.random(in: 1...3, using: &random)).map { _ in
      let isLarge = Int.random(in: 0..<40, using: &random) == 0
      let bytes = Int.random(in: 0..<(isLarge ? 20_000 : 700), using: &random)
      return Planned(seed: random.next(), bytes: bytes)
    }
    requests += 1
    let key = Int.random(in: 0..<4, using: &random) == 0 ? "k\(requests)" : nil
    let first = UInt64(streams[stream, default: []].count) + 1
    let request = Self.request(
      stream, planned, expected: Bool.random(using: &random) ? first - 1 : nil, key: key)
    let before = chains[stream] ?? StreamChain()
    var chain = before
    for (index, one) in planned.enumerated() {
      let offset = first + UInt64(index)
      chain.add(one.stored(offset, time: planned[0].time))
      journal.line(
        "try \(requests) \(stream) \(offset) \(chain.hexadecimal) \(one.seed) \(one.bytes) \(key ?? "-")"
      )
    }
    chains[stream] = chain
    streams[stream, default: []] += planned
    return Try(stream: stream, planned: planned, first: first, before: before, request: request)
  }

  static func request(
    _ stream: String, _ planned: [Planned], expected: UInt64?, key: String?
  ) -> AppendRequest {
    guard let name = ChannelName(stream) else { give("bad name", 2) }
    // One time a request: that of its first event, which the chain knows for all of them.
    return AppendRequest(
      to: name, planned.map(\.event), expected: expected.map { Offset($0) }, idempotencyKey: key,
      time: planned[0].time)
  }

  private mutating func settle(_ one: Try, _ outcome: AppendOutcome) {
    switch outcome {
    case .committed(let receipt):
      let last = one.first + UInt64(one.planned.count) - 1
      guard receipt.first.value == one.first, receipt.last.value == last else {
        give("wrong offset", 99)
      }
      journal.line("ack \(one.stream) \(last)")
      if one.request.idempotencyKey != nil {
        keyed.append(Keyed(request: one.request, first: one.first, at: now.monotonic))
      }
    case .outOfSpace: break
    case .conflict, .idempotencyConflict, .refused: give("refused without a reason", 99)
    }
  }

  /// Takes back a request that was certainly not written, and gives its lines; the last one first.
  private mutating func undo(_ one: Try) -> [String] {
    var chain = one.before
    var lines: [String] = []
    for (index, planned) in one.planned.enumerated() {
      let offset = one.first + UInt64(index)
      chain.add(planned.stored(offset, time: one.planned[0].time))
      lines.append("no \(one.stream) \(offset) \(chain.hexadecimal)")
    }
    chains[one.stream] = one.before
    streams[one.stream]?.removeLast(one.planned.count)
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

  /// Reads a piece of a stream and compares it. A read may fail; it may not be wrong.
  private mutating func check(_ store: EventStore) throws(StoreFailure) {
    let stream = "s\(Int.random(in: 0..<6, using: &random))"
    let expected = streams[stream, default: []]
    let from = Int.random(in: 0...expected.count, using: &random)
    guard let name = ChannelName(stream) else { return }
    let reader = try StoreReader(of: store)
    guard let page = try? reader.read(name, from: Offset(UInt64(from)), count: 20) else { return }
    guard page.head.value == UInt64(expected.count) else { give("wrong head", 99) }
    let floor = floors[stream, default: 0]
    guard page.floor.value == UInt64(floor) else { give("wrong floor", 99) }
    for (event, planned) in zip(page.events, expected.dropFirst(max(from, floor))) {
      guard event.payload == planned.event.payload else { give("wrong read", 99) }
    }
  }

  private mutating func remove(_ store: EventStore) throws(StoreFailure) {
    let stream = "s\(Int.random(in: 0..<6, using: &random))"
    guard let name = ChannelName(stream), let head = streams[stream]?.count, head > 0 else { return }
    journal.line("remove \(stream) \(head)")
    guard let removed = try store.removeHistory(of: name, at: now) else { return }
    guard removed.floor.value == UInt64(head), removed.head == removed.floor else {
      give("a history was removed to the wrong place", 99)
    }
    floors[stream] = head
    journal.line("removed \(stream) \(head)")
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
