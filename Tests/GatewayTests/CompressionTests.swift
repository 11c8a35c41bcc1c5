import Bytes
import Config
import Observe
import Platform
import Testing
import WebSocketCodec

@testable import GatewayCore

/// What a client does that agreed to `answer`: keeps its contexts or not.
private final class Peer {
  let compression: SocketCompression
  let answer: String

  init?(_ offer: String, _ loop: LoopCompression) {
    guard let offers = WebSocketExtension.parse([offer]), let agreed = loop.agree(offers) else {
      return nil
    }
    compression = agreed.compression
    answer = agreed.answer.headerValue
  }
}

/// One loop and the metrics that it counts in.
private struct Fixture {
  let metrics = GatewayMetrics(Metrics())
  let loop: LoopCompression

  init(contextBytesMax: Int = 1 << 20, _ change: (inout CompressionSettings) -> Void = { _ in }) {
    var settings = CompressionSettings()
    change(&settings)
    loop = LoopCompression(
      settings, contextBytesMax: contextBytesMax, ratioMax: 100, freeBytes: 65_536, metrics)
  }

  /// The messages of frames that a server sent, unfolded by one who keeps its context if asked to.
  func read(_ frames: [UInt8], by other: SocketCompression) throws -> [String] {
    var reader = WebSocketReader(role: .client, compression: .permessageDeflate)
    var texts: [String] = []
    var offset = 0
    while let event = try reader.next(frames.span, from: &offset, inflate: other.inflate) {
      guard case .message(_, let payload) = event else { continue }
      texts.append(text(payload))
    }
    return texts
  }

  var held: Int64 { metrics.compression.contextBytes.value }
}

private func long(_ word: String) -> String {
  String(repeating: word, count: 2_000 / word.utf8.count)
}

private func frame(_ compressor: MessageCompressor, _ message: String) -> [UInt8] {
  var bytes: [UInt8] = []
  compressor.append(.text, Array(message.utf8).span, into: &bytes)
  return bytes
}

@Suite struct CompressionTests {
  @Test func bothSidesKeepNoContextByDefault() throws {
    let fixture = Fixture()
    let peer = try #require(Peer("permessage-deflate; client_max_window_bits", fixture.loop))
    #expect(
      peer.answer == "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
    #expect(peer.compression.sharedWindowBits == 15)
    #expect(fixture.held == 0)
  }

  @Test func connectionsOfOneWindowShareEverything() throws {
    let fixture = Fixture()
    let a = try #require(Peer("permessage-deflate", fixture.loop))
    let b = try #require(Peer("permessage-deflate; client_no_context_takeover", fixture.loop))
    let c = try #require(Peer("permessage-deflate; server_max_window_bits=10", fixture.loop))
    #expect(a.compression === b.compression)
    #expect(c.compression.sharedWindowBits == 9 && c.compression !== a.compression)
    #expect(c.answer.hasSuffix("; server_max_window_bits=9"))
    #expect(a.compression.compressor === fixture.loop.compressor(15))
  }

  /// What a client may write and never gets: a window of 8, and what isn't a parameter.
  @Test(arguments: [
    "permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_max_window_bits", "permessage-deflate; x", "x-webkit-deflate-frame",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover", "",
  ])
  func withoutAnAcceptableOfferThereIsNoCompression(offer: String) {
    #expect(Peer(offer, Fixture().loop) == nil)
  }

  @Test func whatIsOffIsNotAgreedTo() {
    #expect(Peer("permessage-deflate", Fixture { $0.enabled = false }.loop) == nil)
  }

  @Test func smallMessagesAndThoseThatDoNotShrinkGoAsTheyAre() throws {
    let fixture = Fixture { $0.threshold = 100 }
    let peer = try #require(Peer("permessage-deflate", fixture.loop))
    let compressor = peer.compression.compressor
    let small = String(repeating: "a", count: 99)
    #expect(frame(compressor, small).first == 0x81)
    #expect(fixture.metrics.compression.compressions.value == 0)
    var noise = SystemRandomNumberGenerator()
    let random = (0..<1_000).map { _ in UInt8(truncatingIfNeeded: noise.next()) }
    var bytes: [UInt8] = []
    compressor.append(.binary, random.span, into: &bytes)
    #expect(bytes == [0x82, 126, 3, 232] + random)
    let big = frame(compressor, small + "a")
    #expect(big.first == 0xC1 && big.count < 30)
    #expect(try fixture.read(big, by: peer.compression) == [small + "a"])
  }

