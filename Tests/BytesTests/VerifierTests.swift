import TestKit
import Testing

/// The ordeal itself: it must find the decoders that are wrong.
@Suite struct VerifierTests {
  /// Lines that end in a line feed.
  private func lines(_ segments: [[UInt8]]) -> [[UInt8]] {
    segments.flatMap { $0 }.split(separator: 10, omittingEmptySubsequences: false).dropLast()
      .map(Array.init)
  }

  private let samples: [DecoderVerifier<[UInt8]>.Sample] = [
    .init("one", Array("ab\n".utf8), [[97, 98]]),
    .init("two", Array("\nc\n".utf8), [[], [99]]),
  ]

  @Test func aRightDecoderPasses() {
    let verifier = DecoderVerifier(decode: lines)
    #expect(verifier.failures(of: samples) == [])
    #expect(verifier.failuresOfDamage(to: samples, seed: 7, rounds: 50) == [])
  }

  @Test func findsADecoderThatForgetsBetweenSegments() {
    let verifier = DecoderVerifier<[UInt8]> { $0.flatMap { self.lines([$0]) } }
    #expect(!verifier.failures(of: samples).isEmpty)
    #expect(!verifier.failuresOfDamage(to: samples, seed: 7, rounds: 50).isEmpty)
  }

  @Test func findsADecoderThatInventsAnEventAtTheEnd() {
    let verifier = DecoderVerifier<[UInt8]> { segments in
      segments.flatMap { $0 }.split(separator: 10).map(Array.init)
    }
    let sample = DecoderVerifier<[UInt8]>.Sample("one", Array("ab\n".utf8), [[97, 98]])
    #expect(verifier.failures(of: [sample]).contains { $0.contains("truncated") })
  }

  @Test func findsAWrongEvent() {
    let sample = DecoderVerifier<[UInt8]>.Sample("one", Array("ab\n".utf8), [[97]])
    #expect(!DecoderVerifier(decode: lines).failures(of: [sample]).isEmpty)
  }
}
