import Archive
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

/// A stream as the workload knows it: a list, of which a fork has a copy.
struct History {
  private(set) var planned: [Planned] = []
  /// The chain behind each offset, 0 included.
  private(set) var chains = [StreamChain()]
  var floor: UInt64 = 0
  /// Nil until the store has said it.
  var epoch: Epoch?
  /// Whether it is there without an event of its own.
  let isFork: Bool

  init() { isFork = false }

  init(of source: History, at offset: UInt64) {
    planned = Array(source.planned.prefix(Int(offset)))
    chains = Array(source.chains.prefix(Int(offset) + 1))
    floor = source.floor
    isFork = true
  }

  var head: UInt64 { UInt64(planned.count) }

  func chain(at offset: UInt64) -> StreamChain { chains[Int(offset)] }

  mutating func add(_ one: Planned, time: Int64) {
    var chain = chains[planned.count]
    chain.add(one.stored(head + 1, time: time))
    planned.append(one)
    chains.append(chain)
  }

  mutating func removeLast(_ count: Int) {
    planned.removeLast(count)
    chains.removeLast(count)
  }
}

/// The names that the workload uses, and how many events the store keeps of some.
enum Names {
  static let roots = (0..<5).map { "s\($0)" }
  static let forks = roots.flatMap { root in (0..<3).map { "\(root)@f\($0)" } }

  /// Nil where all are kept.
  static func kept(_ stream: String) -> UInt64? {
    if stream.hasSuffix("@f2") { return 5 }
    if stream.hasPrefix("s3") { return 12 }
    return stream == "s4" ? 30 : nil
  }
}
