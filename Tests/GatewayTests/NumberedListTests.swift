import Testing

@testable import GatewayCore

@Suite struct NumberedListTests {
  final class Guest: Numbered {
    var placeInList: Int?
  }

  @Test func holdsWhoeverIsInItWhateverTheOrder() {
    var list = NumberedList<Guest>()
    var there: [Guest] = []
    var random = SystemRandomNumberGenerator()
    for _ in 0..<2_000 {
      if there.isEmpty || Bool.random(using: &random) {
        let guest = Guest()
        list.add(guest)
        there.append(guest)
      } else {
        let gone = there.remove(at: Int.random(in: there.indices, using: &random))
        let (isGone, isGoneTwice) = (list.remove(gone), list.remove(gone))
        #expect(isGone && !isGoneTwice && gone.placeInList == nil)
      }
      #expect(list.all.count == there.count && list.isEmpty == there.isEmpty)
    }
    for (index, guest) in list.all.enumerated() { #expect(guest.placeInList == index) }
    #expect(Set(list.all.map(ObjectIdentifier.init)) == Set(there.map(ObjectIdentifier.init)))
  }

  @Test func knowsNobodyOfAnotherList() {
    var (one, other) = (NumberedList<Guest>(), NumberedList<Guest>())
    let (here, there) = (Guest(), Guest())
    one.add(here)
    other.add(there)
    let (isAnothers, isNobodys, isItsOwn) = (one.remove(there), one.remove(Guest()), other.remove(there))
    #expect(!isAnothers && !isNobodys && isItsOwn && one.all.count == 1)
  }
}
