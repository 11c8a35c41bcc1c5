import Bytes
import TestKit
import Testing
import Wire

@testable import EventStoreCore

/// What the store promises, in the simplest code that says it.
private struct Model {
  struct Used: Equatable {
    var texts: [String]
    var first: UInt64
    var until: Int64
  }
  var streams: [String: [String]] = [:]
  var floors: [String: Int] = [:]
  var keys: [String: Used] = [:]
  var all: [String] = []

  enum Outcome: Equatable {
    case appended(first: UInt64, last: UInt64)
    case duplicate(first: UInt64)
    case conflict(head: UInt64)
    case keyConflict(first: UInt64)
  }

  mutating func append(
    _ stream: String, _ texts: [String], expected: UInt64?, key: String?, now: Int64
  ) -> Outcome {
    let name = stream + "/" + (key ?? "")
    if key != nil, let used = keys[name], now < used.until {
      return used.texts == texts ? .duplicate(first: used.first) : .keyConflict(first: used.first)
    }
    let head = UInt64(streams[stream, default: []].count)
    if let expected, expected != head { return .conflict(head: head) }
    streams[stream, default: []] += texts
    all += texts
    if key != nil { keys[name] = Used(texts: texts, first: head + 1, until: now + 5_000) }
    return .appended(first: head + 1, last: head + UInt64(texts.count))
  }
}

private func seen(_ outcome: AppendOutcome) -> Model.Outcome? {
  switch outcome {
  case .committed(let receipt) where receipt.origin == .duplicate:
    .duplicate(first: receipt.first.value)
  case .committed(let receipt): .appended(first: receipt.first.value, last: receipt.last.value)
  case .conflict(_, let head): .conflict(head: head.value)
  case .idempotencyConflict(_, let first): .keyConflict(first: first.value)
  case .refused, .outOfSpace: nil
  }
}

/// One run: random appends, reads, clean restarts and crashes, all decided by the seed.
private struct ModelRun {
  var random: SeededGenerator
  var model = Model()
  let temporary: TemporaryStore
  var epochs: [String: Epoch] = [:]

  init(seed: UInt64) throws {
    random = SeededGenerator(seed: seed)
    temporary = try TemporaryStore()
    temporary.options.keysKept = 5_000
    temporary.options.indexLag = [1, 2, 9, 64, 100_000].randomElement(using: &random) ?? 1
  }

  mutating func run(steps: Int) throws {
    var here = temporary
    var store: EventStore? = try here.open()
    for _ in 0..<steps {
      here.pass(milliseconds: Int64.random(in: 0..<400, using: &random))
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<70: try append(store!, here)
      case 70..<90: try read(store!)
      case 90..<94: try store!.maintain(at: here.now)
      case 94..<96: try remove(store!, here)
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
    for name in model.streams.keys.sorted() { try readAll(store!, name) }
  }

  private mutating func append(_ store: EventStore, _ here: TemporaryStore) throws {
    var requests: [AppendRequest] = []
    var expected: [Model.Outcome] = []
    // The store's own time is what keys age by; the model has the same: both clocks move together.
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      let stream = "s\(Int.random(in: 0..<5, using: &random))"
      let texts = (0..<Int.random(in: 1...3, using: &random)).map { _ in
        "\(Int.random(in: 0..<3, using: &random))"
      }
      let head = UInt64(model.streams[stream, default: []].count)
      let guess =
        Bool.random(using: &random) ? nil : head + UInt64.random(in: 0..<2, using: &random)
      let key = Bool.random(using: &random) ? nil : "k\(Int.random(in: 0..<4, using: &random))"
      var new = request(stream, expected: guess, key: key)
      new.events = texts.map { NewEvent(payload: Payload(text: $0)) }
      requests.append(new)
      expected.append(
        model.append(stream, texts, expected: guess, key: key, now: here.wall))
    }
    let outcomes = try store.commit(requests, at: here.now)
    #expect(outcomes.map(seen) == expected, "seed \(random.seed)")
    for (request, outcome) in zip(requests, outcomes) {
      guard let epoch = outcome.receipt?.epoch else { continue }
      #expect(epochs[request.stream.text, default: epoch] == epoch, "seed \(random.seed)")
      epochs[request.stream.text] = epoch
    }
  }

  private mutating func read(_ store: EventStore) throws {
    let stream = "s\(Int.random(in: 0..<6, using: &random))"
    let events = model.streams[stream, default: []]
    let from = Int.random(in: 0...(events.count + 1), using: &random)
    let count = Int.random(in: 1...20, using: &random)
    let page = try StoreReader(of: store).read(
      name(stream), from: Offset(UInt64(from)), count: count)
    let floor = model.floors[stream, default: 0]
    #expect(page.floor.value == UInt64(floor), "seed \(random.seed)")
    #expect(
      page.texts == Array(events.dropFirst(max(from, floor)).prefix(count)), "seed \(random.seed)")
    let epoch = try #require(page.epoch)
    #expect(epochs[stream, default: epoch] == epoch, "seed \(random.seed)")
    epochs[stream] = epoch
    #expect(page.head.value == UInt64(events.count), "seed \(random.seed)")
  }

  private mutating func remove(_ store: EventStore, _ here: TemporaryStore) throws {
    let stream = "s\(Int.random(in: 0..<6, using: &random))"
    let head = model.streams[stream, default: []].count
    let removed = try #require(try store.removeHistory(of: name(stream), at: here.now))
    #expect(removed.floor.value == UInt64(head) && removed.head == removed.floor, "seed \(random.seed)")
    model.floors[stream] = head
  }

  private func readAll(_ store: EventStore, _ stream: String) throws {
    let reader = try StoreReader(of: store)
    func texts(_ reach: StoreReader.Reach) throws -> [String] {
      var texts: [String] = []
      var offset = Offset.zero
      while case let page = try reader.read(name(stream), from: offset, reach: reach),
        let last = page.events.last
      {
        texts += page.texts
        offset = last.offset
      }
      return texts
    }
    let all = try #require(model.streams[stream])
    #expect(try texts(.everything) == all, "seed \(random.seed)")
    let floor = model.floors[stream, default: 0]
    #expect(try texts(.history) == Array(all.dropFirst(floor)), "seed \(random.seed)")
    var announced: [String] = []
    var position: Int64 = 0
    while case let page = try reader.unannounced(after: position), page.through > position {
      announced += page.announcements.map {
        String(decoding: $0.event.payload.bytes, as: UTF8.self)
      }
      position = page.through
    }
    #expect(announced == model.all, "seed \(random.seed)")
  }
}

struct ModelTests {
  @Test func storeAgreesWithItsModelThroughRestartsAndCrashes() throws {
    let first = UInt64.random(in: 0..<1_000_000_000)
    print("storeAgreesWithItsModelThroughRestartsAndCrashes seeds from \(first)")
    for seed in first..<(first + 25) {
      var run = try ModelRun(seed: seed)
      try run.run(steps: 120)
    }
  }
}
