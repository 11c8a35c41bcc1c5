import Bytes
import EngineIO
import TestKit
import Testing

/// The forms that protocol revision 4.1 gives, and what else may stand in their place.
@Suite struct PacketTests {
  static let vectors: [(String, EnginePacket)] = [
    ("0{}", .control(.open, utf8("{}"))),
    ("1", .control(.close, [])),
    ("2", .control(.ping, [])),
    ("2probe", .control(.ping, utf8("probe"))),
    ("3", .control(.pong, [])),
    ("3probe", .control(.pong, utf8("probe"))),
    ("4", .text([])),
    ("4hello", .text(utf8("hello"))),
    ("4€", .text(utf8("€"))),
    ("5", .control(.upgrade, [])),
    ("6", .control(.noop, [])),
  ]

  @Test(arguments: vectors) func readsAndWritesEachForm(_ written: String, _ packet: EnginePacket)
    throws
  {
    #expect(try EnginePacket(text: utf8(written).span) == packet)
    #expect(packet.frame == .text(utf8(written)))
  }

  @Test func aBinaryMessageHasNoDigit() {
    #expect(EnginePacket.binary([0x34, 1]).frame == .binary([0x34, 1]))
  }

  @Test func refusesEveryTypeThereIsNot() {
    for byte in UInt8.min...UInt8.max where EnginePacketType(rawValue: byte) == nil {
      #expect(throws: EngineError.unknownPacketType(byte)) {
        try EnginePacket(text: [byte, 0x61].span)
      }
    }
    #expect(throws: EngineError.emptyPacket) { try EnginePacket(text: [UInt8]().span) }
  }
}

@Suite struct PayloadTests {
  static let vectors: [(String, [EnginePacket])] = [
    ("4hello", [.text(utf8("hello"))]),
    ("4hi\u{1E}2\u{1E}4you", [.text(utf8("hi")), .control(.ping, []), .text(utf8("you"))]),
    ("4hello\u{1E}bAQIDBA==", [.text(utf8("hello")), .binary([1, 2, 3, 4])]),
    ("b", [.binary([])]),
    ("3", [.control(.pong, [])]),
  ]

  @Test(arguments: vectors) func readsAndWritesEachForm(
    _ written: String, _ packets: [EnginePacket]
  ) {
    let (read, error) = read(utf8(written))
    #expect(read == packets)
    #expect(error == nil)
    var bytes: [UInt8] = []
    EnginePayload.append(packets.map(\.frame), to: &bytes)
    #expect(text(bytes) == written)
    #expect(bytes.count == packets.map(\.frame.pollingBytes).reduce(packets.count - 1, +))
  }

  @Test(arguments: [
    ("", EngineError.emptyPacket, 0), ("4a\u{1E}", .emptyPacket, 1),
    ("\u{1E}4a", .emptyPacket, 0), ("abc", .unknownPacketType(0x61), 0),
    ("4a\u{1E}7", .unknownPacketType(0x37), 1), ("bA", .invalidBase64, 0),
    ("bAQ=", .invalidBase64, 0), ("b####", .invalidBase64, 0), ("bAQIDBB==", .invalidBase64, 0),
  ])
  func givesWhatIsBeforeTheFault(_ written: String, _ expected: EngineError, _ before: Int) {
    let (packets, error) = read(utf8(written))
    #expect(error == expected)
    #expect(packets.count == before)
  }

  @Test func throwsItsFaultAgain() throws {
    let payload = utf8("4a\u{1E}x\u{1E}4b")
    var reader = try EnginePayloadReader(payload.span, limits: EnginePayload.Limits())
    #expect(try reader.next(payload.span) == .text(utf8("a")))
    for _ in 0..<3 {
      #expect(throws: EngineError.unknownPacketType(0x78)) { try reader.next(payload.span) }
    }
  }

  @Test func refusesTextThatIsNotUTF8() {
    #expect(read([0x34, 0xC3, 0x28]).error == .invalidText)
    #expect(read([0x34, 0xED, 0xA0, 0x80]).error == .invalidText)
  }

  @Test func itsLimitsAreReachedAndNotPassed() {
    let limits = EnginePayload.Limits(bytesMax: 7, packetsMax: 3)
    #expect(read(utf8("4abcdef"), limits: limits).packets.count == 1)
    #expect(read(utf8("4abcdefg"), limits: limits).error == .payloadTooBig)
    #expect(read(utf8("4\u{1E}4\u{1E}4"), limits: limits).packets.count == 3)
    #expect(read(utf8("4\u{1E}4\u{1E}4\u{1E}4"), limits: limits).error == .tooManyPackets)
  }

  /// Row 81: a megabyte of the smallest packets costs what its limit lets through.
  @Test func aMegabyteOfTinyPacketsStopsAtTheLimit() {
    let payload = [UInt8](repeatElement([0x34, 0x1E], count: 499_999).joined()) + [0x34]
    let (packets, error) = read(payload)
    #expect(packets.count == 4_096)
    #expect(error == .tooManyPackets)
  }

  @Test func knowsWhatAPayloadCantCarry() {
    #expect(EnginePayload.canCarry(.text(utf8("4a word or two"))))
    #expect(!EnginePayload.canCarry(.text(utf8("4a word\u{1E}or two"))))
    #expect(EnginePayload.canCarry(.binary([0x1E])))
  }

  /// Every cut and every single damaged byte: packets or one error, and what was read is written
  /// again as it was.
  @Test func survivesEveryCutAndEveryByteChanged() {
    let payload = utf8("0{\"sid\":\"x\"}\u{1E}4häl\u{1E}bAQIDBA==\u{1E}2probe\u{1E}6")
    for end in 0...payload.count { checkRoundTrip(Array(payload[..<end])) }
    for index in payload.indices {
      for byte in UInt8.min...UInt8.max {
        var damaged = payload
        damaged[index] = byte
        checkRoundTrip(damaged)
      }
    }
  }

  @Test func survivesRandomPayloads() {
    var random = SeededGenerator()
    for _ in 0..<2_000 {
      let alphabet: [UInt8] = [0x1E, 0x30, 0x34, 0x62, 0x3D, 0x41, 0x51, 0xC3, 0xA4]
      let count = Int.random(in: 0...40, using: &random)
      checkRoundTrip((0..<count).map { _ in alphabet.randomElement(using: &random) ?? 0 })
    }
  }

  private func checkRoundTrip(_ payload: [UInt8]) {
    let (packets, error) = read(payload)
    var written: [UInt8] = []
    EnginePayload.append(packets.map(\.frame), to: &written)
    #expect(read(written).packets == packets || packets.isEmpty, "\(payload)")
    if error == nil, !payload.contains(0x62) { #expect(written == payload) }
  }
}
