import Platform
import TestKit
import Testing
import WebSocketCodec

extension ServiceTests {
  /// Bad input gets a clear answer, ends nobody else's connection and loses nothing.
  struct BadInput {
    /// A cluster, and somebody who must not notice anything.
    private func gateway(
      _ options: ServiceCluster.Options = ServiceTests.options(),
      _ body: (ServiceCluster, TestLoop, SocketAddress) throws -> Void
    ) throws {
      try ServiceCluster.run(ServiceTests.everyone, options) { cluster in
        let loop = try TestLoop()
        let address = try cluster.gateway()
        let witness = try loop.socket(address, "/ws/eph:witness")
        try body(cluster, loop, address)
        witness.send("unharmed")
        try loop.wait("a witness") { witness.messages.last?.bytes == [UInt8]("unharmed".utf8) }
      }
    }

    /// What a socket on `eph:m` is closed with after it has sent something.
    private func close(
      _ loop: TestLoop, _ address: SocketAddress, _ path: String = "/ws/eph:m",
      _ send: (TestSocket) -> Void
    ) throws -> UInt16? {
      let socket = try loop.socket(address, path)
      send(socket)
      try loop.wait("the close", state: { "\(socket.messages.count) messages" }) {
        socket.end != nil
      }
      guard case .closed(let code, _) = socket.end else {
        Issue.record("it ended as \(String(describing: socket.end))")
        return nil
      }
      return code
    }

    @Test func aBrokenFrameIsClosedWithItsCode() throws {
      try gateway { _, loop, address in
        // RFC 6455 §5.1, §5.2, §5.4, §5.5, §5.6, §7.4.
        let cases: [(String, UInt16, (TestSocket) -> Void)] = [
          ("unmasked", 1002, { $0.sendFrame(.text, [104], isMasked: false) }),
          ("reserved bits", 1002, { $0.sendBytes([0xf1, 0x80, 0, 0, 0, 0]) }),
          ("unknown opcode", 1002, { $0.sendBytes([0x83, 0x80, 0, 0, 0, 0]) }),
          ("continuation of nothing", 1002, { $0.sendFrame(.continuation, [1]) }),
          ("fragmented ping", 1002, { $0.sendFrame(.ping, [], isFinal: false) }),
          ("long ping", 1002, { $0.sendFrame(.ping, [UInt8](repeating: 0, count: 126)) }),
          (
            "text inside text", 1002,
            {
              $0.sendFrame(.text, [104], isFinal: false)
              $0.sendFrame(.text, [105])
            }
          ),
          ("invalid UTF-8", 1007, { $0.sendFrame(.text, [0xc3, 0x28]) }),
          ("UTF-8 cut off", 1007, { $0.sendFrame(.text, [0xe2, 0x82]) }),
          ("surrogates", 1007, { $0.sendFrame(.text, [0xed, 0xa0, 0x80]) }),
          ("close code 1005", 1002, { $0.sendFrame(.close, [0x03, 0xed]) }),
          ("close of one byte", 1002, { $0.sendFrame(.close, [3]) }),
          ("close with bad text", 1007, { $0.sendFrame(.close, [0x03, 0xe8, 0xff]) }),
          ("a good close", 1000, { $0.sendClose(1000) }),
        ]
        for (name, code, send) in cases {
          let found = try close(loop, address, "/ws/eph:m", send)
          #expect(found == code, "\(name)")
        }
      }
    }

