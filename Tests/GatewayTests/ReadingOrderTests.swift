import Testing

@testable import GatewayCore

struct ReadingOrderTests {
  private typealias Order = ReadingOrder<String, String>

  private func readers(_ order: inout Order, held: Set<String> = []) -> [String] {
    var began: [String] = []
    while let reader = order.next({ held.contains($0) ? .wait : .read }) { began.append(reader) }
    return began
  }

  @Test func aClientReadsOnePageAtATimeHoweverManyItWants() {
    var order = Order(most: 8)
    for number in 1...60 { order.add("a\(number)", of: "a") }
    #expect(readers(&order) == ["a1"])
    #expect(readers(&order) == [])
    order.finished("a")
    #expect(readers(&order) == ["a2"])
  }

  @Test func clientsHaveTheirPagesInTurnAndOnlySoManyAtOnce() {
    var order = Order(most: 2)
    for client in ["a", "b", "c"] {
      for number in 1...2 { order.add("\(client)\(number)", of: client) }
    }
    #expect(readers(&order) == ["a1", "b1"])
    order.finished("a")
    #expect(readers(&order) == ["c1"])
    order.finished("b")
    order.finished("c")
    #expect(readers(&order) == ["a2", "b2"])
    order.finished("a")
    order.finished("b")
    #expect(readers(&order) == ["c2"])
    order.finished("c")
    #expect(order.isEmpty)
  }

  @Test func whoHasNoRoomWaitsAndHoldsUpNobody() {
    var order = Order(most: 1)
    order.add("a1", of: "a")
    order.add("b1", of: "b")
    #expect(readers(&order, held: ["a1"]) == ["b1"])
    order.finished("b")
    #expect(readers(&order) == [])
    order.roomCame("a")
    #expect(readers(&order) == ["a1"])
    order.finished("a")
    #expect(order.isEmpty)
  }

  @Test func whoIsGoneIsForgottenInEveryState() {
    var order = Order(most: 1)
    order.add("a1", of: "a")
    order.add("a2", of: "a")
    order.add("b1", of: "b")
    order.add("c1", of: "c")
    #expect(readers(&order) == ["a1"])
    order.forget("a")
    order.forget("b")
    order.finished("a")
    #expect(readers(&order, held: ["c1"]) == [])
    order.forget("c")
    #expect(order.isEmpty)
    // One of the same name is another one.
    order.add("c2", of: "c")
    #expect(readers(&order) == ["c2"])
  }

  @Test func aReaderThatWantsNothingMoreIsPassedOver() {
    var order = Order(most: 4)
    for number in 1...3 { order.add("a\(number)", of: "a") }
    let third = order.next { $0 == "a3" ? .read : .forget }
    #expect(third == "a3")
    order.finished("a")
    order.add("b1", of: "b")
    let none = order.next { _ in .forget }
    #expect(none == nil)
    #expect(order.isEmpty)
  }
}
