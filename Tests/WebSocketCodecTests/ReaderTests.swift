import Bytes
import TestKit
import Testing
import WebSocketCodec

/// RFC 6455 §5.7, the standard's own examples.
@Suite struct StandardExampleTests {
  private let hello = utf8("Hello")

  private func sample(_ name: String, _ hex: String, _ event: WebSocketEvent)
    -> DecoderVerifier<Outcome>.Sample
  {
    .init(name, bytes(hex: hex) ?? [], [.event(event)])
  }

  @Test func readsWhatAServerSends() {
    let large = [UInt8](repeating: 0x61, count: 65_536)
    let samples = [
      sample("unmasked text", "810548656c6c6f", .message(.text, hello)),
      sample("fragmented text", "010348656c80026c6f", .message(.text, hello)),
      sample("unmasked ping", "890548656c6c6f", .ping(hello)),
      sample(
        "256 bytes", "827e0100" + String(repeating: "61", count: 256),
        .message(.binary, [UInt8](repeating: 0x61, count: 256))),
      DecoderVerifier<Outcome>.Sample(
        "64 KiB", (bytes(hex: "827f0000000000010000") ?? []) + large,
        [.event(.message(.binary, large))]),
    ]
    #expect(verifier(role: .client).failures(of: samples) == [])
  }

  @Test func readsWhatAClientSends() {
    let samples = [
      sample("masked text", "818537fa213d7f9f4d5158", .message(.text, hello)),
      sample("masked pong", "8a8537fa213d7f9f4d5158", .pong(hello)),
    ]
    #expect(verifier().failures(of: samples) == [])
  }

  @Test func writesThem() {
    var unmasked: [UInt8] = []
    WebSocketFrame.append(.text, hello, into: &unmasked)
    #expect(hex(unmasked) == "810548656c6c6f")
    var masked: [UInt8] = []
    WebSocketFrame.append(.text, hello, mask: 0x3D21_FA37, into: &masked)
    #expect(hex(masked) == "818537fa213d7f9f4d5158")
    var header: [UInt8] = []
    WebSocketFrame.header(.binary, count: 256, into: &header)
    WebSocketFrame.header(.binary, count: 65_536, into: &header)
    #expect(hex(header) == "827e0100827f0000000000010000")
  }
}

@Suite struct MessageTests {
  @Test func givesTheSameEventsInAnySegmentation() {
    let long = (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    let samples: [DecoderVerifier<Outcome>.Sample] = [
      .init("empty text", frame(.text, []), [.event(.message(.text, []))]),
      .init(
        "text", frame(.text, utf8("κόσμε 𝄞 ok")), [.event(.message(.text, utf8("κόσμε 𝄞 ok")))]),
      .init(
        "125 bytes", frame(.binary, Array(long[..<125])),
        [.event(.message(.binary, Array(long[..<125])))]),
      .init(
        "126 bytes", frame(.binary, Array(long[..<126])),
        [.event(.message(.binary, Array(long[..<126])))]),
      .init(
        "65535 bytes", frame(.binary, Array(long[..<65_535])),
        [.event(.message(.binary, Array(long[..<65_535])))]),
      .init("70000 bytes", frame(.binary, long), [.event(.message(.binary, long))]),
      .init("ping", frame(.ping, utf8("a")), [.event(.ping(utf8("a")))]),
      .init(
        "control frames between fragments, a character split over them",
        frame(.text, [0x61, 0xF0, 0x9D], isFinal: false) + frame(.ping, [1])
          + frame(.continuation, [], isFinal: false) + frame(.pong, [])
          + frame(.continuation, [0x84, 0x9E]),
        [.event(.ping([1])), .event(.pong([])), .event(.message(.text, utf8("a𝄞")))]),
      .init(
        "nothing is read after a close",
        frame(.close, [0x03, 0xE8] + utf8("bye")) + frame(.text, utf8("x")) + [0xFF, 0xFF],
        [.event(.close(.normal, reason: "bye"))], endsStream: true),
    ]
    #expect(verifier().failures(of: samples) == [])
    #expect(verifier().failuresOfDamage(to: samples, seed: 6455, rounds: 400) == [])
  }

  @Test(arguments: 0..<40) func unmasksAnyLengthAndAlignment(count: Int) {
    let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 5) }
    for key: UInt32 in [0, 1, 0xFF00_00FF, 0x1234_5678] {
      var masked: [UInt8] = []
      WebSocketFrame.append(.binary, payload, mask: key, into: &masked)
      let byHand = payload.enumerated().map { index, byte in
        byte ^ UInt8(truncatingIfNeeded: key >> (8 * UInt32(index % 4)))
      }
      #expect(Array(masked.suffix(count)) == byHand)
      for cut in 0...masked.count {
        let outcomes = read([Array(masked[..<cut]), Array(masked[cut...])])
        #expect(outcomes == [.event(.message(.binary, payload))])
      }
    }
  }

  @Test func saysWhetherSomethingHasBegun() throws {
    var reader = WebSocketReader(role: .server)
    #expect(reader.isIdle)
    for byte in frame(.text, utf8("ab"), isFinal: false) {
      #expect(try reader.feed([byte]) == nil)
      #expect(!reader.isIdle)
    }
    #expect(reader.heldBytes == 2)
    #expect(try reader.feed(frame(.continuation, [])) == .message(.text, utf8("ab")))
    #expect(reader.isIdle)
    #expect(reader.heldBytes == 0)
  }
}

