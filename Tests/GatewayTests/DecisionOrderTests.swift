import Bytes
import Platform
import Testing

@testable import GatewayCore

/// A channel's edits are decided in the order they came, each on what the one before made.
@Suite struct DecisionOrderTests {
  private let start = Instant(nanoseconds: 0)
  private var later: Instant { start + .seconds(5) }

  private func order(_ elements: String...) -> DecisionOrder<String> {
    var order = DecisionOrder<String>(needsLive: true)
    for element in elements { _ = order.append(element, bytes: 1, deadline: later) }
    return order
  }

  private func take(_ order: inout DecisionOrder<String>, at position: Position?) -> String? {
    order.take(at: position, isLive: true, now: start)
  }

  @Test func theNextIsDecidedOnceTheFormerIsApplied() {
    var order = order("a", "b")
    #expect(take(&order, at: nil) == "a")
    #expect(take(&order, at: nil) == nil, "a is on its way")
    order.wait(since: nil, until: later)
    #expect(take(&order, at: nil) == nil, "a is stored, and not applied here")
    #expect(take(&order, at: position("e", 1)) == "b")
  }

  @Test func aConflictIsDecidedAgainBeforeThoseWhoCameLater() {
    var order = order("a", "b", "c")
    #expect(take(&order, at: position("e", 1)) == "a")
    order.putBack("a again")
    order.wait(since: position("e", 1), until: later)
    #expect(take(&order, at: position("e", 1)) == nil)
    #expect(take(&order, at: position("e", 2)) == "a again")
    order.settle()
    #expect(take(&order, at: position("e", 2)) == "b")
    order.settle()
    #expect(take(&order, at: position("e", 2)) == "c")
    order.settle()
    #expect(order.isIdle)
  }

  @Test func aNewHistoryIsAMoveToo() {
    var order = order("a", "b")
    _ = take(&order, at: position("e", 9))
    order.wait(since: position("e", 9), until: later)
    #expect(take(&order, at: position("f", 0)) == "b")
  }

  @Test func oneThatWaitsCanBeTakenOut() {
    var order = order("a", "b", "c")
    _ = take(&order, at: nil)
    var waiting: [(number: UInt64, element: String, bytes: Int)] = []
    order.forEachWaiting { waiting.append(($0, $1, $2)) }
    #expect(waiting.map(\.element) == ["b", "c"] && order.bytes == 2)
    #expect(order.remove(waiting[0].number) == "b" && order.remove(waiting[0].number) == nil)
    #expect(order.bytes == 1)
    // What was taken still comes back before all others.
    order.putBack("a again")
    order.settle()
    #expect(take(&order, at: nil) == "a again")
    order.settle()
    #expect(take(&order, at: nil) == "c")
    order.settle()
    #expect(order.isIdle && order.bytes == 0)
  }

  @Test func whatWasSettledHoldsNobodyUp() {
    var order = order("a", "b")
    _ = take(&order, at: nil)
    order.settle()
    #expect(take(&order, at: nil) == "b")
  }

  @Test func nothingIsDecidedOnAStateThatIsNotUpToDate() {
    var order = order("a")
    #expect(order.take(at: position("e", 1), isLive: false, now: start) == nil)
    order.needsLive = false
    #expect(order.take(at: position("e", 1), isLive: false, now: start) == "a")
    order.wait(since: position("e", 1), until: later)
    _ = order.append("b", bytes: 1, deadline: later)
    #expect(
      order.take(at: position("e", 2), isLive: false, now: start) == nil,
      "a channel that catches up has not moved for good")
  }

  @Test func aChannelThatDoesNotMoveHoldsTheOrderUpForAWhileOnly() {
    var order = order("a", "b")
    _ = take(&order, at: nil)
    order.wait(since: nil, until: later)
    #expect(order.take(at: nil, isLive: true, now: later) == "b")
  }

  @Test func whoeverWaitsTooLongIsTakenOutInOrder() {
    var order = order("a", "b")
    _ = take(&order, at: nil)
    _ = order.append("c", bytes: 1, deadline: later + .seconds(1))
    #expect(order.takeExpired(now: start).isEmpty)
    #expect(order.takeExpired(now: later) == ["b"])
    order.putBack("a")
    order.settle()
    #expect(take(&order, at: nil) == "a")
    order.settle()
    #expect(take(&order, at: nil) == "c")
  }

  private func append(_ number: Int, _ bytes: Int, _ order: inout DecisionOrder<Int>) -> Bool {
    order.append(number, bytes: bytes, deadline: later)
  }

  @Test func theQueueIsBoundedInCountAndInBytes() {
    var order = DecisionOrder<Int>(needsLive: true)
    for number in 0..<DecisionOrder<Int>.countMax {
      #expect(append(number, 1, &order))
    }
    #expect(!append(-1, 1, &order))
    for number in 0..<DecisionOrder<Int>.countMax {
      #expect(order.take(at: nil, isLive: true, now: start) == number)
      order.settle()
    }
    #expect(append(1, .max / 2, &order), "one fits, whatever its size")
    #expect(!append(2, 1, &order))
    _ = order.take(at: nil, isLive: true, now: start)
    #expect(append(2, DecisionOrder<Int>.bytesMax, &order))
    #expect(!append(3, 1, &order))
  }

  @Test func laterPublicationsOfADecisionHaveKeysOfTheirOwnThatRepeat() {
    let second = Publishing.key(after: "k")
    #expect(second == Publishing.key(after: "k"))
    #expect(second != Publishing.key(after: "l"))
    #expect(Publishing.key(after: second) != second)
    #expect(Publishing.key(after: String(repeating: "k", count: 255)).utf8.count == 64)
  }
}
