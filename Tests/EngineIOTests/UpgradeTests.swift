import EngineIO
import Testing

/// From polling to a WebSocket, and what keeps it from happening.
@Suite struct UpgradeTests {
  /// A session whose WebSocket, number 10, was probed.
  private func probed(_ change: (inout EngineSettings) -> Void = { _ in }) -> Bench {
    var bench = Bench(.polling, change)
    _ = bench.socket(10)
    _ = bench.frame(10, "2probe")
    _ = bench.said()
    return bench
  }

  @Test func theWholeWay() {
    var bench = Bench()
    _ = bench.poll(2)
    #expect(bench.socket(10) == [])
    #expect(bench.frame(10, "2probe") == ["socket 10: 3probe", "poll 2: 6"])
    #expect(bench.send("4kept") == [])
    #expect(bench.frame(10, "5") == ["upgraded to 10", "socket 10: 4kept"])
    #expect(bench.session.transport == .webSocket)
    #expect(bench.send("4now") == ["socket 10: 4now"])
    #expect(bench.frame(10, "4hello") == ["got hello"])
    #expect(bench.poll(3) == ["3: 400 3"])
    #expect(bench.socket(11) == ["socket 11: close"])
    #expect(bench.session.isOpen)
  }

  @Test func aPollDuringTheProbeIsLetGoAtOnce() {
    var bench = probed()
    #expect(bench.poll(2) == ["poll 2: 6"])
    #expect(bench.poll(3) == ["poll 3: 6"])
    _ = bench.send("4waiting")
    #expect(bench.poll(4) == ["poll 4: 4waiting"])
  }

  @Test func nothingIsSentOnTheWebSocketBeforeTheEnd() {
    var bench = probed()
    #expect(bench.send("4a") == [])
    #expect(bench.session.directSocket == nil)
    #expect(!bench.session.isWritable)
  }

  @Test(arguments: ["5", "4hello", "2", "2other", "abc", "3probe", ""])
  func aWebSocketThatSaysElseThanTheProbeIsClosedAlone(_ frame: String) {
    var bench = Bench()
    _ = bench.poll(2)
    _ = bench.socket(10)
    #expect(bench.frame(10, frame) == ["socket 10: close"])
    #expect(bench.send("4on") == ["poll 2: 4on"])
    #expect(bench.socket(11) == [])
  }

  @Test(arguments: ["4hello", "2probe", "1", "abc"])
  func aProbedWebSocketThatSaysElseThanTheUpgradeIsClosedAlone(_ frame: String) {
    var bench = probed()
    #expect(bench.frame(10, frame) == ["socket 10: close"])
    _ = bench.poll(2)
    #expect(bench.send("4on") == ["poll 2: 4on"])
  }

  @Test func binaryBeforeTheUpgradeClosesTheWebSocketAlone() {
    var bench = probed()
    bench.session.socketReceived(
      binary: [1], from: EngineCarrierID(10), now: bench.now, &bench.actions)
    #expect(bench.said() == ["socket 10: close"])
    #expect(bench.session.isOpen)
  }

  @Test func aSecondWebSocketIsTurnedAway() {
    var bench = probed()
    #expect(bench.socket(11) == ["socket 11: close"])
    #expect(bench.frame(11, "5") == [])
    #expect(bench.frame(10, "5") == ["upgraded to 10"])
  }

  /// Row 80: the WebSocket that breaks its own protocol takes nothing else with it.
  @Test func aWebSocketLostOnTheWayLeavesTheSessionWhereItWas() {
    for loss in [EngineSession.Loss.closed, .failed] {
      var bench = probed()
      #expect(bench.lose(10, loss) == [])
      _ = bench.poll(2)
      #expect(bench.send("4on") == ["poll 2: 4on"])
    }
  }

  @Test func takesOnlySoLong() {
    var bench = Bench {
      $0.pingInterval = .seconds(60)
      $0.upgradeTimeout = .seconds(10)
    }
    _ = bench.said()
    _ = bench.socket(10)
    _ = bench.wait(9_000)
    _ = bench.frame(10, "2probe")
    #expect(bench.wait(1_000) == ["socket 10: close"])
    #expect(bench.frame(10, "5") == [])
    #expect(bench.session.transport == .polling)
  }

