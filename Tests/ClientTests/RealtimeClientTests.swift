import Bytes
import Crypto
import Deflate
import JSON
import Loop
import Platform
import Synchronization
import Testing
import WebSocketCodec

@testable import Client

private func value(_ bytes: [UInt8]) -> JSONValue {
  (try? JSONValue.parse(bytes.span)) ?? .null
}

@Suite struct WebSocketOpeningTests {
  /// The nonce and the accept value of RFC 6455 §1.3.
  private func opening(offers: Bool = false, token: String? = nil) throws -> WebSocketOpening {
    let url = try #require(ServerURL("http://server.example.com"))
    let nonce = [UInt8]("the sample nonce".utf8)
    let terms = WebSocketOpening.Terms(key: "k", token: token, offersCompression: offers)
    return try WebSocketOpening(url: url, path: "/chat", terms: terms, nonce: nonce)
  }

  private let answer =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

  @Test func asksAsTheStandardSays() throws {
    let text = String(decoding: try opening().request, as: UTF8.self)
    #expect(text.hasPrefix("GET /chat HTTP/1.1\r\nHost: server.example.com:80\r\n"))
    #expect(text.contains("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"))
    #expect(text.contains("Sec-WebSocket-Version: 13\r\n"))
    #expect(text.contains("X-API-Key: k\r\n"))
    #expect(text.hasSuffix("\r\n\r\n"))
  }

