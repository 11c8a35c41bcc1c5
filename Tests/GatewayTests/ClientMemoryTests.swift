import Testing

@testable import GatewayCore

/// Who is let go where clients make the gateway hold too much.
@Suite struct ClientMemoryTests {
  private let one = address(1)
  private let two = address(2)
  private let three = address(3)

  private static func address(_ number: UInt32) -> MemoryAccount { .address(.ipv4(number)) }

  private func tally(_ held: (MemoryAccount, Int)..., loose: Int = 0) -> MemoryTally {
    var tally = MemoryTally()
    for (account, bytes) in held { tally.add(bytes, of: account) }
    tally.add(loose: loose)
    return tally
  }

  @Test func nobodyGoesWithinTheBudget() {
    #expect(MemoryRelief.of([tally((one, 500), (two, 400)), tally((one, 100))], most: 1_000) == [[], []])
    #expect(MemoryRelief.of([tally()], most: 1_000) == [[]])
  }

  /// 8,000 have to come down to 7,000 × 7/8: the one of 4,096 is enough.
  @Test func theLargestOfWhoHoldsMostGoesFirst() {
    let tallies = [tally((one, 1_000), (two, 4_096), (one, 1_000)), tally((three, 1_000), (three, 904))]
    #expect(MemoryRelief.of(tallies, most: 7_000) == [[1], []])
  }

  /// Whoever spreads it over many connections, on whatever loop, loses those, the largest first, and
  /// nobody else anything while he holds most.
  @Test func manyThatHoldLittleGoBeforeTheOneOfWhoHoldsLess() {
    let tallies = [
      tally((one, 400), (two, 1_500), (one, 600), (one, 500)),
      tally((one, 500), (three, 1_500), (one, 700), (one, 300)),
    ]
    // 6,000 to 4,375: 3,000 of one's in all, of which 700, 600 and 500 go, the first of these here.
    #expect(MemoryRelief.of(tallies, most: 5_000) == [[2, 3], [2]])
  }

  /// What is left of it decides: once another holds more, that one is next.
  @Test func accountsTakeTurnsByWhatTheyHoldStill() {
    let tallies = [tally((one, 1_000), (one, 1_000), (one, 1_000), (two, 1_200), (two, 1_200))]
    // 5,400 to 3,150: one (3,000), two (2,400), and one again (2,000).
    #expect(MemoryRelief.of(tallies, most: 3_600) == [[0, 3, 1]])
  }

  @Test func usersAreCountedOverAllAddressesAndAddressesWithoutThem() {
    let ada = MemoryAccount.user(UserKey("ada"))
    let tallies = [tally((ada, 600), (one, 700), (two, 700)), tally((ada, 600))]
    #expect(MemoryRelief.of(tallies, most: 2_500) == [[0], []])
  }

  @Test func whatLimitsDoNotBindStandsForItself() {
    let (a, b) = (Thing(), Thing())
    let tallies = [tally((.alone(ObjectIdentifier(a)), 600), (.alone(ObjectIdentifier(b)), 600), (one, 1_000))]
    #expect(MemoryRelief.of(tallies, most: 2_000) == [[2]])
  }

  @Test func whatNobodyCanLetGoCountsAndMakesOthersGo() {
    #expect(MemoryRelief.of([tally((one, 100), loose: 950)], most: 1_000) == [[0]])
    #expect(MemoryRelief.of([tally(loose: 2_000)], most: 1_000) == [[]])
  }

  /// However it is spread: each goes when its account holds more than every other, and no more go
  /// than are needed.
  @Test func whatGoesIsEnoughAndNoMoreThanIsNeeded() {
    var generator = SystemRandomNumberGenerator()
    let seed = UInt64.random(in: .min ... .max, using: &generator)
    var random = Seeded(state: seed)
    for _ in 0..<300 {
      let tallies = (0..<Int.random(in: 1...4, using: &random)).map { _ in
        var tally = MemoryTally()
        for _ in 0..<Int.random(in: 0...40, using: &random) {
          let account = Self.address(UInt32.random(in: 1...9, using: &random))
          tally.add(Int.random(in: 1...100_000, using: &random), of: account)
        }
        return tally
      }
      let total = tallies.reduce(0) { $0 + $1.bytes }
      let most = Int.random(in: 1...max(1, total), using: &random)
      let going = MemoryRelief.of(tallies, most: most)
      #expect(going == Self.oneByOne(tallies, most: most), "seed \(seed)")
    }
  }

  /// The same by looking at everybody each time.
  private static func oneByOne(_ tallies: [MemoryTally], most: Int) -> [[Int]] {
    var left: [(loop: Int, place: Int, holder: MemoryTally.Holder)] = []
    for (loop, tally) in tallies.enumerated() {
      for (place, holder) in tally.holders.enumerated() { left.append((loop, place, holder)) }
    }
    var going = tallies.map { _ in [Int]() }
    var total = left.reduce(0) { $0 + $1.holder.bytes }
    guard total > most else { return going }
    while total > most / 8 * 7 {
      var held: [MemoryAccount: Int] = [:]
      for entry in left { held[entry.holder.account, default: 0] += entry.holder.bytes }
      let greatest = held.values.max() ?? 0
      // The largest of each that holds so much; of several the first.
      var largest: [MemoryAccount: (loop: Int, place: Int, holder: MemoryTally.Holder)] = [:]
      for entry in left where held[entry.holder.account] == greatest {
        let known = largest[entry.holder.account]?.holder.bytes ?? 0
        if entry.holder.bytes > known { largest[entry.holder.account] = entry }
      }
      let next = largest.values.min { ($0.loop, $0.place) < ($1.loop, $1.place) }
      guard let next else { break }
      left.removeAll { $0.loop == next.loop && $0.place == next.place }
      going[next.loop].append(next.place)
      total -= next.holder.bytes
    }
    return going
  }

  @Test func growthIsUncertainUntilItIsCounted() {
    let memory = ClientMemory()
    memory.allow(1_000)
    #expect(memory.counted(tally((one, 900)), at: 0).verdict == .fine)
    #expect(memory.grew(by: 50, at: 1) == .fine)
    #expect(memory.grew(by: 51, at: 1) == .uncertain)
    #expect(memory.counted(tally((two, 40)), at: 1).total == 940)
    #expect(memory.counted(tally((one, 900)), at: 0).verdict == .fine)
    #expect(memory.counted(tally((two, 200)), at: 1).verdict == .over)
    #expect(memory.relief(at: 0) == [0] && memory.relief(at: 1) == [] && memory.relief(at: 2) == [])
  }

  @Test func anotherBudgetIsInForceAtOnce() {
    let memory = ClientMemory()
    memory.allow(1_000)
    _ = memory.counted(tally((one, 600)), at: 0)
    memory.allow(500)
    #expect(memory.grew(by: 0, at: 0) == .over)
  }

  private final class Thing {}
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