@Suite struct EndTests {
  @Test func holdsNothingAfterACloseInsideAMessage() throws {
    var reader = WebSocketReader(role: .server)
    #expect(try reader.feed(frame(.text, utf8("half"), isFinal: false)) == nil)
    #expect(reader.heldBytes == 4)
    #expect(try reader.feed(frame(.close, [])) == .close(nil, reason: ""))
    #expect(try reader.feed(utf8("anything at all")) == nil)
    #expect(reader.heldBytes == 0)
  }
}

@Suite struct RefusalTests {
  typealias Case = (name: String, bytes: [UInt8], error: WebSocketError)

  /// Rows of what no client may send; each is refused at the last byte given.
  static let cases: [Case] = [
    ("unmasked text", [0x81, 0x05], .wrongMasking),
    ("unmasked ping", [0x89, 0x00], .wrongMasking),
    ("RSV1", [0xC1], .reservedBits),
    ("RSV2", [0xA1], .reservedBits),
    ("RSV3", [0x91], .reservedBits),
    ("RSV1 on a ping", [0xC9], .reservedBits),
    ("opcode 3", [0x83], .unknownOpcode(3)),
    ("opcode 7", [0x87], .unknownOpcode(7)),
    ("opcode 11", [0x8B], .unknownOpcode(11)),
    ("opcode 15", [0x8F], .unknownOpcode(15)),
    ("fragmented ping", [0x09], .malformedControlFrame),
    ("fragmented close", [0x08], .malformedControlFrame),
    ("ping of 126", [0x89, 0xFE], .malformedControlFrame),
    ("pong of 64 bits", [0x8A, 0xFF], .malformedControlFrame),
    ("continuation of nothing", [0x80], .unexpectedContinuation),
    ("fragment of nothing", [0x00], .unexpectedContinuation),
    ("text inside a message", frame(.binary, [1], isFinal: false) + [0x81], .expectedContinuation),
    ("binary inside text", frame(.text, [97], isFinal: false) + [0x02], .expectedContinuation),
    ("16-bit length of 125", [0x82, 0xFE, 0x00, 0x7D], .lengthNotMinimal),
    ("64-bit length of 65535", [0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], .lengthNotMinimal),
    ("close of one byte", frame(.close, [0x03]), .malformedClose),
    ("close 999", frame(.close, [0x03, 0xE7]), .malformedClose),
    ("close 1004", frame(.close, [0x03, 0xEC]), .malformedClose),
    ("close 1005", frame(.close, [0x03, 0xED]), .malformedClose),
    ("close 1006", frame(.close, [0x03, 0xEE]), .malformedClose),
    ("close 1015", frame(.close, [0x03, 0xF7]), .malformedClose),
    ("close 2999", frame(.close, [0x0B, 0xB7]), .malformedClose),
    ("close 5000", frame(.close, [0x13, 0x88]), .malformedClose),
    ("close 0", frame(.close, [0, 0]), .malformedClose),
    ("close reason not UTF-8", frame(.close, [0x03, 0xE8, 0xFF]), .invalidText),
    ("close reason ends early", frame(.close, [0x03, 0xE8, 0xC3]), .invalidText),
    ("text not UTF-8", frame(.text, [0xFF]), .invalidText),
    ("text ends inside a character", frame(.text, [0xE2, 0x82]), .invalidText),
    (
      "fragmented text ends inside a character",
      frame(.text, [0xE2], isFinal: false) + frame(.continuation, [0x82]), .invalidText
    ),
    ("2^63", [0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], .messageTooBig),
    ("2^64 - 1", [0x81, 0xFF] + [UInt8](repeating: 0xFF, count: 8), .messageTooBig),
    ("1 MiB and a byte", [0x82, 0xFF, 0, 0, 0, 0, 0, 0x10, 0, 1], .messageTooBig),
  ]

