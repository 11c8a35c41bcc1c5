import Loop
import Platform
import TLS
import TLSStream
import TestKit
import Testing

/// A stream with TLS is a stream: its owner sees no difference but when it opens.
@Suite struct SecureStreamTests {
  @Test(arguments: [TLSContext.Version.tls12, .tls13])
  func whatIsSentBeforeTheHandshakeIsOverLeavesBehindIt(newest: TLSContext.Version) throws {
    let wired = try SecureEnds(try Ends(newest: newest), opens: false)
    wired.client.send(utf8("hello"))
    wired.server.send(utf8("welcome"))
    #expect(wired.client.queuedBytes >= 5)
    #expect(wired.client.isBlocked)
    turn(wired.loop, "both have all") {
      wired.atServer.received == utf8("hello") && wired.atClient.received == utf8("welcome")
    }
    #expect(wired.atClient.opened == 1 && wired.atServer.opened == 1)
    #expect(wired.client.queuedBytes == 0 && wired.server.queuedBytes == 0)
    #expect(!wired.client.isBlocked && wired.atClient.drained == 1)
  }

  @Test func everyByteComesInOrderOverTinyBuffers() throws {
    let seed = UInt64.random(in: .min ... .max)
    var random = SeededGenerator(seed: seed)
    let wired = try SecureEnds(try Ends(), sendBuffer: 4_096)
    var expected: [UInt8] = []
    for _ in 0..<60 {
      let bytes = random.bytes(
        [0, 1, 100, 512, 513, 5_000, 16_384, 70_000, 300_000].randomElement(using: &random) ?? 1)
      expected += bytes
      switch Int.random(in: 0..<3, using: &random) {
      case 0: wired.server.send(bytes)
      case 1: wired.server.send { $0 += bytes }
      default: wired.server.sendShared(bytes)
      }
      if Bool.random(using: &random) { wired.loop.turn(waiting: .zero) }
      if Int.random(in: 0..<8, using: &random) == 0 {
        wired.client.pauseReading()
        wired.loop.turn(waiting: .zero)
        wired.client.resumeReading()
      }
    }
    turn(wired.loop, "all has come, seed \(seed)") { wired.atClient.received.count >= expected.count }
    #expect(wired.atClient.received == expected, "seed \(seed)")
    #expect(wired.server.queuedBytes == 0)
    #expect(wired.atServer.drained > 0, "it was blocked")
  }

  @Test func allOfOneTurnIsOneRecord() throws {
    let ends = try Ends()
    let half = try HalfSecure(ends.server)
    let client = TLSConnection(ends.client)
    try half.shakeHands(client)
    half.stream.send(utf8("one"))
    half.stream.sendShared(utf8("two"))
    half.stream.sendShared([UInt8](repeating: 3, count: 5_000))
    half.stream.send { $0 += utf8("four") }
    half.loop.turn(waiting: .zero)
    let record = try #require(half.read())
    #expect(record.count == 3 + 3 + 5_000 + 4 + 22)
    #expect(half.read() == [])
    var plaintext: [UInt8] = []
    var output: [UInt8] = []
    try client.receive(record.span, plaintext: &plaintext, output: &output)
    #expect(plaintext.count == 5_010)
  }

  @Test func aPeerThatIsNotReadIsHeldBack() throws {
    let wired = try SecureEnds(try Ends(), sendBuffer: 8_192)
    wired.atServer.onReceive = { stream, bytes in
      stream.pauseReading()
      return min(10, bytes.count)
    }
    let bytes = [UInt8](repeating: 5, count: 3_000_000)
    wired.client.send(bytes)
    for _ in 0..<50 { wired.loop.turn(waiting: .milliseconds(1)) }
    #expect(wired.client.queuedBytes > 2_000_000)
    #expect(wired.atServer.received.count == 10)
    wired.atServer.onReceive = { _, _ in nil }
    wired.server.resumeReading()
    turn(wired.loop, "the rest has come") { wired.atServer.received.count == bytes.count }
  }

