import Loop
import Testing

/// The order in which what was left alone longest makes room for others.
@Suite struct RecencyQueueTests {
  private final class Thing: RecencyNode {
    let number: Int
    unowned var older: Thing?
    unowned var newer: Thing?
    init(_ number: Int) { self.number = number }
  }

  private func numbers(_ queue: RecencyQueue<Thing>, _ count: Int = 100) -> [Int] {
    queue.oldest(count).map(\.number)
  }

  @Test func theOneThatWaitsLongestIsFirst() {
    let things = (0..<4).map { Thing($0) }
    var queue = RecencyQueue<Thing>()
    for thing in things { queue.append(thing) }
    #expect(numbers(queue) == [0, 1, 2, 3] && queue.oldest === things[0])
    queue.renew(things[0])
    #expect(numbers(queue, 2) == [1, 2])
    queue.remove(things[2])
    #expect(numbers(queue) == [1, 3, 0] && queue.oldest === things[1])
  }

  @Test func whatIsNotThereMayBeTakenOut() {
    var queue = RecencyQueue<Thing>()
    let (thing, other) = (Thing(1), Thing(2))
    queue.remove(thing)
    queue.renew(thing)
    queue.append(other)
    queue.remove(thing)
    queue.remove(thing)
    #expect(numbers(queue) == [2] && queue.oldest === other)
    queue.remove(other)
    #expect(queue.oldest == nil)
  }

  /// Whatever is done in whatever order, it is a list without doubles in the order of renewal, and
  /// whoever is not in it has no neighbours.
  @Test func itIsAListInTheOrderOfRenewal() {
    let things = (0..<20).map { Thing($0) }
    var queue = RecencyQueue<Thing>()
    var model: [Int] = []
    for _ in 0..<5_000 {
      let number = Int.random(in: 0..<20)
      model.removeAll { $0 == number }
      if Bool.random() {
        queue.renew(things[number])
        model.append(number)
      } else {
        queue.remove(things[number])
        #expect(things[number].older == nil && things[number].newer == nil)
      }
      guard numbers(queue) == model else {
        Issue.record("\(numbers(queue)) is not \(model)")
        return
      }
    }
  }
}
