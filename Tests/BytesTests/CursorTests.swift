import Bytes
import Testing

@Suite struct CursorTests {
  @Test func readsBackWhatTheWriterWrote() throws {
    var writer = ByteWriter(reserving: 64)
    writer.u8(0xAB)
    writer.u16(0x1234)
    writer.u32(0xDEAD_BEEF)
    writer.u64(.max - 1)
    writer.i64(.min)
    writer.text16("é𝄞")
    writer.bytes32([1, 2, 3])
    writer.bytes32([4].span)
    writer.raw([9])
    writer.raw([8].span)
    #expect(writer.count == writer.bytes.count)

    let bytes = writer.bytes
    var cursor = ByteCursor(bytes.span)
    let u8 = try cursor.u8(bytes.span)
    let u16 = try cursor.u16(bytes.span)
    let u32 = try cursor.u32(bytes.span)
    let u64 = try cursor.u64(bytes.span)
    let i64 = try cursor.i64(bytes.span)
    let text = try cursor.text16(bytes.span)
    let array = try cursor.bytes32(bytes.span)
    let range = try cursor.range32(bytes.span)
    #expect(u8 == 0xAB && u16 == 0x1234 && u32 == 0xDEAD_BEEF)
    #expect(u64 == .max - 1 && i64 == .min)
    #expect(text == "é𝄞" && array == [1, 2, 3] && Array(bytes[range]) == [4])
    #expect(cursor.remaining == 2 && !cursor.isAtEnd)
    let rest = try cursor.range(2)
    #expect(Array(bytes[rest]) == [9, 8] && cursor.isAtEnd)
  }

  @Test func writesLittleEndian() {
    var writer = ByteWriter()
    writer.u16(0x0102)
    writer.u32(0x0102_0304)
    writer.u64(0x0102_0304_0506_0708)
    #expect(hex(writer.bytes) == "0201" + "04030201" + "0807060504030201")
    writer.patch(u32: 0xAABB_CCDD, at: 2)
    #expect(hex(writer.bytes) == "0201" + "ddccbbaa" + "0807060504030201")
  }

  @Test func everyReadPastTheEndThrowsAndMovesNothing() {
    typealias Read = (inout ByteCursor, [UInt8]) throws -> Void
    let reads: [(name: String, bytes: [UInt8], read: Read)] = [
      ("u8", [], { _ = try $0.u8($1.span) }),
      ("u16", [1], { _ = try $0.u16($1.span) }),
      ("u32", [1, 2, 3], { _ = try $0.u32($1.span) }),
      ("u64", [1, 2, 3, 4, 5, 6, 7], { _ = try $0.u64($1.span) }),
      ("i64", [1, 2, 3, 4], { _ = try $0.i64($1.span) }),
      ("range", [1, 2], { cursor, _ in _ = try cursor.range(3) }),
      ("range of Int.max", [1, 2], { cursor, _ in _ = try cursor.range(.max) }),
      ("negative range", [1, 2], { cursor, _ in _ = try cursor.range(-1) }),
      ("range32", [4, 0, 0, 0, 1, 2, 3], { _ = try $0.range32($1.span) }),
      ("range32 of 2^32 - 1", [255, 255, 255, 255, 1], { _ = try $0.range32($1.span) }),
      ("bytes32 without its count", [4, 0, 0], { _ = try $0.bytes32($1.span) }),
      ("text16", [2, 0, 97], { _ = try $0.text16($1.span) }),
    ]
    for (name, bytes, read) in reads {
      var cursor = ByteCursor(bytes.span)
      #expect(throws: ByteError.truncated, "\(name)") { try read(&cursor, bytes) }
      #expect(cursor.offset == 0, "\(name)")
    }
  }

  @Test func refusesTextThatIsNotUTF8AndMovesNothing() {
    let bytes: [UInt8] = [2, 0, 0xC3, 0x28]
    var cursor = ByteCursor(bytes.span)
    #expect(throws: ByteError.invalidText) { _ = try cursor.text16(bytes.span) }
    #expect(cursor.offset == 0)
  }

  @Test func staysWithinTheRangeItWasGiven() throws {
    let bytes: [UInt8] = [1, 2, 3, 4]
    var cursor = ByteCursor(from: 1, to: 3)
    let value = try cursor.u16(bytes.span)
    #expect(value == 0x0302)
    #expect(throws: ByteError.truncated) { _ = try cursor.u8(bytes.span) }
  }
}

@Suite struct SpanTests {
  @Test func copiesSpans() {
    let bytes: [UInt8] = [1, 2, 3, 4]
    var copy = [UInt8](copying: bytes.span.extracting(1..<3))
    #expect(copy == [2, 3])
    copy.append(copying: bytes.span)
    #expect(copy == [2, 3, 1, 2, 3, 4])
    let none: [UInt8] = []
    copy.append(copying: none.span)
    #expect(copy.count == 6)
  }

  @Test func textFromASpanIsValidated() {
    let good = Array("é".utf8)
    let bad: [UInt8] = [0xC3]
    let texts = [
      String(validating: good.span), String(validating: bad.span),
      String(validating: good.span.extracting(0..<0)),
    ]
    #expect(texts == ["é", nil, ""])
  }

  /// A text that nobody has held to a length ends before the character that does not fit.
  @Test func textThatIsTooLongIsCutBetweenCharacters() throws {
    for (unit, count, kept) in [("a", 65_535, 65_535), ("a", 65_536, 65_535), ("é", 40_000, 65_534), ("𝄞", 20_000, 65_532)] {
      var writer = ByteWriter()
      writer.text16(String(repeating: unit, count: count))
      writer.u8(7)
      var cursor = ByteCursor(writer.bytes.span)
      let text = try cursor.text16(writer.bytes.span)
      #expect(text.utf8.count == kept && text.allSatisfy { String($0) == unit })
      #expect(try cursor.u8(writer.bytes.span) == 7)
    }
  }
}
