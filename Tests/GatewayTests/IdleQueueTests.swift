import Platform
import Testing

@testable import GatewayCore

/// The order in which channels that nobody subscribes to make room for others.
@Suite struct IdleQueueTests {
  private final class Thing: IdleNode {
    let number: Int
    init(_ number: Int) { self.number = number }
  }

  private func numbers(_ queue: IdleQueue, _ count: Int = 100) -> [Int] {
    queue.oldest(count).compactMap { ($0 as? Thing)?.number }
  }

  private let now = Instant(nanoseconds: 1)

  @Test func theOneThatWaitsLongestIsFirst() {
    let things = (0..<4).map { Thing($0) }
    var queue = IdleQueue()
    for thing in things { queue.renew(thing, now) }
    #expect(numbers(queue) == [0, 1, 2, 3])
    queue.renew(things[0], now)
    #expect(numbers(queue, 2) == [1, 2])
    queue.remove(things[2])
    #expect(numbers(queue) == [1, 3, 0])
    #expect(things[2].idleSince == nil && things[0].idleSince == now)
  }

  @Test func whatIsNotThereMayBeTakenOut() {
    var queue = IdleQueue()
    let thing = Thing(1)
    queue.remove(thing)
    queue.renew(thing, now)
    queue.remove(thing)
    queue.remove(thing)
    #expect(numbers(queue).isEmpty && queue.oldest == nil)
  }

  /// Whatever is done in whatever order, it is a list without doubles in the order of renewal.
  @Test func itIsAListInTheOrderOfRenewal() {
    let things = (0..<20).map { Thing($0) }
    var queue = IdleQueue()
    var model: [Int] = []
    for _ in 0..<5_000 {
      let number = Int.random(in: 0..<20)
      model.removeAll { $0 == number }
      if Bool.random() {
        queue.renew(things[number], now)
        model.append(number)
      } else {
        queue.remove(things[number])
      }
      guard numbers(queue) == model else {
        Issue.record("\(numbers(queue)) is not \(model)")
        return
      }
    }
  }

  @Test func sharesAreCountedByAddress() {
    var shares = ChannelShares()
    let (one, other) = (AddressKey.ipv4(1), AddressKey.ipv4(2))
    shares.enter(one)
    shares.enter(one)
    shares.leave(other)
    #expect(shares.count(of: one) == 2 && shares.count(of: other) == 0)
    shares.leave(one)
    shares.leave(one)
    shares.leave(one)
    #expect(shares.count(of: one) == 0)
  }
}
