import Bytes
import Loop
import Platform
import TestKit
import Testing
import Wire

@testable import Link

/// What comes from outside is refused with a code, and the others go on (rows 47 to 50).
struct HostilePeerTests {
  @Test(arguments: [
    [UInt8]("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8), [UInt8](repeating: 0xff, count: 64),
    [UInt8](repeating: 0, count: 64), [UInt8](repeating: 22, count: 17),
  ])
  func garbageInsteadOfAHelloIsRefused(bytes: [UInt8]) throws {
    let pair = try Pair(.unix, dials: false)
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    peer.send(bytes)
    peer.waitForEnd()
    #expect(peer.goodbye() == .badFrame)
    #expect(pair.hub.opened.isEmpty && pair.hub.received.isEmpty && pair.refusals.count == 1)
    try expectHealthy(pair)
  }

  @Test func aFrameBeforeTheHelloIsRefusedUnread() throws {
    let pair = try Pair(.unix, dials: false)
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    peer.send(Probe(remainingMs: 1), correlation: 1)
    peer.waitForEnd()
    #expect(peer.goodbye() == .notAuthenticated)
    #expect(pair.hub.received.isEmpty)
  }

  @Test func aFrameBetweenHelloAndProofIsRefusedUnread() throws {
    let pair = try Pair(.tcp, dials: false)
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    var hello = Hello(.gateway)
    hello.nonce = [UInt8](repeating: 1, count: 32)
    peer.send(hello, checksums: .crc32c)
    peer.send(publish(10), checksums: .crc32c)
    peer.waitForEnd()
    #expect(peer.goodbye(.crc32c) == .notAuthenticated)
    #expect(pair.hub.received.isEmpty && pair.hub.opened.isEmpty)
  }

  @Test func framesRecordedOnOneLinkAreWorthlessOnAnother() throws {
    let pair = try Pair(.tcp, dials: false)
    // What an honest gateway sent, as a listener on the wire records it: hello, proof, a frame.
    let honest = try RawPeer(to: pair.listener.address, pair.loop)
    var hello = Hello(.gateway)
    hello.nonce = [UInt8](repeating: 1, count: 32)
    honest.send(hello, checksums: .crc32c)
    turn(pair.loop, "the hub's hello") {
      honest.read()
      return honest.frames(.crc32c).contains { $0.header.kind == .hello }
    }
    let body = try #require(honest.frames(.crc32c).first { $0.header.kind == .hello }?.body)
    let proof = Proof(
      mac: LinkHandshake.proof(Transport.key, of: hello, to: try Hello(body: body.span)))
    honest.send(proof, checksums: .crc32c)
    turn(pair.loop, "the honest link") { pair.hub.opened.count == 1 }

    let replayer = try RawPeer(to: pair.listener.address, pair.loop)
    replayer.send(hello, checksums: .crc32c)
    replayer.send(proof, checksums: .crc32c)
    replayer.send(publish(10), checksums: .crc32c)
    replayer.waitForEnd()
    #expect(replayer.goodbye(.crc32c) == .notAuthenticated)
    #expect(pair.hub.opened.count == 1 && pair.hub.received.isEmpty)
    #expect(pair.hub.ends.isEmpty, "the honest link stands")
  }

  @Test func anotherKeyNeverOpens() throws {
    let pair = try Pair(.tcp, hubKey: [UInt8](repeating: 1, count: 32))
    turn(pair.loop, "a refusal") { !pair.refusals.isEmpty && pair.dialer.lastFailure != nil }
    #expect(pair.hub.opened.isEmpty && pair.gateway.opened.isEmpty)
  }

  @Test(arguments: Transport.allCases)
  func aRoleThatHasNoBusinessHereNeverOpens(over transport: Transport) throws {
    let pair = try Pair(transport, gatewayRole: .presence)
    turn(pair.loop, "a refusal") { !pair.refusals.isEmpty }
    turn(pair.loop, "the reason") { pair.dialer.lastFailure?.contains("presence") == true }
    #expect(pair.hub.opened.isEmpty)
  }

  @Test func tcpWithoutAKeyDoesNotListenAtAll() throws {
    let loop = try EventLoop()
    #expect(throws: Failure.self) {
      _ = try LinkListener(
        at: .tcp(host: "127.0.0.1", port: 0), identity: identity(.hub), on: loop, owner: End(),
        accepts: { _ in true })
    }
  }

  /// Any one bit turned over in any frame of a TCP link: refused, or (a length) waited for; never
  /// handed on as something else.
  @Test(arguments: [1, 2] + [UInt64.random(in: 100...(.max))])
  func aFlippedBitOnTCPIsRefusedByTheChecksum(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let pair = try Pair(.tcp, dials: false)
    var writer = ByteWriter()
    writer.frame(publish(200), checksums: .crc32c)
    for round in 0..<24 {
      let peer = try honestPeer(pair)
      let received = pair.hub.received.count
      var bytes = writer.bytes
      // Beyond the length field: a longer length would only be waited for.
      let bit = Int.random(in: (round < 20 ? 32 : 0)..<(bytes.count * 8), using: &random)
      bytes[bit / 8] ^= 1 << (bit % 8)
      peer.send(bytes)
      if bit < 32 {
        peer.send([UInt8](repeating: 0, count: 1000))
        peer.close()
        turn(pair.loop, "seed \(seed): the end") { pair.listener.openLinks.isEmpty }
      } else {
        peer.waitForEnd()
        #expect(peer.goodbye(.crc32c) == .badFrame, "seed \(seed), bit \(bit)")
      }
      #expect(pair.hub.received.count == received, "seed \(seed), bit \(bit)")
    }
  }