  @Test func withoutAContextEveryMessageStandsAlone() throws {
    let fixture = Fixture()
    let peer = try #require(Peer("permessage-deflate", fixture.loop))
    let first = frame(peer.compression.compressor, long("one "))
    let second = frame(peer.compression.compressor, long("two "))
    #expect(frame(peer.compression.compressor, long("one ")) == first)
    #expect(
      try fixture.read(second + first, by: peer.compression) == [long("two "), long("one ")])
  }

  @Test func aContextOfItsOwnMakesSmallMessagesSmallerToo() throws {
    let fixture = Fixture { $0.contextTakeover = true }
    let peer = try #require(Peer("permessage-deflate; client_max_window_bits", fixture.loop))
    let other = try #require(Peer("permessage-deflate; client_max_window_bits", fixture.loop))
    #expect(peer.answer == "permessage-deflate; client_max_window_bits=11")
    #expect(peer.compression.sharedWindowBits == nil)
    let message =
      #"{"channel":"route","data":{"latitude":50.08804,"longitude":14.42076,"speed":11}}"#
    var plain: [UInt8] = []
    for _ in 0..<3 { WebSocketFrame.append(.text, Array(message.utf8), into: &plain) }
    WebSocketFrame.append(.text, Array("small".utf8), into: &plain)
    var frames: [UInt8] = []
    peer.compression.compressor.append(frames: plain.span, into: &frames)
    #expect(frames.count < plain.count / 2)
    let read = try fixture.read(frames, by: other.compression)
    #expect(read == [message, message, message, "small"])
  }

  /// Row 68: contexts have a common cap; beyond it a connection shares, and is compressed all the same.
  @Test func contextsStayBelowTheirCapAndGiveBackWhatTheyHeld() throws {
    let each = Int64(try #require(Self.bytesOfOneContext()))
    let fixture = Fixture(contextBytesMax: Int(each) * 3 + 1) { $0.contextTakeover = true }
    var peers: [Peer] = []
    for _ in 0..<5 {
      peers.append(try #require(Peer("permessage-deflate; client_max_window_bits", fixture.loop)))
    }
    #expect(peers.map { $0.compression.sharedWindowBits } == [nil, nil, nil, 15, 15])
    #expect(peers[4].answer.contains("server_no_context_takeover"))
    #expect(fixture.held == 3 * each)
    peers = []
    #expect(fixture.held == 0)
    #expect(
      Peer("permessage-deflate; client_max_window_bits", fixture.loop)?.compression.sharedWindowBits
        == nil)
  }

  private static func bytesOfOneContext() -> Int? {
    let fixture = Fixture { $0.contextTakeover = true }
    guard let peer = Peer("permessage-deflate; client_max_window_bits", fixture.loop) else {
      return nil
    }
    return peer.compression.sharedWindowBits == nil ? Int(fixture.held) : nil
  }

  /// Who cannot be asked for a small window costs what the largest one costs.
  @Test func theCapCountsWhatAClientMayReallyUse() throws {
    let fixture = Fixture(contextBytesMax: 1 << 30) { $0.contextTakeover = true }
    let small = try #require(Peer("permessage-deflate; client_max_window_bits", fixture.loop))
    let before = fixture.held
    let large = try #require(Peer("permessage-deflate", fixture.loop))
    #expect(fixture.held - before > before + 24_000)
    withExtendedLifetime((small, large)) {}
  }

  /// Row 67: a rate of frames binds who sends little and makes much work.
  @Test func whatUnfoldsCountsForTheRateOfFrames() throws {
    let fixture = Fixture()
    let peer = try #require(Peer("permessage-deflate", fixture.loop))
    var sent: [UInt8] = []
    peer.compression.compressor.append(
      .text, [UInt8](repeating: 97, count: 65_536).span, into: &sent)
    let rate = Rate(perSecond: 10, burst: .seconds(1))
    var reader = WebSocketReader(role: .client, compression: .permessageDeflate)
    var watch = SocketWatch()
    var seen = 0
    while !watch.exceeds(rate, reader, Instant(nanoseconds: 0)), seen < 20 {
      var offset = 0
      _ = try peer.compression.next(&reader, sent.span, &offset, &watch)
      seen += 1
    }
    #expect(seen == 6)
  }

  @Test func whatAClientAsksOfItsOwnSideHoldsWithContextsToo() throws {
    let fixture = Fixture { $0.contextTakeover = true }
    let peer = try #require(
      Peer(
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover", fixture.loop))
    #expect(peer.compression.sharedWindowBits == 15)
    #expect(fixture.held == 0)
    let half = try #require(Peer("permessage-deflate; server_no_context_takeover", fixture.loop))
    #expect(half.compression.sharedWindowBits == 15)
    #expect(fixture.held > 0)
  }

  /// Row 68: whoever asks for windows makes the loop compress a message at most three times.
  @Test(arguments: [(15, [9, 12, 15]), (11, [9, 11]), (9, [9])])
  func whatIsSharedHasFewWindows(most: Int, windows: [Int]) throws {
    let fixture = Fixture { $0.windowBits = most }
    var seen: Set<Int> = []
    for bits in 9...15 {
      let offer = "permessage-deflate; server_max_window_bits=\(bits)"
      let peer = try #require(Peer(offer, fixture.loop))
      let shared = try #require(peer.compression.sharedWindowBits)
      #expect(shared <= bits && peer.answer.hasSuffix("=\(shared)"))
      seen.insert(shared)
    }
    #expect(seen.sorted() == windows)
  }
}
