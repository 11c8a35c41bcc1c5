import Bytes
import Delta
import TestKit
import Testing

@Suite("Applying deltas") struct ApplyTests {
  @Test func vectorsOfFossilAreThere() { #expect(FossilVector.all.count == 14) }

  @Test(arguments: FossilVector.all) func whatFossilMadeGivesItsTarget(_ vector: FossilVector)
    throws
  {
    #expect(try apply(vector.delta, to: vector.base) == vector.target)
  }

  @Test(arguments: FossilVector.all) func oursGivesTheSameTarget(_ vector: FossilVector) throws {
    #expect(try apply(make(vector.base, vector.target), to: vector.base) == vector.target)
  }

  /// Ours finds at least what Fossil's does, give or take the heads of a few commands.
  @Test(arguments: FossilVector.all) func oursIsAboutAsShort(_ vector: FossilVector) {
    #expect(make(vector.base, vector.target).count <= vector.delta.count + 16)
  }

  @Test(arguments: [
    ("", DeltaError.truncated), ("3", .truncated), ("3\n", .truncated), ("3\n3:ab", .truncated),
    ("3\n3:abc", .truncated), ("3\n3:abc1", .truncated), ("\n0;", .invalidNumber),
    ("3\n:abc", .invalidNumber), ("3\n3:abc;", .invalidNumber), ("~~~~~~\n", .invalidNumber),
    ("40000000\n", .invalidNumber), ("3 3:abc0;", .unknownCommand), ("3\n3!abc", .unknownCommand),
    ("3\n3@0;", .unknownCommand), ("3\n4:abcd0;", .sizeMismatch),
    ("4\n3:abc1XObC0;", .sizeMismatch),
    ("3\n4@0,0;", .sizeMismatch), ("3\n3:abc1;", .checksumMismatch),
    ("3\n3:abc1XObC0;x", .trailingBytes), ("G0001\n", .targetTooLarge),
    ("8\n8@1,0;", .copyOutsideBase), ("8\n8@3~~~~~,0;", .copyOutsideBase),
  ])
  func faultsAreTold(_ delta: String, _ error: DeltaError) {
    #expect(throws: error) { try apply(utf8(delta), to: utf8("12345678"), targetBytesMax: 1 << 20) }
  }

  /// The base of another publication is found out.
  @Test func anotherBaseIsRefused() {
    let base = utf8("{\"a\":1,\"what is the same\":\"in both of these\"}")
    let delta = make(base, utf8("{\"a\":2,\"what is the same\":\"in both of these\"}"))
    var other = base
    other[20] ^= 1
    #expect(throws: DeltaError.checksumMismatch) { try apply(delta, to: other) }
  }

  /// A few bytes may claim four gigabytes; nothing is reserved for a claim.
  @Test func aClaimOfManyBytesIsRefusedBeforeTheyAreReserved() {
    #expect(throws: DeltaError.targetTooLarge) { try apply(utf8("3~~~~~\n0;"), to: []) }
    #expect(throws: DeltaError.sizeMismatch) {
      try apply(utf8("3~~~~~\n0;"), to: [], targetBytesMax: .max)
    }
  }

  @Test(arguments: FossilVector.all) func everyCutIsRefused(_ vector: FossilVector) {
    for count in 0..<vector.delta.count {
      #expect(throws: DeltaError.self) { try apply(Array(vector.delta[..<count]), to: vector.base) }
    }
  }

  /// Damage is refused, or has left the target what it was.
  @Test func damageIsFoundOut() {
    var random = SeededGenerator()
    for round in 0..<8_000 {
      let vector = FossilVector.all[round % FossilVector.all.count]
      var delta = vector.delta
      let index = Int.random(in: 0..<delta.count, using: &random)
      delta[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      if let target = try? apply(delta, to: vector.base) {
        // One flipped bit changes the sum by a power of two, which can't be nothing.
        #expect(target == vector.target, "\(random) round \(round) of \(vector.label)")
      }
    }
  }

  @Test func rubbishIsRefused() {
    var random = SeededGenerator()
    for _ in 0..<8_000 {
      let rubbish = random.bytes(Int.random(in: 0...40, using: &random))
      #expect((try? apply(rubbish, to: [1, 2, 3])) == nil, "\(random)")
    }
  }

  @Test func checksumPadsTheLastWordWithZeros() {
    let one = FossilDelta.checksum([1].span)
    let five = FossilDelta.checksum([0, 0, 0, 1, 0xFF].span)
    let wraps = FossilDelta.checksum([UInt8](repeating: 0xFF, count: 12).span)
    #expect(one == 0x0100_0000)
    #expect(five == 0xFF00_0001)
    #expect(wraps == 0xFFFF_FFFD)
  }
}
