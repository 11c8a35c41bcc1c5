import TLS
import TestKit
import Testing

@Suite struct ConnectionTests {
  @Test(arguments: [1, 2, 3, 7, 100, 1_400, Int.max], [TLSContext.Version.tls12, .tls13])
  func carriesBytesBothWaysInAnySegmentation(step: Int, newest: TLSContext.Version) throws {
    let ends = try Ends(newest: newest)
    let pair = Pair(client: ends.client, server: ends.server, step: step)
    pair.run()
    #expect(pair.client.state == .open)
    #expect(pair.server.state == .open)
    #expect(pair.server.version == (newest == .tls12 ? "TLSv1.2" : "TLSv1.3"))
    #expect(pair.server.hasApplicationProtocol)
    #expect(pair.client.hasApplicationProtocol)
    try pair.sendToServer(utf8("GET / HTTP/1.1\r\n\r\n"))
    pair.run()
    #expect(pair.atServer.plaintext == utf8("GET / HTTP/1.1\r\n\r\n"))
    var random = SeededGenerator(seed: 17)
    let long = random.bytes(step < 100 ? 40_000 : 1_000_000)
    try pair.sendToClient(long)
    try pair.sendToClient([])
    try pair.sendToClient([1])
    pair.run()
    let isWhole = pair.atClient.plaintext == long + [1]
    #expect(isWhole)
    #expect(pair.atClient.error == nil)
    #expect(pair.atServer.error == nil)
  }

  /// One flush is full records, one behind the other.
  @Test func aFlushCostsAsFewRecordsAsCanBe() throws {
    let ends = try Ends()
    let pair = Pair(client: ends.client, server: ends.server)
    pair.run()
    for (count, records) in [(1, 1), (16_384, 1), (16_385, 2), (163_840, 10)] {
      var output: [UInt8] = []
      try pair.server.send([UInt8](repeating: 7, count: count).span, output: &output)
      // Header 5, type 1, tag 16 (RFC 8446 §5.2).
      #expect(output.count == count + records * 22)
    }
  }

  @Test func nothingCanBeSentBeforeTheHandshakeIsOver() throws {
    let ends = try Ends()
    let pair = Pair(client: ends.client, server: ends.server)
    #expect(throws: TLSError.self) { try pair.sendToClient([1]) }
    #expect(throws: TLSError.self) { try pair.sendToServer([1]) }
    #expect(pair.toClient.isEmpty)
    pair.run()
    try pair.sendToServer([1])
    pair.run()
    #expect(pair.atServer.plaintext == [1])
  }

  /// Clients send their request with the end of the handshake.
  @Test func whatComesWithTheLastFlightIsNotLost() throws {
    let ends = try Ends()
    let server = TLSConnection(ends.server)
    let client = TLSConnection(ends.client)
    var hello: [UInt8] = []
    try client.start(into: &hello)
    let answer = feed(server, hello).output
    var last = feed(client, answer).output
    try client.send(utf8("request").span, output: &last)
    client.close(into: &last)
    var plaintext: [UInt8] = []
    var output: [UInt8] = []
    try server.receive(last.span, plaintext: &plaintext, output: &output)
    #expect(plaintext == utf8("request"))
    #expect(server.state == .ended)
  }

  @Test func endsWithCloseNotifyBothWays() throws {
    let ends = try Ends()
    let pair = Pair(client: ends.client, server: ends.server)
    pair.run()
    try pair.sendToServer(utf8("last"))
    pair.client.close(into: &pair.toServer)
    pair.client.close(into: &pair.toServer)
    pair.run()
    #expect(pair.atServer.plaintext == utf8("last"))
    #expect(pair.server.state == .ended)
    try pair.server.transportEnded()
    #expect(throws: TLSError.self) { try pair.sendToServer([1]) }
    // The other direction is still open.
    try pair.sendToClient(utf8("answer"))
    pair.server.close(into: &pair.toClient)
    pair.run()
    #expect(pair.atClient.plaintext == utf8("answer"))
    #expect(pair.client.state == .ended)
    #expect(pair.atClient.error == nil && pair.atServer.error == nil)
  }

  @Test func anEndWithoutCloseNotifyIsATruncation() throws {
    let ends = try Ends()
    let pair = Pair(client: ends.client, server: ends.server)
    pair.run()
    let error = #expect(throws: TLSError.self) { try pair.server.transportEnded() }
    #expect(error?.kind == .truncated)
    #expect(pair.server.state == .failed)
    #expect(feed(pair.server, [1, 2, 3]).error?.kind == .truncated)
    let young = TLSConnection(ends.server)
    #expect(throws: TLSError.self) { try young.transportEnded() }
  }
}

/// Reliability catalogue, row 85.
@Suite struct HostilePeerTests {
  @Test func tellsPlainHTTPFromRubbish() throws {
    let ends = try Ends()
    #expect(feed(TLSConnection(ends.server), utf8("GET / HTTP/1.1\r\n")).error?.kind == .plainHTTP)
    #expect(feed(TLSConnection(ends.server), utf8("OPTIONS * HTTP/1.1\r\n")).error?.kind == .plainHTTP)
    let rubbish = [UInt8](repeating: 0x95, count: 64)
    #expect(feed(TLSConnection(ends.server), rubbish).error?.kind == .violation)
    // A record, and rubbish in it: that is worth an alert.
    let (error, output) = feed(TLSConnection(ends.server), [0x16, 3, 1, 0, 64] + rubbish)
    #expect(error?.kind == .violation)
    #expect(output.first == 0x15, "no alert was written")
    for count in 1...40 {
      var random = SeededGenerator(seed: UInt64(count))
      let end = TLSConnection(ends.server)
      _ = feed(end, random.bytes(count * 50))
      #expect(end.state == .failed)
    }
  }

