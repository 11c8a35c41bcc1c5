internal import TestKit

/// Time, chance and order of one run: everything that happens is a step at a moment, and steps of the same
/// moment are ordered by the seed. Nothing here or in what uses it asks for the real time, a thread or a
/// number that does not follow from the seed.
final class World {
  let seed: UInt64
  /// Microseconds since the beginning.
  private(set) var now: Int64 = 0
  var random: SeededGenerator
  private var steps = StepQueue()
  private(set) var stepCount = 0
  private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
  /// Why the run is wrong: the first reason.
  private(set) var flaw: String?
  private let isTold: Bool
  /// Faults are over: all has to come right again.
  var isHealed = false

  init(seed: UInt64, isTold: Bool) {
    self.seed = seed
    self.isTold = isTold
    random = SeededGenerator(seed: seed &* 0x9E37_79B9_7F4A_7C15 &+ 1)
  }

  /// Does `body` so many microseconds from now.
  func after(_ delay: Int64, _ body: @escaping () -> Void) {
    steps.push(StepQueue.Step(time: now + max(0, delay), tie: random.next(), body: body))
  }

  /// Goes on until a moment, or until something is wrong.
  func run(until end: Int64, while goesOn: () -> Bool = { true }) {
    while flaw == nil, let step = steps.pop(until: end) {
      now = step.time
      stepCount += 1
      step.body()
      if !goesOn() { return }
    }
    if flaw == nil { now = max(now, end) }
  }

  /// Lets go of everything that was still to be done, and of whoever would have done it.
  func end() { steps = StepQueue() }

  func fail(_ reason: @autoclosure () -> String) {
    guard flaw == nil else { return }
    flaw = reason()
    note("flaw", text: flaw ?? "")
  }

  // MARK: chance

  func below(_ bound: Int) -> Int { bound <= 1 ? 0 : Int(random.next() % UInt64(bound)) }
  func between(_ range: ClosedRange<Int64>) -> Int64 {
    range.lowerBound + Int64(random.next() % UInt64(range.upperBound - range.lowerBound + 1))
  }
  func chance(_ perMille: Int) -> Bool { below(1_000) < perMille }
  func one<Element>(of list: [Element]) -> Element { list[below(list.count)] }

  // MARK: trace

  func note(_ what: String, _ a: Int = 0, _ b: Int = 0, text: @autoclosure () -> String = "") {
    mix(UInt64(now))
    for byte in what.utf8 { mix(UInt64(byte)) }
    mix(UInt64(bitPattern: Int64(a)))
    mix(UInt64(bitPattern: Int64(b)))
    guard isTold else { return }
    let time = "\(now / 1_000).\(String(now % 1_000 + 1_000).dropFirst())"
    print("\(time) \(what) \(a) \(b) \(text())")
  }

  func mix(_ word: UInt64) { hash = (hash ^ word) &* 0x100_0000_01B3 ^ hash >> 29 }
}

/// A heap of what is to be done.
struct StepQueue {
  struct Step {
    let time: Int64
    let tie: UInt64
    let body: () -> Void

    static func < (one: Step, other: Step) -> Bool {
      one.time != other.time ? one.time < other.time : one.tie < other.tie
    }
  }

  private var heap: [Step] = []

  mutating func push(_ step: Step) {
    heap.append(step)
    var at = heap.count - 1
    while at > 0, heap[at] < heap[(at - 1) / 2] {
      heap.swapAt(at, (at - 1) / 2)
      at = (at - 1) / 2
    }
  }

  mutating func pop(until end: Int64) -> Step? {
    guard let first = heap.first, first.time <= end else { return nil }
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var at = 0
    while true {
      var least = at
      for child in [2 * at + 1, 2 * at + 2] where child < heap.count && heap[child] < heap[least] {
        least = child
      }
      guard least != at else { return first }
      heap.swapAt(at, least)
      at = least
    }
  }
}
