import Bytes
import Loop
import Platform
import Testing
import Wire

@testable import Link

/// Two ends in one process, over the sockets that services use.
struct RealLinkTests {
  @Test(arguments: Transport.allCases)
  func bothEndsOpenAndKnowEachOther(over transport: Transport) throws {
    let pair = try Pair(transport)
    let (hub, gateway) = try pair.open()
    #expect(hub.peer?.role == .gateway && gateway.peer?.role == .hub)
    #expect(hub.peer?.software == "test")
    #expect(gateway.checksums == (transport == .tcp ? .crc32c : .none))
  }

  @Test(arguments: Transport.allCases)
  func aRequestIsAnsweredOnceAndAfterTheCall(over transport: Transport) throws {
    let pair = try Pair(transport)
    let (_, gateway) = try pair.open()
    var answers: [Result<Probed, Failure>] = []
    gateway.request(Probe(remainingMs: 1), expecting: Probed.self, within: .seconds(5)) {
      answers.append($0)
    }
    #expect(answers.isEmpty)
    turn(pair.loop, "the reply") { !answers.isEmpty }
    #expect(try answers.first?.get() == Probed(events: 1, bytes: 2))
    turn(pair.loop, "a second turn", within: .milliseconds(300)) { true }
    #expect(answers.count == 1)
  }

  @Test func manyRequestsUnderWayGetTheirOwnReplies() throws {
    let pair = try Pair(.unix)
    let (_, gateway) = try pair.open()
    pair.hub.answer = { link, header, body throws(FrameError) in
      let asked = try Probe(body: body).remainingMs
      // The even ones at once, the odd ones at the end of the turn: replies out of order.
      let reply = { link.reply(Probed(events: UInt64(asked), bytes: 0), to: header.correlation) }
      if asked % 2 == 0 { reply() } else { link.loop.atTurnEnd(reply) }
      return .now
    }
    var got: [UInt32: UInt64] = [:]
    for number in 0..<500 as Range<UInt32> {
      gateway.request(Probe(remainingMs: number), expecting: Probed.self, within: .seconds(5)) {
        got[number] = try? $0.get().events
      }
    }
    turn(pair.loop, "all replies") { got.count == 500 }
    #expect(got.allSatisfy { UInt64($0.key) == $0.value })
  }

  @Test func noReplyInTimeIsDeadlineExceededAndALateOneIsPassedOver() throws {
    let pair = try Pair(.unix)
    let (hub, gateway) = try pair.open()
    pair.hub.answer = { _, _, _ throws(FrameError) in .now }
    var codes: [ErrorCode] = []
    gateway.request(Probe(remainingMs: 1), expecting: Probed.self, within: .milliseconds(50)) {
      codes.append(code($0))
    }
    turn(pair.loop, "the deadline", within: .seconds(2)) { !codes.isEmpty }
    #expect(codes == [.deadlineExceeded])
    let late = try #require(pair.hub.received.last?.correlation)
    hub.reply(Probed(events: 1, bytes: 1), to: late)
    var answered = false
    pair.hub.answer = { link, header, _ throws(FrameError) in
      link.reply(Probed(events: 2, bytes: 2), to: header.correlation)
      return .now
    }
    gateway.request(Probe(remainingMs: 1), expecting: Probed.self, within: .seconds(5)) { _ in
      answered = true
    }
    turn(pair.loop, "the next reply") { answered }
    #expect(codes == [.deadlineExceeded] && gateway.isOpen)
  }

  @Test func aFailureOrAReplyOfAnotherKindIsAFailure() throws {
    let pair = try Pair(.unix)
    let (_, gateway) = try pair.open()
    pair.hub.answer = { link, header, body throws(FrameError) in
      if try Probe(body: body).remainingMs == 1 {
        link.fail(header, .outOfSpace)
      } else {
        link.reply(Credit(bytes: 1), to: header.correlation)
      }
      return .now
    }
    var codes: [ErrorCode] = []
    for number in [1, 2] as [UInt32] {
      gateway.request(Probe(remainingMs: number), expecting: Probed.self, within: .seconds(1)) {
        codes.append(code($0))
      }
    }
    turn(pair.loop, "both answers") { codes.count == 2 }
    #expect(codes.first == .outOfSpace)
  }

