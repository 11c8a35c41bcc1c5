import TestKit
import Testing
import WebSocketCodec

/// Reliability catalogue, row 65.
@Suite struct TextTests {
  static let valid: [[UInt8]] = [
    [], [0x00], [0x7F], [0xC2, 0x80], [0xDF, 0xBF], [0xE0, 0xA0, 0x80], [0xED, 0x9F, 0xBF],
    [0xEE, 0x80, 0x80], [0xEF, 0xBF, 0xBF], [0xF0, 0x90, 0x80, 0x80], [0xF4, 0x8F, 0xBF, 0xBF],
    Array("plain text that is longer than a few words of eight bytes".utf8),
    Array("12345678é12345678€1234567𝄞".utf8),
  ]

  /// Bytes, and the index of the first that can't stand there.
  static let invalid: [(bytes: [UInt8], at: Int)] = [
    ([0x80], 0), ([0xBF], 0), ([0xC0, 0x80], 0), ([0xC1, 0xBF], 0), ([0xF5, 0x80], 0),
    ([0xFE], 0), ([0xFF], 0), ([0xE0, 0x80, 0x80], 1), ([0xE0, 0x9F, 0xBF], 1),
    ([0xED, 0xA0, 0x80], 1), ([0xED, 0xBF, 0xBF], 1), ([0xF0, 0x80, 0x80, 0x80], 1),
    ([0xF0, 0x8F, 0xBF, 0xBF], 1), ([0xF4, 0x90, 0x80, 0x80], 1), ([0xC3, 0x28], 1),
    ([0xE2, 0x28, 0xA1], 1), ([0xE2, 0x82, 0x28], 2), ([0xF0, 0x90, 0x28, 0xBC], 2),
    ([0xF0, 0x90, 0x80, 0x28], 3), ([0xE2, 0x82, 0xE2], 2),
    (Array("12345678".utf8) + [0x80], 8), (Array("123456789abc".utf8) + [0xFF], 12),
  ]

  private func isValid(_ segments: [[UInt8]]) -> Bool {
    var validator = UTF8Validator()
    return segments.allSatisfy { validator.take($0.span) } && validator.isComplete
  }

  @Test func takesValidTextInAnySegmentation() {
    for bytes in Self.valid {
      for cut in 0...bytes.count {
        #expect(isValid([Array(bytes[..<cut]), Array(bytes[cut...])]), "\(bytes) at \(cut)")
      }
    }
  }

  @Test func refusesAtTheEarliestByte() {
    for (bytes, at) in Self.invalid {
      var validator = UTF8Validator()
      let before = validator.feed(Array(bytes[..<at]))
      let after = validator.feed([bytes[at]])
      #expect(before && !after, "\(bytes) at \(at)")
      #expect(!isValid([bytes]), "\(bytes) whole")
    }
  }

  @Test func refusesTheMessageAtTheEarliestByteOfAnUnfinishedFrame() {
    let whole = frame(.text, Array("12345678".utf8) + [0xF4, 0x90, 0x80, 0x80] + [0x61, 0x61])
    // The header and its key are 6 bytes; the tenth byte of payload is wrong.
    #expect(read([Array(whole[..<15])]) == [])
    #expect(read([Array(whole[..<16])]) == [.failed(.invalidText)])
  }

  @Test func agreesWithTheStandardLibraryOnRandomBytes() {
    var random = SeededGenerator(seed: 0x0815)
    let pieces: [[UInt8]] = Self.valid + Self.invalid.map(\.bytes)
    for round in 0..<4_000 {
      var bytes: [UInt8] = []
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes += pieces[Int.random(in: 0..<pieces.count, using: &random)]
      }
      if round.isMultiple(of: 2), !bytes.isEmpty {
        let index = Int.random(in: 0..<bytes.count, using: &random)
        bytes[index] = UInt8.random(in: 0...255, using: &random)
      }
      let cut = Int.random(in: 0...bytes.count, using: &random)
      let expected = String(validating: bytes, as: UTF8.self) != nil
      #expect(
        isValid([Array(bytes[..<cut]), Array(bytes[cut...])]) == expected,
        "\(bytes) cut at \(cut), \(random)")
    }
  }
}
