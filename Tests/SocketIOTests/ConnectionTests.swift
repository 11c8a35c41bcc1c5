import Bytes
import SocketIO
import Testing

/// Namespaces: asked for, accepted, left.
@Suite struct NamespaceTests {
  @Test func aClientAsksAndIsLetIn() {
    var bench = Bench()
    #expect(bench.says(#"0{"token":"123"}"#) == [#"asks for / {"token":"123"}"#])
    #expect(!bench.connection.isConnected(.main))
    #expect(bench.accept(sid: "abc") == [#"send 40{"sid":"abc"}"#])
    #expect(bench.connection.isConnected(.main))
    #expect(bench.says(#"2["message",1]"#) == ["event / message(1)"])
  }

  @Test func aClientIsTurnedAwayAndMayAskAgain() {
    var bench = Bench()
    #expect(bench.says("0/random") == ["asks for /random"])
    bench.connection.refuse(
      namespace("/random"), message: "Invalid namespace", &bench.actions)
    #expect(bench.said() == [#"send 44/random,{"message":"Invalid namespace"}"#])
    #expect(bench.says("0/random,") == ["asks for /random"])
    bench.connection.refuse(
      namespace("/random"), message: "no", data: utf8(#"{"code":1}"#), &bench.actions)
    #expect(bench.said() == [#"send 44/random,{"message":"no","data":{"code":1}}"#])
  }

  @Test func whoMayComeBackIsToldItsSecret() {
    var bench = Bench()
    _ = bench.says(#"0{"pid":"p","offset":"o"}"#)
    let isIn = bench.connection.accept(.main, sid: "s", pid: "p", &bench.actions)
    #expect(isIn)
    #expect(bench.said() == [#"send 40{"sid":"s","pid":"p"}"#])
  }

  @Test func manyNamespacesShareTheSession() {
    var bench = Bench.connected("/", "/custom")
    #expect(bench.says(#"2["a"]"#, #"2/custom,["b"]"#) == ["event / a()", "event /custom b()"])
    #expect(bench.says("1/custom") == ["left /custom: client namespace disconnect"])
    #expect(bench.says(#"2["message","m"]"#) == ["event / message('m')"])
    #expect(bench.connection.namespaces == [.main])
  }

  @Test func leavingAllOfThemIsNoReasonToClose() {
    var bench = Bench.connected("/")
    #expect(bench.says("1") == ["left /: client namespace disconnect"])
    #expect(bench.wait(600) == [])
    #expect(bench.says("0") == ["asks for /"])
  }

  @Test func theyAreBounded() {
    var bench = Bench { $0.namespacesMax = 2 }
    _ = bench.says("0/a", "0/b")
    #expect(bench.says("0/c") == [#"send 44/c,{"message":"Too many namespaces"}"#])
    #expect(!bench.connection.isClosed)
  }

  @Test func noneInTimeEndsTheConnection() {
    var bench = Bench()
    #expect(bench.wait(44) == [])
    #expect(bench.wait(1) == ["close connectTimeout"])
    var asked = Bench()
    _ = asked.says("0")
    #expect(asked.wait(45) == ["close connectTimeout"])
    var connected = Bench.connected("/")
    #expect(connected.connection.deadline == nil)
    #expect(connected.wait(100) == [])
  }

  @Test(arguments: [
    "0", #"0{"a":1}"#, #"4{"message":"x"}"#, "1/other", #"2/other,["a"]"#, #"3/other,1[]"#,
  ])
  func aPacketThatHasNoPlaceEndsTheConnection(_ written: String) {
    var bench = Bench.connected("/")
    #expect(
      bench.says(written) == ["left /: forced server close", "close unexpectedPacket"])
    #expect(bench.says(#"2["late"]"#) == [])
    #expect(bench.connection.deadline == nil)
  }

  @Test func aNamespaceThatWasOnlyAskedForIsNotConnected() {
    for written in ["0", "1", #"2["a"]"#, "30[]"] {
      var bench = Bench()
      _ = bench.says("0")
      #expect(bench.says(written) == ["close unexpectedPacket"])
      let isIn = bench.connection.accept(.main, sid: "s", &bench.actions)
      #expect(!isIn)
      #expect(bench.said() == [])
    }
  }

  @Test func nobodyIsLetInWhoDidNotAsk() {
    var bench = Bench()
    let isIn = bench.connection.accept(.main, sid: "s", &bench.actions)
    #expect(!isIn)
    bench.connection.refuse(.main, message: "x", &bench.actions)
    #expect(bench.said() == [])
    var twice = Bench.connected("/")
    let isInTwice = twice.connection.accept(.main, sid: "s", &twice.actions)
    #expect(!isInTwice)
  }

  @Test(arguments: ["abc", "", "2{}", #"2abc["message-with-ack",1]"#, #"2["disconnect"]"#])
  func whatIsNoPacketEndsTheConnection(_ written: String) {
    var bench = Bench.connected("/", "/a")
    let said = bench.says(written)
    #expect(said.prefix(2) == ["left /: forced close", "left /a: forced close"])
    #expect(said.count == 3 && said[2].hasPrefix("close "))
  }

  @Test func putOutByTheServer() {
    var bench = Bench.connected("/", "/a")
    bench.connection.disconnect(.main, &bench.actions)
    #expect(bench.said() == ["send 41", "left /: server namespace disconnect"])
    // The client did not know yet.
    #expect(bench.says(#"2["in flight"]"#, "30[]", "1") == [])
    #expect(bench.says(#"2/a,["b"]"#) == ["event /a b()"])
    #expect(bench.says("0") == ["asks for /"])
    #expect(bench.says(#"2["a"]"#).last == "close unexpectedPacket")
  }

  @Test func putOutOfAllByTheServer() {
    var bench = Bench.connected("/", "/a")
    bench.connection.disconnectAll(&bench.actions)
    #expect(
      bench.said() == [
        "send 41", "left /: server namespace disconnect", "send 41/a,",
        "left /a: server namespace disconnect", "close",
      ])
  }

  @Test func closingForAShutdownLetsClientsComeBack() {
    var bench = Bench.connected("/")
    bench.connection.close(.serverShuttingDown, &bench.actions)
    #expect(bench.said() == ["left /: server shutting down", "close"])
    #expect(SocketDisconnectReason.serverShuttingDown.isRecoverable)
    bench.connection.close(.forcedServerClose, &bench.actions)
    #expect(bench.said() == [])
  }

  @Test func theEndOfTheSessionIsToldToEachNamespace() {
    var bench = Bench.connected("/", "/a")
    _ = bench.says("0/asked")
    bench.connection.sessionEnded(.pingTimeout, &bench.actions)
    #expect(bench.said() == ["left /: ping timeout", "left /a: ping timeout"])
    #expect(throws: SocketSendError.notConnected) {
      try bench.connection.emit(event("a"), in: .main, &bench.actions)
    }
  }

  @Test func onlyWhatTheClientDidNotWantIsRecoverable() {
    let final = SocketDisconnectReason.allCases.filter { !$0.isRecoverable }
    #expect(final == [.parseError, .clientNamespaceDisconnect, .serverNamespaceDisconnect])
  }
}

/// Acknowledgements, both ways.
@Suite struct AcknowledgementTests {
  /// The answer of the last event in `actions`.
  private func lastAnswer(_ actions: [SocketAction]) -> SocketAnswer? {
    guard case .event(_, _, let answer) = actions.last else { return nil }
    return answer
  }

  @Test func theServerAnswersOnce() throws {
    var bench = Bench.connected("/a")
    bench.connection.received(
      text: utf8(#"2/a,456["message-with-ack",1]"#).span, now: bench.now, &bench.actions)
    let answer = try #require(lastAnswer(bench.actions))
    #expect(bench.said() == ["event /a message-with-ack(1) answer"])
    #expect(bench.connection.answer(answer, with: acknowledgement("1"), &bench.actions))
    #expect(bench.said() == ["send 43/a,456[1]"])
    #expect(!bench.connection.answer(answer, with: acknowledgement("2"), &bench.actions))
    #expect(bench.said() == [])
  }

  @Test func anAnswerIsForTheStayItWasAskedIn() throws {
    var bench = Bench.connected("/")
    bench.connection.received(text: utf8(#"27["a"]"#).span, now: bench.now, &bench.actions)
    let answer = try #require(lastAnswer(bench.actions))
    _ = bench.says("1", "0")
    _ = bench.accept()
    #expect(bench.says(#"27["a"]"#) == ["event / a() answer"])
    #expect(!bench.connection.answer(answer, with: acknowledgement(), &bench.actions))
    #expect(bench.said() == [])
  }

  @Test func anIDThatStillWaitsEndsTheConnection() {
    var bench = Bench.connected("/", "/a")
    #expect(bench.says(#"27["a"]"#, #"2/a,7["a"]"#).count == 2)
    #expect(bench.says(#"27["b"]"#).last == "close ackIDInUse")
  }

  @Test func anIDMayBeUsedAgainOnceAnswered() throws {
    var bench = Bench.connected("/")
    for _ in 0..<200 {
      bench.connection.received(text: utf8(#"27["a"]"#).span, now: bench.now, &bench.actions)
      let answer = try #require(lastAnswer(bench.actions))
      #expect(bench.connection.answer(answer, with: acknowledgement(), &bench.actions))
      bench.now += second
    }
    #expect(bench.said().count == 400)
    _ = bench.wait(120)
    #expect(bench.connection.deadline == nil)
  }

  @Test func anIDThatIsUsedAgainHasADeadlineOfItsOwn() throws {
    var bench = Bench.connected("/") { $0.answerTimeout = .seconds(10) }
    bench.connection.received(text: utf8(#"27["a"]"#).span, now: bench.now, &bench.actions)
    let first = try #require(lastAnswer(bench.actions))
    #expect(bench.connection.answer(first, with: acknowledgement(), &bench.actions))
    _ = bench.wait(5)
    bench.connection.received(text: utf8(#"27["b"]"#).span, now: bench.now, &bench.actions)
    let second = try #require(lastAnswer(bench.actions))
    _ = bench.wait(9)
    #expect(bench.connection.answer(second, with: acknowledgement(), &bench.actions))
  }

  @Test func unansweredEventsAreBounded() {
    var bench = Bench.connected("/") { $0.unansweredMax = 2 }
    #expect(bench.says(#"20["a"]"#, #"21["a"]"#, #"2["a"]"#).count == 3)
    #expect(bench.says(#"22["a"]"#).last == "close tooManyUnanswered")
  }

  @Test func anAnswerThatTookTooLongIsNotSent() throws {
    var bench = Bench.connected("/") { $0.answerTimeout = .seconds(10) }
    bench.connection.received(text: utf8(#"27["a"]"#).span, now: bench.now, &bench.actions)
    let answer = try #require(lastAnswer(bench.actions))
    _ = bench.wait(10)
    #expect(!bench.connection.answer(answer, with: acknowledgement(), &bench.actions))
    #expect(bench.connection.deadline == nil)
    #expect(bench.says(#"27["a"]"#) == ["event / a() answer"])
  }

  @Test func theClientAnswers() throws {
    var bench = Bench.connected("/", "/a")
    let first = try bench.connection.ask(
      event("q"), in: namespace("/a"), within: .seconds(5), now: bench.now, &bench.actions)
    let then = try bench.connection.ask(
      event("r", "1"), in: .main, within: .seconds(5), now: bench.now, &bench.actions)
    #expect(bench.said() == [#"send 42/a,0["q"]"#, #"send 421["r",1]"#])
    #expect(first != then)
    #expect(bench.says(#"31["ok"]"#, #"31["twice"]"#) == ["ack / 1 ('ok')"])
    #expect(bench.says("30[]", "399[]") == [])
    #expect(bench.says("3/a,0[]") == ["ack /a 0 ()"])
    #expect(bench.connection.deadline == nil)
  }

  @Test func theClientDoesNotAnswerInTime() throws {
    var bench = Bench.connected("/")
    for seconds in [9, 3, 6] {
      _ = try bench.connection.ask(
        event("q"), in: .main, within: .seconds(seconds), now: bench.now, &bench.actions)
    }
    _ = bench.said()
    #expect(bench.wait(2) == [])
    #expect(bench.wait(1) == ["no ack / 1"])
    #expect(bench.wait(6) == ["no ack / 2", "no ack / 0"])
    #expect(bench.says(#"31["late"]"#) == [])
  }

  @Test func whoLeavesAnswersNoMore() throws {
    var bench = Bench.connected("/", "/a")
    for name in ["/", "/a"] {
      _ = try bench.connection.ask(
        event("q"), in: namespace(name), within: .seconds(5), now: bench.now, &bench.actions)
    }
    _ = bench.said()
    #expect(bench.says("1") == ["no ack / 0", "left /: client namespace disconnect"])
    _ = bench.says("0")
    _ = bench.accept()
    _ = try bench.connection.ask(
      event("again"), in: .main, within: .seconds(5), now: bench.now, &bench.actions)
    #expect(bench.said() == [#"send 422["again"]"#])
    #expect(bench.says("30[]") == [])
    bench.connection.sessionEnded(.transportClose, &bench.actions)
    #expect(
      bench.said() == [
        "no ack /a 1", "left /a: transport close", "no ack / 2", "left /: transport close",
      ])
  }

  @Test func whatIsAskedIsBounded() throws {
    var bench = Bench.connected("/") { $0.asksMax = 1 }
    _ = try bench.connection.ask(
      event("q"), in: .main, within: .seconds(5), now: bench.now, &bench.actions)
    #expect(throws: SocketSendError.tooManyAsks) {
      try bench.connection.ask(
        event("q"), in: .main, within: .seconds(5), now: bench.now, &bench.actions)
    }
    #expect(throws: SocketSendError.notConnected) {
      try bench.connection.ask(
        event("q"), in: namespace("/b"), within: .seconds(5), now: bench.now, &bench.actions)
    }
  }
}

/// Attachments that are owed.
@Suite struct CollectingTests {
  private static let two =
    #"52-["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#

  @Test func theEventComesWithItsLastAttachment() {
    var bench = Bench.connected("/")
    #expect(bench.says(Self.two) == [])
    #expect(bench.sends([1, 2, 3]) == [])
    #expect(bench.sends([4, 5, 6]) == ["event / m(<010203>, <040506>)"])
    #expect(bench.connection.deadline == nil)
  }

  @Test func theyAreWaitedForOnlySoLong() {
    var bench = Bench.connected("/")
    _ = bench.says(Self.two)
    #expect(bench.wait(19) == [])
    _ = bench.sends([1])
    #expect(bench.wait(19) == [])
    #expect(bench.wait(1) == ["left /: forced close", "close attachmentTimeout"])
    #expect(bench.connection.heldBytes == 0)
  }

  @Test func textBetweenThemEndsTheConnection() {
    var bench = Bench.connected("/")
    _ = bench.says(Self.two)
    #expect(bench.says(#"2["x"]"#).last == "close attachmentOwed")
    #expect(bench.sends([1]) == [])
  }

  @Test func binaryOutOfNowhereEndsTheConnection() {
    var bench = Bench.connected("/")
    #expect(bench.sends([1]) == ["left /: forced close", "close unexpectedBinary"])
  }

  /// They are collected before anybody asks whose they are; they cost no more than any packet.
  @Test func theyDontHelpAPacketThatHasNoPlace() {
    var bench = Bench()
    _ = bench.says(#"51-/b,["m",{"_placeholder":true,"num":0}]"#)
    #expect(bench.sends([1]) == ["close unexpectedPacket"])
  }
}
