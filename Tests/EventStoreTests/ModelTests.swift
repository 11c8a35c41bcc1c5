import Bytes
import Glibc
import StoreSimulation
import TestKit
import Testing
import Wire

@testable import EventStoreCore

/// One run: random appends, forks, trims, deletions, reads, clean restarts and crashes, all decided by
/// the seed.
private struct ModelRun {
  var random: SeededGenerator
  private static let keysKept: Int64 = 5_000
  var model = StoreModel(keysKept: keysKept)
  let temporary: TemporaryStore
  /// Of every timeline that was seen.
  var epochs: [Int: Epoch] = [:]

  init(seed: UInt64) throws {
    random = SeededGenerator(seed: seed)
    temporary = try TemporaryStore()
    temporary.options.keysKept = Self.keysKept
    temporary.options.keepInTail([0, 100, 600, 5_000, 1 << 20].randomElement(using: &random) ?? 0)
  }

  mutating func run(steps: Int) throws {
    var here = temporary
    var store: EventStore? = try here.open()
    for _ in 0..<steps {
      here.pass(milliseconds: Int64.random(in: 0..<400, using: &random))
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<38: try append(store!, here)
      case 38..<42: try keepSnapshot(store!, here)
      case 42..<46: try findSnapshot(store!)
      case 46..<56: try fork(store!, here)
      case 56..<76: try read(store!)
      case 76..<80: try readEvents(store!)
      case 80..<84: try store!.maintain(at: here.now)
      case 84..<90: try trim(store!, here)
      case 90..<93: try delete(store!, here)
      case 93..<96: try readAll(store!)
      case 96..<98:
        store = nil
        here.monotonic = 7
        store = try here.open()
      default:
        // A power failure in which all that was written had reached the disk.
        let image = try here.image()
        store = nil
        here = image
        store = try here.open()
      }
    }
    try readAll(store!)
    for _ in 0..<200 {
      here.pass(milliseconds: 100)
      try store!.maintain(at: here.now)
    }
    try readAll(store!)
    try store!.settle(at: here.now)
    store = nil
    let report = StoreVerifier.verify(here.directory, scratch: "/tmp", now: here.now)
    #expect(report.problem == nil, "seed \(random.seed)")
  }

  private mutating func anyName() -> String {
    let root = "s\(Int.random(in: 0..<4, using: &random))"
    return Bool.random(using: &random) ? root : "\(root)@f\(Int.random(in: 0..<3, using: &random))"
  }

  private mutating func append(_ store: EventStore, _ here: TemporaryStore) throws {
    var requests: [AppendRequest] = []
    var expected: [StoreModel.Appended] = []
    // The store's own time is what keys age by; the model has the same: both clocks move together.
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      let stream = anyName()
      let texts = (0..<Int.random(in: 1...3, using: &random)).map { _ in
        "\(Int.random(in: 0..<3, using: &random))"
      }
      let head = model.timelines[stream]?.head ?? 0
      let guess = Bool.random(using: &random) ? nil : head + Int.random(in: 0..<2, using: &random)
      let key = Bool.random(using: &random) ? nil : "k\(Int.random(in: 0..<4, using: &random))"
      var new = request(stream, expected: guess.map { UInt64($0) }, key: key)
      new.events = texts.map { NewEvent(payload: Payload(text: $0), eventType: "t\($0)") }
      if key == nil, Int.random(in: 0..<3, using: &random) == 0 { new.producer = anyMark() }
      requests.append(new)
      expected.append(
        model.append(
          stream, texts, expected: guess, key: key,
          producer: new.producer.map { ($0.id, $0.epoch, $0.sequence) }, now: here.wall))
    }
    model.commit()
    let outcomes = try store.commit(requests, at: here.now)
    #expect(outcomes.map(seen) == expected, "seed \(random.seed)")
    for (request, outcome) in zip(requests, outcomes) {
      if let epoch = outcome.receipt?.epoch { compare(epoch, of: request.stream.text) }
    }
  }

  private mutating func anyMark() -> ProducerMark {
    ProducerMark(
      id: "p\(Int.random(in: 0..<2, using: &random))", epoch: UInt64.random(in: 0..<3, using: &random),
      sequence: UInt64.random(in: 0..<4, using: &random))
  }

  /// Events of all streams, or some, from anywhere and either way.
  private mutating func readEvents(_ store: EventStore) throws {
    let prefix = ["", "s", "s1", "s2@"].randomElement(using: &random) ?? ""
    let type = Bool.random(using: &random) ? "" : "t1"
    let isReverse = Bool.random(using: &random)
    let from = Int.random(in: 0...Int(store.position), using: &random)
    var query = ReadEvents(
      remainingMs: 0, after: UInt64(from), prefix: prefix, eventType: type,
      count: UInt32.random(in: 1...9, using: &random), bytes: 1 << 20, isReverse: isReverse)
    var expected = model.readable(prefix: prefix).filter { type.isEmpty || "t\($0.text)" == type }
    if isReverse {
      expected = expected.filter { from == 0 || $0.position < from }.reversed()
    } else {
      expected = expected.filter { $0.position > from }
    }
    let reader = try StoreReader(of: store)
    var seen: [OrderedEvent] = []
    while true {
      let page = try reader.events(query)
      #expect(page.corruptCount == 0 && page.head == UInt64(store.position), "seed \(random.seed)")
      #expect(page.events.count <= Int(query.count), "seed \(random.seed)")
      seen += page.events
      guard page.hasMore else { break }
      #expect(page.through != query.after, "seed \(random.seed): no progress")
      query.after = page.through
    }
    #expect(seen.map { Int($0.position) } == expected.map(\.position), "seed \(random.seed)")
    #expect(seen.map(\.stream.text) == expected.map(\.name), "seed \(random.seed)")
    #expect(seen.map { Int($0.event.offset.value) } == expected.map(\.offset), "seed \(random.seed)")
    #expect(
      seen.map { String(decoding: $0.event.payload.bytes, as: UTF8.self) } == expected.map(\.text),
      "seed \(random.seed)")
    for event in seen { compare(event.epoch, of: event.stream.text) }
  }

  private func seen(_ outcome: AppendOutcome) -> StoreModel.Appended? {
    func int(_ offset: Offset) -> Int { Int(offset.value) }
    return switch outcome {
    case .committed(let receipt) where receipt.origin == .duplicate:
      .duplicate(first: int(receipt.first))
    case .committed(let receipt): .appended(first: int(receipt.first), last: int(receipt.last))
    case .conflict(_, let head): .conflict(head: int(head))
    case .idempotencyConflict(_, let first): .keyConflict(first: int(first))
    case .refused(.noSuchFork): .noSuchFork
    case .fenced(let epoch): .fenced(epoch)
    case .sequenceGap(let next): .gap(next)
    case .refused, .outOfSpace: nil
    }
  }

  /// A timeline has one epoch for good, and no other has it.
  private mutating func compare(_ epoch: Epoch, of name: String) {
    guard let id = model.timelines[name]?.id else { return }
    #expect(epochs[id, default: epoch] == epoch, "seed \(random.seed)")
    #expect(epochs.filter { $0.value == epoch }.keys.allSatisfy { $0 == id }, "seed \(random.seed)")
    epochs[id] = epoch
  }

  private mutating func fork(_ store: EventStore, _ here: TemporaryStore) throws {
    let source = anyName()
    let name = anyName()
    let head = model.timelines[source]?.head ?? 0
    let at = Bool.random(using: &random) ? nil : Int.random(in: 0...(head + 1), using: &random)
    let expected = model.fork(source, as: name, at: at)
    let outcome = try store.fork(
      ForkRequest(
        of: EventStoreTests.name(source), as: EventStoreTests.name(name),
        at: at.map { Offset(UInt64($0)) }, author: "me", time: here.wall), at: here.now)
    let found: StoreModel.Forked? =
      switch outcome {
      case .forked(_, _, .made): .made
      case .forked(_, _, .found): .found
      case .unknownStream: .unknown
      case .trimmed: .trimmed
      case .ahead: .ahead
      case .nameTaken: .taken
      case .refused: .refused
      case .otherEpoch, .outOfSpace: nil
      }
    #expect(found == expected, "seed \(random.seed) \(source) \(name) \(String(describing: at))")
    if case .forked(let forked, _, _) = outcome, let epoch = forked.epoch { compare(epoch, of: name) }
  }

  private mutating func trim(_ store: EventStore, _ here: TemporaryStore) throws {
    let stream = anyName()
    let head = model.timelines[stream]?.head ?? 0
    let through = Bool.random(using: &random) ? nil : Int.random(in: 0...(head + 1), using: &random)
    let floor = model.trim(stream, through: through)
    let trimmed = try #require(
      try store.trim(name(stream), through: through.map { Offset(UInt64($0)) }, at: here.now))
    #expect(trimmed.floor.value == UInt64(floor), "seed \(random.seed)")
    #expect(trimmed.head.value == UInt64(head), "seed \(random.seed)")
  }

  /// What a fold makes of a stream here: the texts themselves, so that any other history shows.
  private func folded(_ stream: String, through offset: Int) -> [UInt8] {
    [UInt8]((model.timelines[stream]?.texts.prefix(offset) ?? []).joined(separator: ",").utf8)
  }

  private mutating func keepSnapshot(_ store: EventStore, _ here: TemporaryStore) throws {
    let stream = anyName()
    let timeline = model.timelines[stream]
    guard let id = timeline?.id, let epoch = epochs[id], let head = timeline?.head else { return }
    let at = Int.random(in: 0...(head + 1), using: &random)
    let state = folded(stream, through: at)
    let outcome = try store.keep(
      PutSnapshot(
        remainingMs: 0, stream: name(stream), fold: FoldName("texts", version: 1), epoch: epoch,
        offset: Offset(UInt64(at)), crc: crc32c(state), state: state), time: here.wall, at: here.now)
    let floor = timeline?.floor ?? 0
    switch outcome {
    case .kept(let offset), .found(let offset):
      #expect(at <= head && at >= floor && at <= Int(offset.value), "seed \(random.seed)")
      try #expect(find(stream, at: nil, store) != nil, "seed \(random.seed) \(stream) \(at)")
    case .ahead: #expect(at > head, "seed \(random.seed)")
    case .trimmed: #expect(at == 0 || at < floor, "seed \(random.seed)")
    default: Issue.record("seed \(random.seed): \(outcome)")
    }
  }

  private mutating func findSnapshot(_ store: EventStore) throws {
    let stream = anyName()
    let head = model.timelines[stream]?.head ?? 0
    guard head > 0 else { return }
    _ = try find(stream, at: Int.random(in: 0...head, using: &random), store)
  }

  /// Whatever is found is of these very events, and can be gone on from.
  private func find(_ stream: String, at offset: Int?, _ store: EventStore) throws -> SnapshotFound? {
    let found = try StoreReader(of: store).snapshot(
      of: name(stream), FoldName("texts", version: 1), at: offset.map { Offset(UInt64($0)) },
      wantsState: true)
    guard let found, let timeline = model.timelines[stream] else { return nil }
    let at = Int(found.offset.value)
    #expect(at >= timeline.floor && at <= offset ?? timeline.head, "seed \(random.seed) \(stream)")
    #expect(found.state == folded(stream, through: at), "seed \(random.seed) \(stream) \(at)")
    return found
  }

  private mutating func delete(_ store: EventStore, _ here: TemporaryStore) throws {
    let stream = anyName()
    let deletion = try store.delete(name(stream), at: here.now)
    if model.delete(stream) {
      guard case .deleted = deletion else {
        Issue.record("seed \(random.seed): \(deletion)")
        return
      }
    } else {
      #expect(deletion == .unknownStream, "seed \(random.seed)")
    }
  }

  private mutating func read(_ store: EventStore) throws {
    let stream = anyName()
    let head = model.timelines[stream]?.head ?? 0
    let from = Int.random(in: 0...(head + 1), using: &random)
    let count = Int.random(in: 1...20, using: &random)
    let backwards = Bool.random(using: &random)
    let reader = try StoreReader(of: store)
    if stream.contains("@"), model.timelines[stream] == nil {
      #expect(throws: ReadFailure.noSuchFork(name(stream)), "seed \(random.seed)") {
        try reader.read(name(stream), from: .zero)
      }
      return
    }
    let page = try reader.read(
      name(stream), from: Offset(UInt64(from)), backwards ? .backwards : .forwards, count: count)
    let expected = model.page(stream, from: from, backwards: backwards, count: count)
    #expect(page.floor.value == UInt64(model.timelines[stream]?.floor ?? 0), "seed \(random.seed)")
    #expect(page.head.value == UInt64(head), "seed \(random.seed)")
    #expect(page.offsets == expected.map { UInt64($0.offset) }, "seed \(random.seed) \(stream) \(from)")
    #expect(page.texts == expected.map(\.text), "seed \(random.seed) \(stream) \(from)")
    compare(try #require(page.epoch), of: stream)
  }

  private func readAll(_ store: EventStore) throws {
    let reader = try StoreReader(of: store)
    for (stream, timeline) in model.timelines {
      var texts: [String] = []
      var offset = Offset.zero
      while case let page = try reader.read(name(stream), from: offset), let last = page.events.last {
        texts += page.texts
        offset = last.offset
      }
      #expect(texts == timeline.readable.map(\.text), "seed \(random.seed) \(stream)")
    }
    #expect(
      try reader.streams().map(\.name.text) == model.timelines.keys.sorted(), "seed \(random.seed)")
    var announced: [(name: String, offset: Int, text: String)] = []
    var position: Int64 = 0
    while case let page = try reader.unannounced(after: position, limit: 7), page.through > position {
      announced += page.announcements.map {
        ($0.stream.text, Int($0.event.offset.value),
          String(decoding: $0.event.payload.bytes, as: UTF8.self))
      }
      #expect(page.corruptCount == 0, "seed \(random.seed)")
      position = page.through
    }
    #expect(position == store.position, "seed \(random.seed)")
    let flaw = model.flaw(of: announced)
    #expect(flaw == nil, "seed \(random.seed)")
  }
}

struct ModelTests {
  /// `MODEL_SEED=…` runs one seed, `MODEL_RUNS=…` so many.
  @Test func storeAgreesWithItsModelThroughRestartsAndCrashes() throws {
    let given = Self.number("MODEL_SEED")
    let first = given ?? UInt64.random(in: 0..<1_000_000_000)
    print("storeAgreesWithItsModelThroughRestartsAndCrashes seeds from \(first)")
    for seed in first..<(first + (given == nil ? Self.number("MODEL_RUNS") ?? 25 : 1)) {
      var run = try ModelRun(seed: seed)
      try run.run(steps: 150)
    }
  }

  private static func number(_ name: String) -> UInt64? {
    unsafe getenv(name).flatMap { unsafe UInt64(String(cString: $0)) }
  }
}
