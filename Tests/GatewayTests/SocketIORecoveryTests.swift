import Bytes
import Config
import EngineIO
import SocketIO
import Testing
import WebSocketCodec
import Wire

@testable import GatewayCore

@Suite struct RecoveryVectorTests {
  @Test func saysWhereAClientIsInEachChannel() {
    let places: [(ChannelName, Subscription.Since)] = [
      (channel("log:a"), .position(position("e", 7))), (channel("b"), .empty), (channel("c"), .start),
    ]
    let text = RecoveryVector.encode(places)
    #expect(text == "1;log:a=e:7;b=empty;c=start")
    #expect(RecoveryVector.decode(text, countMax: 3) == Dictionary(uniqueKeysWithValues: places))
    #expect(RecoveryVector.decode(text, countMax: 2) == nil)
    #expect(RecoveryVector.encode([]) == "1")
    #expect(RecoveryVector.decode("1", countMax: 0) == [:])
  }

  @Test func whatHasNoHistoryCanNotBeComeBackTo() {
    #expect(RecoveryVector.encode([(channel("a"), .empty), (channel("b"), .now)]) == "1!")
  }

  @Test func isBounded() {
    let many = (0..<400).map { (channel("channel:\($0)"), Subscription.Since.empty) }
    #expect(RecoveryVector.encode(many) == "1!")
    let long = "1;a=e:" + String(repeating: "1", count: RecoveryVector.bytesMax)
    #expect(RecoveryVector.decode(long, countMax: 9) == nil)
  }

  @Test(arguments: [
    "", "1!", "2;a=e:1", "1;", "1;;", "1a=e:1", "1;a", "1;a=", "1;=e:1", "1;a=e:1;a=e:2", "1;a=e:x",
    "1;a=now", "1;a=e:99999999999999999999", "hello",
  ])
  func anythingElseIsNoPosition(text: String) {
    #expect(RecoveryVector.decode(text, countMax: 9) == nil)
  }

  /// Whatever comes, it is a position or it isn't.
  @Test func rubbishIsTakenApartWithoutHarm() {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<5_000 {
      let characters = "1;=:!ae\u{e9}0"
      let count = Int.random(in: 0...12, using: &generator)
      let text = String((0..<count).compactMap { _ in characters.randomElement() })
      guard let places = RecoveryVector.decode(text, countMax: 4) else { continue }
      let again = RecoveryVector.encode(places.map { ($0, $1) })
      #expect(RecoveryVector.decode(again, countMax: 4) == places, "\(text)")
    }
  }
}

@Suite struct RecoverablePublicationTests {
  private func frames(
    _ encoding: Encoding, _ payload: Payload, _ at: Position? = nil
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    encoding.append(
      payload, position: at, timeMs: 5, publisher: Publisher(client: 0, user: ""),
      prefix: Encoding.prefix(channel("a:b")), to: &bytes)
    return bytes
  }

  private func texts(_ bytes: [UInt8]) -> [String] {
    FramedMessages(bytes).map { frame in
      switch frame {
      case .text(let text): String(decoding: text, as: UTF8.self)
      case .binary(let bytes): "\(bytes)"
      }
    }
  }

