import Testing
import Wire

@testable import HubCore

struct RelayTableTests {
  private func place(_ gateway: UInt64, _ lane: UInt16) -> RelayPlace {
    RelayPlace(gateway: gateway, lane: lane)
  }

  @Test func aLaneLeadsToTheLinkThatTookItLast() {
    var table = RelayTable()
    #expect(table.link(to: place(1, 0)) == nil)
    #expect(table.take(place(1, 0), by: 10) == true)
    #expect(table.take(place(1, 1), by: 11) == true)
    #expect(table.link(to: place(1, 0)) == 10 && table.link(to: place(1, 1)) == 11)
    #expect(table.link(to: place(1, 2)) == nil && table.link(to: place(2, 0)) == nil)
    #expect(table.take(place(1, 0), by: 12) == true)
    #expect(table.link(to: place(1, 0)) == 12)
  }

  @Test func anyLaneIsTheLowestThatIsThere() {
    var table = RelayTable()
    #expect(table.take(place(1, 3), by: 13) == true)
    #expect(table.take(place(1, 2), by: 12) == true)
    #expect(table.link(to: place(1, RelayPlace.anyLane)) == 12)
    _ = table.remove(12)
    #expect(table.link(to: place(1, RelayPlace.anyLane)) == 13)
    _ = table.remove(13)
    #expect(table.link(to: place(1, RelayPlace.anyLane)) == nil)
    #expect(table.take(place(1, RelayPlace.anyLane), by: 14) == false, "it is no lane of its own")
  }

  @Test func aLinkThatIsGoneNoLongerTakesTheLaneOfItsSuccessor() {
    var table = RelayTable()
    #expect(table.take(place(1, 0), by: 10) == true)
    #expect(table.take(place(1, 0), by: 20) == true)
    _ = table.remove(10)
    #expect(table.link(to: place(1, 0)) == 20)
  }

  @Test func everyRelayGoesOnWithANumberOfItsOwn() throws {
    var table = RelayTable()
    let begun = (table.begin(7, of: 1, to: 3), table.begin(7, of: 2, to: 3))
    let (first, second) = (try #require(begun.0), try #require(begun.1))
    #expect(first != second)
    #expect(table.begin(7, of: 1, to: 3) == nil, "the number is in use")
    let onward = try #require(table.onward(7, of: 1))
    #expect(onward == (3, first))
    table.end(7, of: 1, as: second)
    #expect(table.onward(7, of: 1) != nil, "that was another one")
    table.end(7, of: 1, as: first)
    #expect(table.onward(7, of: 1) == nil)
    #expect(table.begin(7, of: 1, to: 3) != nil)
  }

  @Test func whatALinkThatIsGoneHadUnderWayIsTold() throws {
    var table = RelayTable()
    var numbers: [UInt32] = []
    for number in 0..<UInt32(3) {
      let onward = table.begin(number, of: 1, to: 2)
      numbers.append(try #require(onward))
    }
    _ = table.begin(0, of: 5, to: 2)
    let removed = (table.remove(1), table.remove(1))
    #expect(removed.0.map(\.number).sorted() == numbers)
    #expect(removed.1.isEmpty)
    #expect(table.onward(0, of: 5) != nil)
  }

  @Test func isBounded() {
    var table = RelayTable()
    for number in 0..<UInt32(RelayTable.relaysMax) { _ = table.begin(number, of: 1, to: 2) }
    #expect(table.begin(.max, of: 1, to: 2) == nil)
    #expect(table.begin(.max, of: 2, to: 1) != nil, "each link for itself")
    for lane in 0..<UInt16(RelayTable.lanesMax) { _ = table.take(place(1, lane), by: 1) }
    #expect(table.take(place(1, UInt16(RelayTable.lanesMax)), by: 1) == false)
    #expect(table.take(place(1, 0), by: 2) == true)
  }
}
