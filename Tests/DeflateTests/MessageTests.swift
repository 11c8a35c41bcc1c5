import Bytes
import Deflate
import TestKit
import Testing

/// RFC 7692 §7.2.3, the standard's own examples.
private let examples: [(name: String, hex: String, text: String)] = [
  ("one compressed block", "f248cdc9c90700", "Hello"),
  ("a block without compression", "000500faff48656c6c6f00", "Hello"),
  ("a last block and an empty one", "f348cdc9c9070000", "Hello"),
  ("two blocks", "f248050000" + "00ffffcac9c90700", "Hello"),
  ("an empty message", "00", ""),
]

@Suite struct StandardExampleTests {
  @Test(arguments: 0..<examples.count) func unfoldsThem(index: Int) throws {
    let (name, hex, text) = examples[index]
    let message = try #require(bytes(hex: hex))
    for context in [MessageInflater.Context.newForEachMessage, .keptBetweenMessages] {
      let inflater = MessageInflater(context: context)
      for _ in 0..<3 { #expect(try inflater.inflate(message) == utf8(text), "\(name)") }
      for cut in 0...message.count {
        let pieces = [Array(message[..<cut]), Array(message[cut...])]
        #expect(try inflater.inflate(pieces: pieces) == utf8(text), "\(name) cut at \(cut)")
      }
      #expect(try inflater.inflate(pieces: message.map { [$0] }) == utf8(text), "\(name) by bytes")
    }
  }

  @Test func writesThem() {
    let deflater = MessageDeflater(context: .newForEachMessage)
    for _ in 0..<3 {
      #expect(hex(deflater.compress(utf8("Hello"))) == "f248cdc9c90700")
      #expect(hex(deflater.compress([])) == "00")
    }
  }

  /// RFC 7692 §7.2.3.2.
  @Test func refersToTheMessageBefore() throws {
    let deflater = MessageDeflater(context: .keptBetweenMessages)
    let inflater = MessageInflater(context: .keptBetweenMessages)
    #expect(hex(deflater.compress(utf8("Hello"))) == "f248cdc9c90700")
    #expect(hex(deflater.compress(utf8("Hello"))) == "f200110000")
    for message in ["f248cdc9c90700", "f200110000", "00", "f200110000"] {
      let compressed = try #require(bytes(hex: message))
      #expect(try inflater.inflate(compressed) == (message == "00" ? [] : utf8("Hello")))
    }
    let second = try #require(bytes(hex: "f200110000"))
    #expect(failure(of: second) == .corrupt)
  }

  @Test func keepsTheContextBehindALastBlock() throws {
    let inflater = MessageInflater(context: .keptBetweenMessages)
    let last = try #require(bytes(hex: "f348cdc9c9070000"))
    #expect(try inflater.inflate(last) == utf8("Hello"))
    #expect(try inflater.inflate(try #require(bytes(hex: "f200110000"))) == utf8("Hello"))
  }
}

@Suite struct RoundTripTests {
  @Test func everyWindowMemoryAndLevelComesBack() throws {
    var random = SeededGenerator(seed: 9)
    let messages = [
      utf8("x"), telling(300), random.bytes(2_000), telling(70_000),
      [UInt8](repeating: 0, count: 60_000), random.bytes(40_000), [], telling(300),
    ]
    for windowBits in MessageDeflater.windowBits {
      for memoryLevel in MessageDeflater.memoryLevels {
        for level in [1, 6, 9] {
          let deflater = MessageDeflater(
            context: .keptBetweenMessages, windowBits: windowBits, memoryLevel: memoryLevel,
            level: level)
          // A window as large as agreed reads it: the compressor refers no further back.
          let inflater = MessageInflater(context: .keptBetweenMessages, windowBits: windowBits)
          for message in messages {
            #expect(try inflater.inflate(deflater.compress(message)) == message)
          }
        }
      }
    }
  }

