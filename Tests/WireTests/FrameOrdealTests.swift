import Bytes
import TestKit
import Testing
import Wire

/// The decoder ordeal: however the bytes come, the frames are the same, and damage is never
/// delivered.
@Suite struct FrameOrdealTests {
  static let modes: [Checksums] = [.none, .crc32c]

  private func verifier(_ checksums: Checksums) -> DecoderVerifier<FrameEvent> {
    DecoderVerifier { frames($0, checksums) }
  }

  private func samples(_ checksums: Checksums) -> [DecoderVerifier<FrameEvent>.Sample] {
    Samples.all.map { .init($0.description, $0.frame(checksums), [$0.event]) }
  }

  @Test(arguments: modes)
  func howTheBytesAreCutChangesNothing(checksums: Checksums) {
    let seed = UInt64.random(in: .min ... .max)
    let failures = verifier(checksums).failures(of: samples(checksums), seed: seed)
    #expect(failures == [], "seed \(seed)")
  }

  @Test(arguments: modes)
  func whatDamageGivesDoesNotDependOnTheSegments(checksums: Checksums) {
    let seed = UInt64.random(in: .min ... .max)
    let failures = verifier(checksums)
      .failuresOfDamage(to: samples(checksums), seed: seed, rounds: 4_000)
    #expect(failures == [], "seed \(seed)")
  }

  @Test(arguments: modes)
  func rubbishBehindAFrameDoesNotReachBack(checksums: Checksums) throws {
    for sample in Samples.all {
      let rubbish = [UInt8](repeating: 0xff, count: 40)
      for segments in [[sample.frame(checksums) + rubbish], [sample.frame(checksums), rubbish]] {
        let events = frames(segments, checksums)
        #expect(events == [sample.event, .failed(.reservedFlags(0xffff))])
      }
    }
  }

  @Test(arguments: modes)
  func rubbishBeforeAFrameEndsTheStream(checksums: Checksums) {
    for sample in Samples.all {
      let events = frames(
        [[UInt8](repeating: 0xff, count: 16) + sample.frame(checksums)], checksums)
      #expect(events == [.failed(.reservedFlags(0xffff))])
    }
  }

  @Test(arguments: Samples.all)
  func everySingleFlippedBitIsRefusedOrWaitedForUnderAChecksum(sample: Sample) {
    let bytes = sample.frame(.crc32c)
    for index in bytes.indices {
      for bit in 0..<8 {
        var damaged = bytes
        damaged[index] ^= 1 << UInt8(bit)
        let events = frames([damaged], .crc32c)
        if case .failed = events.first, events.count == 1 { continue }
        // Waiting for the rest of a longer frame is right only where the length was hit.
        #expect(events == [] && index < 4, "byte \(index) bit \(bit) gave \(events)")
      }
    }
  }

  @Test func damagedBodiesAreDecodedOrRefused() {
    let seed = UInt64.random(in: .min ... .max)
    var random = SeededGenerator(seed: seed)
    for _ in 0..<20_000 {
      let sample = Samples.all[Int.random(in: 0..<Samples.all.count, using: &random)]
      var damaged = sample.message.body
      guard !damaged.isEmpty else { continue }
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] = random.bytes(1)[0]
      }
      guard let message = try? sample.message.sibling(from: damaged) else { continue }
      let again = message.body
      #expect(throws: Never.self, "\(sample), seed \(seed)") { try message.sibling(from: again) }
    }
  }

  @Test func randomBodiesOfEveryKindAreDecodedOrRefused() {
    let seed = UInt64.random(in: .min ... .max)
    var random = SeededGenerator(seed: seed)
    for witness in Samples.witnesses.values {
      for _ in 0..<500 {
        let count = Int.random(in: 0...96, using: &random)
        let body = random.bytes(count)
        guard let message = try? witness.sibling(from: body) else { continue }
        let again = message.body
        #expect(throws: Never.self, "seed \(seed)") { try message.sibling(from: again) }
      }
    }
  }

  @Test(arguments: Kind.allCases)
  func aBodyOverItsKindsLimitIsRefusedByItsHeaderAlone(kind: Kind) {
    let header = head(length: UInt32(kind.bodyBytesMax) + 1, kind: kind.rawValue)
    let error = FrameError.bodyTooLong(kind: kind, length: kind.bodyBytesMax + 1)
    #expect(frames([header], .crc32c) == [.failed(error)])
    #expect(frames([head(length: UInt32(kind.bodyBytesMax), kind: kind.rawValue)], .none) == [])
    let largest = FrameError.bodyTooLong(kind: kind, length: Int(UInt32.max))
    #expect(frames([head(length: .max, kind: kind.rawValue)], .none) == [.failed(largest)])
  }

  @Test func aHandlerThatStopsKeepsTheFramesBehind() throws {
    let bytes = Samples.all[0].frame(.none) + Samples.all[1].frame(.none)
    var reader = FrameReader(checksums: .none)
    let taken = try reader.read(bytes.span) { _, _ in false }
    #expect(taken == Samples.all[0].frame(.none).count)
  }
}

/// A header whose other fields are zero.
func head(length: UInt32, kind: UInt16, flags: UInt16 = 0) -> [UInt8] {
  var writer = ByteWriter()
  writer.u32(length)
  writer.u16(kind)
  writer.u16(flags)
  writer.u32(0)
  writer.u32(0)
  return writer.bytes
}
