import Bytes
import JSON
import SocketIO
import TestKit
import Testing

/// The forms of protocol revision 5, and what they say.
@Suite struct SocketPacketTests {
  static let buffer0 = #"{"_placeholder":true,"num":0}"#
  static let buffer1 = #"{"_placeholder":true,"num":1}"#

  static let vectors: [(String, [[UInt8]], String)] = [
    ("0", [], "connect / "),
    (#"0{"token":"123"}"#, [], #"connect / {"token":"123"}"#),
    ("0/admin,", [], "connect /admin "),
    (#"0/admin,{"sid":"x"}"#, [], #"connect /admin {"sid":"x"}"#),
    ("1", [], "disconnect /"),
    ("1/admin,", [], "disconnect /admin"),
    (#"2["foo"]"#, [], "event / foo()"),
    (#"2["foo",1,"2",{"3":[true]}]"#, [], #"event / foo(1, '2', {"3":[true]})"#),
    (#"2/admin,["bar"]"#, [], "event /admin bar()"),
    (#"212["foo"]"#, [], "event / foo() id 12"),
    (#"2/admin,0["foo"]"#, [], "event /admin foo() id 0"),
    (#"29007199254740991["foo"]"#, [], "event / foo() id 9007199254740991"),
    ("2[7,null]", [], "event / #7(null)"),
    (#"3/admin,13["ok"]"#, [], "ack /admin ('ok') id 13"),
    ("31[]", [], "ack / () id 1"),
    (#"4{"message":"Not authorized"}"#, [], #"refused / {"message":"Not authorized"}"#),
    (#"4/admin,"no""#, [], #"refused /admin "no""#),
    (#"51-["baz",\#(buffer0)]"#, [[1, 2, 3, 4]], "event / baz(<01020304>)"),
    (#"52-/admin,["baz",\#(buffer1),\#(buffer0)]"#, [[1], [2]], "event /admin baz(<02>, <01>)"),
    (#"52-7["b",\#(buffer0),\#(buffer1)]"#, [[1], []], "event / b(<01>, <>) id 7"),
    (#"61-15[\#(buffer0)]"#, [[9]], "ack / (<09>) id 15"),
    (#"61-/a,1["x",{"y":[\#(buffer0)]}]"#, [[9]], #"ack /a ('x', {"y":[\#(buffer0)]}<09>) id 1"#),
  ]

  @Test(arguments: vectors)
  func readsAndWritesEachForm(_ written: String, _ attachments: [[UInt8]], _ said: String) throws {
    let packet = try decode(written, attachments).get()
    #expect(describe(packet) == said)
    let frames = SocketFrames(try #require(packet))
    #expect(text(frames.text) == "4" + written)
    #expect(frames.attachments == attachments)
  }

  /// Other ways to say the same, which the reference takes too.
  @Test(arguments: [
    ("0/admin", "connect /admin "), ("1/admin", "disconnect /admin"), ("0/,", "connect / "),
    (#"2/,["a"]"#, "event / a()"), (#"2[ "a" , 1 ]"#, "event / a(1)"),
    (#"2["\u0061\u00e4"]"#, "event / aä()"), (#"2["error"]"#, "event / error()"),
    (#"2["__proto__",{"__proto__":1}]"#, #"event / __proto__({"__proto__":1})"#),
    (#"2["n",1e309]"#, "event / n(1e309)"), ("2[-1]", "event / #-1()"),
    (#"2/a?b=c,["x"]"#, "event /a?b=c x()"), ("0/ä", "connect /ä "),
  ])
  func takesThisToo(_ written: String, _ said: String) throws {
    #expect(describe(try decode(written).get()) == said)
  }

  @Test func aPlaceholderOutsideABinaryPacketIsDataLikeAny() throws {
    let packet = try decode(#"2["a",\#(Self.buffer0)]"#).get()
    #expect(describe(packet) == "event / a(\(Self.buffer0))")
  }

  /// The reference server takes this for a packet and then waits for an attachment for ever.
  @Test func aBinaryPacketWithoutAttachmentsIsWholeAtOnce() throws {
    var decoder = SocketDecoder()
    #expect(describe(try decoder.text(utf8(#"50-["a"]"#).span)) == "event / a()")
    #expect(!decoder.isCollecting)
    #expect(describe(try decoder.text(utf8(#"2["b"]"#).span)) == "event / b()")
  }

  @Test func partsAreNumberedAnewInWhatIsTakenOut() throws {
    let written =
      #"53-["e",{"_placeholder":true,"num":2},{"data":{"a":{"num":1,"_placeholder":true},"#
      + #""b":[{"_placeholder":true,"num":0}]}}]"#
    let packet = try decode(written, [[0], [1], [2]]).get()
    guard case .event(_, let event, _) = packet else {
      Issue.record("no event")
      return
    }
    #expect(describe(event.arguments.value(at: 0)) == "<02>")
    #expect(
      describe(event.arguments.value(at: 1))
        == #"{"data":{"a":\#(Self.buffer0),"b":[\#(Self.buffer1)]}}<01><00>"#)
    #expect(event.arguments.value(at: 2) == nil)
    #expect(event.arguments.value(at: -1) == nil)
  }

  @Test func holdsWhatHasCome() throws {
    var decoder = SocketDecoder()
    _ = try decoder.text(utf8(#"52-["a",\#(Self.buffer0),\#(Self.buffer1)]"#).span)
    let bytes = decoder.heldBytes
    _ = try decoder.binary([1, 2, 3])
    #expect(decoder.heldBytes == bytes + 3)
    _ = try decoder.binary([4])
    #expect(decoder.heldBytes == 0)
  }
}

/// What ends a connection, and by which name it is known.
@Suite struct SocketRefusalTests {
  @Test(arguments: [
    ("", SocketError.emptyPacket), ("abc", .unknownPacketType(0x61)),
    ("7", .unknownPacketType(0x37)), ("9[]", .unknownPacketType(0x39)),
    ("0[]", .invalidPayload), (#"0"a""#, .invalidPayload), ("0{", .invalidPayload),
    ("0 {}", .invalidPayload), ("0null", .invalidPayload), ("01{}", .unexpectedAckID),
    ("1{}", .invalidPayload), ("15", .unexpectedAckID), ("11{}", .unexpectedAckID),
    ("2", .invalidPayload), ("2{}", .invalidPayload), ("2[]", .invalidEventName),
    ("2[null]", .invalidEventName), (#"2["a""#, .invalidPayload), (#"2 ["a"]"#, .invalidPayload),
    (#"2["a"]x"#, .invalidPayload), (#"2abc["a"]"#, .invalidPayload), ("2[1.5]", .invalidEventName),
    ("2[9007199254740992]", .invalidEventName), ("2[1e3]", .invalidEventName),
    (#"2["\ud800"]"#, .invalidPayload), (#"2-1["a"]"#, .invalidPayload),
    (#"207["a"]"#, .invalidAckID), (#"29007199254740992["a"]"#, .invalidAckID),
    (#"299999999999999999999["a"]"#, .invalidAckID), (#"21.5["a"]"#, .invalidPayload),
    ("3[]", .missingAckID), ("3", .missingAckID), ("31", .invalidPayload),
    ("31{}", .invalidPayload),
    ("4", .invalidPayload), ("4[]", .invalidPayload), ("41{}", .unexpectedAckID),
    ("5", .invalidAttachmentCount), (#"5["a"]"#, .invalidAttachmentCount),
    (#"5-["a"]"#, .invalidAttachmentCount), (#"51["a"]"#, .invalidAttachmentCount),
    (#"501-["a"]"#, .invalidAttachmentCount), (#"5-1-["a"]"#, .invalidAttachmentCount),
    (#"51.5-["a"]"#, .invalidAttachmentCount), (#"5abc-["a"]"#, .invalidAttachmentCount),
    (#"51-{"a":1}"#, .invalidPayload), ("61-[]", .missingAckID), ("60-[]", .missingAckID),
  ])
  func refuses(_ written: String, _ error: SocketError) {
    #expect(decode(written) == .failure(error))
  }

  @Test func refusesReservedNamesHoweverTheyAreWritten() {
    for name in SocketEventName.reserved {
      #expect(decode(#"2["\#(name)"]"#) == .failure(.reservedEventName))
    }
    #expect(decode(#"2["\u0063onnect"]"#) == .failure(.reservedEventName))
    #expect(
      decode(#"51-["disconnect",{"_placeholder":true,"num":0}]"#) == .failure(.reservedEventName))
    #expect(isTaken(decode(#"31["connect"]"#)))
  }

  /// CVE-2023-32695's shape: a name that is an object ends the connection, not the process.
  @Test func aNameThatIsAnObjectIsRefused() {
    #expect(decode(#"2[{"toString":"foo"}]"#) == .failure(.invalidEventName))
    #expect(decode(#"2[{"_placeholder":true,"num":0}]"#) == .failure(.invalidEventName))
    #expect(decode(#"51-[{"_placeholder":true,"num":0}]"#) == .failure(.invalidEventName))
  }

  /// CVE-2022-2421's shape, and its kin: a placeholder names an attachment by its number, once.
  @Test(arguments: [
    #"{"_placeholder":true,"num":"splice"}"#, #"{"_placeholder":true,"num":1}"#,
    #"{"_placeholder":true,"num":-1}"#, #"{"_placeholder":true,"num":0.5}"#,
    #"{"_placeholder":true,"num":1e0}"#, #"{"_placeholder":true,"num":18446744073709551616}"#,
    #"{"_placeholder":true}"#, #"{"_placeholder":true,"num":null}"#,
    #"{"_placeholder":true,"num":[0]}"#, #"{"_placeholder":true,"num":{"num":0}}"#,
    #"{"_placeholder":true,"num":0,"x":1}"#, #"{"num":0,"num":0,"_placeholder":true}"#,
    #"{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}"#,
    #"{"\u005fplaceholder":true,"n\u0075m":7}"#,
  ])
  func refusesPlaceholders(_ written: String) {
    #expect(decode(#"51-["a",\#(written)]"#) == .failure(.invalidPlaceholder))
  }

  @Test(arguments: [
    #"{"_placeholder":false,"num":"splice"}"#, #"{"_placeholder":1,"num":9}"#,
    #"{"_placeholder":"true","num":9}"#, #"{"_placeholder":{"_placeholder":false},"num":9}"#,
    #"["_placeholder",true,"num",9]"#, #"{"x_placeholder":true,"num":9}"#,
    #"{"_placeholder":true,"_placeholder":false}"#, #""{\"_placeholder\":true,\"num\":9}""#,
  ])
  func takesWhatOnlyLooksLikeAPlaceholder(_ written: String) throws {
    let packet = try decode(#"51-["a",\#(written),{"_placeholder":true,"num":0}]"#, [[7]]).get()
    guard case .event(_, let event, _) = packet else {
      Issue.record("no event")
      return
    }
    #expect(event.arguments.placeholders.count == 1)
    #expect(event.arguments.value(at: 1) == .binary([7]))
  }

  @Test func aPlaceholdersKeysMayHaveEscapes() throws {
    let packet = try decode(#"51-["a",{"\u005fplaceholder":true,"n\u0075m":0}]"#, [[7]]).get()
    #expect(describe(packet) == "event / a(<07>)")
  }

  /// Row 81: a count that is claimed reserves nothing and is held to the limit.
  @Test func attachmentsHaveALimit() throws {
    #expect(decode(#"510-["a"]"#) == .success(nil))
    #expect(decode(#"511-["a"]"#) == .failure(.tooManyAttachments))
    #expect(decode(#"51000000000-["a"]"#) == .failure(.tooManyAttachments))
    #expect(decode("5" + String(repeating: "9", count: 40)) == .failure(.invalidAttachmentCount))
  }

  @Test func textWhileAttachmentsAreOwedIsRefused() throws {
    var decoder = SocketDecoder()
    _ = try decoder.text(utf8(#"51-["a"]"#).span)
    #expect(throws: SocketError.attachmentOwed) { try decoder.text(utf8(#"2["a"]"#).span) }
    #expect(throws: SocketError.attachmentOwed) { try decoder.binary([1]) }
    #expect(decoder.heldBytes == 0)
  }

  @Test func binaryThatNobodyAskedForIsRefused() throws {
    var decoder = SocketDecoder()
    #expect(throws: SocketError.unexpectedBinary) { try decoder.binary([]) }
    var another = SocketDecoder()
    _ = try another.text(utf8(#"51-["a"]"#).span)
    _ = try another.binary([1])
    #expect(throws: SocketError.unexpectedBinary) { try another.binary([1]) }
  }

  @Test func aPacketIsBoundedWithItsAttachments() throws {
    var limits = SocketLimits()
    limits.packetBytesMax = 12
    #expect(isTaken(decode(utf8(#"2["abcdefg"]"#), limits: limits)))
    #expect(decode(utf8(#"2["abcdefgh"]"#), limits: limits) == .failure(.packetTooBig))
    #expect(isTaken(decode(utf8(#"51-["a"]"#), [[1, 2, 3, 4]], limits: limits)))
    #expect(
      decode(utf8(#"51-["a"]"#), [[1, 2, 3, 4, 5]], limits: limits) == .failure(.packetTooBig))
    #expect(
      decode(utf8(#"52-["a"]"#), [[1, 2, 3], [1, 2]], limits: limits) == .failure(.packetTooBig))
  }

  @Test func argumentsNamesAndNamespacesAreBounded() {
    let many = Array(repeating: "1", count: 255).joined(separator: ",")
    #expect(isTaken(decode("2[1,\(many)]")))
    #expect(decode("2[1,1,\(many)]") == .failure(.tooManyArguments))
    let name = String(repeating: "n", count: 255)
    #expect(isTaken(decode(#"2["\#(name)"]"#)))
    #expect(decode(#"2["\#(name)n"]"#) == .failure(.invalidEventName))
    #expect(isTaken(decode("0/" + name.dropFirst())))
    #expect(decode("0/" + name) == .failure(.invalidNamespace))
    #expect(decode("0/a\u{1}b") == .failure(.invalidNamespace))
    #expect(decode([0x30, 0x2F, 0xC3, 0x28]) == .failure(.invalidNamespace))
  }

  /// Row 83.
  @Test func depthIsCappedWithoutUsingStack() {
    let deep = String(repeating: "[", count: 100_000)
    #expect(decode("2" + deep) == .failure(.invalidPayload))
    #expect(decode("51-" + deep) == .failure(.invalidPayload))
    let objects = String(repeating: #"{"a":"#, count: 100_000)
    #expect(decode("0" + objects) == .failure(.invalidPayload))
  }

  /// Row 81's kin: a packet of placeholders that are none costs one pass.
  @Test func aMegabyteOfObjectsIsReadInOnePass() throws {
    let objects = Array(repeating: #"{"_placeholder":false,"num":0}"#, count: 30_000)
    let written = utf8(#"51-["a",[\#(objects.joined(separator: ","))]]"#)
    let clock = ContinuousClock()
    let time = clock.measure { _ = decode(written, [[1]]) }
    #expect(time < .seconds(5))
  }

  @Test func itsErrorComesAgain() {
    var decoder = SocketDecoder()
    for _ in 0..<3 {
      #expect(throws: SocketError.unknownPacketType(0x78)) { try decoder.text(utf8("x").span) }
    }
    #expect(throws: SocketError.unknownPacketType(0x78)) { try decoder.text(utf8("1").span) }
  }
}

/// Whatever comes in: a packet or an error, and a packet is written and read again as itself.
@Suite struct SocketOrdealTests {
  private static let attachments: [[UInt8]] = [[1], [2, 3]]

  private static let samples = SocketPacketTests.vectors.map { utf8($0.0) }

  @Test func survivesEveryCut() {
    for sample in Self.samples {
      for end in 0...sample.count { check(Array(sample[..<end])) }
    }
  }

  @Test func survivesEveryByteChanged() {
    for sample in Self.samples {
      for index in sample.indices {
        for byte in UInt8.min...UInt8.max {
          var damaged = sample
          damaged[index] = byte
          check(damaged)
        }
      }
    }
  }

  @Test func survivesRandomBytes() {
    var random = SeededGenerator()
    let pieces = [
      "0", "2", "5", "1-", "2-", "/a,", "7", "[", "]", "{", "}", ",", ":", "\"a\"", "true", "\\",
      "\"_placeholder\"", "\"num\"", "0", "1", " ", "-", "null", "ä", "\"",
    ]
    for _ in 0..<20_000 {
      let count = Int.random(in: 0...16, using: &random)
      let written = (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
      check(utf8(written))
    }
  }

  private func check(_ written: [UInt8]) {
    var decoder = SocketDecoder()
    var read: SocketPacket?
    do {
      read = try decoder.text(written.span)
      var attachments = Self.attachments
      while decoder.isCollecting {
        read = try decoder.binary(attachments.isEmpty ? [9] : attachments.removeFirst())
      }
    } catch {
      return
    }
    guard let packet = read else {
      Issue.record("\(written): neither a packet nor an error")
      return
    }
    let frames = SocketFrames(packet)
    let again = decode(Array(frames.text.dropFirst()), frames.attachments)
    #expect(again == .success(packet), "\(text(written))")
    checkRanges(packet)
  }

  private func checkRanges(_ packet: SocketPacket) {
    let arguments: SocketArguments
    switch packet {
    case .event(_, let event, _): arguments = event.arguments
    case .ack(_, _, let those): arguments = those
    case .connect, .disconnect, .connectError: return
    }
    for item in arguments.items {
      #expect((try? JSON.validate(arguments.json[item.value].span)) == item.kind)
    }
    for placeholder in arguments.placeholders {
      #expect(arguments.attachments.indices.contains(placeholder.attachment))
    }
  }
}