  @Test func closingSaysCloseNotifyBehindAllThatWasSent() throws {
    let wired = try SecureEnds(try Ends(), sendBuffer: 4_096)
    let bytes = [UInt8](repeating: 9, count: 400_000)
    wired.server.send(bytes)
    wired.server.closeAfterWriting()
    turn(wired.loop, "both have ended") { wired.atClient.end != nil && wired.atServer.end != nil }
    #expect(wired.atClient.received == bytes)
    #expect(wired.atClient.end == .peerClosed)
    #expect(wired.atServer.end == .closedHere)
  }

  @Test func closingNowSaysItToo() throws {
    let wired = try SecureEnds(try Ends())
    wired.server.close()
    turn(wired.loop, "the client has ended") { wired.atClient.end != nil }
    #expect(wired.atClient.end == .peerClosed)
  }

  @Test func anAbortIsATruncation() throws {
    let wired = try SecureEnds(try Ends())
    wired.server.send([UInt8](repeating: 1, count: 100))
    turn(wired.loop, "it has come") { wired.atClient.received.count == 100 }
    wired.server.abort()
    turn(wired.loop, "the client has ended") { wired.atClient.end != nil }
    #expect(wired.atClient.end != .peerClosed)
  }

  @Test func anEndWithoutCloseNotifyIsTold() throws {
    let ends = try Ends()
    let half = try HalfSecure(ends.server)
    try half.shakeHands(TLSConnection(ends.client))
    Sockets.shutdownWriting(half.peer)
    turn(half.loop, "the end") { half.owner.end != nil }
    guard case .broken = half.owner.end else {
      Issue.record("\(String(describing: half.owner.end))")
      return
    }
  }

  @Test func aPeerThatSaysItsEndIsStillAnswered() throws {
    let ends = try Ends()
    let wired = try SecureEnds(ends)
    wired.atServer.answersEnd = true
    wired.client.send(utf8("last"))
    wired.client.closeAfterWriting()
    turn(wired.loop, "the end was told") { wired.atServer.isFinished }
    #expect(wired.atServer.received == utf8("last"))
    #expect(wired.atServer.end == nil)
    wired.server.send(utf8("answer"))
    wired.server.closeAfterWriting()
    turn(wired.loop, "both have ended") { wired.atClient.end != nil && wired.atServer.end != nil }
    #expect(wired.atServer.end == .closedHere)
  }

  @Test func aCloseBeforeTheHandshakeStillTellsWhy() throws {
    let wired = try SecureEnds(try Ends(), opens: false)
    wired.server.send(utf8("too many"))
    wired.server.closeAfterWriting()
    turn(wired.loop, "both have ended") { wired.atClient.end != nil && wired.atServer.end != nil }
    #expect(wired.atClient.received == utf8("too many"))
    #expect(wired.atServer.received == [])
  }
}

/// Reliability catalogue, row 85.
@Suite struct HostileStreamTests {
  @Test func plainHTTPIsAnsweredInPlainText() throws {
    let certificate = try TLSCertificate.selfSigned(names: ["localhost"])
    let context = try TLSContext(server: certificate, plainAnswer: utf8("HTTP/1.1 400 Bad Request"))
    let half = try HalfSecure(context)
    half.send(utf8("OPTIONS * HTTP/1.1\r\n\r\n"))
    var answer: [UInt8] = []
    turn(half.loop, "our side is over") {
      guard let bytes = half.read() else { return true }
      answer += bytes
      return false
    }
    #expect(answer == utf8("HTTP/1.1 400 Bad Request"))
    #expect(half.owner.opened == 0 && half.owner.received == [])
  }

  @Test func rubbishIsAnsweredWithAnAlertAndTheEnd() throws {
    let half = try HalfSecure(try Ends().server)
    half.send([0x16, 3, 1, 0, 64] + [UInt8](repeating: 0x55, count: 64))
    turn(half.loop, "an alert") { half.read()?.first == 0x15 }
    half.peer.close()
    turn(half.loop, "the end") { half.owner.end != nil }
    guard case .broken = half.owner.end else {
      Issue.record("\(String(describing: half.owner.end))")
      return
    }
  }