  @Test(arguments: 0..<cases.count) func refuses(index: Int) {
    let (name, bytes, error) = Self.cases[index]
    let sample = DecoderVerifier<Outcome>.Sample(name, bytes, [.failed(error)], endsStream: true)
    #expect(verifier().failures(of: [sample]) == [])
    #expect(read([Array(bytes.dropLast())]) == [], "\(name) is not refused at its first wrong byte")
  }

  @Test func everyRefusalHasTheCloseCodeOfTheStandard() {
    for (name, _, error) in Self.cases {
      let expected: WebSocketCloseCode =
        switch error {
        case .invalidText: .invalidData
        case .messageTooBig, .tooManyFragments: .messageTooBig
        default: .protocolError
        }
      #expect(error.closeCode == expected, "\(name)")
    }
  }

  @Test func aClientRefusesMaskedFrames() {
    #expect(read([[0x81, 0x80]], role: .client) == [.failed(.wrongMasking)])
  }

  @Test func keepsFailing() {
    var reader = WebSocketReader(role: .server)
    for _ in 0..<3 {
      #expect(throws: WebSocketError.reservedBits) { try reader.feed([0xF1]) }
    }
  }
}

/// Reliability catalogue, row 64.
@Suite struct LimitTests {
  @Test func refusesTheFragmentThatWouldCrossTheLimitFromItsHeader() {
    let limits = WebSocketLimits(messageBytesMax: 10)
    let six = [UInt8](repeating: 0x61, count: 6)
    let fits = frame(.text, six, isFinal: false) + frame(.continuation, Array(six[..<4]))
    #expect(read([fits], limits: limits) == [.event(.message(.text, six + six[..<4]))])
    let first = frame(.text, six, isFinal: false)
    #expect(read([first + [0x80, 0x85]], limits: limits) == [.failed(.messageTooBig)])
  }

  @Test func refusesEndlessFragments() {
    let limits = WebSocketLimits(fragmentsMax: 3)
    let start = frame(.binary, [], isFinal: false)
    let more = frame(.continuation, [], isFinal: false)
    // An empty last frame behind whole pieces is no piece more.
    let last = frame(.continuation, [])
    #expect(read([start + more + more + last], limits: limits) == [.event(.message(.binary, []))])
    #expect(read([start + more + more + more], limits: limits) == [.failed(.tooManyFragments)])
  }

  @Test func holdsOnlyWhatHasArrived() throws {
    var reader = WebSocketReader(role: .server, limits: WebSocketLimits(messageBytesMax: 1 << 40))
    // A header that claims 2^39 bytes, and three of them.
    let claim: [UInt8] = [0x82, 0xFF, 0, 0, 0, 0x80, 0, 0, 0, 0, 1, 2, 3, 4, 9, 9, 9]
    #expect(try reader.feed(claim) == nil)
    #expect(reader.heldBytes == 3)
  }
}
