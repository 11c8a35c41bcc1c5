import Bytes
import Testing
import Wire

/// How an older and a newer build live on one link.
@Suite struct CompatibilityTests {
  @Test(arguments: Samples.all)
  func fieldsAppendedByANewerBuildAreIgnored(sample: Sample) throws {
    for extra in [[0], digest(0xff), [UInt8](repeating: 0, count: 300)] {
      #expect(try sample.message.isDecoded(from: sample.message.body + extra))
    }
  }

  @Test(arguments: Samples.all)
  func aBodyCutAnywhereIsRefused(sample: Sample) throws {
    let body = sample.message.body
    // An older build's body ends before what was appended since.
    let ends = try Layout(type(of: sample.message).layout).olderEnds(body)
    for count in 0..<body.count where !ends.contains(count) {
      #expect(throws: FrameError.self, "the first \(count) bytes") {
        _ = try sample.message.isDecoded(from: Array(body[..<count]))
      }
    }
  }

  /// Its fields came together: half of them would be another producer's place.
  @Test func aProducerIsThereWholeOrNotAtAll() throws {
    let mark = ProducerMark(id: "p", epoch: 1, sequence: 2)
    let append = Append(
      remainingMs: 1, stream: try #require(ChannelName("a")), expected: nil, key: "", client: 0,
      user: "", events: [], producer: mark)
    let body = append.body
    let ofOlder = body.count - 3 - 8 - 8
    #expect(try Append(body: Array(body[..<ofOlder]).span).producer == nil)
    for cut in ofOlder + 1..<body.count {
      #expect(throws: FrameError.self) { _ = try Append(body: Array(body[..<cut]).span) }
    }
    #expect(try Append(body: body.span).producer == mark)
  }

  /// What is read out of a publication alone is what the whole of it says.
  @Test func aPublicationsChannelAndPlaceAreReadOutOfItAlone() throws {
    var count = 0
    for case let publication as Publication in Samples.all.map(\.message) {
      let body = publication.body
      #expect(try Publication.handle(of: body.span) == publication.handle)
      #expect(try Publication.position(of: body.span) == publication.position)
      for cut in 0..<18 {
        #expect(throws: FrameError.self) { _ = try Publication.position(of: Array(body[..<cut]).span) }
      }
      count += 1
    }
    #expect(count >= 3)
  }

  @Test func aHeartbeatOfABuildThatCountsNoFramesIsUnderstood() throws {
    let body = Heartbeat(sent: 7, dropped: 1, frames: 9).body
    #expect(
      try Heartbeat(body: Array(body.dropLast(8)).span)
        == Heartbeat(sent: 7, dropped: 1, frames: 0))
  }

  /// Two ends that read one byte in two ways would go on side by side, each with another truth.
  @Test func aTextThatIsTooLongIsCutBetweenCharactersHoweverItIsWritten() throws {
    let long = String(repeating: "é", count: 40_000)
    let publish = Publish(
      remainingMs: 1, handle: .none, timeMs: 1, publisher: Publisher(client: 1, user: long),
      eventType: long, key: "k", payload: Payload(text: "x"))
    var writer = ByteWriter()
    publish.encode(into: &writer)
    let read = try Publish(body: writer.bytes.span)
    #expect(read.publisher.user == ByteWriter.cut(long) && read.eventType == ByteWriter.cut(long))
    #expect(read.eventType.utf8.count == 65_534 && read.key == "k" && read.payload == publish.payload)
  }

  @Test func aYesOrNoThatIsNeitherIsRefused() throws {
    var refused: Set<String> = []
    for sample in Samples.all {
      let body = sample.message.body
      var offset = 0
      for line in try Layout(type(of: sample.message).layout).label(body) {
        defer { offset += line.bytes.count }
        guard Self.isYesOrNo(line.label) else { continue }
        for value in [2, 0x80, 0xFF] as [UInt8] {
          var changed = body
          changed[offset] = value
          #expect(throws: FrameError.malformedBody(sample.kind, .invalidValue), "\(line.label)") {
            _ = try sample.message.isDecoded(from: changed)
          }
        }
        refused.insert("\(sample.kind) \(line.label.prefix { $0 != " " })")
      }
    }
    #expect(refused.count == 22, "\(refused.sorted())")
  }

  private static func isYesOrNo(_ label: String) -> Bool {
    let name = label.prefix { $0 != " " }
    return label.dropFirst(name.count).hasPrefix(" u8 ")
      && (name.hasPrefix("is") || name.hasPrefix("has")
        || ["durable", "duplicate", "more", "reverse", "exact"].contains(name))
  }

  /// What says that the store sequenced a publish, and where it stands, can't contradict each other.
  @Test func aPublishIsSequencedExactlyWhereItHasAPosition() throws {
    for position in [nil, position("e1", 42)] {
      for flags in [[], .sequenced, [.sequenced, .forOthers], .forOthers] as [Publish.Flags] {
        var message = Publish(
          remainingMs: 1, handle: .none, name: "a", flags: flags, timeMs: 0,
          publisher: Publisher(), position: position, payload: Payload(text: "x"))
        #expect(message.flags.contains(.sequenced) == (position != nil))
        #expect(message.flags.contains(.forOthers) == flags.contains(.forOthers))
        #expect(try Publish(body: message.body.span) == message)
        message.flags = flags
        #expect(try Publish(body: message.body.span) == message)
        message.position = nil
        #expect(try Publish(body: message.body.span) == message)
        #expect(!message.flags.contains(.sequenced))
      }
    }
  }

  @Test func aPublishWhoseFlagAndPositionContradictIsRefused() throws {
    for message in Samples.of(.publish) {
      // remainingMs, number, generation and an empty or short name stand before the flags.
      var body = message.message.body
      let flags = 4 + 4 + 4 + 2 + Int(body[12])
      body[flags] ^= Publish.Flags.sequenced.rawValue
      #expect(throws: FrameError.malformedBody(.publish, .invalidValue)) {
        _ = try Publish(body: body.span)
      }
    }
  }

  @Test(arguments: [UInt16(0), 9, 31, 500, .max])
  func anUnknownKindEndsTheLink(kind: UInt16) {
    #expect(frames([head(length: 0, kind: kind)], .none) == [.failed(.unknownKind(kind))])
    let reply = head(length: 0, kind: kind, flags: FrameFlags.reply.rawValue)
    #expect(frames([reply], .none) == [.failed(.unknownKind(kind))])
  }

  @Test(arguments: FrameOrdealTests.modes)
  func anUnknownKindThatMayBeIgnoredIsSkipped(checksums: Checksums) {
    let bytes =
      Samples.all[0].frame(checksums) + unknown(checksums) + Samples.all[1].frame(checksums)
    let events = [Samples.all[0].event, Samples.all[1].event]
    #expect(frames([bytes], checksums) == events)
    #expect(frames(bytes.map { [$0] }, checksums) == events)
  }

  @Test func anUnknownKindWithAWrongChecksumIsNotSkipped() {
    var bytes = unknown(.crc32c)
    bytes[bytes.count - 1] ^= 1
    #expect(frames([bytes], .crc32c) == [.failed(.checksumMismatch)])
  }

  @Test func anUnknownKindMayBeIgnoredUpToTheSmallLimitOnly() {
    let flags = FrameFlags.mayIgnore.rawValue
    let most = UInt32(Limits.smallBodyBytesMax)
    #expect(frames([head(length: most, kind: 500, flags: flags)], .none) == [])
    #expect(
      frames([head(length: most + 1, kind: 500, flags: flags)], .none)
        == [.failed(.unknownKind(500))])
  }

  @Test(arguments: 2..<16)
  func aReservedFlagIsRefused(bit: Int) {
    let flags = UInt16(1) << UInt16(bit)
    let bytes = head(length: 0, kind: Kind.probe.rawValue, flags: flags)
    #expect(frames([bytes], .none) == [.failed(.reservedFlags(flags))])
    let both = head(length: 0, kind: 500, flags: flags | FrameFlags.mayIgnore.rawValue)
    #expect(frames([both], .none) == [.failed(.reservedFlags(flags | 1))])
  }

  @Test func theHighestCommonVersionIsSpoken() {
    #expect(hello(1, 3).commonVersion(with: hello(2, 5)) == 3)
    #expect(hello(2, 5).commonVersion(with: hello(1, 3)) == 3)
    #expect(hello(1, 1).commonVersion(with: hello(1, .max)) == 1)
    #expect(hello(1, 2).commonVersion(with: hello(3, 4)) == nil)
    #expect(hello(3, 4).commonVersion(with: hello(1, 2)) == nil)
  }

  @Test func aHelloOfAnotherProtocolIsRefused() {
    var body = hello(1, 1).body
    body[0] ^= 1
    #expect(throws: FrameError.malformedBody(.hello, .invalidValue)) { try Hello(body: body.span) }
  }

  @Test func aHelloWhoseVersionsRunBackwardsIsRefused() {
    let body = hello(2, 1).body
    #expect(throws: FrameError.malformedBody(.hello, .invalidValue)) { try Hello(body: body.span) }
  }

  @Test func theLargestAnswerToFindArtifactFitsItsLimit() {
    let most = ArtifactStreams(
      isStored: true, size: .max, streams: [ChannelName](repeating: longestName, count: 256))
    #expect(most.body.count <= Kind.artifactStreams.bodyBytesMax)
  }

  @Test func theLargestChunkFitsItsLimit() {
    let content = [UInt8](repeating: 1, count: Limits.chunkBytesMax)
    let chunk = ArtifactChunk(transfer: .max, content: content)
    #expect(chunk.body.count <= Kind.artifactChunk.bodyBytesMax)
    #expect(frames([chunk.frame(correlation: 0, flags: [], .none)], .none).count == 1)
  }

  @Test func theLargestFrameIsWithinTheCreditOfALink() {
    let largest = Kind.allCases.map(\.bodyBytesMax).max() ?? 0
    #expect(largest + FrameHeader.bytes <= Limits.linkCreditBytes)
  }

  private func hello(_ lowest: UInt16, _ highest: UInt16) -> Hello {
    var hello = Hello(role: .hub, instance: 1, incarnation: 1)
    hello.versionMin = lowest
    hello.versionMax = highest
    return hello
  }

  private func unknown(_ checksums: Checksums) -> [UInt8] {
    var bytes = head(length: 3, kind: 500, flags: FrameFlags.mayIgnore.rawValue) + [1, 2, 3]
    guard checksums == .crc32c else { return bytes }
    let sum = crc32c(Array(bytes[..<12]) + [1, 2, 3])
    bytes.replaceSubrange(12..<16, with: (0..<4).map { UInt8(truncatingIfNeeded: sum >> (8 * $0)) })
    return bytes
  }
}
