import Bytes
import Testing
import Wire

/// The decoder ordeal: however the bytes come, the frames are the same, and damage is never
/// delivered.
@Suite struct FrameOrdealTests {
  static let modes: [Checksums] = [.none, .crc32c]

  @Test(arguments: Samples.all, modes)
  func splittingAFrameAnywhereChangesNothing(sample: Sample, checksums: Checksums) {
    let bytes = sample.frame(checksums)
    #expect(frames([bytes], checksums) == [sample.event])
    #expect(frames(bytes.map { [$0] }, checksums) == [sample.event])
    for index in 0...bytes.count {
      let halves = [Array(bytes[..<index]), Array(bytes[index...])]
      #expect(frames(halves, checksums) == [sample.event], "split at \(index)")
    }
  }

  @Test(arguments: Samples.all, modes)
  func aTruncatedFrameIsWaitedFor(sample: Sample, checksums: Checksums) {
    let bytes = sample.frame(checksums)
    for count in 0..<bytes.count {
      #expect(frames([Array(bytes[..<count])], checksums) == [], "first \(count) bytes")
    }
  }

  @Test(arguments: modes)
  func framesBehindEachOtherComeInOrder(checksums: Checksums) {
    let bytes = Samples.all.flatMap { $0.frame(checksums) }
    let events = Samples.all.map(\.event)
    #expect(frames([bytes], checksums) == events)
    #expect(frames(bytes.map { [$0] }, checksums) == events)
    let seed = UInt64.random(in: .min ... .max)
    var random = Seeded(seed: seed)
    for round in 0..<64 {
      let segments = random.segments(of: bytes)
      #expect(frames(segments, checksums) == events, "seed \(seed) round \(round)")
    }
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

  @Test(arguments: modes)
  func damageNeverTrapsNorDependsOnTheSegments(checksums: Checksums) {
    let seed = UInt64.random(in: .min ... .max)
    var random = Seeded(seed: seed)
    for round in 0..<4_000 {
      var damaged = Samples.all[Int.random(in: 0..<Samples.all.count, using: &random)]
        .frame(checksums)
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] ^=
          1 << UInt8.random(in: 0..<8, using: &random)
      }
      let whole = frames([damaged], checksums)
      let split = frames(random.segments(of: damaged), checksums)
      #expect(whole == split, "seed \(seed) round \(round)")
      for case .frame(let kind, _, _, let body) in whole {
        _ = try? Samples.witnesses[kind]?.sibling(from: body)
      }
    }
  }

  @Test func randomBodiesOfEveryKindAreDecodedOrRefused() {
    let seed = UInt64.random(in: .min ... .max)
    var random = Seeded(seed: seed)
    for witness in Samples.witnesses.values {
      for _ in 0..<500 {
        let count = Int.random(in: 0...96, using: &random)
        let body = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
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
