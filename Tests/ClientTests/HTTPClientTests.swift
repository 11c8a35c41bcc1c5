import Bytes
import HTTPCodec
import Loop
import Platform
import TestKit
import Testing

@testable import Client

@Suite struct HTTPClientTests {
  private let loop: EventLoop
  init() throws { loop = try EventLoop() }

  private func call(_ client: HTTPClient, _ request: HTTPRequest, within: Duration = .seconds(10))
    -> Result<HTTPResponse, HTTPFailure>?
  {
    var answer: Result<HTTPResponse, HTTPFailure>?
    client.send(request, within: within) { answer = $0 }
    _ = eventually(loop, within: .seconds(20)) { answer != nil }
    return answer
  }

  private func status(_ answer: Result<HTTPResponse, HTTPFailure>?) -> Int? {
    if case .success(let response)? = answer { response.status } else { nil }
  }

  private func failure(_ answer: Result<HTTPResponse, HTTPFailure>?) -> HTTPFailure? {
    if case .failure(let failure)? = answer { failure } else { nil }
  }

  @Test func requestsShareOneConnectionAndComeBackInOrder() throws {
    let server = try FakeServer(on: loop) { connection, name, body in
      connection.answer(200, "\(name) \(String(decoding: body, as: UTF8.self))")
    }
    let client = HTTPClient(server.url, key: nil, on: loop)
    var answers: [String] = []
    for index in 0..<3 {
      client.send(.json("/x\(index)", [UInt8("0".utf8.first ?? 0)]), within: .seconds(10)) {
        answer in
        if case .success(let response) = answer {
          answers.append(String(decoding: response.body, as: UTF8.self))
        }
      }
    }
    #expect(eventually(loop) { answers.count == 3 })
    #expect(answers == ["POST /x0 0", "POST /x1 0", "POST /x2 0"])
    #expect(server.connections.count == 1)
  }

  @Test func theKeyGoesInAHeader() throws {
    let server = try FakeServer(on: loop) { connection, _, _ in
      connection.answer(200, connection.lastFields("x-api-key"))
    }
    let client = HTTPClient(server.url, key: "secret", on: loop)
    guard case .success(let response)? = call(client, HTTPRequest(.get, "/")) else {
      Issue.record("the server answers")
      return
    }
    #expect(response.body == [UInt8]("secret".utf8))
  }

  @Test func aKeyThatCantStandInAHeaderNeverLeavesTheProcess() throws {
    let server = try FakeServer(on: loop) { connection, _, _ in connection.answer(200, "") }
    let client = HTTPClient(server.url, key: "a\r\nX-Other: b", on: loop)
    guard case .unsendable? = failure(call(client, HTTPRequest(.get, "/"))) else {
      Issue.record("a header can't hold this")
      return
    }
  }

  @Test func aKeptConnectionThatHasGoneIsReplacedOnce() throws {
    var isFirst = true
    let server = try FakeServer(on: loop) { connection, _, _ in
      if isFirst {
        isFirst = false
        connection.answer(200, "one")
      } else if connection.seen.count == 2 {
        // The second request on the kept connection meets its end.
        connection.stream.close()
      } else {
        connection.answer(200, "two")
      }
    }
    let client = HTTPClient(server.url, key: nil, on: loop)
    #expect(status(call(client, HTTPRequest(.get, "/"))) == 200)
    #expect(status(call(client, HTTPRequest(.get, "/"))) == 200)
    #expect(server.connections.count == 2)
  }

  @Test func aNewConnectionThatEndsWithoutAnAnswerIsAFailure() throws {
    let server = try FakeServer(on: loop) { connection, _, _ in connection.stream.close() }
    let client = HTTPClient(server.url, key: nil, on: loop)
    guard case .lost? = failure(call(client, HTTPRequest(.get, "/"))) else {
      Issue.record("the connection was lost")
      return
    }
  }

  @Test func nobodyListeningIsUnreachable() throws {
    let server = try FakeServer(on: loop) { _, _, _ in }
    server.close()
    let client = HTTPClient(server.url, key: nil, on: loop)
    guard case .unreachable? = failure(call(client, HTTPRequest(.get, "/"))) else {
      Issue.record("nobody listens")
      return
    }
  }

