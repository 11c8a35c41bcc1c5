import Bytes
import Centrifuge
import TestKit
import Testing

@Suite("Protobuf") struct ProtobufTests {
  private func varint(_ bytes: [UInt8]) throws(ProtobufError) -> UInt64 {
    var reader = ProtobufReader(bytes.span)
    return try reader.varint(bytes.span)
  }

  @Test(
    arguments: [
      (0, [0]), (1, [1]), (127, [0x7F]), (128, [0x80, 1]), (300, [0xAC, 2]),
      (UInt64(UInt32.max), [0xFF, 0xFF, 0xFF, 0xFF, 0x0F]),
      (UInt64.max, [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]),
    ] as [(UInt64, [UInt8])])
  func numbersHaveSevenBitsAByte(_ value: UInt64, _ bytes: [UInt8]) throws {
    var writer = ProtobufWriter()
    writer.varint(value)
    #expect(writer.bytes == bytes)
    #expect(try varint(bytes) == value)
  }

  @Test func numbersOfMoreThan64BitsAreRefused() throws {
    let nine = [UInt8](repeating: 0xFF, count: 9)
    #expect(try varint(nine + [1]) == .max)
    #expect(throws: ProtobufError.varintTooLong) { try varint(nine + [2]) }
    #expect(throws: ProtobufError.varintTooLong) { try varint(nine + [0x81, 0]) }
    #expect(throws: ProtobufError.truncated) { try varint(nine) }
    #expect(throws: ProtobufError.truncated) { try varint([]) }
    // Longer than need be, but ten bytes at most.
    #expect(try varint([UInt8](repeating: 0x80, count: 9) + [0]) == 0)
  }

  @Test func negativeNumbersTakeTenBytes() {
    var writer = ProtobufWriter()
    writer.field(1, int: -1)
    #expect(writer.bytes.count == 11)
  }

  @Test(
    arguments: [
      [0x00], [0x07], [0x0E], [0x0F], [0x80, 0x80, 0x80, 0x80, 0x10],
      [0x80, 0x80, 0x80, 0x80, 0x80, 1],
    ] as [[UInt8]])
  func tagsThatCantBeAreRefused(_ bytes: [UInt8]) {
    var reader = ProtobufReader(bytes.span)
    #expect(throws: ProtobufError.invalidTag) { try reader.next(bytes.span) }
  }

  @Test func theHighestFieldNumberIsRead() throws {
    let bytes: [UInt8] = [0xF8, 0xFF, 0xFF, 0xFF, 0x0F]
    var reader = ProtobufReader(bytes.span)
    let tag = try reader.next(bytes.span)
    #expect(tag?.number == 536_870_911 && tag?.wireType == .varint)
  }

  /// How reading ends when nobody wants any of the fields.
  private func skipAll(_ bytes: [UInt8]) throws(ProtobufError) {
    var reader = ProtobufReader(bytes.span)
    while let tag = try reader.next(bytes.span) { try reader.skip(tag, bytes.span) }
  }

  @Test(
    arguments: [
      ([0x08], .truncated), ([0x09, 1, 2, 3], .truncated), ([0x0D, 1, 2, 3], .truncated),
      ([0x0A, 5, 1], .truncated), ([0x0A], .truncated), ([0x0B], .truncated),
      ([0x0B, 0x08], .truncated),
      ([0x0C], .unbalancedGroup), ([0x0B, 0x14], .unbalancedGroup), ([0x0B, 0x07], .invalidTag),
      ([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], .truncated),
    ] as [([UInt8], ProtobufError)])
  func brokenFieldsAreRefused(_ bytes: [UInt8], _ error: ProtobufError) {
    #expect(throws: error) { try skipAll(bytes) }
  }

  @Test func groupsAreSkippedAsDeepAsTheLimit() throws {
    let deep = ProtobufReader.groupDepthMax
    func groups(_ count: Int) -> [UInt8] {
      [UInt8](repeating: 0x0B, count: count) + [0x10, 1] + [UInt8](repeating: 0x0C, count: count)
    }
    try skipAll(groups(deep))
    #expect(throws: ProtobufError.tooDeep) { try skipAll(groups(deep + 1)) }
    #expect(throws: ProtobufError.tooDeep) { try skipAll([UInt8](repeating: 0x0B, count: 100_000)) }
  }

  @Test(arguments: [0, 1, 127, 128, 129, 16_383, 16_384, 70_000])
  func lengthsOfMessagesStandBeforeThem(_ count: Int) throws {
    var writer = ProtobufWriter()
    let outer = writer.beginMessage(1)
    let inner = writer.beginMessage(2)
    writer.bytes += [UInt8](repeating: 0x55, count: count)
    writer.endMessage(inner)
    writer.endMessage(outer)
    let bytes = writer.bytes
    var reader = ProtobufReader(bytes.span)
    #expect(try reader.next(bytes.span)?.number == 1)
    var within = ProtobufReader(try reader.range(bytes.span))
    #expect(within.end == bytes.count)
    #expect(try within.next(bytes.span)?.number == 2)
    #expect(try within.range(bytes.span).count == count)
    #expect(try within.next(bytes.span) == nil)
    #expect(try reader.next(bytes.span) == nil)
  }

  @Test func rubbishNeverReachesPastItsEnd() {
    var random = SeededGenerator()
    for _ in 0..<8_000 {
      let bytes = random.bytes(Int.random(in: 0...40, using: &random))
      var reader = ProtobufReader(bytes.span)
      while let tag = try? reader.next(bytes.span) {
        if (try? reader.skip(tag, bytes.span)) == nil { break }
        #expect(reader.offset <= bytes.count, "\(random)")
      }
    }
  }
}
