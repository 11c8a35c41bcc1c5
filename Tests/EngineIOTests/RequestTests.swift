import EngineIO
import JSON
import Testing

/// What a request asks for, and the codes of the reference server.
@Suite struct RequestTests {
  private func judge(_ query: String, _ method: EngineRequest.Method = .get) -> String {
    let items = query.split(separator: "&").map { item in
      let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return (name: String(parts[0]), value: parts.count > 1 ? String(parts[1]) : "")
    }
    do throws(EngineRefusal) {
      switch try EngineRequest(query: items, method: method) {
      case .handshake(let transport): return "handshake \(transport.rawValue)"
      case .session(let id, let transport): return "\(id.reveal()) \(transport.rawValue)"
      }
    } catch {
      return "\(error.rawValue)"
    }
  }

  @Test(arguments: [
    ("EIO=4&transport=polling", EngineRequest.Method.get, "handshake polling"),
    ("EIO=4&transport=polling&t=Pxyz", .get, "handshake polling"),
    ("EIO=4&transport=websocket", .upgrade, "handshake websocket"),
    ("EIO=4&transport=polling&sid=abc-_9", .get, "abc-_9 polling"),
    ("EIO=4&transport=polling&sid=abc", .post, "abc polling"),
    ("transport=websocket&sid=abc", .upgrade, "abc websocket"),
    ("EIO=4&transport=polling&sid=", .get, "handshake polling"),
  ])
  func serves(_ query: String, _ method: EngineRequest.Method, _ expected: String) {
    #expect(judge(query, method) == expected)
  }

  @Test(arguments: [
    ("", EngineRequest.Method.get, "0"), ("EIO=4", .get, "0"), ("EIO=4&transport=abc", .get, "0"),
    ("EIO=4&transport=webtransport", .get, "0"), ("EIO=4&transport=constructor", .get, "0"),
    ("transport=polling", .get, "5"), ("EIO=abc&transport=polling", .get, "5"),
    ("EIO=3&transport=polling", .get, "5"), ("transport=websocket", .upgrade, "5"),
    ("EIO=4&transport=polling", .post, "2"), ("EIO=4&transport=polling", .other, "2"),
    ("EIO=4&transport=websocket", .get, "3"), ("EIO=4&transport=polling", .upgrade, "3"),
    ("EIO=4&transport=polling&sid=a.b", .get, "1"), ("transport=polling&sid=a%00", .get, "1"),
    ("transport=websocket&sid=abc", .get, "3"), ("transport=polling&sid=abc", .other, "3"),
    ("EIO=4&transport=polling&sid=a&sid=b", .get, "3"),
    ("EIO=4&transport=polling&transport=websocket", .get, "3"),
  ])
  func refuses(_ query: String, _ method: EngineRequest.Method, _ code: String) {
    #expect(judge(query, method) == code)
  }

  @Test func aLongSessionIDIsUnknown() {
    let name = String(repeating: "a", count: 64)
    #expect(judge("transport=polling&sid=\(name)") == "\(name) polling")
    #expect(judge("transport=polling&sid=\(name)a") == "1")
  }

  @Test func aTransportThatIsOffIsUnknown() {
    #expect(throws: EngineRefusal.unknownTransport) {
      try EngineRequest(
        query: [(name: "EIO", value: "4"), (name: "transport", value: "polling")], method: .get,
        transports: [.webSocket])
    }
  }

  @Test func refusalsSayWhatTheReferenceSays() {
    #expect(text(EngineRefusal.badRequest.body) == #"{"code":3,"message":"Bad request"}"#)
    #expect(EngineRefusal.allCases.map(\.status) == [400, 400, 400, 400, 403, 400])
  }

  @Test func theNameOfASessionIsNotPrinted() {
    let id = EngineSessionID("secret")
    #expect("\(String(describing: id))".contains("secret") == false)
    var dumped = ""
    dump(id, to: &dumped)
    #expect(!dumped.contains("secret"))
  }

  @Test func theHandshakeHasItsFiveFields() throws {
    let bench = Bench()
    guard case .answerPoll(_, let payload) = bench.actions.first else {
      Issue.record("no handshake")
      return
    }
    #expect(
      text(payload) == "0" + #"{"sid":"a-secret_name","upgrades":["websocket"],"#
        + #""pingInterval":300,"pingTimeout":200,"maxPayload":1000000}"#)
    let webSocket = Bench(.webSocket)
    #expect(webSocket.actions.map(describe).first?.contains(#""upgrades":[],"#) == true)
  }
}
