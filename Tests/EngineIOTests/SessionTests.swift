import Bytes
import EngineIO
import Testing

/// Long polling: one GET that waits, one POST that brings.
@Suite struct PollingTests {
  @Test func whatIsSentTogetherTravelsTogether() {
    var bench = Bench()
    _ = bench.said()
    #expect(bench.send("4one", "4two") == [])
    #expect(bench.poll(2) == ["poll 2: 4one 4two"])
    #expect(bench.poll(3) == [])
    #expect(bench.send("4three", "4four") == ["poll 3: 4three 4four"])
  }

  @Test func givesTheMessagesOfAPostAndThenAnswersIt() {
    var bench = Bench()
    _ = bench.said()
    #expect(
      bench.post(2, "4a\u{1E}bAQI=\u{1E}4b") == ["got a", "got <0102>", "got b", "post 2: ok"])
  }

  @Test func aPollTakesAtMostSixteenPackets() {
    var bench = Bench()
    _ = bench.said()
    for _ in 0..<20 { _ = bench.send("4x") }
    #expect(bench.poll(2)[0].split(separator: " ").count == 18)
    #expect(bench.poll(3) == ["poll 3: 4x 4x 4x 4x"])
  }

  @Test func aPollTakesOnlySoManyBytesButTheFirstPacketHoweverLarge() {
    var bench = Bench { $0.bytesPerPollMax = 10 }
    _ = bench.said()
    _ = bench.send("4abcdefghijklmnop", "4abc", "4def", "4g")
    #expect(bench.poll(2) == ["poll 2: 4abcdefghijklmnop"])
    #expect(bench.poll(3) == ["poll 3: 4abc 4def"])
    #expect(bench.poll(4) == ["poll 4: 4g"])
    #expect(bench.session.queuedBytes == 0)
  }

  @Test func binaryGoesInBase64() throws {
    var bench = Bench()
    _ = bench.said()
    try bench.session.send(.binary([1, 2, 3, 4]), &bench.actions)
    #expect(bench.poll(2) == ["poll 2: bAQIDBA=="])
  }

  @Test func twoPollsAtATimeEndTheSession() {
    var bench = Bench()
    _ = bench.poll(2)
    #expect(bench.poll(3) == ["3: 400 3", "poll 2: 1", "closed: transport error"])
    #expect(bench.poll(4) == ["4: 400 1"])
    #expect(bench.session.deadline == nil)
  }

  @Test func twoPostsAtATimeEndTheSession() {
    var bench = Bench()
    _ = bench.poll(2)
    bench.session.dataBegan(EngineCarrierID(3), .text, &bench.actions)
    bench.session.dataBegan(EngineCarrierID(4), .text, &bench.actions)
    #expect(bench.said() == ["4: 400 3", "poll 2: 1", "3: 400 3", "closed: transport error"])
  }

  @Test func aHurriedPollIsAnsweredWithANoopAndTheSessionGoesOn() {
    var bench = Bench()
    _ = bench.poll(2)
    bench.session.pollHurried(EngineCarrierID(9), &bench.actions)
    #expect(bench.said() == [], "that is no poll of this session")
    bench.session.pollHurried(EngineCarrierID(2), &bench.actions)
    #expect(bench.said() == ["poll 2: 6"])
    bench.session.pollHurried(EngineCarrierID(2), &bench.actions)
    #expect(bench.said() == [])
    #expect(bench.send("4a") == [])
    #expect(bench.session.isOpen)
    #expect(bench.poll(3) == ["poll 3: 4a"])
  }

  @Test func aHurriedPollBringsWhatWaits() throws {
    var bench = Bench()
    _ = bench.poll(2)
    try bench.session.send(.text(utf8("4a")), &bench.actions)
    bench.session.pollHurried(EngineCarrierID(2), &bench.actions)
    #expect(bench.said() == ["poll 2: 4a"])
  }

  @Test func aPollThatBreaksOffEndsTheSession() {
    var bench = Bench()
    _ = bench.poll(2)
    #expect(bench.lose(2) == ["closed: transport error"])
  }

  @Test func aPostThatBreaksOffEndsTheSession() {
    var bench = Bench()
    _ = bench.poll(2)
    bench.session.dataBegan(EngineCarrierID(3), .text, &bench.actions)
    #expect(bench.lose(3) == ["poll 2: 1", "closed: transport error"])
  }

  @Test func anAnsweredExchangeThatGoesAwayIsNoNews() {
    var bench = Bench()
    _ = bench.poll(2)
    _ = bench.send("4x")
    #expect(bench.lose(2) == [])
    #expect(bench.lose(1) == [])
    #expect(bench.session.isOpen)
  }

  @Test func aPostOfOctetsEndsTheSession() {
    var bench = Bench()
    _ = bench.said()
    bench.session.dataBegan(EngineCarrierID(2), .octetStream, &bench.actions)
    #expect(bench.said() == ["2: 400 3", "closed: transport error"])
  }

  @Test func aPostThatIsTooLargeIsRefusedAlone() {
    var bench = Bench { $0.maxHttpBufferSize = 4 }
    _ = bench.said()
    #expect(bench.post(2, "4abcd") == ["2: 413"])
    bench.session.dataBegan(EngineCarrierID(3), .text, &bench.actions)
    bench.session.dataTooBig(EngineCarrierID(3), &bench.actions)
    #expect(bench.said() == ["3: 413"])
    #expect(bench.post(4, "4abc") == ["got abc", "post 4: ok"])
  }

  @Test func aFaultInAPostEndsTheSessionAfterWhatCameBeforeIt() {
    var bench = Bench()
    _ = bench.poll(2)
    #expect(
      bench.post(3, "4a\u{1E}x\u{1E}4b")
        == ["got a", "poll 2: 1", "3: 400 3", "closed: parse error"])
  }

  @Test func theClientsCloseIsAnsweredOnBothExchanges() {
    var bench = Bench()
    _ = bench.poll(2)
    #expect(
      bench.post(3, "4a\u{1E}1\u{1E}4b")
        == ["got a", "post 3: ok", "poll 2: 6", "closed: transport close"])
  }

  @Test func aFullQueueEndsTheSession() {
    var bench = Bench { $0.queuedPacketsMax = 2 }
    _ = bench.said()
    #expect(bench.send("4a", "4b") == [])
    #expect(throws: EngineSendError.overflow) {
      try bench.session.send(.text(utf8("4c")), &bench.actions)
    }
    #expect(bench.said() == ["closed: queue overflow"])
    #expect(throws: EngineSendError.notOpen) {
      try bench.session.send(.text(utf8("4d")), &bench.actions)
    }
  }

  @Test func theQueueIsBoundedInBytesOnTheWire() throws {
    var bench = Bench { $0.queuedBytesMax = 18 }
    try bench.session.send(.binary([1, 2, 3, 4]), &bench.actions)
    #expect(bench.session.queuedBytes == 10)
    try bench.session.send(.text(utf8("4abcdef")), &bench.actions)
    #expect(bench.session.queuedBytes == 18)
    _ = bench.poll(2)
    #expect(bench.session.queuedBytes == 0)
    #expect(throws: EngineSendError.overflow) {
      try bench.session.send(.binary([UInt8](repeating: 0, count: 13)), &bench.actions)
    }
  }

  @Test func textThatAPayloadCantCarryIsRefusedAlone() {
    var bench = Bench()
    #expect(throws: EngineSendError.notCarried) {
      try bench.session.send(.text(utf8("4a\u{1E}4b")), &bench.actions)
    }
    #expect(bench.session.isOpen)
    var socket = Bench(.webSocket)
    _ = socket.said()
    #expect(socket.send("4a\u{1E}4b") == ["socket 1: 4a\u{1E}4b"])
  }

  @Test func volatileFramesNeedAPollThatWaits() throws {
    var bench = Bench()
    #expect(try !bench.session.sendVolatile([.text(utf8("4a"))], &bench.actions))
    _ = bench.poll(2)
    #expect(try bench.session.sendVolatile([.text(utf8("4b")), .binary([1])], &bench.actions))
    bench.session.flush(&bench.actions)
    #expect(bench.said() == ["poll 2: 4b bAQ=="])
    #expect(try !bench.session.sendVolatile([.text(utf8("4c"))], &bench.actions))
  }
}

