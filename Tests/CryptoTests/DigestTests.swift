import Bytes
import Crypto
import Testing

/// FIPS 180-4 examples, as published by NIST.
private let sha256Vectors: [(message: String, digest: String)] = [
  ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
  ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
  (
    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
  ),
]

@Suite struct DigestTests {
  @Test(arguments: sha256Vectors)
  func digestsThePublishedExamples(message: String, digest: String) {
    #expect(hex(SHA256.digest([UInt8](message.utf8))) == digest)
  }

  @Test func digestsAMillionLettersInPieces() {
    var sha = SHA256()
    let piece = [UInt8](repeating: UInt8(ascii: "a"), count: 1000)
    for _ in 0..<1000 { sha.update(piece) }
    let digest = hex(sha.finish())
    #expect(digest == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func pieceBoundariesDoNotMatter() {
    let message = (0..<300).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let whole = SHA256.digest(message)
    for split in 0...message.count {
      var sha = SHA256()
      sha.update(message.span.extracting(0..<split))
      sha.update(message.span.extracting(split..<message.count))
      let digest = sha.finish()
      #expect(digest == whole, "split at \(split)")
    }
  }

  @Test func abandonedDigestsDisturbNoOther() {
    var kept = SHA256()
    kept.update([UInt8]("a".utf8))
    for _ in 0..<1000 {
      var dropped = SHA256()
      dropped.update([UInt8]("rubbish".utf8))
    }
    kept.update([UInt8]("bc".utf8))
    let digest = hex(kept.finish())
    #expect(digest == sha256Vectors[1].digest)
  }

  @Test func sha1GivesTheAcceptValueOfTheWebSocketStandard() {
    // RFC 6455 §1.3.
    let key = "dGhlIHNhbXBsZSBub25jZQ==" + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    #expect(base64(SHA1.digest([UInt8](key.utf8))) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    #expect(hex(SHA1.digest([UInt8]("abc".utf8))) == "a9993e364706816aba3e25717850c26c9cd0d89d")
    var series = SHA1Series()
    for text in ["abc", "", "abc", String(repeating: "a", count: 1_000)] {
      #expect(series.digest([UInt8](text.utf8)) == SHA1.digest([UInt8](text.utf8)))
    }
    #expect(hex(SHA1.digest([])) == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
  }
}
