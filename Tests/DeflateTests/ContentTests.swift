import Bytes
import Deflate
import Testing

/// Whole contents, whose form is checked by its own rules; real decoders read them in the tests of clients.
@Suite struct ContentTests {
  @Test func gzipHasItsHeaderAndTrailer() throws {
    let deflater = ContentDeflater(.gzip, level: 6)
    for content in [[], utf8("a"), telling(1_000), telling(100_000)] {
      let bytes = deflater.compress(content)
      // RFC 1952 §2.3: magic, deflate, no flags; behind the blocks CRC-32 and the length.
      #expect(Array(bytes.prefix(4)) == [0x1F, 0x8B, 8, 0])
      let length = bytes.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
      #expect(length == content.count)
      #expect(try unfolded(Array(bytes[10..<(bytes.count - 8)])) == content)
    }
  }

  @Test func zlibHasItsHeaderAndTrailer() throws {
    let deflater = ContentDeflater(.zlib, level: 1)
    for content in [[], utf8("a"), telling(1_000), telling(100_000)] {
      let bytes = deflater.compress(content)
      // RFC 1950 §2.2: deflate with a window of 32 KiB; the two bytes are a multiple of 31.
      #expect(bytes[0] == 0x78 && (Int(bytes[0]) << 8 | Int(bytes[1])) % 31 == 0)
      #expect(Array(bytes.suffix(4)) == adler32(content))
      #expect(try unfolded(Array(bytes[2..<(bytes.count - 4)])) == content)
    }
  }

  @Test func dependsOnTheContentAlone() {
    let deflater = ContentDeflater(.gzip, level: 6)
    let first = deflater.compress(telling(5_000))
    _ = deflater.compress(telling(70_000))
    #expect(deflater.compress(telling(5_000)) == first)
    #expect(first.count < 2_500)
  }

  private func unfolded(_ blocks: [UInt8]) throws -> [UInt8] {
    try MessageInflater(context: .newForEachMessage).inflate(blocks + [0])
  }

  private func adler32(_ bytes: [UInt8]) -> [UInt8] {
    var (a, b): (UInt32, UInt32) = (1, 0)
    for byte in bytes {
      a = (a + UInt32(byte)) % 65_521
      b = (b + a) % 65_521
    }
    return [UInt8(b >> 8), UInt8(b & 255), UInt8(a >> 8), UInt8(a & 255)]
  }
}