  @Test func aLostLinkFailsWhatWasUnderWayAtOnceAndTheDialerComesBack() throws {
    let pair = try Pair(.unix)
    let (hub, gateway) = try pair.open()
    pair.hub.answer = { _, _, _ throws(FrameError) in .now }
    var codes: [ErrorCode] = []
    gateway.request(Probe(remainingMs: 1), expecting: Probed.self, within: .seconds(60)) {
      codes.append(code($0))
    }
    turn(pair.loop, "the request") { !pair.hub.received.isEmpty }
    hub.close(.draining)
    turn(pair.loop, "the failure", within: .seconds(1)) { !codes.isEmpty }
    #expect(codes == [.linkLost])
    turn(pair.loop, "the link again", within: .seconds(2)) {
      pair.dialer.open != nil && pair.dialer.open !== gateway
    }
    #expect(pair.gateway.ends.map(\.code) == [.draining] && pair.gateway.ends[0].isPeers)
  }

  @Test func aRequestOnAClosedLinkFailsWithoutASend() throws {
    let pair = try Pair(.unix)
    let (_, gateway) = try pair.open()
    gateway.close(.draining)
    var codes: [ErrorCode] = []
    gateway.request(Probe(remainingMs: 1), expecting: Probed.self, within: .seconds(60)) {
      codes.append(code($0))
    }
    #expect(codes.isEmpty)
    turn(pair.loop, "the failure") { !codes.isEmpty }
    #expect(codes == [.unavailable])
  }

  // MARK: credit

  @Test(arguments: Transport.allCases)
  func withoutCreditPublicationsAreRefusedCountedAndToldAndThenRelieved(over transport: Transport)
    throws
  {
    let pair = try Pair(transport)
    let (hub, gateway) = try pair.open()
    var unreleased: [FrameHeader] = []
    pair.gateway.answer = { _, header, _ throws(FrameError) in
      unreleased.append(header)
      return .later
    }
    var writer = ByteWriter()
    writer.frame(publish(1 << 20), checksums: hub.checksums)
    var sent = 0
    while hub.sendPublication(framed: writer.bytes) == .sent { sent += 1 }
    #expect(sent >= 30 && sent <= 32)
    turn(pair.loop, "what was sent") { unreleased.count == sent }
    #expect(pair.hub.relieved == 0)
    for header in unreleased { gateway.release(header) }
    turn(pair.loop, "the relief", within: .seconds(2)) { pair.hub.relieved == 1 }
    #expect(hub.sendPublication(framed: writer.bytes) == .sent)
    // The heartbeat says how many were left out.
    turn(pair.loop, "the miss is noticed", within: .seconds(3)) { pair.gateway.missed == 1 }
    #expect(gateway.isOpen && hub.isOpen)
  }

  @Test func aReceiverThatTakesAtOnceNeverStopsTheSender() throws {
    let pair = try Pair(.unix)
    let (hub, _) = try pair.open()
    var writer = ByteWriter()
    writer.frame(publish(900_000))
    var refused = 0
    for number in 1...100 {
      if hub.sendPublication(framed: writer.bytes) == .refused { refused += 1 }
      turn(pair.loop, "publication \(number)") { pair.gateway.received.count == number - refused }
    }
    #expect(refused == 0)
  }

  // MARK: life signs

  @Test func aSilentPeerIsGivenUpWithinThreeHeartbeatsAndOne() throws {
    let pair = try Pair(.unix, dials: false)
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    peer.send(Hello(.gateway))
    turn(pair.loop, "open") { !pair.hub.opened.isEmpty }
    let began = SystemClock.monotonic()
    turn(pair.loop, "the end", within: .seconds(6)) { !pair.hub.ends.isEmpty }
    #expect(pair.hub.ends.first?.code == .silent)
    #expect(SystemClock.monotonic().since(began) < .milliseconds(4500))
    peer.waitForEnd()
    #expect(peer.goodbye() == .silent)
  }

  @Test func oneWhoSaysNothingBeforeTheHelloIsGivenUp() throws {
    let pair = try Pair(.unix, dials: false)
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    peer.waitForEnd(within: .seconds(8))
    #expect(peer.goodbye() == .silent)
    #expect(pair.hub.opened.isEmpty && pair.hub.ends.isEmpty && pair.refusals.count == 1)
  }

