import Bytes
import Centrifuge
import TestKit
import Testing

@Suite("Ordeal") struct OrdealTests {
  /// Reads a frame of any kind as far as it goes.
  private func read(_ kind: String, _ encoding: CentrifugeEncoding, _ frame: [UInt8])
    -> [AnyMessage]
  {
    var messages: [AnyMessage] = []
    do throws(CentrifugeDecodeError) {
      switch kind {
      case "command":
        var reader = CentrifugeCommandReader(encoding)
        while let command = try reader.next(frame.span) { messages.append(.command(command)) }
      case "reply":
        var reader = CentrifugeReplyReader(encoding)
        while let reply = try reader.next(frame.span) { messages.append(.reply(reply)) }
      default: messages = [.emulation(try CentrifugeEmulation.decode(encoding, frame.span))]
      }
    } catch {}
    return messages
  }

  /// A frame that was cut is refused; only the body of a POST has no length that could tell.
  @Test(arguments: MessageVector.all) func everyCutIsRefused(_ vector: MessageVector) {
    for encoding in CentrifugeEncoding.allCases {
      let frame = vector.frame(encoding)
      guard encoding == .json || vector.kind != "emulation" else { continue }
      let step = max(1, frame.count / 512)
      for count in stride(from: 1, to: frame.count, by: step) {
        #expect(
          read(vector.kind, encoding, Array(frame[..<count])) == [], "\(count) of \(encoding)")
      }
    }
  }

  /// Whatever damage leaves readable says the same after being written and read again.
  @Test(arguments: CentrifugeEncoding.allCases)
  func damageIsRefusedOrReadTheSameAgain(_ encoding: CentrifugeEncoding) {
    var random = SeededGenerator()
    let vectors = MessageVector.all.filter { $0.protobuf.count < 1_000 }
    var readable = 0
    for round in 0..<10_000 {
      let vector = vectors[round % vectors.count]
      var frame = vector.frame(encoding)
      guard !frame.isEmpty else { continue }
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let index = Int.random(in: 0..<frame.count, using: &random)
        frame[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      }
      // A minus sign may have become a line break, which a payload doesn't keep.
      if encoding == .json, frame.contains(13) { continue }
      for message in read(vector.kind, encoding, frame) {
        readable += 1
        let again = message.encode(encoding)
        #expect(read(vector.kind, encoding, again) == [message], "\(random) round \(round)")
      }
    }
    #expect(readable > 1_000)
  }

  @Test(arguments: CentrifugeEncoding.allCases) func rubbishIsSurvived(
    _ encoding: CentrifugeEncoding
  ) {
    var random = SeededGenerator()
    for _ in 0..<8_000 {
      let rubbish = random.bytes(Int.random(in: 0...60, using: &random))
      for kind in ["command", "reply", "emulation"] { _ = read(kind, encoding, rubbish) }
    }
  }

  @Test func randomMessagesComeBackInBothEncodings() throws {
    var generator = MessageGenerator(random: SeededGenerator())
    for _ in 0..<1_500 {
      let command = generator.command()
      let reply = generator.reply()
      for encoding in CentrifugeEncoding.allCases {
        #expect(
          try commands(encoding, encoding.encode(command)) == [command], "\(generator.random)")
        #expect(try replies(encoding, encoding.encode(reply)) == [reply], "\(generator.random)")
      }
    }
  }

  @Test(arguments: CentrifugeEncoding.allCases)
  func batchesOfRandomMessagesComeBack(_ encoding: CentrifugeEncoding) throws {
    var generator = MessageGenerator(random: SeededGenerator())
    for _ in 0..<300 {
      let all = (0..<Int.random(in: 1...12, using: &generator.random)).map { _ in generator.reply()
      }
      var batch: [UInt8] = []
      for reply in all { encoding.append(encoding.encode(reply), to: &batch) }
      #expect(try replies(encoding, batch) == all, "\(generator.random)")
    }
  }
}
