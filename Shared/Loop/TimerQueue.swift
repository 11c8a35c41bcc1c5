internal import Platform

/// A timer that may still be cancelled.
public struct TimerID: Hashable, Sendable {
  let number: UInt64
}

/// Deadlines in order: a binary heap, with cancelled entries skipped when they come up.
///
/// Meant for the few hundred timers of links, requests and plugins. Connections have no timer of
/// their own: their deadlines are swept together (see the gateway's `Sweep`).
struct TimerQueue {
  private struct Entry {
    var deadline: Instant
    var number: UInt64
  }

  private var heap: [Entry] = []
  private var bodies: [UInt64: () -> Void] = [:]
  private var nextNumber: UInt64 = 0

  /// The earliest deadline; a cancelled timer's may be reported until it comes up.
  var nextDeadline: Instant? { heap.first?.deadline }

  /// Entries held, those that were cancelled and not yet dropped included.
  var entryCount: Int { heap.count }

  mutating func add(_ deadline: Instant, _ body: @escaping () -> Void) -> TimerID {
    nextNumber &+= 1
    bodies[nextNumber] = body
    heap.append(Entry(deadline: deadline, number: nextNumber))
    siftUp(from: heap.count - 1)
    return TimerID(number: nextNumber)
  }

  mutating func cancel(_ timer: TimerID) {
    bodies[timer.number] = nil
    // Cancelled entries may not outnumber the live ones for long.
    if heap.count > 64, heap.count > bodies.count * 2 { rebuild() }
  }

  /// The next body whose deadline is not after `now`.
  mutating func popDue(_ now: Instant) -> (() -> Void)? {
    while let first = heap.first, first.deadline <= now {
      removeFirst()
      if let body = bodies.removeValue(forKey: first.number) { return body }
    }
    return nil
  }

  private mutating func rebuild() {
    heap = heap.filter { bodies[$0.number] != nil }.sorted { isBefore($0, $1) }
  }

  private func isBefore(_ a: Entry, _ b: Entry) -> Bool {
    a.deadline == b.deadline ? a.number < b.number : a.deadline < b.deadline
  }

  private mutating func siftUp(from start: Int) {
    var child = start
    while child > 0 {
      let parent = (child - 1) / 2
      guard isBefore(heap[child], heap[parent]) else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private mutating func removeFirst() {
    heap.swapAt(0, heap.count - 1)
    heap.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < heap.count && isBefore(heap[child], heap[least]) { least = child }
      guard least != parent else { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
