import Testing

@testable import HTTPCodec

@Suite struct ByteClassTests {
  @Test func lettersOfAWordAreLoweredAsOneByOne() {
    for byte in UInt8.min...UInt8.max {
      for place in 0..<8 {
        // Beside bytes at both ends, whose carries it must not take.
        for around in [UInt8(0), 0x40, 0x5B, 0x7F, 0x80, 0xFF] {
          var bytes = [UInt8](repeating: around, count: 8)
          bytes[place] = byte
          let word = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
          let lowered = (0..<8).map { UInt8(truncatingIfNeeded: ByteClass.lower(word: word) >> (8 * $0)) }
          #expect(lowered == bytes.map(ByteClass.lower))
        }
      }
    }
  }

  @Test(arguments: ["close", "upgrade", "sec-websocket-key", "sec-websocket-version", "x-api-key", ""])
  func namesAreComparedWithoutRegardToCase(name: String) {
    let sent = Array("x\(name.uppercased())y".utf8)
    let range = 1..<sent.count - 1
    #expect(equalsIgnoringCase(sent, range, name))
    #expect(equalsIgnoringCase(sent, range, Array(name.utf8)))
    #expect(!equalsIgnoringCase(sent, 0..<sent.count - 1, name))
    for index in range {
      var other = sent
      other[index] ^= 1
      #expect(!equalsIgnoringCase(other, range, name), "a wrong byte at \(index)")
    }
  }
}