  @Test func aMessageComesBackWhateverStoodBeforeIt() throws {
    let seed = UInt64.random(in: 0..<1 << 32)
    var random = SeededGenerator(seed: seed)
    let deflater = MessageDeflater(context: .newForEachMessage)
    let inflater = MessageInflater(context: .newForEachMessage)
    for _ in 0..<300 {
      let count = Int.random(in: 0...9_000, using: &random)
      let message = Bool.random(using: &random) ? telling(count) : random.bytes(count)
      let compressed = deflater.compress(message)
      #expect(try inflater.inflate(compressed) == message, "seed \(seed)")
      var pieces: [[UInt8]] = []
      var index = 0
      while index < compressed.count {
        let end = min(compressed.count, index + Int.random(in: 0...700, using: &random))
        pieces.append(Array(compressed[index..<end]))
        index = end
      }
      #expect(try inflater.inflate(pieces: pieces) == message, "seed \(seed)")
    }
  }

  /// One compression of a message serves all subscribers.
  @Test func withoutAContextTheSameMessageIsAlwaysTheSameBytes() {
    let deflater = MessageDeflater(context: .newForEachMessage)
    let first = deflater.compress(telling(500))
    _ = deflater.compress(telling(9_000))
    #expect(deflater.compress(telling(500)) == first)
    #expect(MessageDeflater(context: .newForEachMessage).compress(telling(500)) == first)
  }

  @Test func outputThatFillsABufferExactlyIsWhole() throws {
    // Stored blocks make the compressed count follow the message's byte by byte.
    var random = SeededGenerator(seed: 4_096)
    let bytes = random.bytes(12_400)
    let deflater = MessageDeflater(context: .newForEachMessage)
    let inflater = MessageInflater(context: .newForEachMessage)
    for count in [4_000...4_110, 8_090...8_200, 12_270...12_400].joined() {
      let message = Array(bytes[..<count])
      #expect(try inflater.inflate(deflater.compress(message)) == message)
    }
  }

  @Test func appendsBehindWhatIsThere() throws {
    var output = utf8("head")
    MessageDeflater(context: .newForEachMessage).compress(utf8("Hello").span, into: &output)
    #expect(hex(output) == hex(utf8("head")) + "f248cdc9c90700")
    var plain = utf8("head")
    let inflater = MessageInflater(context: .newForEachMessage)
    try inflater.inflate(Array(output[4...]).span, into: &plain, bytesMax: 5)
    #expect(plain == utf8("headHello"))
  }
}

/// Reliability catalogue, rows 67 and 69.
@Suite struct HostileMessageTests {
  @Test func everyTruncationIsAnError() throws {
    let message = MessageDeflater(context: .newForEachMessage).compress(telling(900))
    for count in 0..<message.count {
      #expect(failure(of: Array(message[..<count])) != nil, "\(count) of \(message.count) bytes")
    }
    #expect(failure(of: message) == nil)
  }

  @Test func damageIsAnErrorOrOtherBytesButNeverMoreThanAllowed() {
    let message = MessageDeflater(context: .newForEachMessage).compress(telling(900))
    let seed = UInt64.random(in: 0..<1 << 32)
    var random = SeededGenerator(seed: seed)
    let inflater = MessageInflater(context: .newForEachMessage)
    for _ in 0..<5_000 {
      var damaged = message
      for _ in 0..<Int.random(in: 1...5, using: &random) {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] ^=
          1 << UInt8.random(in: 0..<8, using: &random)
      }
      var whole: [UInt8] = []
      let error = unfold(inflater, [damaged], &whole)
      var split: [UInt8] = []
      #expect(unfold(inflater, damaged.map { [$0] }, &split) == error, "seed \(seed)")
      #expect(error != nil || whole == split, "seed \(seed)")
      #expect(whole.count <= 2_001 && split.count <= 2_001, "seed \(seed)")
    }
  }

  private func unfold(
    _ inflater: MessageInflater, _ pieces: [[UInt8]], _ output: inout [UInt8]
  ) -> InflateError? {
    do {
      inflater.begin(bytesMax: 2_000, output: output)
      for piece in pieces { try inflater.append(piece.span, into: &output) }
      try inflater.end(into: &output)
      return nil
    } catch { return error }
  }