  @Test func isNotOfferedNorTakenWhereItIsOff() {
    var bench = Bench { $0.allowUpgrades = false }
    #expect(bench.said().first?.contains(#""upgrades":[]"#) == true)
    #expect(bench.socket(10) == ["socket 10: close"])
  }

  @Test func aPingOfTheOldTransportMayBeAnsweredOnTheNew() {
    var bench = Bench()
    _ = bench.poll(2)
    #expect(bench.wait(300) == ["poll 2: 2"])
    _ = bench.socket(10)
    _ = bench.frame(10, "2probe")
    _ = bench.wait(100)
    _ = bench.frame(10, "5")
    _ = bench.wait(199)
    #expect(bench.frame(10, "3") == [])
    #expect(bench.wait(299) == [])
    #expect(bench.wait(1) == ["socket 10: 2"])
  }

  @Test func aPingLeftUnansweredOverTheUpgradeStillTimesOut() {
    var bench = Bench()
    _ = bench.poll(2)
    _ = bench.wait(300)
    _ = bench.socket(10)
    _ = bench.frame(10, "2probe")
    _ = bench.frame(10, "5")
    #expect(bench.wait(200) == ["socket 10: close", "closed: ping timeout"])
  }

  @Test func exchangesOpenAtTheEndOfItAreAnswered() {
    var bench = Bench()
    _ = bench.socket(10)
    _ = bench.frame(10, "2probe")
    bench.session.dataBegan(EngineCarrierID(3), .text, &bench.actions)
    _ = bench.said()
    #expect(bench.frame(10, "5") == ["3: 400 3", "upgraded to 10"])
    bench.session.dataEnded(EngineCarrierID(3), utf8("4a").span, now: bench.now, &bench.actions)
    #expect(bench.said() == [])
  }
}

@Suite struct ClosingTests {
  @Test func overAWaitingPollItIsDoneAtOnce() {
    var bench = Bench()
    _ = bench.poll(2)
    #expect(bench.close() == ["poll 2: 1", "closed: forced close"])
  }

  @Test func withoutAPollItWaitsForOneAndLosesNothing() {
    var bench = Bench()
    _ = bench.said()
    for _ in 0..<20 { _ = bench.send("4x") }
    #expect(bench.close() == [])
    #expect(!bench.session.isOpen)
    #expect(bench.post(2, "4ignored") == ["post 2: ok"])
    #expect(bench.poll(3)[0].split(separator: " ").count == 17)
    #expect(bench.poll(4) == ["poll 4: 4x 4x 4x 4x 4x 1", "closed: forced close"])
  }

  @Test func waitsForAPollOnlySoLong() {
    var bench = Bench {
      $0.pingInterval = .seconds(60)
      $0.closeTimeout = .seconds(30)
    }
    _ = bench.said()
    _ = bench.close()
    #expect(bench.wait(29_999) == [])
    #expect(bench.wait(1) == ["closed: forced close"])
  }

  @Test func onAWebSocketItIsDoneAtOnce() {
    var bench = Bench(.webSocket)
    _ = bench.said()
    #expect(bench.close() == ["socket 1: close", "closed: forced close"])
    #expect(bench.close() == [])
  }

  @Test func duringAnUpgradeItEndsWithIt() {
    var bench = Bench()
    _ = bench.socket(10)
    _ = bench.frame(10, "2probe")
    _ = bench.send("4last")
    _ = bench.said()
    #expect(bench.close() == [])
    #expect(
      bench.frame(10, "5")
        == ["upgraded to 10", "socket 10: 4last", "socket 10: close", "closed: forced close"])
  }

  @Test func terminatingDropsWhatWaits() {
    var bench = Bench()
    _ = bench.socket(10)
    _ = bench.send("4lost")
    bench.session.terminate(.transportError, &bench.actions)
    #expect(bench.said() == ["socket 10: close", "closed: transport error"])
    bench.session.terminate(.transportError, &bench.actions)
    #expect(bench.said() == [])
  }
}