  @Test func whatIsRecoverableEndsInThePosition() {
    let at = position("e", 42)
    #expect(
      texts(frames(.recoverablePublication, Payload(json: "1"), at)) == [
        #"42["publication",{"channel":"a:b","epoch":"e","offset":42,"time":5,"data":1},"1;a:b=e:42"]"#
      ])
    #expect(
      texts(frames(.recoverableEvent, Payload(text: "x"), at)) == [#"42["a:b","x","1;a:b=e:42"]"#])
    #expect(
      texts(frames(.recoverableEvent, Payload(.binary, [7]), at)) == [
        #"451-["a:b",{"_placeholder":true,"num":0},"1;a:b=e:42"]"#, "[7]",
      ])
  }

  /// A string that stands last is taken for the client's position.
  @Test func onlyAStringHasOneBehindItWithoutAPlace() {
    #expect(
      texts(frames(.recoverablePublication, Payload(text: "x"))) == [
        #"42["publication",{"channel":"a:b","time":5,"data":"x"}]"#
      ])
    #expect(texts(frames(.recoverableEvent, Payload(json: "[\"x\"]"))) == [#"42["a:b",["x"]]"#])
    #expect(texts(frames(.recoverableEvent, Payload(text: "x"))) == [#"42["a:b","x","1!"]"#])
    #expect(texts(frames(.recoverableEvent, Payload(json: "\"x\""))) == [#"42["a:b","x","1!"]"#])
  }

  private func replaced(_ bytes: [UInt8], _ position: String = "1;b=e:1;a:b=e:42") -> [String]? {
    var output: [UInt8] = []
    return RecoveryVector.replace(in: bytes.span, by: position, into: &output) ? texts(output) : nil
  }

  @Test func aClientsOwnPositionComesInItsPlace() {
    let at = position("e", 42)
    let long = [200, 70_000].map { String(repeating: "y", count: $0) }
    for text in ["x", "1;a=e:1", "\"", "]"] + long {
      let quoted = texts(frames(.socketEvent, Payload(text: text)))[0].dropLast()
      #expect(
        replaced(frames(.recoverableEvent, Payload(text: text), at)) == [quoted + #","1;b=e:1;a:b=e:42"]"#])
      #expect(replaced(frames(.recoverableEvent, Payload(text: text))) == [quoted + #","1;b=e:1;a:b=e:42"]"#])
    }
    #expect(
      replaced(frames(.recoverableEvent, Payload(.binary, [7, 8]), at)) == [
        #"451-["a:b",{"_placeholder":true,"num":0},"1;b=e:1;a:b=e:42"]"#, "[7, 8]",
      ])
  }

  @Test func whatHasNoneStaysAsItIs() {
    #expect(replaced(frames(.recoverableEvent, Payload(json: #"{"a":"1"}"#))) == [#"42["a:b",{"a":"1"}]"#])
    #expect(replaced(frames(.recoverableEvent, Payload(json: #"["1"]"#))) == [#"42["a:b",["1"]]"#])
    var compressed: [UInt8] = []
    WebSocketFrame.append(.text, [1, 2].span, isCompressed: true, into: &compressed)
    #expect(replaced(compressed) == nil)
    #expect(replaced([0x81, 0x7E]) == nil)
  }
}

@Suite struct SocketPlacesTests {
  private func text(_ places: SocketPlaces) -> String {
    var places = places
    return places.text
  }

  @Test func followsWhatTheClientIsGiven() {
    var places = SocketPlaces()
    #expect(text(places) == "1" && !places.isAlone(channel("a")))
    var isNews = places.stand(at: .empty, in: channel("a"))
    #expect(isNews && text(places) == "1;a=empty" && places.isAlone(channel("a")))
    isNews = places.stand(at: .empty, in: channel("a"))
    #expect(!isNews)
    _ = places.text
    places.advance(to: position("e", 1), in: channel("a"))
    // One that doesn't count stays out.
    places.advance(to: position("e", 1), in: channel("other"))
    #expect(text(places) == "1;a=e:1")
    isNews = places.stand(at: .position(position("f", 3)), in: channel("b"))
    #expect(isNews && text(places) == "1;a=e:1;b=f:3" && !places.isAlone(channel("a")))
    var wasThere = places.leave(channel("a"))
    #expect(wasThere && text(places) == "1;b=f:3" && !places.contains(channel("a")))
    wasThere = places.leave(channel("a"))
    #expect(!wasThere)
    places.stand(at: .now, in: channel("c"))
    #expect(text(places) == "1!")
  }
}