  @Test func acceptsTheStandardsAnswerInAnySplit() throws {
    let bytes = [UInt8](
      (answer + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n").utf8)
    for cut in 0...bytes.count {
      var opening = try opening()
      var outcomes: [WebSocketOpening.Outcome] = []
      for part in [Array(bytes[..<cut]), Array(bytes[cut...])] where !part.isEmpty {
        var offset = 0
        outcomes.append(opening.received(part.span, from: &offset))
      }
      #expect(outcomes.last == .open(nil))
    }
  }

  @Test func framesBehindTheAnswerAreLeft() throws {
    var opening = try opening()
    let head = answer + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    let bytes = [UInt8](head.utf8) + [0x81, 0x01, 0x61]
    var offset = 0
    #expect(opening.received(bytes.span, from: &offset) == .open(nil))
    #expect(offset == head.utf8.count)
  }

  @Test func aTokenStandsInAFieldAndNowhereElse() throws {
    let text = String(decoding: try opening(token: "a.b.c").request, as: UTF8.self)
    #expect(text.contains("Authorization: Bearer a.b.c\r\n"))
    #expect(text.ranges(of: "a.b.c").count == 1)
    #expect(throws: (any Error).self) { try opening(token: "a\r\nb") }
  }

  /// RFC 7692 §5.1, §7.1.
  @Test func compressionIsWhatTheServerAnsweredAndNothingThatWasNotOffered() throws {
    let request = String(decoding: try opening(offers: true).request, as: UTF8.self)
    #expect(request.contains("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"))
    #expect(!String(decoding: try opening().request, as: UTF8.self).contains("permessage"))
    func outcome(_ extensions: String, offers: Bool = true) throws -> WebSocketOpening.Outcome {
      var opening = try opening(offers: offers)
      let field = extensions.isEmpty ? "" : "Sec-WebSocket-Extensions: \(extensions)\r\n"
      let bytes = [UInt8]((answer + field + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n").utf8)
      var offset = 0
      return opening.received(bytes.span, from: &offset)
    }
    #expect(try outcome("") == .open(nil))
    guard case .open(let agreement?) = try outcome("permessage-deflate; server_no_context_takeover; client_max_window_bits=10")
    else {
      Issue.record("not agreed")
      return
    }
    #expect(agreement.serverContext == .newForEachMessage && agreement.clientContext == .keptBetweenMessages)
    #expect(agreement.clientWindowBits == 10 && agreement.serverWindowBits == 15)
    for (text, offers) in [
      ("permessage-deflate", false), ("permessage-deflate; client_max_window_bits=8", true), ("x-other", true),
      ("permessage-deflate, permessage-deflate", true), ("permessage-deflate; mystery", true), ("=", true),
    ] {
      guard case .broken = try outcome(text, offers: offers) else {
        Issue.record("\(text) was taken")
        continue
      }
    }
  }

  @Test func compressionIsOfferedToServersElsewhereOrAsIsSaid() throws {
    let here = try #require(ServerURL("http://127.0.0.1:8000"))
    let elsewhere = try #require(ServerURL("https://example.org"))
    #expect(!ClientCompression.auto.isOffered(to: here) && ClientCompression.auto.isOffered(to: elsewhere))
    #expect(ClientCompression.on.isOffered(to: here) && !ClientCompression.off.isOffered(to: elsewhere))
  }

  @Test(arguments: [
    ("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", WebSocketOpening.Outcome.refused(status: 403)),
    ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .refused(status: 200)),
  ])
  func otherStatusesAreRefusals(text: String, outcome: WebSocketOpening.Outcome) throws {
    var opening = try opening()
    var offset = 0
    #expect(opening.received([UInt8](text.utf8).span, from: &offset) == outcome)
  }

  @Test(arguments: [
    "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n", "\r\n",
  ])
  func anAnswerThatProvesNothingIsBroken(rest: String) throws {
    var opening = try opening()
    var offset = 0
    guard case .broken = opening.received([UInt8]((answer + rest).utf8).span, from: &offset) else {
      Issue.record("the handshake is not complete")
      return
    }
  }
}

@Suite struct RealtimeClientTests {
  private let loop: EventLoop
  private let channel: ChannelName
  init() throws {
    loop = try EventLoop()
    channel = try #require(ChannelName("a"))
  }

  private final class Log {
    var events: [ClientEvent] = []
    var publications: [String] {
      events.compactMap {
        if case .publication(let publication) = $0 {
          String(decoding: publication.payload.bytes, as: UTF8.self)
        } else {
          nil
        }
      }
    }
  }

  @Test func subscribesReceivesAndPublishes() throws {
    let server = try FakeServer(on: loop) { connection, name, body in
      guard name == "message" else { return }
      let message = value(body)
      let id = message["id"]?.string ?? ""
      if message["type"]?.string == "subscribe" {
        connection.tell(#"{"type":"ack","id":"\#(id)","epoch":"e","offset":0}"#)
      } else {
        connection.tell(#"{"channel":"a","epoch":"e","offset":1,"time":1,"data":"hi"}"#)
        connection.tell(#"{"type":"ack","id":"\#(id)","epoch":"e","offset":1}"#)
      }
    }
    let log = Log()
    let client = RealtimeClient(ClientOptions(url: server.url), on: loop) { log.events.append($0) }
    client.subscribe(channel)
    client.open()
    let id = try client.emit(channel, Payload(text: "hi"))
    #expect(eventually(loop) { log.events.contains(.emitted(id, Position("e:1"))) })
    #expect(log.events.contains(.subscribed(channel)))
    #expect(log.publications == ["hi"])
    client.close()
    #expect(log.events.last == .state(.closed(.closedHere)))
    #expect(eventually(loop) { server.isOpenConnectionCount == 0 })
  }

  @Test func aLostConnectionIsResumedBehindTheLastPublication() throws {
    var asked: [String] = []
    let server = try FakeServer(on: loop) { connection, name, body in
      guard name == "message" else { return }
      asked.append(value(body)["since"]?.string ?? "now")
      let offset = asked.count
      connection.tell(
        #"{"channel":"a","epoch":"e","offset":\#(offset),"time":1,"data":"\#(offset)"}"#)
      if offset == 1 { connection.stream.closeAfterWriting() }
    }
    let log = Log()
    let client = RealtimeClient(ClientOptions(url: server.url), on: loop) { log.events.append($0) }
    client.subscribe(channel, since: .start)
    client.open()
    #expect(eventually(loop) { log.publications.count == 2 })
    #expect(asked == ["start", "e:1"])
    #expect(log.publications == ["1", "2"])
    client.close()
  }

  /// Both directions, with each kind of context; a publication may be as dull as it likes.
  @Test(arguments: [
    ("permessage-deflate; server_no_context_takeover; client_no_context_takeover", false),
    ("permessage-deflate", true), ("permessage-deflate; client_max_window_bits=9", true),
  ])
  func publicationsAreCompressedBothWays(extensions: String, keeps: Bool) throws {
    let deflater = MessageDeflater(context: keeps ? .keptBetweenMessages : .newForEachMessage)
    var published: [Int] = []
    let server = try FakeServer(on: loop, extensions: extensions) { connection, name, body in
      guard name == "message" else { return }
      let message = value(body)
      let id = message["id"]?.string ?? ""
      if message["type"]?.string != "subscribe" { published.append(message["data"]?.string?.utf8.count ?? -1) }
      connection.tell(#"{"type":"ack","id":"\#(id)"}"#, by: deflater)
      for _ in 0..<3 {
        connection.tell(#"{"channel":"a","time":1,"data":"\#(String(repeating: "x", count: 300_000))"}"#, by: deflater)
      }
    }
    let log = Log()
    var options = ClientOptions(url: server.url)
    options.compression = .on
    let client = RealtimeClient(options, on: loop) { log.events.append($0) }
    client.subscribe(channel)
    client.open()
    #expect(eventually(loop) { log.publications.count == 3 })
    var sent = [10, 5_000, 1_000_000].map { String(repeating: "y", count: $0) }
    sent.append((0..<100_000).map { "\($0 &* 7_919 % 65_537)" }.joined(separator: " "))
    for text in sent { _ = try client.emit(channel, Payload(text: text)) }
    #expect(eventually(loop) { published.count == 4 && log.publications.count == 15 })
    #expect(published == sent.map(\.utf8.count))
    #expect(log.publications.allSatisfy { $0.utf8.count == 300_000 })
    // What is small, or what a server would take for a bomb, goes as it is.
    #expect(server.connections.map(\.inflations) == [2])
    client.close()
  }

  @Test func theTokenIsAskedForAtEachConnection() throws {
    var shown: [String] = []
    let server = try FakeServer(on: loop) { connection, name, _ in
      guard name != "message" else { return }
      shown.append(connection.lastFields("authorization"))
      if shown.count == 1 { connection.stream.closeAfterWriting() }
    }
    let number = Mutex(0)
    var options = ClientOptions(url: server.url)
    options.token = {
      number.withLock {
        $0 += 1
        return "a.b.\($0)"
      }
    }
    let client = RealtimeClient(options, on: loop) { _ in }
    client.open()
    #expect(eventually(loop) { shown.count == 2 })
    #expect(shown == ["Bearer a.b.1", "Bearer a.b.2"])
    client.close()
  }

  @Test func aServerThatRefusesForGoodIsNotAskedAgain() throws {
    let server = try FakeServer(on: loop) { connection, name, _ in connection.stream.close() }
    server.close()
    let refusing = try FakeRefusal(on: loop)
    let log = Log()
    let client = RealtimeClient(ClientOptions(url: refusing.url), on: loop) {
      log.events.append($0)
    }
    client.open()
    #expect(eventually(loop) { client.isClosed })
    #expect(log.events.last == .state(.closed(.refused(status: 403))))
  }

  /// A listener that answers every connection with 403.
  private final class FakeRefusal {
    let url: ServerURL
    private var listener: Listener?

    init(on loop: EventLoop) throws {
      let descriptor = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0))
      let address = try Sockets.localAddress(descriptor)
      url = try #require(ServerURL("http://\(address.authority)"))
      listener = try Listener(descriptor, address: address, on: loop) { descriptor, _ in
        let stream = Stream(descriptor, on: loop)
        try? stream.start(Nobody.shared)
        stream.send([UInt8]("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n".utf8))
      }
    }
  }

  private final class Nobody: StreamOwner, Sendable {
    static let shared = Nobody()
    func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int { bytes.count }
    func streamDrained(_ stream: Stream) {}
    func streamEnded(_ stream: Stream, _ end: StreamEnd) {}
  }

  @Test func rubbishFromTheServerEndsTheConnectionAndNothingElse() throws {
    let server = try FakeServer(on: loop) { connection, name, _ in
      if name != "message" { connection.stream.send([0xFF, 0xFF, 0xFF]) }
    }
    let log = Log()
    let client = RealtimeClient(ClientOptions(url: server.url), on: loop) { log.events.append($0) }
    client.open()
    #expect(
      eventually(loop) {
        log.events.contains {
          if case .state(.waiting(_, attempt: 1, _)) = $0 { true } else { false }
        }
      })
    client.close()
  }
}

@Suite struct SapphireClientTests {
  private let channel: ChannelName
  private let url: ServerURL
  init() throws {
    channel = try #require(ChannelName("a"))
    // A port that was free a moment ago: nobody answers there.
    let descriptor = try Sockets.listen(on: .tcp(host: "127.0.0.1", port: 0))
    url = try #require(ServerURL("http://\(try Sockets.localAddress(descriptor).authority)"))
  }

  @Test func callersThatWaitAreAnsweredWhenTheClientIsClosed() async throws {
    let client = try SapphireClient(ClientOptions(url: url))
    async let first = result { try await client.emit(channel, Payload(text: "x")) }
    let channels = await result { try await client.channels() }
    #expect(channels == "the server can't be reached: Connection refused")
    client.close()
    _ = await first
    let late = await result { try await client.emit(channel, Payload(text: "x")) }
    #expect(late == EmitFailure.queueFull.description || late == EmitFailure.closed.description)
  }

  @Test func streamsEndWhenTheClientIsClosed() async throws {
    let client = try SapphireClient(ClientOptions(url: url))
    let stream = client.publications(channel)
    client.close()
    await #expect(throws: SapphireClient.StreamFailure.closed(.closedHere)) {
      for try await _ in stream {}
    }
  }

  @Test func closingTwiceIsClosingOnce() throws {
    let client = try SapphireClient(ClientOptions(url: url))
    client.close()
    client.close()
  }

  private func result<T>(_ body: () async throws -> T) async -> String {
    do {
      _ = try await body()
      return "done"
    } catch {
      return "\(error)"
    }
  }
}
