import HTTPCodec
import TestKit
import Testing

@Suite struct ResponseTests {
  /// Reads one response with its body, as a client would; the connection ends after the segments.
  private func read(_ segments: [[UInt8]], answering method: HTTPMethod = .get) -> [Outcome] {
    var reader = HTTPResponseReader()
    var decoder: HTTPBodyDecoder?
    var body: [UInt8] = []
    var outcomes: [Outcome] = []
    do {
      for segment in segments {
        var offset = 0
        if decoder == nil {
          guard
            let head = try reader.next(segment.span, from: &offset, answering: method)
          else { continue }
          let names = (0..<head.headers.count).map { head.headers[$0].name }
          outcomes.append(.head("\(head.status) \(names) \(head.framing) \(head.keepAlive)"))
          decoder = try HTTPBodyDecoder(head.framing, bytesMax: 1_000)
        }
        while let event = try decoder?.next(segment.span, from: &offset) {
          if case .bytes(let range) = event { body += segment[range] }
        }
      }
      if decoder?.isFinished == false { _ = try decoder?.receivedEnd() }
      if decoder != nil { outcomes.append(.body(body)) }
    } catch {
      outcomes.append(.failed(error))
    }
    return outcomes
  }

  @Test func readsEveryWayABodyCanEnd() {
    let responses: [(String, HTTPMethod, [Outcome])] = [
      (
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", .get,
        [.head("200 [\"Content-Length\"] length(2) true"), .body(utf8("hi"))]
      ),
      (
        "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", .post,
        [.head("200 [\"Transfer-Encoding\"] chunked true"), .body(utf8("hi"))]
      ),
      (
        "HTTP/1.0 200 OK\r\n\r\nuntil the end", .get,
        [.head("200 [] untilClose false"), .body(utf8("until the end"))]
      ),
      (
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", .head,
        [.head("200 [\"Content-Length\", \"Connection\"] none false"), .body([])]
      ),
      ("HTTP/1.1 204 No Content\r\n\r\n", .get, [.head("204 [] none true"), .body([])]),
      (
        "HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n", .get,
        [.head("304 [\"Content-Length\"] none true"), .body([])]
      ),
    ]
    for (text, method, expected) in responses {
      let bytes = utf8(text)
      #expect(read([bytes], answering: method) == expected)
      #expect(read(bytes.map { [$0] }, answering: method) == expected)
    }
  }

