import Testing

@testable import GatewayCore

/// Who is let go where clients make the gateway hold too much.
@Suite struct ClientMemoryTests {
  private func tally(_ held: Int...) -> MemoryTally {
    var tally = MemoryTally()
    for bytes in held { tally.add(bytes) }
    return tally
  }

  @Test func nobodyGoesWithinTheBudget() {
    #expect(MemoryRelief.of(0, [tally(500, 400), tally(100)], most: 1_000) == nil)
    #expect(MemoryRelief.of(0, [tally()], most: 1_000) == nil)
  }

  /// 8,000 have to come down to 7,000 × 7/8: the one of 4,096 is enough, so nobody of less goes.
  @Test func whoHoldsMostGoesFirst() {
    let tallies = [tally(4_096, 1_000, 1_000), tally(1_000, 904)]
    #expect(MemoryRelief.of(0, tallies, most: 7_000) == MemoryRelief(size: 13, bytes: 1_875))
    // The other loop has nobody of that size, and lets nobody go.
    #expect(MemoryRelief.of(1, tallies, most: 7_000) == MemoryRelief(size: 13, bytes: 0))
  }

  @Test func loopsShareTheLastSizeByWhatTheyHoldOfIt() {
    let tallies = [tally(1_000, 1_000, 1_000), tally(1_000)]
    // 4,000 to 1,750: 2,250 of that size, three quarters of them here.
    #expect(MemoryRelief.of(0, tallies, most: 2_000) == MemoryRelief(size: 10, bytes: 1_688))
    #expect(MemoryRelief.of(1, tallies, most: 2_000) == MemoryRelief(size: 10, bytes: 563))
  }

  /// However it is spread: what is let go brings all loops down to the target, by no more than one
  /// holder a loop too many.
  @Test func whatGoesIsEnoughAndNotMuchMore() {
    var generator = SystemRandomNumberGenerator()
    let seed = UInt64.random(in: .min ... .max, using: &generator)
    var random = Seeded(state: seed)
    for _ in 0..<300 {
      let loops = (0..<Int.random(in: 1...4, using: &random)).map { _ in
        (0..<Int.random(in: 0...40, using: &random)).map { _ in Int.random(in: 1...100_000, using: &random) }
      }
      let tallies = loops.map { held in
        var tally = MemoryTally()
        for bytes in held { tally.add(bytes) }
        return tally
      }
      let total = loops.joined().reduce(0, +)
      let most = Int.random(in: 1...max(1, total), using: &random)
      var left = total
      var largest = 0
      for (index, held) in loops.enumerated() {
        guard let relief = MemoryRelief.of(index, tallies, most: most) else { continue }
        var share = relief.bytes
        for bytes in held.sorted(by: >) {
          let isLast = MemoryTally.size(of: bytes) == relief.size
          guard MemoryTally.size(of: bytes) > relief.size || isLast && share > 0 else { break }
          if isLast { share -= bytes }
          left -= bytes
          largest = max(largest, bytes)
        }
      }
      guard total > most else { continue }
      #expect(left <= most - most / 8 + 8, "seed \(seed)")
      #expect(left >= most / 8 * 7 - largest * loops.count, "seed \(seed)")
    }
  }

  @Test func growthIsUncertainUntilItIsCounted() {
    let memory = ClientMemory()
    memory.allow(1_000)
    #expect(memory.counted(tally(900), at: 0).verdict == .fine)
    #expect(memory.grew(by: 50, at: 1) == .fine)
    #expect(memory.grew(by: 51, at: 1) == .uncertain)
    #expect(memory.counted(tally(40), at: 1).total == 940)
    #expect(memory.counted(tally(900), at: 0).verdict == .fine)
    #expect(memory.counted(tally(200), at: 1).verdict == .over(MemoryRelief(size: 10, bytes: 0)))
  }

  @Test func anotherBudgetIsInForceAtOnce() {
    let memory = ClientMemory()
    memory.allow(1_000)
    _ = memory.counted(tally(600), at: 0)
    memory.allow(500)
    #expect(memory.grew(by: 0, at: 0) != .fine)
  }
}

private struct Seeded: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