  /// Every byte of both sides' handshake, damaged: the connection fails or goes on, and nothing else
  /// on this thread takes its error for its own.
  @Test(arguments: [TLSContext.Version.tls12, .tls13])
  func aDamagedHandshakeFailsAlone(newest: TLSContext.Version) throws {
    let ends = try Ends(newest: newest)
    let bystander = Pair(client: ends.client, server: ends.server)
    bystander.run()
    var failures = 0
    for index in 0..<400 {
      let pair = Pair(client: ends.client, server: ends.server, step: 64)
      if index < pair.toServer.count {
        pair.toServer[index] ^= UInt8(1 << (index & 7))
      } else {
        Self.carryOver(pair)
        guard !pair.toClient.isEmpty else { continue }
        pair.toClient[index % pair.toClient.count] ^= UInt8(1 << (index & 7))
      }
      pair.run()
      if pair.client.state == .failed || pair.server.state == .failed { failures += 1 }
      try bystander.sendToServer([UInt8(truncatingIfNeeded: index)])
      bystander.run()
      #expect(bystander.atServer.error == nil)
    }
    #expect(bystander.atServer.plaintext.count == 400)
    #expect(failures > 300, "\(failures)")
  }

  private static func carryOver(_ pair: Pair) {
    let bytes = pair.toServer
    pair.toServer = []
    let (error, output) = feed(pair.server, bytes)
    pair.atServer.error = error
    pair.toClient += output
  }

  @Test func aDamagedRecordEndsTheConnectionWithAnAlert() throws {
    let ends = try Ends()
    let pair = Pair(client: ends.client, server: ends.server)
    pair.run()
    try pair.sendToServer(utf8("whole"))
    let whole = pair.toServer.count
    try pair.sendToServer(utf8("damaged"))
    pair.toServer[whole + 9] ^= 1
    pair.run()
    #expect(pair.atServer.plaintext == utf8("whole"))
    #expect(pair.atServer.error?.kind == .violation)
    // bad_record_mac (RFC 8446 §6.2).
    #expect(pair.atClient.error?.kind == .alert(20))
    #expect(throws: TLSError.self) { try pair.sendToClient([1]) }
    var output: [UInt8] = []
    pair.server.close(into: &output)
    #expect(output.isEmpty)
  }

  @Test func aReplayedRecordIsRefused() throws {
    let ends = try Ends()
    let pair = Pair(client: ends.client, server: ends.server)
    pair.run()
    try pair.sendToServer(utf8("once"))
    pair.toServer += pair.toServer
    pair.run()
    #expect(pair.atServer.plaintext == utf8("once"))
    #expect(pair.atServer.error?.kind == .violation)
  }

  @Test func aHandshakeWithoutEndIsCutOff() throws {
    let ends = try Ends()
    let end = TLSConnection(ends.server)
    // A ClientHello of 100,000 bytes, in records of 16,384.
    var bytes: [UInt8] = [0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x01, 0x86, 0xA0]
    bytes += [UInt8](repeating: 0, count: 16_384 - 4)
    for _ in 0..<5 {
      bytes += [0x16, 0x03, 0x01, 0x40, 0x00] + [UInt8](repeating: 0, count: 16_384)
    }
    var error: TLSError?
    var index = 0
    while error == nil, index < bytes.count {
      let next = min(bytes.count, index + 1_000)
      error = feed(end, Array(bytes[index..<next])).error
      index = next
    }
    #expect(error?.kind == .handshakeTooLong)
    #expect(index <= TLSConnection.handshakeBytesMax + 1_000)
  }

  /// A request of any length may come in one read with the end of the handshake.
  @Test(arguments: [TLSContext.Version.tls12, .tls13])
  func muchMayComeBehindTheEndOfTheHandshake(newest: TLSContext.Version) throws {
    let ends = try Ends(newest: newest)
    let pair = Pair(client: ends.client, server: ends.server)
    var random = SeededGenerator(seed: 5)
    let long = random.bytes(300_000)
    // Held back until the client has said its last, then all at once.
    while pair.client.state == .handshaking {
      Pair.feed(pair.server, pair.toServer, &pair.atServer, &pair.toClient)
      pair.toServer = []
      Pair.feed(pair.client, pair.toClient, &pair.atClient, &pair.toServer)
      pair.toClient = []
    }
    try pair.sendToServer(long)
    pair.run()
    #expect(pair.atServer.error == nil)
    let isWhole = pair.atServer.plaintext == long
    #expect(isWhole && pair.server.state == .open)
  }

  @Test func everyTruncationOfAHandshakeJustWaits() throws {
    let ends = try Ends()
    var hello: [UInt8] = []
    try TLSConnection(ends.client).start(into: &hello)
    for count in 0..<hello.count {
      let end = TLSConnection(ends.server)
      let (error, output) = feed(end, Array(hello[..<count]))
      #expect(error == nil && output.isEmpty)
      #expect(end.state == .handshaking)
      #expect(end.version == nil)
    }
  }
}