@Suite struct WebSocketTests {
  @Test func carriesTextAndBinaryBothWays() throws {
    var bench = Bench(.webSocket)
    _ = bench.said()
    #expect(bench.session.directSocket == EngineCarrierID(1))
    #expect(bench.frame(1, "4hello") == ["got hello"])
    bench.session.socketReceived(
      binary: [4, 5], from: EngineCarrierID(1), now: bench.now, &bench.actions)
    #expect(bench.said() == ["got <0405>"])
    try bench.session.send(.binary([6]), &bench.actions)
    #expect(bench.said() == ["socket 1: <06>"])
  }

  @Test(arguments: [
    ("abc", "parse error"), ("", "parse error"), ("7", "parse error"), ("b", "parse error"),
    ("1", "transport close"), ("2", "transport error"), ("2probe", "transport error"),
  ])
  func endsWith(_ frame: String, _ reason: String) {
    var bench = Bench(.webSocket)
    _ = bench.said()
    #expect(bench.frame(1, frame) == ["socket 1: close", "closed: \(reason)"])
    #expect(bench.frame(1, "4late") == [])
  }

  @Test(arguments: ["0", "5", "6"]) func passesOver(_ frame: String) {
    var bench = Bench(.webSocket)
    _ = bench.said()
    #expect(bench.frame(1, frame) == [])
    #expect(bench.session.isOpen)
  }