  @Test func aByteNowAndThenHoldsNoHandshakeOpen() throws {
    let pair = try Pair(.unix, dials: false)
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    var writer = ByteWriter()
    writer.frame(Hello(.gateway))
    let began = SystemClock.monotonic()
    var sent = 0
    turn(pair.loop, "the end of the handshake", within: .seconds(8)) {
      // Half a second apart, and never the whole hello.
      let due = Int(SystemClock.monotonic().since(began) / .milliseconds(500))
      if sent < due, sent < writer.bytes.count - 1, !peer.isEnded {
        peer.send([writer.bytes[sent]])
        sent += 1
      }
      peer.read()
      return !pair.refusals.isEmpty
    }
    #expect(sent > 5 && pair.hub.opened.isEmpty)
    turn(pair.loop, "its goodbye") {
      peer.read()
      return peer.goodbye() == .silent
    }
    #expect(pair.listener.handshaking == 0)
  }

  @Test func strangersInTheirHandshakeAreCountedApartAndLeaveRoomForOurOwn() throws {
    let pair = try Pair(.unix)
    _ = try pair.open()
    #expect(pair.listener.handshaking == 0)
    var strangers: [RawPeer] = []
    for _ in 0..<LinkListener.handshakesMax {
      strangers.append(try RawPeer(to: pair.listener.address, pair.loop))
    }
    turn(pair.loop, "all are in their handshake") {
      pair.listener.handshaking == LinkListener.handshakesMax
    }
    let beyond = try RawPeer(to: pair.listener.address, pair.loop)
    turn(pair.loop, "one too many is turned away") {
      beyond.read()
      return beyond.isEnded
    }
    #expect(pair.refusals.count == 1 && pair.hub.opened.count == 1)
    strangers[0].send(Hello(.gateway))
    turn(pair.loop, "one of them is ours") { pair.hub.opened.count == 2 }
    strangers[1].close()
    turn(pair.loop, "one of them leaves") {
      pair.listener.handshaking == LinkListener.handshakesMax - 2
    }
  }

  @Test func aPeerThatVanishesEndsTheLinkAtOnce() throws {
    let pair = try Pair(.unix, dials: false)
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    peer.send(Hello(.gateway))
    turn(pair.loop, "open") { !pair.hub.opened.isEmpty }
    peer.close()
    turn(pair.loop, "the end", within: .seconds(1)) { !pair.hub.ends.isEmpty }
    #expect(pair.hub.ends.first?.code == .linkLost)
    #expect(pair.listener.openLinks.isEmpty)
  }

  /// A stream that loses what it has taken is none (row 40).
  @Test func aHeartbeatThatCountsMoreThanCameEndsTheLink() throws {
    let pair = try Pair(.unix, dials: false)
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    peer.send(Hello(.gateway))
    turn(pair.loop, "open") { !pair.hub.opened.isEmpty }
    peer.send(Heartbeat(sent: 1, dropped: 0))
    turn(pair.loop, "the end", within: .seconds(1)) { !pair.hub.ends.isEmpty }
    #expect(pair.hub.ends.first?.code == .badFrame)
  }

  /// Frames of any kind but those that may be ignored, which readers skip if they don't know them.
  @Test(arguments: [0, 1, 2, 3])
  func aHeartbeatHasToCountTheFramesThatCame(extra: UInt64) throws {
    let pair = try Pair(.unix, dials: false)
    let peer = try RawPeer(to: pair.listener.address, pair.loop)
    peer.send(Hello(.gateway))
    turn(pair.loop, "open") { !pair.hub.opened.isEmpty }
    // Of kind 30583, and may be ignored.
    peer.send([0, 0, 0, 0, 0x77, 0x77, 1, 0] + [UInt8](repeating: 0, count: 8))
    peer.send(Credit(bytes: 1))
    peer.send(Heartbeat(sent: 0, dropped: 0, frames: 1 + extra))
    peer.send(Goodbye(.draining))
    turn(pair.loop, "the end", within: .seconds(1)) { !pair.hub.ends.isEmpty }
    #expect(pair.hub.ends.first?.code == (extra == 1 ? .draining : .badFrame))
  }

  @Test func heartbeatsThatAgreeSayNothingWasMissed() throws {
    let pair = try Pair(.unix)
    let (hub, _) = try pair.open()
    var writer = ByteWriter()
    writer.frame(publish(10))
    for _ in 0..<50 { hub.sendPublication(framed: writer.bytes) }
    let until = SystemClock.monotonic() + .milliseconds(2200)
    turn(pair.loop, "two heartbeats") { SystemClock.monotonic() >= until }
    #expect(pair.gateway.received.count == 50 && pair.gateway.missed == 0 && pair.hub.missed == 0)
  }
}

func code<T>(_ result: Result<T, Failure>) -> ErrorCode {
  switch result {
  case .success: ErrorCode(rawValue: 0)
  case .failure(let failure): failure.code
  }
}