  @Test func leavesTheBytesBehindAnUpgrade() throws {
    var reader = HTTPResponseReader()
    let head = utf8("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
    var offset = 0
    let response = try reader.next((head + [0x81, 0x00]).span, from: &offset, answering: .get)
    #expect(response?.status == .switchingProtocols)
    #expect(response?.framing == HTTPBodyFraming.none)
    #expect(offset == head.count)
  }

  @Test func refusesWhatIsNotAResponse() {
    let cases: [(String, HTTPError)] = [
      ("SSH-2.0-OpenSSH_9.2\r\n\r\n", .malformedStatusLine),
      ("HTTP/2.0 200 OK\r\n\r\n", .unsupportedVersion),
      ("HTTP/1.1 20 OK\r\n\r\n", .malformedStatusLine),
      ("HTTP/1.1 099 OK\r\n\r\n", .malformedStatusLine),
      ("HTTP/1.1 600 OK\r\n\r\n", .malformedStatusLine),
      ("HTTP/1.1 2000 OK\r\n\r\n", .malformedStatusLine),
      ("HTTP/1.1  200 OK\r\n\r\n", .malformedStatusLine),
      ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", .repeatedContentLength),
      ("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", .bodyTooLarge),
      ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", .truncatedBody),
      ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", .truncatedBody),
      ("HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 1_001), .bodyTooLarge),
    ]
    for (text, error) in cases {
      #expect(read([utf8(text)]).last == .failed(error), "\(text.debugDescription)")
      #expect(read(utf8(text).map { [$0] }).last == .failed(error), "\(text.debugDescription)")
    }
  }
}

@Suite struct WriterTests {
  @Test func writesAResponse() throws {
    var writer = HTTPHeadWriter(status: .ok, date: "Sun, 06 Nov 1994 08:49:37 GMT")
    try writer.field("Content-Type", "text/plain; charset=utf-8")
    writer.contentLength(2)
    writer.close()
    #expect(
      String(decoding: writer.end(), as: UTF8.self)
        == "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
        + "Content-Type: text/plain; charset=utf-8\r\n"
        + "Content-Length: 2\r\nConnection: close\r\n\r\n"
    )
  }

  @Test func writesARequestThatTheServerReads() throws {
    var writer = try HTTPHeadWriter(method: .put, target: "/vault/ab?x=1", host: "h:1")
    try writer.field("Transfer-Encoding", "chunked")
    var bytes = writer.end()
    HTTPChunk.append(utf8("hello"), into: &bytes)
    HTTPChunk.append([], into: &bytes)
    HTTPChunk.append([UInt8](repeating: 0, count: 300), into: &bytes)
    HTTPChunk.end(into: &bytes)
    #expect(readRequests([bytes]).last == .body(utf8("hello") + [UInt8](repeating: 0, count: 300)))
  }

  @Test func refusesWhatWouldEndALine() {
    for (name, value) in [
      ("A", "b\r\nX: y"), ("A", "b\nX: y"), ("A", "b\rX"), ("A", "\0"), ("A", "\u{7F}"),
      ("A\r\nB", "c"), ("A B", "c"), ("A:", "c"), ("", "c"), ("Ä", "c"),
    ] {
      var writer = HTTPHeadWriter(status: .ok, date: "d")
      #expect(throws: HTTPError.unwritableField) { try writer.field(name, value) }
      #expect(String(decoding: writer.end(), as: UTF8.self) == "HTTP/1.1 200 OK\r\nDate: d\r\n\r\n")
    }
    for (target, host) in [
      ("/a b", "h"), ("/a\r\nX: y", "h"), ("/", "h\r\nX: y"), ("", "h"), ("/é", "h"),
    ] {
      #expect(throws: HTTPError.unwritableField) {
        _ = try HTTPHeadWriter(method: .get, target: target, host: host).end()
      }
    }
  }

  @Test func everyNamedStatusHasAPhrase() {
    #expect(HTTPStatus.ok.reason == "OK")
    #expect(HTTPStatus.headerFieldsTooLarge.reason == "Request Header Fields Too Large")
    #expect(HTTPStatus(599).reason == "")
    #expect(HTTPStatus.noContent.forbidsBody)
    #expect(!HTTPStatus.ok.forbidsBody)
  }

  @Test func writesDates() {
    let dates: [(Int, String)] = [
      (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
      (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
      (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
      (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
      (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
      (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"), (-5, "Thu, 01 Jan 1970 00:00:00 GMT"),
      (.max, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ]
    for (seconds, text) in dates { #expect(HTTPDate.text(secondsSince1970: seconds) == text) }
  }

  @Test func readsTheThreeFormsOfADateAndNothingElse() {
    for text in [
      "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
    ] {
      #expect(HTTPDate.seconds(of: text) == 784_111_777, "\(text)")
    }
    for seconds in [0, 951_782_400, 951_868_800, 1_709_251_199, 4_107_542_400, 253_402_300_799] {
      #expect(HTTPDate.seconds(of: HTTPDate.text(secondsSince1970: seconds)) == seconds)
    }
    for text in [
      "", "yesterday", "0", "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET",
      "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
      "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT",
      "Sun, 06 Nov 1994 +8:49:37 GMT", "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
      "Sun, 06 Nov 1969 08:49:37 GMT", String(repeating: "6 ", count: 1_000),
    ] {
      #expect(HTTPDate.seconds(of: text) == nil, "\(text)")
    }
  }

  @Test func percentEncodingComesBack() {
    for text in ["", "plain-._~", "a b/c?d=e&f%+", "é𝄞", "log:*"] {
      let encoded = PercentEncoding.encode(text)
      #expect(PercentEncoding.decode(encoded) == text)
      #expect(encoded.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") })
    }
    #expect(PercentEncoding.encode("a b:c") == "a%20b%3Ac")
    #expect(PercentEncoding.decode("a+b") == "a+b")
    #expect(PercentEncoding.decode("a+b", plus: .isSpace) == "a b")
    for broken in ["%", "%4", "%4g", "%00", "%ff", "a%"] {
      #expect(PercentEncoding.decode(broken) == nil)
    }
  }
}
