import Bytes
import Testing
import WebSocketCodec

@Suite struct CloseTests {
  @Test func onlySomeCodesMayBeSent() {
    let valid = (UInt16.min...UInt16.max).filter { WebSocketCloseCode($0).isValidOnWire }
    #expect(valid == Array(1000...1003) + Array(1007...1014) + Array(3000...4999))
  }

  @Test func writesCodeAndReason() {
    var output: [UInt8] = []
    WebSocketFrame.close(.goingAway, reason: "bye", into: &output)
    #expect(read([output], role: .client) == [.event(.close(.goingAway, reason: "bye"))])
    output = []
    WebSocketFrame.close(nil, into: &output)
    #expect(output == [0x88, 0x00])
    #expect(read([output], role: .client) == [.event(.close(nil, reason: ""))])
  }

  @Test func cutsALongReasonAtACharacter() {
    var output: [UInt8] = []
    WebSocketFrame.close(.normal, reason: String(repeating: "€", count: 50), into: &output)
    #expect(output[1] == 125)
    output = []
    WebSocketFrame.close(.normal, reason: "a" + String(repeating: "€", count: 50), into: &output)
    let reason = "a" + String(repeating: "€", count: 40)
    #expect(read([output], role: .client) == [.event(.close(.normal, reason: reason))])
  }
}

/// Reliability catalogue, row 78.
@Suite struct HandshakeTests {
  private static let good: [(String, String)] = [
    ("upgrade", "websocket"), ("connection", "keep-alive, Upgrade"),
    ("sec-websocket-version", "13"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
  ]

  private func outcome(
    _ changes: [(String, String?)] = [], method: String = "GET", isHTTP11: Bool = true,
    hasBody: Bool = false, more: [(String, String)] = []
  ) -> WebSocketHandshake.Outcome {
    var fields = Self.good
    for (name, value) in changes {
      fields.removeAll { $0.0 == name }
      if let value { fields.append((name, value)) }
    }
    fields += more
    func values(_ name: String) -> [String] { fields.filter { $0.0 == name }.map(\.1) }
    func only(_ name: String) -> String? { values(name).count == 1 ? values(name)[0] : nil }
    func names(_ token: String, _ name: String) -> Bool {
      values(name).contains { value in
        value.lowercased().split(separator: ",").contains {
          $0.drop { $0 == " " || $0 == "\t" } == token
        }
      }
    }
    return WebSocketHandshake.validate(
      .init(
        method: method, isHTTP11: isHTTP11, hasBody: hasBody,
        namesWebSocket: names("websocket", "upgrade"), namesUpgrade: names("upgrade", "connection"),
        version: only("sec-websocket-version"), key: only("sec-websocket-key")))
  }

  private func status(_ outcome: WebSocketHandshake.Outcome) -> Int {
    if case .reject(let status, _, _) = outcome { status } else { 101 }
  }

  @Test func acceptsAProperRequest() {
    #expect(outcome() == .accept(key: "dGhlIHNhbXBsZSBub25jZQ=="))
    #expect(status(outcome([("upgrade", "WebSocket"), ("connection", "UPGRADE")])) == 101)
  }

  @Test func refusesEverythingElse() {
    #expect(status(outcome(method: "POST")) == 400)
    #expect(status(outcome(isHTTP11: false)) == 400)
    #expect(status(outcome(hasBody: true)) == 400)
    #expect(status(outcome([("connection", "keep-alive")])) == 400)
    #expect(status(outcome([("connection", nil)])) == 400)
    #expect(status(outcome([("upgrade", "h2c")])) == 426)
    #expect(status(outcome([("upgrade", nil)])) == 426)
    for key in [
      nil, "", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "AAAA", "not base64!",
      "dGhlIHNhbXBsZSBub25jZSE=", String(repeating: "A", count: 24),
    ] {
      #expect(status(outcome([("sec-websocket-key", key)])) == 400, "\(key ?? "no key")")
    }
    let second = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    #expect(status(outcome(more: [second])) == 400)
  }

  @Test func namesItsVersionToOthers() {
    for version in [nil, "8", "12", "14", "013", "13, 8"] {
      guard case .reject(426, _, let fields) = outcome([("sec-websocket-version", version)]) else {
        Issue.record("\(version ?? "none") is not answered with 426")
        continue
      }
      #expect(fields == [.init(name: "Sec-WebSocket-Version", value: "13")])
    }
  }

  @Test func givesWhatToHash() {
    #expect(
      String(
        decoding: WebSocketHandshake.acceptInput(key: "dGhlIHNhbXBsZSBub25jZQ=="), as: UTF8.self)
        == "dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
  }

  @Test func listsOfferedProtocolsInOrder() {
    #expect(WebSocketHandshake.offeredProtocols(["a, b", " ,c\t"]) == ["a", "b", "c"])
  }

  @Test func aClientChecksTheAnswer() {
    let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    let answer = ["upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": accept]
    let isAccepted = { (status: Int, changes: [String: String]) in
      WebSocketHandshake.isAccepted(status: status, accept: accept) { name in
        (changes[name] ?? answer[name]).map { [$0] } ?? []
      }
    }
    #expect(isAccepted(101, [:]))
    #expect(!isAccepted(200, [:]))
    #expect(!isAccepted(101, ["sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo"]))
    #expect(!isAccepted(101, ["upgrade": "h2c"]))
    #expect(!isAccepted(101, ["sec-websocket-extensions": "permessage-deflate"]))
  }
}
