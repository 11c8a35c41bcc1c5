import Bytes
import TestKit
import Testing
import WebSocketCodec

/// RFC 7692 §6, with a compression that only repeats: what unfolds real ones is tested with it.
@Suite struct CompressedReaderTests {
  private func read(_ segments: [[UInt8]], limits: WebSocketLimits = .init()) -> [Outcome] {
    WebSocketCodecTests.read(segments, limits: limits, compression: .permessageDeflate)
  }

  @Test func unfoldsMessagesInAnySegmentation() {
    let samples: [DecoderVerifier<Outcome>.Sample] = [
      .init(
        "text", frame(.text, [2] + utf8("ab"), isCompressed: true),
        [.event(.message(.text, utf8("abab")))]),
      .init("plain between", frame(.text, utf8("ab")), [.event(.message(.text, utf8("ab")))]),
      .init(
        "to nothing", frame(.binary, [0, 1], isCompressed: true), [.event(.message(.binary, []))]),
      .init(
        "fragments around a ping, a character split over them",
        frame(.text, [2, 0xC3], isFinal: false, isCompressed: true) + frame(.ping, [7])
          + frame(.continuation, [], isFinal: false) + frame(.continuation, [0xA9]),
        [.event(.ping([7])), .event(.message(.text, utf8("éé")))]),
      .init(
        "bytes that are no text until they are unfolded",
        frame(.text, [1] + utf8("é"), isCompressed: true), [.event(.message(.text, utf8("é")))]),
      .init(
        "unfolded text that is not UTF-8", frame(.text, [2, 0xC3], isCompressed: true),
        [.failed(.invalidText)], endsStream: true),
      .init(
        "unfolded text that ends early", frame(.text, [1, 0xC3], isCompressed: true),
        [.failed(.invalidText)], endsStream: true),
      .init(
        "nothing to unfold", frame(.binary, [], isCompressed: true),
        [.failed(.invalidCompression)], endsStream: true),
    ]
    let verifier = DecoderVerifier<Outcome> { read($0) }
    #expect(verifier.failures(of: samples) == [])
    #expect(verifier.failuresOfDamage(to: samples, seed: 7692, rounds: 400) == [])
  }

  @Test(arguments: [UInt8]([0xC0, 0x40, 0xC8, 0xC9, 0xCA, 0xA1, 0x91, 0xE1, 0xD1, 0xB2, 0xF1]))
  func takesRSV1OnTheFirstFrameOfDataAlone(byte: UInt8) {
    #expect(read([[byte]]) == [.failed(.reservedBits)])
    #expect(WebSocketCodecTests.read([[byte]]) == [.failed(.reservedBits)])
  }

  @Test func refusesRSV1OnAContinuation() {
    for isCompressed in [true, false] {
      let first = frame(.text, [1, 0x61], isFinal: false, isCompressed: isCompressed)
      for byte: UInt8 in [0xC0, 0x40] {
        #expect(read([first + [byte]]) == [.failed(.reservedBits)])
      }
      // RFC 6455 §5.4 comes second: a new message inside another one.
      #expect(read([first + [0xC1]]) == [.failed(.expectedContinuation)])
    }
  }

  @Test func refusesRSV1WhereNothingWasAgreed() {
    #expect(
      WebSocketCodecTests.read([frame(.text, [1, 0x61], isCompressed: true)])
        == [.failed(.reservedBits)])
  }

  @Test func aReaderWithoutAnInflaterFailsAndDoesNotTrap() {
    var reader = WebSocketReader(role: .server, compression: .permessageDeflate)
    #expect(throws: WebSocketError.invalidCompression) {
      try reader.feed(frame(.text, [1, 0x61], isCompressed: true))
    }
  }

  @Test func limitsWhatIsSentAndWhatItUnfoldsTo() {
    let limits = WebSocketLimits(messageBytesMax: 640)
    #expect(limits.compressedBytesMax == 784)
    let most = [UInt8](repeating: 1, count: 639)
    #expect(
      read([frame(.binary, [1] + most + [2], isCompressed: true)], limits: limits)
        == [.event(.message(.binary, most + [2]))])
    #expect(
      read([frame(.binary, [1] + most + [2, 3], isCompressed: true)], limits: limits)
        == [.failed(.messageTooBig)])
    #expect(
      read([frame(.binary, [255, 1, 2, 3], isCompressed: true)], limits: limits)
        == [.failed(.messageTooBig)])
    // From the header alone: 785 bytes, and what a fragment adds to those before it.
    #expect(read([[0xC2, 0xFE, 0x03, 0x11]], limits: limits) == [.failed(.messageTooBig)])
    let first = frame(.binary, [0] + most, isFinal: false, isCompressed: true)
    #expect(read([first + [0x80, 0xFE, 0, 145]], limits: limits) == [.failed(.messageTooBig)])
    // What is not compressed gets no more room for it.
    #expect(read([[0x82, 0xFE, 0x02, 0x81]], limits: limits) == [.failed(.messageTooBig)])
    let huge = WebSocketLimits(messageBytesMax: .max)
    #expect(huge.compressedBytesMax == .max)
  }
}
