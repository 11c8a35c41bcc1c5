import Bytes
import Deflate
import TestKit
import Testing
import WebSocketCodec

private enum Outcome: Equatable {
  case event(WebSocketEvent)
  case failed(WebSocketError)
}

/// Frames of a server that agreed to compression without a context (RFC 7692 §7.2.3).
private func read(_ segments: [[UInt8]], bytesMax: Int = 1 << 20) -> [Outcome] {
  let inflater = MessageInflater(context: .newForEachMessage)
  func unfold(
    _ message: borrowing Span<UInt8>, _ bytesMax: Int, _ output: inout [UInt8]
  ) throws(WebSocketError) {
    do throws(InflateError) {
      try inflater.inflate(message, into: &output, bytesMax: bytesMax)
    } catch {
      switch error {
      case .corrupt, .truncated: throw .invalidCompression
      case .tooBig: throw .messageTooBig
      case .bomb: throw .compressionBomb
      }
    }
  }
  var reader = WebSocketReader(
    role: .client, limits: WebSocketLimits(messageBytesMax: bytesMax),
    compression: .permessageDeflate)
  var outcomes: [Outcome] = []
  for segment in segments {
    var offset = 0
    do throws(WebSocketError) {
      while let event = try reader.next(segment.span, from: &offset, inflate: unfold) {
        outcomes.append(.event(event))
      }
    } catch { return outcomes + [.failed(error)] }
  }
  return outcomes
}

@Suite struct CompressedSocketTests {
  private let verifier = DecoderVerifier<Outcome> { read($0) }

  private func sample(
    _ name: String, _ hex: String, _ text: String = "Hello"
  ) -> DecoderVerifier<Outcome>.Sample {
    .init(name, bytes(hex: hex) ?? [], [.event(.message(.text, utf8(text)))])
  }

  @Test func readsTheFramesOfTheStandard() {
    let samples = [
      sample("one frame", "c107f248cdc9c90700"),
      sample("two frames", "4103f248cd8004c9c90700"),
      sample("no compression", "c10b000500faff48656c6c6f00"),
      sample("a last block", "c108f348cdc9c9070000"),
      sample("two blocks", "c10df248050000" + "00ffffcac9c90700"),
      sample("empty", "c10100", ""),
      sample("not compressed", "810548656c6c6f"),
    ]
    #expect(verifier.failures(of: samples) == [])
    #expect(verifier.failuresOfDamage(to: samples, seed: 7692, rounds: 600) == [])
  }

  @Test func closesWithTheRightCode() {
    let cases: [(String, WebSocketError, WebSocketCloseCode)] = [
      ("c100", .invalidCompression, .invalidData),
      ("c106f248cdc9c907", .invalidCompression, .invalidData),
      ("c101ff", .invalidCompression, .invalidData),
      ("c105f200110000", .invalidCompression, .invalidData),
    ]
    for (hex, error, code) in cases {
      #expect(read([bytes(hex: hex) ?? []]) == [.failed(error)], "\(hex)")
      #expect(error.closeCode == code)
    }
    let deflater = MessageDeflater(context: .newForEachMessage)
    var bomb: [UInt8] = []
    WebSocketFrame.append(
      .binary, deflater.compress([UInt8](repeating: 0, count: 900_000)).span, isCompressed: true,
      into: &bomb)
    #expect(read([bomb]) == [.failed(.compressionBomb)])
    #expect(read([bomb], bytesMax: 60_000) == [.failed(.messageTooBig)])
    #expect(WebSocketError.compressionBomb.closeCode == .messageTooBig)
  }

  @Test func aMessageOfTheLargestSizeFitsWhateverItsBytes() {
    var random = SeededGenerator(seed: 1)
    let message = random.bytes(1 << 20)
    for memoryLevel in [1, 8] {
      let deflater = MessageDeflater(context: .newForEachMessage, memoryLevel: memoryLevel)
      var frame: [UInt8] = []
      WebSocketFrame.append(
        .binary, deflater.compress(message).span, isCompressed: true, into: &frame)
      let isWhole = read([frame]) == [.event(.message(.binary, message))]
      #expect(isWhole, "memory level \(memoryLevel)")
    }
  }
}