  @Test(arguments: ["", "ff", "06", "07", "f2", "f248cdc9c907", "0005", "000500fafe48656c6c6f00"])
  func rubbishIsAnError(text: String) throws {
    #expect(failure(of: try #require(bytes(hex: text))) != nil)
  }

  @Test func blocksBehindALastOneHaveToBeBlocks() throws {
    let hello = "f348cdc9c90700"
    #expect(failure(of: try #require(bytes(hex: hello))) == nil)
    #expect(failure(of: try #require(bytes(hex: hello + "06"))) == .corrupt)
    #expect(failure(of: try #require(bytes(hex: hello + "f2"))) != nil)
    let twice = try #require(bytes(hex: hello + hello + "00"))
    let inflater = MessageInflater(context: .newForEachMessage)
    #expect(try inflater.inflate(twice) == utf8("HelloHello"))
  }

  @Test func stopsAtTheLimitToTheByte() throws {
    let message = MessageDeflater(context: .newForEachMessage).compress(telling(9_000))
    #expect(failure(of: message, bytesMax: 9_000) == nil)
    for bytesMax in [0, 1, 4_095, 4_096, 4_097, 8_999] {
      var output: [UInt8] = []
      let inflater = MessageInflater(context: .newForEachMessage)
      #expect(throws: InflateError.tooBig) {
        try inflater.inflate(message.span, into: &output, bytesMax: bytesMax)
      }
      #expect(output.count <= bytesMax + 1)
    }
    #expect(
      failure(of: MessageDeflater(context: .newForEachMessage).compress([]), bytesMax: 0) == nil)
  }

  /// 64 MiB of zeros in 65,232 bytes, and the same in a hundred fragments.
  @Test func aBombIsFoundLongBeforeItHasUnfolded() throws {
    let bomb = MessageDeflater(context: .newForEachMessage, level: 9)
      .compress([UInt8](repeating: 0, count: 64 << 20))
    #expect(bomb.count < 66_000)
    var output: [UInt8] = []
    let inflater = MessageInflater(context: .newForEachMessage)
    #expect(throws: InflateError.tooBig) {
      try inflater.inflate(bomb.span, into: &output, bytesMax: 1 << 20)
    }
    #expect(output.count == 1 << 20 + 1)
    #expect(throws: InflateError.bomb) {
      try inflater.inflate(bomb, bytesMax: 1 << 30)
    }
    output = []
    inflater.begin(bytesMax: 1 << 30)
    #expect(throws: InflateError.bomb) {
      for start in stride(from: 0, to: bomb.count, by: 650) {
        let end = min(bomb.count, start + 650)
        try inflater.append(Array(bomb[start..<end]).span, into: &output)
      }
    }
    #expect(output.count == MessageInflater.ratioFreeBytes + 1)
  }

  @Test func theRatioCountsOnlyBeyondItsFreeBytes() throws {
    let deflater = MessageDeflater(context: .newForEachMessage, level: 9)
    let free = [UInt8](repeating: 7, count: MessageInflater.ratioFreeBytes)
    #expect(failure(of: deflater.compress(free)) == nil)
    #expect(failure(of: deflater.compress(free + [7])) == .bomb)
    #expect(failure(of: deflater.compress(telling(900_000))) == nil)
  }

  @Test func aKeptContextIsNoWayAroundTheLimits() throws {
    let deflater = MessageDeflater(context: .keptBetweenMessages, level: 9)
    let inflater = MessageInflater(context: .keptBetweenMessages)
    let zeros = [UInt8](repeating: 0, count: 60_000)
    for _ in 0..<50 { #expect(try inflater.inflate(deflater.compress(zeros)) == zeros) }
    let bomb = deflater.compress([UInt8](repeating: 0, count: 16 << 20))
    #expect(throws: InflateError.bomb) { try inflater.inflate(bomb, bytesMax: 32 << 20) }
    // A context that is lost stays lost.
    #expect(throws: InflateError.bomb) { try inflater.inflate(deflater.compress([1])) }
  }
}