  @Test func aServerThatDoesNotAnswerTimesOutAndTheNextRequestHasAConnectionOfItsOwn() throws {
    let server = try FakeServer(on: loop) { connection, name, _ in
      if name == "GET /fast" { connection.answer(200, "") }
    }
    let client = HTTPClient(server.url, key: nil, on: loop)
    #expect(
      failure(call(client, HTTPRequest(.get, "/slow"), within: .milliseconds(50))) == .timedOut)
    #expect(status(call(client, HTTPRequest(.get, "/fast"))) == 200)
    #expect(server.connections.count == 2)
  }

  @Test func aStreamedBodyArrivesWhole() throws {
    var received: [UInt8] = []
    let server = try FakeServer(on: loop) { connection, _, body in
      received = body
      connection.answer(201, "")
    }
    let pieces = (0..<64).map { [UInt8](repeating: UInt8($0), count: 100_000) }
    var request = HTTPRequest(.put, "/vault/x")
    var index = 0
    request.body = .stream(count: 6_400_000) {
      guard index < pieces.count else { return nil }
      defer { index += 1 }
      return pieces[index]
    }
    let client = HTTPClient(server.url, key: nil, on: loop)
    #expect(status(call(client, request)) == 201)
    #expect(received == pieces.flatMap(\.self))
  }

  @Test func aBodyThatEndsEarlyFailsTheRequestAndTheConnection() throws {
    let server = try FakeServer(on: loop) { connection, _, _ in connection.answer(200, "") }
    var request = HTTPRequest(.put, "/vault/x")
    var hasGiven = false
    request.body = .stream(count: 10) {
      defer { hasGiven = true }
      return hasGiven ? nil : [1, 2, 3]
    }
    let client = HTTPClient(server.url, key: nil, on: loop)
    guard case .unsendable? = failure(call(client, request)) else {
      Issue.record("the body had ten bytes to give")
      return
    }
    #expect(eventually(loop) { server.isOpenConnectionCount == 0 })
  }

  @Test func closingFailsEveryRequestThatWaits() throws {
    let server = try FakeServer(on: loop) { _, _, _ in }
    let client = HTTPClient(server.url, key: nil, on: loop)
    var failures = 0
    for _ in 0..<3 {
      client.send(HTTPRequest(.get, "/"), within: .seconds(10)) { answer in
        if case .failure = answer { failures += 1 }
      }
    }
    loop.turn(waiting: .milliseconds(10))
    client.close()
    #expect(failures == 3)
  }
}

@Suite struct HTTPAnswerReaderTests {
  private enum Seen: Equatable {
    case response(Int, [UInt8])
    case failed
  }

  private func decode(_ segments: [[UInt8]]) -> [Seen] {
    var assembler = HTTPAnswerReader(answering: .get, bytesMax: 1000)
    for segment in segments {
      var offset = 0
      do throws(HTTPError) {
        if let response = try assembler.received(segment.span, from: &offset) {
          return [.response(response.status, response.body)]
        }
      } catch { return [.failed] }
    }
    return []
  }

  @Test func theAnswerDoesNotDependOnHowItsBytesArrive() {
    let verifier = DecoderVerifier(decode: decode)
    let interim = "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
    let samples: [DecoderVerifier<Seen>.Sample] = [
      .init(
        "length", [UInt8]("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc".utf8),
        [.response(200, [97, 98, 99])], endsStream: true),
      .init(
        "chunked",
        [UInt8](
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n".utf8
        ),
        [.response(200, [97, 98, 99])], endsStream: true),
      .init(
        "interim", [UInt8]((interim + "HTTP/1.1 204 No\r\n\r\n").utf8), [.response(204, [])],
        endsStream: true),
      .init(
        "too large", [UInt8]("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n".utf8), [.failed],
        endsStream: true),
    ]
    #expect(verifier.failures(of: samples) == [])
    #expect(verifier.failuresOfDamage(to: samples, seed: 7, rounds: 300) == [])
  }

  @Test func aBodyMayEndWithItsConnection() throws {
    var assembler = HTTPAnswerReader(answering: .get, bytesMax: 1000)
    var offset = 0
    let bytes = [UInt8]("HTTP/1.1 200 OK\r\n\r\nabc".utf8)
    #expect(try assembler.received(bytes.span, from: &offset)?.status == nil)
    #expect(try assembler.receivedEnd()?.body == [97, 98, 99])
    #expect(!assembler.keepsAlive)
  }
}
