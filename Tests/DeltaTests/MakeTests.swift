import Bytes
import Delta
import TestKit
import Testing

@Suite("Making deltas") struct MakeTests {
  @Test func randomBytesComeBack() throws {
    var random = SeededGenerator()
    for _ in 0..<400 {
      let base = random.bytes(Int.random(in: 0...600, using: &random))
      var target = random.bytes(Int.random(in: 0...600, using: &random))
      if !base.isEmpty {
        let start = Int.random(in: 0..<base.count, using: &random)
        target.insert(contentsOf: base[start...], at: target.count / 2)
      }
      for cut in [FossilDelta.Cut.anywhere, .betweenCharacters] {
        #expect(try apply(make(base, target, cut: cut), to: base) == target, "\(random)")
      }
    }
  }

  /// Few different bytes make blocks that stand in the base many times over.
  @Test func repetitiveBytesComeBack() throws {
    var random = SeededGenerator()
    for _ in 0..<400 {
      let letters = UInt8.random(in: 1...3, using: &random)
      let base = random.bytes(500).map { $0 % letters }
      let target = random.bytes(700).map { $0 % letters }
      #expect(try apply(make(base, target), to: base) == target, "\(random)")
    }
  }

  @Test func aDocumentThatChangesALittleTravelsAsALittle() throws {
    var scenery = Scenery(seed: 4, units: 40)
    var before = scenery.json
    var whole = 0
    var sent = 0
    for _ in 0..<200 {
      scenery.step()
      let after = scenery.json
      let delta = make(before, after, cut: .betweenCharacters)
      #expect(try apply(delta, to: before) == after)
      whole += after.count
      sent += delta.count
      before = after
    }
    #expect(sent * 12 < whole, "\(sent) bytes of deltas for \(whole) bytes")
  }

  /// Half a character could not travel in a JSON string.
  @Test func deltasOfTextAreText() throws {
    var random = SeededGenerator()
    // Neighbours in Unicode share all bytes but the last one or two.
    let letters = Array("äöüßàáâ→⇒⇔😀😁😂ab")
    for _ in 0..<600 {
      var text = (0..<60).map { _ in letters.randomElement(using: &random) ?? "a" }
      let base = utf8(String(text))
      for _ in 0..<3 { text[Int.random(in: 0..<60, using: &random)] = letters[0] }
      let target = utf8(String(text))
      let delta = make(base, target, cut: .betweenCharacters)
      #expect(String(validating: delta, as: UTF8.self) != nil, "\(random)")
      #expect(try apply(delta, to: base) == target, "\(random)")
    }
  }

  @Test func cutAnywhereWouldHaveCutCharacters() {
    let base = utf8("0123456789abcdefä0123456789abcdef")
    let target = utf8("0123456789abcdefö0123456789abcdef")
    #expect(String(validating: make(base, target), as: UTF8.self) == nil)
    #expect(String(validating: make(base, target, cut: .betweenCharacters), as: UTF8.self) != nil)
  }

  @Test func whatHasNothingInCommonCostsAFewBytesMore() {
    var random = SeededGenerator()
    let (base, target) = (random.bytes(3_000), random.bytes(3_000))
    #expect(make(base, target).count <= target.count + 20, "\(random)")
  }

  /// Every block is every other block's equal, and every match ends after the same few bytes.
  @Test(.timeLimit(.minutes(1))) func repetitionDoesNotCostTimeWithoutBound() throws {
    let zeros = [UInt8](repeating: 0, count: 1 << 20)
    #expect(make(zeros, zeros).count < 32)
    let halves = [UInt8](repeating: 0x80, count: 1 << 20)
    #expect(try apply(make(halves, halves, cut: .betweenCharacters), to: halves) == halves)
    let piece = utf8("{\"value\":0},")
    var (base, target): ([UInt8], [UInt8]) = ([], [])
    for index in 0..<40_000 {
      base += piece + [UInt8(truncatingIfNeeded: index), 1]
      target += piece + [UInt8(truncatingIfNeeded: index &* 7), 2]
    }
    #expect(try apply(make(base, target), to: base) == target)
  }
}
