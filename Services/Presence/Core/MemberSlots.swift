/// Where members stand, by their keys. Most channels have few: those are looked through, which costs
/// less than a table does to find and to grow.
struct MemberSlots: Sendable {
  private struct Place {
    let key: MemberKey
    /// What tells most keys apart without looking into them.
    let hint: UInt64
    let slot: Int

    init(_ key: MemberKey, _ slot: Int) {
      self.key = key
      self.slot = slot
      hint = Self.hint(key)
    }

    static func hint(_ key: MemberKey) -> UInt64 {
      switch key {
      case .user(let user): UInt64(user.text.utf8.count)
      case .session(let session): UInt64(session.text.utf8.count)
      case .client(let client, _): client.number
      }
    }
  }

  /// BUDGET: as many are looked through; with more there is a table, until the last is gone.
  static let fewMax = 12

  private var few: [Place] = []
  private var table: [MemberKey: Int] = [:]

  subscript(key: MemberKey) -> Int? {
    guard table.isEmpty else { return table[key] }
    return index(of: key).map { few[$0].slot }
  }

  /// A key that is not there yet.
  mutating func add(_ key: MemberKey, at slot: Int) {
    guard table.isEmpty else { return table[key] = slot }
    few.append(Place(key, slot))
    guard few.count > Self.fewMax else { return }
    for place in few { table[place.key] = place.slot }
    few = []
  }

  mutating func remove(_ key: MemberKey) {
    guard table.isEmpty else { return table[key] = nil }
    guard let index = index(of: key) else { return }
    few.swapAt(index, few.count - 1)
    few.removeLast()
  }

  private func index(of key: MemberKey) -> Int? {
    var index = 0
    let hint = Place.hint(key)
    while index < few.count {
      if few[index].hint == hint, few[index].key == key { return index }
      index += 1
    }
    return nil
  }
}