  @Test func itsLossIsACloseOrAnError() {
    var closed = Bench(.webSocket)
    _ = closed.said()
    #expect(closed.lose(1) == ["socket 1: close", "closed: transport close"])
    var failed = Bench(.webSocket)
    _ = failed.said()
    #expect(failed.lose(1, .failed) == ["socket 1: close", "closed: transport error"])
  }

  @Test func refusesExchangesWithoutBeingDisturbed() {
    var bench = Bench(.webSocket)
    _ = bench.said()
    #expect(bench.poll(2) == ["2: 400 3"])
    #expect(bench.post(3, "4a") == ["3: 400 3"])
    #expect(bench.socket(4) == ["socket 4: close"])
    #expect(bench.frame(4, "4a") == [])
    #expect(bench.session.isOpen)
  }
}

@Suite struct HeartbeatTests {
  @Test func pingsAndWaitsForThePong() {
    var bench = Bench()
    _ = bench.poll(2)
    for round in UInt64(0)..<3 {
      #expect(bench.wait(299) == [])
      #expect(bench.wait(1) == ["poll \(2 + round): 2"])
      #expect(bench.wait(199) == [])
      #expect(bench.post(100 + round, "3") == ["post \(100 + round): ok"])
      _ = bench.poll(3 + round)
    }
  }

  @Test func aMissingPongEndsTheSession() {
    var bench = Bench(.webSocket)
    _ = bench.said()
    #expect(bench.wait(499) == ["socket 1: 2"])
    #expect(bench.wait(1) == ["socket 1: close", "closed: ping timeout"])
  }

  @Test func aClientThatNeverPollsTimesOutToo() {
    var bench = Bench()
    _ = bench.said()
    #expect(bench.wait(500) == ["closed: ping timeout"])
  }

  @Test func messagesAreNoPong() {
    var bench = Bench(.webSocket)
    _ = bench.said()
    _ = bench.wait(400)
    _ = bench.frame(1, "4still here")
    #expect(bench.wait(100) == ["socket 1: close", "closed: ping timeout"])
  }

  @Test func callingEarlyDoesNothing() {
    var bench = Bench()
    _ = bench.said()
    bench.session.deadlineReached(now: bench.now, &bench.actions)
    #expect(bench.said() == [])
  }
}
