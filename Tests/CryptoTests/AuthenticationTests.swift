import Bytes
import Crypto
import Testing

/// RFC 4231 §4, test cases 1 to 4, 6 and 7 (5 is about truncation).
private let hmacVectors: [(key: [UInt8], message: [UInt8], tag: String)] = [
  (
    [UInt8](repeating: 0x0b, count: 20), [UInt8]("Hi There".utf8),
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
  ),
  (
    [UInt8]("Jefe".utf8), [UInt8]("what do ya want for nothing?".utf8),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
  ),
  (
    [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
  ),
  (
    [UInt8](1...25), [UInt8](repeating: 0xcd, count: 50),
    "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
  ),
  (
    [UInt8](repeating: 0xaa, count: 131),
    [UInt8]("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
  ),
  (
    [UInt8](repeating: 0xaa, count: 131),
    [UInt8](
      ("This is a test using a larger than block-size key and a larger than block-size data. "
        + "The key needs to be hashed before being used by the HMAC algorithm.").utf8),
    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
  ),
]

@Suite struct AuthenticationTests {
  @Test(arguments: 0..<6)
  func authenticatesThePublishedExamples(index: Int) {
    let vector = hmacVectors[index]
    #expect(hex(HMACSHA256.authenticate(key: vector.key, message: vector.message)) == vector.tag)
  }

  @Test func emptyKeyAndMessageHaveATag() {
    #expect(
      hex(HMACSHA256.authenticate(key: [], message: []))
        == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    #expect(
      HMACSHA256.authenticate(key: [], message: [1])
        != HMACSHA256.authenticate(key: [1], message: []))
  }

  @Test func refusesAnyOtherTag() {
    let key = [UInt8]("key".utf8)
    let message = [UInt8]("message".utf8)
    let tag = HMACSHA256.authenticate(key: key, message: message)
    #expect(HMACSHA256.isValid(tag: tag, key: key, message: message))
    for index in tag.indices {
      var changed = tag
      changed[index] ^= 1
      #expect(!HMACSHA256.isValid(tag: changed, key: key, message: message))
    }
    #expect(!HMACSHA256.isValid(tag: [UInt8](tag.prefix(16)), key: key, message: message))
    #expect(!HMACSHA256.isValid(tag: [], key: key, message: message))
    #expect(!HMACSHA256.isValid(tag: tag, key: key, message: message + [0]))
  }

  @Test func comparesBytesAndCounts() {
    #expect(constantTimeEqual([], []))
    #expect(constantTimeEqual([1, 2, 3], [1, 2, 3]))
    #expect(!constantTimeEqual([1, 2, 3], [1, 2, 4]))
    #expect(!constantTimeEqual([0, 2, 3], [1, 2, 3]))
    #expect(!constantTimeEqual([1, 2, 3], [1, 2]))
    #expect(!constantTimeEqual([], [0]))
  }

  @Test func randomBytesDifferEveryTime() {
    #expect(SystemRandom.bytes(0) == [])
    #expect(SystemRandom.bytes(33).count == 33)
    var seen: Set<[UInt8]> = []
    for _ in 0..<1000 { seen.insert(SystemRandom.bytes(16)) }
    #expect(seen.count == 1000)
  }

  @Test func everyRandomBitIsSometimesSetAndSometimesNot() {
    var generator = SystemRandom()
    var ever: UInt64 = 0
    var always = UInt64.max
    for _ in 0..<256 {
      let word = generator.next()
      ever |= word
      always &= word
      let (high, low) = SystemRandom.bits128()
      #expect(high != low)
    }
    #expect(ever == UInt64.max)
    #expect(always == 0)
  }
}