  @Test func aDamagedRecordEndsTheStreamWithItsReason() throws {
    let ends = try Ends()
    let half = try HalfSecure(ends.server)
    let client = TLSConnection(ends.client)
    try half.shakeHands(client)
    var output: [UInt8] = []
    try client.send(utf8("damaged").span, output: &output)
    output[9] ^= 1
    half.send(output)
    turn(half.loop, "an alert") { !(half.read() ?? []).isEmpty }
    half.stream.send(utf8("nothing of this leaves"))
    half.peer.close()
    turn(half.loop, "the end") { half.owner.end != nil }
    guard case .broken = half.owner.end else {
      Issue.record("\(String(describing: half.owner.end))")
      return
    }
    #expect(half.owner.received == [])
  }

  /// Each of these costs an answer and new keys.
  @Test func updatesOfKeysWithoutEndAreCutOff() throws {
    let ends = try Ends()
    let pair = Pair(client: ends.client, server: ends.server)
    pair.run()
    for _ in 0..<20 { try pair.client.updateKeys(into: &pair.toServer) }
    try pair.sendToServer(utf8("with new keys"))
    pair.run()
    #expect(pair.atServer.error == nil)
    #expect(pair.atServer.plaintext == utf8("with new keys"))
    for _ in 0..<20 { try pair.client.updateKeys(into: &pair.toServer) }
    pair.run()
    #expect(pair.atServer.error?.kind == .tooManyMessages)
    #expect(pair.server.state == .failed)
  }

  @Test func updatesOfKeysAmongMuchDataAreFine() throws {
    let ends = try Ends()
    let pair = Pair(client: ends.client, server: ends.server)
    pair.run()
    let piece = [UInt8](repeating: 1, count: 70_000)
    for _ in 0..<100 {
      try pair.client.updateKeys(into: &pair.toServer)
      try pair.sendToServer(piece)
      pair.run()
    }
    #expect(pair.atServer.error == nil)
    #expect(pair.atServer.plaintext.count == 7_000_000)
  }

  @Test func aStormOfHandshakesHoldsUpNobodyWhoIsIn() throws {
    let ends = try Ends()
    let loop = try EventLoop()
    let inside = try HalfSecure(ends.server, on: loop)
    let client = TLSConnection(ends.client)
    try inside.shakeHands(client)
    var storm: [HalfSecure] = []
    for _ in 0..<50 {
      let half = try HalfSecure(ends.server, on: loop)
      var hello: [UInt8] = []
      try TLSConnection(ends.client).start(into: &hello)
      half.send(hello)
      storm.append(half)
    }
    var message: [UInt8] = []
    try client.send(utf8("still here").span, output: &message)
    inside.send(message)
    loop.turn(waiting: .zero)
    #expect(inside.owner.received == utf8("still here"))
    let answered = storm.count { !($0.read() ?? []).isEmpty }
    #expect(answered == EventLoop.openingsPerTurn)
    var left = storm.count - answered
    var turns = 0
    while left > 0, turns < 50 {
      loop.turn(waiting: .zero)
      turns += 1
      left -= storm.count { !($0.read() ?? []).isEmpty }
    }
    #expect(turns == (storm.count - answered + 7) / 8)
  }
  /// Whoever was accepted first is done first: a storm that is worked off all at once would have all
  /// of it run into the handshake's deadline together, and begin anew.
  @Test func newcomersWaitInTheKernelWhileHandshakesAreBehind() throws {
    let ends = try Ends()
    let loop = try EventLoop()
    let storm = try (0..<20).map { _ in
      let half = try HalfSecure(ends.server, on: loop)
      var hello: [UInt8] = []
      try TLSConnection(ends.client).start(into: &hello)
      half.send(hello)
      return half
    }
    let descriptor = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0))
    let address = try Sockets.localAddress(descriptor)
    var accepted = 0
    let listener = try Listener(descriptor, address: address, on: loop) { connection, _ in
      accepted += 1
      var newcomer = connection
      newcomer.close()
    }
    let newcomer = try Sockets.connect(to: address).release()
    var answered = 0
    for turns in 1...10 where accepted == 0 {
      loop.turn(waiting: .zero)
      answered += storm.count { !($0.read() ?? []).isEmpty }
      #expect(answered == min(storm.count, turns * EventLoop.openingsPerTurn))
      #expect(accepted == 0 || answered == storm.count)
    }
    #expect(accepted == 1, "peers that say nothing hold nobody up")
    listener.close()
    _ = newcomer.isOpen
  }
}