  @Test(arguments: [UInt32.max, UInt32(Int32.max), UInt32(Limits.largeBodyBytesMax) + 1])
  func aLengthOverItsKindsLimitIsRefusedBeforeTheBody(length: UInt32) throws {
    let pair = try Pair(.unix, dials: false)
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    peer.send(Hello(.gateway))
    var writer = ByteWriter()
    writer.u32(length)
    writer.u16(Kind.publish.rawValue)
    writer.u16(0)
    writer.u32(0)
    writer.u32(0)
    peer.send(writer.bytes)
    peer.waitForEnd()
    #expect(peer.goodbye() == .badFrame)
  }

  @Test func anUnknownKindClosesUnlessItSaysThatItMayBeIgnored() throws {
    for (flags, code) in [(UInt16(0), ErrorCode.badFrame), (UInt16(1), nil), (UInt16(4), .badFrame)] {
      let pair = try Pair(.unix, dials: false)
      let peer = try RawPeer(to: pair.listener.address, pair.loop)
      peer.send(Hello(.gateway))
      var writer = ByteWriter()
      writer.u32(0)
      writer.u16(40_000)
      writer.u16(flags)
      writer.u32(0)
      writer.u32(0)
      peer.send(writer.bytes)
      peer.send(Probe(remainingMs: 1), correlation: 7)
      turn(pair.loop, "an answer to what follows, or the end") {
        peer.read()
        return peer.isEnded || peer.frames().contains { $0.header.kind == .probed }
      }
      #expect(peer.goodbye() == code, "flags \(flags)")
    }
  }

  @Test func aBodyCutShortClosesAsABadFrame() throws {
    let pair = try Pair(.unix, dials: false)
    pair.hub.answer = { _, _, body throws(FrameError) in
      _ = try Publish(body: body)
      return .now
    }
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    peer.send(Hello(.gateway))
    var writer = ByteWriter()
    let start = writer.beginFrame(.publish, correlation: 0, flags: [])
    writer.u32(1)
    writer.endFrame(start, .none)
    peer.send(writer.bytes)
    peer.waitForEnd()
    #expect(peer.goodbye() == .badFrame)
  }

  @Test func aSecondHelloOnAnOpenLinkClosesIt() throws {
    let pair = try Pair(.unix, dials: false)
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    peer.send(Hello(.gateway))
    peer.send(Hello(.gateway))
    peer.waitForEnd()
    #expect(peer.goodbye() == .unexpectedKind)
  }

  @Test func aReplyThatNobodyAskedForIsPassedOver() throws {
    let pair = try Pair(.unix, dials: false)
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    peer.send(Hello(.gateway))
    peer.send(Probed(events: 1, bytes: 1), correlation: 99, flags: .reply)
    peer.send(Probe(remainingMs: 1), correlation: 7)
    turn(pair.loop, "an answer") {
      peer.read()
      return peer.frames().contains { $0.header.kind == .probed && $0.header.correlation == 7 }
    }
  }

  @Test func aPeerThatReadsNoRepliesIsCutOffAtTheBound() throws {
    let pair = try Pair(.unix, dials: false)
    pair.hub.answer = { link, header, _ throws(FrameError) in
      let event = StoredEvent(
        offset: Offset(1), timeMs: 0, publisher: Publisher(), eventType: "",
        payload: Payload(.binary, [UInt8](repeating: 0, count: 16 << 20)))
      link.reply(
        HistoryPage(EventPage(epoch: nil, floor: .zero, head: .zero, hasMore: false, events: [event])),
        to: header.correlation)
      return .now
    }
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    peer.send(Hello(.gateway))
    for number in 1...12 as ClosedRange<UInt32> { peer.send(Probe(remainingMs: 1), correlation: number) }
    turn(pair.loop, "the end") { !pair.hub.ends.isEmpty }
    #expect(pair.hub.ends.first?.code == .overloaded)
  }

  /// A peer that did hello and proof as it should, on TCP.
  private func honestPeer(_ pair: Pair) throws -> RawPeer {
    let before = pair.hub.opened.count
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    var hello = Hello(.gateway)
    hello.nonce = [UInt8](repeating: 1, count: 32)
    peer.send(hello, checksums: .crc32c)
    turn(pair.loop, "the hub's hello") {
      peer.read()
      return peer.frames(.crc32c).contains { $0.header.kind == .hello }
    }
    let body = try #require(peer.frames(.crc32c).first { $0.header.kind == .hello }?.body)
    let mac = LinkHandshake.proof(Transport.key, of: hello, to: try Hello(body: body.span))
    peer.send(Proof(mac: mac), checksums: .crc32c)
    turn(pair.loop, "open") { pair.hub.opened.count == before + 1 }
    return peer
  }

  private func expectHealthy(_ pair: Pair) throws {
    pair.dialer.start()
    _ = try pair.open()
  }
}