    @Test func aMessageOverTheLimitIsClosedAsTooBig() throws {
      try gateway { _, loop, address in
        let large = [UInt8](repeating: 120, count: 2 << 20)
        let whole = try close(loop, address) { $0.send(.binary, large) }
        // Judged by its header, before a byte of it is there.
        let announced = try close(loop, address) {
          $0.sendBytes([0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        let negative = try close(loop, address) {
          $0.sendBytes([0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        #expect(whole == 1009 && announced == 1009 && negative != nil)
      }
    }

    @Test func aPayloadOverThePublicationLimitIsAnError() throws {
      var options = ServiceTests.options()
      options.configuration = "{ limits: { publicationBytes: 1024 } }"
      try gateway(options) { _, loop, address in
        let socket = try loop.socket(address, "/ws/eph:m?ack=1")
        socket.send(String(repeating: "x", count: 1025))
        socket.send(String(repeating: "x", count: 1024))
        try loop.wait("two answers and one publication") { socket.messages.count == 3 }
        let texts = socket.messages.map { String(decoding: $0.bytes, as: UTF8.self) }
        #expect(
          texts.contains { $0.contains(#""type":"error","id":1"#) && $0.contains("too_large") })
        #expect(texts.contains { $0.contains(#""type":"ack","id":2"#) })
      }
    }

    @Test func messagesThatAreNoneAreAnsweredAndTheSocketStays() throws {
      try gateway { _, loop, address in
        let socket = try loop.socket(address, "/ws")
        try loop.wait("the welcome") { socket.messages.count == 1 }
        _ = socket.takeMessages()
        let bad = [
          "", "x", "[]", #"{"channel":"eph:m"}"#, #"{"channel":"bad name","data":1,"id":1}"#,
          #"{"data":1}"#, #"{"type":"dance"}"#,
          #"{"type":"subscribe","channel":"eph:m","since":"yesterday"}"#,
          String(repeating: "[", count: 10_000),
          #"{"channel":"\#(String(repeating: "c", count: 256))","data":1}"#,
        ]
        for text in bad { socket.send(text) }
        socket.send(.binary, [1, 2, 3])
        socket.send(#"{"type":"ping","id":99}"#)
        try loop.wait("an answer to each", state: { "\(socket.messages.count)" }) {
          socket.messages.count == bad.count + 2
        }
        let texts = socket.messages.map { String(decoding: $0.bytes, as: UTF8.self) }
        #expect(texts.dropLast().allSatisfy { $0.contains(#""type":"error""#) }, "\(texts)")
        #expect(texts.last?.contains(#""type":"pong","id":99"#) == true)
      }
    }

    @Test func unknownRoutesAndChannelsAreRefusedBeforeTheUpgrade() throws {
      try gateway { _, loop, address in
        for (path, status) in [
          ("/ws/bad%20name", 404), ("/ws/a/b/c", 404), ("/nothing/here", 404),
          ("/ws/\(String(repeating: "c", count: 256))", 404), ("/ws/eph:m?since=yesterday", 400),
          ("/ws/%00", 400),
        ] {
          let socket = TestSocket(loop, address, path)
          try loop.wait("an answer to \(path)") { socket.end != nil }
          #expect(socket.end == .refused(status: status), "\(path)")
        }
        for (method, path, status) in [
          ("GET", "/nothing/here", 404), ("GET", "/api/publish", 405), ("DELETE", "/health", 405),
          ("GET", "/vault/xyz", 404), ("GET", "/live", 200), ("GET", "/", 200),
        ] {
          let answer = try loop.http(address, method, path)
          #expect(answer.status == status, "\(method) \(path)")
        }
      }
    }

    @Test func theAPITellsMalformedBodiesWrongKeysAndLogicalErrorsApart() throws {
      try gateway { cluster, loop, address in
        func publish(_ body: String, key: String?, path: String = "/api/publish") throws
          -> TestRequest
        {
          try loop.http(
            address, "POST", path, fields: key.map { ["X-API-Key: \($0)"] } ?? [], body: body)
        }
        let key = cluster.options.key
        let good = #"{"channel":"eph:m","data":1}"#
        #expect(try publish(good, key: key).status == 200)
        #expect(try publish(good, key: nil).status == 401)
        #expect(try publish(good, key: "wrong-wrong-wrong-wrong").status == 401)
        #expect(try publish(good, key: (key ?? "") + "x").status == 401)
        for body in ["", "x", "[]", "1", "{"] {
          #expect(try publish(body, key: key).status == 400, "\(body)")
        }
        for (body, word) in [
          (#"{"channel":"eph:m"}"#, "107"), (#"{"channel":"bad name","data":1}"#, "102"),
          (#"{"channel":"\#(String(repeating: "c", count: 256))","data":1}"#, "102"),
          (#"{"data":1}"#, "107"),
        ] {
          let answer = try publish(body, key: key)
          #expect(
            answer.status == 200 && answer.text.contains(#""error":{"code":\#(word)"#),
            "\(body): \(answer.text)")
        }
        #expect(try publish(#"{"channel":"eph:m","data":null}"#, key: key).text.contains("offset"))
        let dance = try publish(good, key: key, path: "/api/dance")
        #expect(
          dance.status == 200 && dance.text.contains(#""error":{"code":104"#), "\(dance.text)")
      }
    }

    @Test func pagesOfOtherOriginsAndOtherHostsAreTurnedAway() throws {
      try gateway { _, loop, address in
        for (field, status) in [
          ("Origin: https://evil.example", 403), ("Origin: null", 403),
          ("Origin: http://localhost.evil.example", 403),
        ] {
          let socket = TestSocket(loop, address, "/ws/eph:m", fields: [field])
          try loop.wait("an answer") { socket.end != nil }
          #expect(socket.end == .refused(status: status), "\(field)")
        }
        let rebound = TestSocket(loop, address, "/ws/eph:m", host: "evil.example")
        try loop.wait("an answer") { rebound.end != nil }
        #expect(rebound.end == .refused(status: 421))
        _ = try loop.socket(address, "/ws/eph:m", fields: ["Origin: http://localhost:3000"])
      }
    }

    @Test func malformedRequestsAreAnsweredAndTheConnectionClosed() throws {
      try gateway { _, loop, address in
        for text in [
          "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nHost: localhost\n\n", "GARBAGE\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
          "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
          "GET /../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: localhost\r\nX: \(String(repeating: "x", count: 100_000))\r\n\r\n",
        ] {
          let request = TestRequest(loop, address, raw: [UInt8](text.utf8))
          try loop.wait("an answer to \(text.prefix(40))") { request.isDone }
          #expect(
            (400..<500).contains(request.status ?? 0), "\(text.prefix(40)): \(request.status ?? 0)")
        }
      }
    }
  }
}
