import HTTPCodec
import TestKit
import Testing

@Suite struct RequestTests {
  @Test func readsARequestAsClientsSendIt() throws {
    let head = try head(
      "POST /api/publish?a=1&b=x+y%21&&flag&=v HTTP/1.1\r\nHost: Localhost:8000\r\n"
        + "X-API-Key:\t secret \r\nContent-Length: 12\r\n"
        + "expect: 100-Continue\r\nX-Api-Key: two\r\n\r\n"
    )
    #expect(head.method == .post)
    #expect(head.rawTarget == "/api/publish?a=1&b=x+y%21&&flag&=v")
    #expect(head.path == ["api", "publish"])
    #expect(
      head.target.query == [.init("a", "1"), .init("b", "x y!"), .init("flag", ""), .init("", "v")])
    #expect(head.target.query("b") == "x y!")
    #expect(head.target.query("none") == nil)
    #expect(head.headers.first("x-api-key") == "secret")
    #expect(head.headers.all("x-api-key") == ["secret", "two"])
    #expect(head.headers.first("x-api") == nil)
    #expect(head.headers.count == 5)
    #expect(head.headers[1].name == "X-API-Key")
    #expect(head.authority == HTTPAuthority("localhost:8000"))
    #expect(head.version == .http11)
    #expect(head.keepAlive)
    #expect(head.contentLength == 12)
    #expect(!head.isChunked)
    #expect(head.expectsContinue)
    #expect(!head.wantsUpgrade)
  }

  @Test func readsAnUpgrade() throws {
    let head = try head(
      "GET /ws/a%2Fb HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n"
        + "Upgrade: websocket, h2c\r\n\r\n")
    #expect(head.wantsUpgrade)
    #expect(head.upgrades == ["websocket", "h2c"])
    #expect(head.path == ["ws", "a/b"])
    #expect(head.framing == .none)
  }

  @Test func anUpgradeNeedsBothFields() throws {
    #expect(!(try head("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n").wantsUpgrade))
    #expect(!(try head("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n\r\n").wantsUpgrade))
  }

  @Test func aHeadIsRepeatedByItsVeryBytesAlone() throws {
    let text = "POST /api/publish HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\n"
    let headers = try head(text).headers
    let input = [UInt8]("x\(text){}".utf8)
    func areRepeated(_ bytes: [UInt8], _ offset: Int) -> Bool {
      headers.areRepeated(in: bytes.span, at: offset)
    }
    #expect(headers.bytesCount == text.utf8.count)
    #expect(areRepeated(input, 1))
    #expect(!areRepeated(input, 0) && !areRepeated(input, 2))
    #expect(!areRepeated(Array(input[0..<text.utf8.count]), 1))
    for place in 1...text.utf8.count {
      var other = input
      other[place] ^= 1
      #expect(!areRepeated(other, 1), "\(place)")
    }
  }

  @Test func http10IsClosedAfterTheAnswer() throws {
    let head = try head("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    #expect(head.version == .http10)
    #expect(!head.keepAlive)
    #expect(head.authority == nil)
    #expect(head.path == [])
  }

  @Test func connectionCloseIsFoundInAList() throws {
    for value in ["close", "Close", "foo, close", " foo ,\tCLOSE ,"] {
      #expect(!(try head("GET / HTTP/1.1\r\nHost: h\r\nConnection: \(value)\r\n\r\n").keepAlive))
    }
    for value in ["keep-alive", "closed", "not-close", ""] {
      #expect(try head("GET / HTTP/1.1\r\nHost: h\r\nConnection: \(value)\r\n\r\n").keepAlive)
    }
  }

  @Test func takesTheAbsoluteFormOfTheSameHost() throws {
    let first = try head("GET http://Example.com:80/a?b=c HTTP/1.1\r\nHost: example.COM:80\r\n\r\n")
    #expect(first.path == ["a"])
    #expect(first.target.query("b") == "c")
    #expect(try head("GET HTTPS://h HTTP/1.1\r\nHost: h\r\n\r\n").path == [])
  }

  @Test func takesAnyHostOfTheGrammar() throws {
    for host in ["h", "a.b-c_d~e", "127.0.0.1:8000", "[::1]", "[::1]:65535", "[::ffff:1.2.3.4]:1"] {
      #expect(try head("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n").authority?.description == host)
    }
  }

  @Test func decodesThePath() throws {
    let paths: [(String, [String])] = [
      ("/", []), ("/a", ["a"]), ("/a/", ["a", ""]), ("//a", ["", "a"]), ("/a%20b+c", ["a b+c"]),
      ("/%C3%A9", ["é"]), ("/...", ["..."]), ("/a%2F..", ["a/.."]), ("/%25", ["%"]),
      ("/a:b@c", ["a:b@c"]),
    ]
    for (path, segments) in paths {
      #expect(try head("GET \(path) HTTP/1.1\r\nHost: h\r\n\r\n").path == segments)
    }
  }

  @Test func keepsFieldValuesThatAreNotASCII() throws {
    #expect(
      try head("GET / HTTP/1.1\r\nHost: h\r\nX-Name: J\u{f6}rg\r\n\r\n").headers.first("x-name")
        == "Jörg")
  }

  @Test func optionsMayAskForEverything() throws {
    #expect(try head("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").path == [])
  }

  @Test func listsAreSearchedByElement() throws {
    let headers = try head(
      "GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip, br\r\naccept-encoding: Zstd\r\n\r\n"
    ).headers
    #expect(headers.list("accept-encoding") == ["gzip", "br", "Zstd"])
    #expect(headers.list("accept-encoding", contains: "zstd"))
    #expect(!headers.list("accept-encoding", contains: "gz"))
  }
}

