import TestKit
import Testing

@testable import PresenceCore

@Suite struct MemberSlotsTests {
  /// Around the number from which on there is a table, and back to none.
  @Test(arguments: [3, 77, 4_242])
  func placesAreThoseOfADictionary(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var slots = MemberSlots()
    var model: [MemberKey: Int] = [:]
    let users = try (0..<30).map { MemberKey.user(try #require(UserID("user \($0)"))) }
    for step in 0..<4_000 {
      let key = users[Int(random.next() % UInt64(users.count))]
      // Fills and empties in turn.
      let adds = random.next() % 10 < (step / 200 % 2 == 0 ? 8 : 2)
      if model[key] != nil, !adds {
        slots.remove(key)
        model[key] = nil
      } else if model[key] == nil, adds {
        slots.add(key, at: step)
        model[key] = step
      } else if model[key] == nil {
        slots.remove(key)
      }
      for user in users { #expect(slots[user] == model[user], "\(random)") }
    }
  }
}