@Suite struct RecoveryPIDTests {
  @Test func isReadAsItWasWrittenByTheSameUser() {
    for user in [nil, "ada", ""] {
      let pid = RecoveryPID(of: user)
      #expect(pid.text.utf8.count == 30 && pid.clientNumber != 0)
      #expect(RecoveryPID(pid.text, of: user) == pid)
      #expect(RecoveryPID(pid.text, of: "bob") == nil)
      #expect(RecoveryPID(String(pid.text.dropLast()), of: user) == nil)
    }
    #expect(RecoveryPID("", of: nil) == nil)
    #expect(RecoveryPID(of: nil) != RecoveryPID(of: nil))
  }

  /// A client keeps the last string that it saw, whatever becomes of its connection.
  @Test func knowsThePositionThatItComesAfter() throws {
    let pid = RecoveryPID(of: "ada", stale: "1;a=e:7")
    #expect(pid.text.utf8.count == 38 && pid.isStale("1;a=e:7") && !pid.isStale("1;a=e:8"))
    let again = try #require(RecoveryPID(pid.text, of: "ada"))
    #expect(again == pid && again.isStale("1;a=e:7"))
    #expect(RecoveryPID(pid.text, of: nil) == nil)
    #expect(!RecoveryPID(of: "ada").isStale(""))
    let claims = ["1;a=e:7", "1;a=e:8"].map {
      RecoveryClaim(SocketRecovery(pid: pid.text, offset: $0), of: "ada", channelsMax: 2)
    }
    #expect(claims.map { $0?.places == nil } == [true, false])
  }

  @Test func theSameSecretGivesTheSameClient() {
    let pid = RecoveryPID(of: "ada")
    #expect(RecoveryPID(pid.text, of: "ada")?.clientNumber == pid.clientNumber)
    #expect(RecoveryPID(of: "ada").clientNumber != pid.clientNumber)
  }
}

@Suite struct RecoveryClaimTests {
  private let pid = RecoveryPID(of: "ada")

  private func claim(_ offset: String?, _ user: String? = "ada") -> RecoveryClaim? {
    RecoveryClaim(SocketRecovery(pid: pid.text, offset: offset), of: user, channelsMax: 2)
  }

  @Test func namesWhoWasHereAndWhere() {
    #expect(claim("1;a=e:1")?.pid == pid)
    #expect(claim("1;a=e:1")?.places == [channel("a"): .position(position("e", 1))])
    #expect(claim("1;a=e:1", "bob") == nil)
  }

  /// The old connection ends, and the client begins anew.
  @Test func withoutAPlaceOnlyWhoWasHere() {
    for offset in [nil, "x", "1!", "1;a=e:1;b=e:1;c=e:1"] {
      #expect(claim(offset)?.pid == pid)
      #expect(claim(offset)?.places == nil)
    }
  }
}

@Suite struct ComebackTests {
  @Test func keepsNoMoreThanItsBounds() {
    var comeback = Comeback(nil, nil, "", [])
    let half = [UInt8](repeating: 0, count: Comeback.missedBytesMax / 2)
    let kept = [half, half, [1]].map { comeback.keep($0, isFinal: true) }
    #expect(kept == [true, true, false] && comeback.missed.isEmpty)
    let some = [UInt8](repeating: 0, count: Comeback.earlyBytesMax / 2)
    comeback = Comeback(nil, nil, "", [])
    #expect(comeback.early == 0)
    for _ in 0..<3 { _ = comeback.keep(some, isFinal: true) }
    #expect(comeback.early == 2)
    var notes = 0
    while comeback.keep(.gap(channel("a"), dropped: 1)) { notes += 1 }
    #expect(notes == 1_024)
  }

  @Test func theSwitchIsOffWhereAPluginHasTheMainNamespace() {
    var settings = SocketIOSettings()
    #expect(EngineRules(settings).recovers)
    settings.namespaces = [.init(name: "/other", plugin: "x")]
    #expect(EngineRules(settings).recovers)
    settings.namespaces = [.init(name: "/", plugin: "x")]
    #expect(!EngineRules(settings).recovers)
    settings.connectionStateRecovery = .init()
    #expect(EngineRules(settings).recovers)
    settings.connectionStateRecovery?.enabled = false
    settings.namespaces = []
    #expect(!EngineRules(settings).recovers)
  }
}