@Suite struct StreamTests {
  static let samples: [DecoderVerifier<Outcome>.Sample] = [
    sample("get", "GET /a?b=1 HTTP/1.1\r\nHost: h\r\n\r\n", []),
    sample("post", "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", utf8("hello")),
    sample("empty post", "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", []),
    sample(
      "chunked",
      "PUT /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n"
        + "5\r\nhello\r\n00a;x=\"y\"\r\n0123456789\r\n0\r\n\r\n",
      utf8("hello0123456789")),
    sample(
      "trailers",
      "PUT /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        + "1\r\nx\r\n0;e\r\nA: b\r\nC:\r\n\r\n",
      utf8("x")),
  ]

  /// The expectation is made from a single pass over the whole bytes of the head, which other
  /// tests check field by field; what this suite proves is that segments change nothing.
  static func sample(
    _ name: String, _ text: String, _ body: [UInt8]
  ) -> DecoderVerifier<Outcome>.Sample {
    let bytes = utf8(text)
    let events = readRequests([bytes])
    let expected: [Outcome] = text.hasPrefix("GET") || name.hasPrefix("empty") ? [] : [.body(body)]
    return .init(name, bytes, Array(events.prefix(1)) + expected)
  }

  @Test func givesTheSameEventsInAnySegmentation() {
    let verifier = DecoderVerifier<Outcome> { readRequests($0) }
    #expect(verifier.failures(of: Self.samples) == [])
    #expect(verifier.failuresOfDamage(to: Self.samples, seed: 9112, rounds: 600) == [])
  }

  @Test func readsPipelinedRequestsInOrder() {
    let bytes = Self.samples.flatMap(\.bytes)
    let heads = readRequests([bytes]).filter { if case .head = $0 { true } else { false } }
    #expect(heads.count == Self.samples.count)
  }

  @Test func looksAtEveryByteOnce() throws {
    let text = "GET / HTTP/1.1\r\nHost: h\r\n" + String(repeating: "A: bcd\r\n", count: 90) + "\r\n"
    var reader = HTTPRequestReader()
    var heads = 0
    for _ in 0..<10 {
      for byte in utf8(text) {
        var offset = 0
        if try reader.next([byte].span, from: &offset) != nil { heads += 1 }
      }
    }
    #expect(heads == 10)
    #expect(reader.examinedBytes == 10 * text.utf8.count)
    #expect(reader.isIdle)
  }

  @Test func leavesWhatFollowsAnUpgradeAlone() throws {
    let text = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    let bytes = utf8(text) + [0x81, 0x80, 1, 2, 3, 4]
    var reader = HTTPRequestReader()
    var offset = 0
    let head = try reader.next(bytes.span, from: &offset)
    #expect(head?.wantsUpgrade == true)
    #expect(offset == text.utf8.count)
  }
}
