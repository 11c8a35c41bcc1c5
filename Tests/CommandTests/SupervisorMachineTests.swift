import Client
import Platform
import Testing

@testable import CommandCore

/// Time in these tests: milliseconds since the machine began.
private func at(_ ms: UInt64) -> Instant { Instant(nanoseconds: (1000 + ms) * 1_000_000) }

private let publicAddress = SocketAddress.tcp(host: "127.0.0.1", port: 0)

/// A machine whose four services are ready at 100 ms, the gateway on port 4000.
private func readyMachine() -> SupervisorMachine {
  var machine = SupervisorMachine(publicAddress: publicAddress)
  _ = machine.begin(now: at(0))
  _ = machine.printed("ready unix:/d/run/hub.sock", by: .hub, now: at(100))
  _ = machine.printed("ready unix:/d/run/eventstore.sock", by: .eventstore, now: at(100))
  _ = machine.printed("ready unix:/d/run/presence.sock", by: .presence, now: at(100))
  _ = machine.printed("listening http://127.0.0.1:4000", by: .gateway, now: at(100))
  _ = machine.printed("ready http://127.0.0.1:4000", by: .gateway, now: at(100))
  return machine
}

extension [SupervisorMachine.Action] {
  fileprivate var reports: [String] {
    compactMap { if case .report(let line) = $0 { line } else { nil } }
  }
  fileprivate var withoutReports: [SupervisorMachine.Action] {
    filter { if case .report = $0 { false } else { true } }
  }
}

@Suite struct SupervisorStartTests {
  @Test func startsAllServicesAtOnce() {
    var machine = SupervisorMachine(publicAddress: publicAddress)
    let actions = machine.begin(now: at(0))
    #expect(actions.count == 4)
    for service in SupervisedService.allCases {
      #expect(actions.contains(.start(service, publicAddress: publicAddress)))
    }
    #expect(machine.nextDeadline == nil)
  }

  @Test func saysOncePerServiceThatItIsReady() {
    var machine = SupervisorMachine(publicAddress: publicAddress)
    _ = machine.begin(now: at(0))
    let line = "ready unix:/d/run/hub.sock"
    #expect(
      machine.printed(line, by: .hub, now: at(5)) == [.announce("hub ready unix:/d/run/hub.sock")])
    #expect(machine.printed(line, by: .hub, now: at(6)).isEmpty)
  }

  @Test func theWholeIsReadyOnlyWhenAllServicesAre() {
    var machine = SupervisorMachine(publicAddress: publicAddress)
    _ = machine.begin(now: at(0))
    _ = machine.printed("ready unix:/hub", by: .hub, now: at(1))
    _ = machine.printed("ready unix:/eventstore", by: .eventstore, now: at(1))
    _ = machine.printed("listening http://127.0.0.1:4000", by: .gateway, now: at(2))
    let gateway = machine.printed("ready http://127.0.0.1:4000", by: .gateway, now: at(3))
    #expect(gateway == [.announce("gateway ready tcp:127.0.0.1:4000")])
    let last = machine.printed("ready unix:/presence", by: .presence, now: at(4))
    #expect(
      last == [
        .announce("presence ready unix:/presence"), .announce("ready http://127.0.0.1:4000"),
      ])
  }

  @Test func recordsTheAddressWhenThePortIsOpen() {
    var machine = SupervisorMachine(publicAddress: publicAddress)
    _ = machine.begin(now: at(0))
    let actions = machine.printed("listening http://127.0.0.1:4000", by: .gateway, now: at(2))
    #expect(actions == [.recordURL(ServerURL(scheme: "http", host: "127.0.0.1", port: 4000))])
  }

  @Test func otherLinesGoToStandardErrorUnderTheServicesName() {
    var machine = SupervisorMachine(publicAddress: publicAddress)
    _ = machine.begin(now: at(0))
    #expect(machine.printed("hello", by: .hub, now: at(1)) == [.report("hub: hello")])
  }

  @Test func aProgramThatCanNeverBeStartedEndsTheWhole() {
    var machine = SupervisorMachine(publicAddress: publicAddress)
    _ = machine.begin(now: at(0))
    let actions = machine.startFailed(.hub, reason: "no such file", now: at(1)).withoutReports
    #expect(actions == [.send(.terminate, .gateway), .send(.resume, .gateway)])
  }

  @Test(arguments: [64, 78] as [Int32])
  func aRefusedConfigurationEndsTheWholeWithItsCode(code: Int32) {
    var machine = SupervisorMachine(publicAddress: publicAddress)
    _ = machine.begin(now: at(0))
    _ = machine.ended(.gateway, .exited(code), now: at(1))
    _ = machine.ended(.hub, .exited(0), now: at(2))
    _ = machine.ended(.presence, .exited(0), now: at(3))
    #expect(machine.ended(.eventstore, .exited(0), now: at(4)) == [.end(ExitCode(code))])
    #expect(machine.isEnded)
  }
}

@Suite struct SupervisorRestartTests {
  @Test func aDeadChildIsStartedAgainWithin100Milliseconds() throws {
    var machine = readyMachine()
    let actions = machine.ended(.hub, .killed(signal: 9), now: at(200))
    #expect(actions == [.report("hub was ended by SIGKILL; starting it again in 50 ms")])
    let due = try #require(machine.nextDeadline)
    #expect(due <= at(300))
    #expect(machine.deadlineReached(now: at(240)).isEmpty)
    let gatewayAddress = SocketAddress.tcp(host: "127.0.0.1", port: 4000)
    #expect(machine.deadlineReached(now: due) == [.start(.hub, publicAddress: gatewayAddress)])
  }

  @Test func aGatewayOnAPickedPortComesBackOnTheSameOne() {
    var machine = readyMachine()
    _ = machine.ended(.gateway, .exited(1), now: at(200))
    let expected = SocketAddress.tcp(host: "127.0.0.1", port: 4000)
    #expect(machine.deadlineReached(now: at(250)) == [.start(.gateway, publicAddress: expected)])
  }

  @Test func theDelayDoublesUpToFiveSeconds() {
    let delays = (0..<9).map { SupervisorMachine.restartDelay($0).millisecondsClamped }
    #expect(delays == [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
    #expect(SupervisorMachine.restartDelay(.max) == .seconds(5))
  }

  @Test func theDelayStartsOverAfterTenSecondsOfRunning() {
    var machine = readyMachine()
    _ = machine.ended(.hub, .exited(1), now: at(200))
    _ = machine.deadlineReached(now: at(250))
    let second = machine.ended(.hub, .exited(1), now: at(300))
    #expect(second.reports == ["hub exited with code 1; starting it again in 100 ms"])
    _ = machine.deadlineReached(now: at(400))
    let third = machine.ended(.hub, .exited(1), now: at(10_400))
    #expect(third.reports == ["hub exited with code 1; starting it again in 50 ms"])
  }

  @Test func aReturningServiceIsReportedAndTheWholeIsNotAnnouncedTwice() {
    var machine = readyMachine()
    _ = machine.ended(.hub, .exited(1), now: at(200))
    _ = machine.deadlineReached(now: at(250))
    let actions = machine.printed("ready unix:/d/run/hub.sock", by: .hub, now: at(260))
    #expect(actions == [.report("hub is ready again")])
  }

  @Test func aConfigurationRefusedAfterItWasAcceptedIsOnlyTriedAgain() {
    var machine = readyMachine()
    let actions = machine.ended(.hub, .exited(78), now: at(200))
    #expect(actions.withoutReports.isEmpty)
    #expect(machine.nextDeadline != nil)
  }

  @Test func aFailedRestartIsTriedAgain() {
    var machine = readyMachine()
    _ = machine.ended(.hub, .exited(1), now: at(200))
    _ = machine.deadlineReached(now: at(250))
    #expect(machine.startFailed(.hub, reason: "busy", now: at(251)).withoutReports.isEmpty)
    #expect(machine.nextDeadline == at(351))
  }

  @Test func anEndThatWasToldTwiceIsIgnored() {
    var machine = readyMachine()
    _ = machine.ended(.hub, .exited(1), now: at(200))
    #expect(machine.ended(.hub, .exited(1), now: at(201)).isEmpty)
  }

  @Test func aStoppedChildIsLetBeAndMentionedAfterTenSeconds() {
    var machine = readyMachine()
    machine.stopped(.hub, now: at(200))
    #expect(machine.deadlineReached(now: at(9_000)).isEmpty)
    let late = machine.deadlineReached(now: at(10_200))
    #expect(late == [.report("hub has been stopped for 10 s; SIGCONT lets it go on")])
    #expect(machine.nextDeadline == nil)
  }

  @Test func aStopUnderTenSecondsIsNotMentioned() {
    var machine = readyMachine()
    machine.stopped(.hub, now: at(200))
    machine.continued(.hub)
    #expect(machine.nextDeadline == nil)
  }

  @Test func aHangUpReachesOnlyServicesThatAreReady() {
    var machine = readyMachine()
    _ = machine.ended(.hub, .exited(1), now: at(200))
    let actions = machine.reloadRequested()
    #expect(actions.count == 3)
    #expect(!actions.contains(.send(.hangUp, .hub)))
  }
}

@Suite struct SupervisorRefusalTests {
  /// 65: a store that lacks what it acknowledged would end the same way at every start.
  @Test func aStoreThatRefusesItsDataIsNotStartedAgainAndTheWayOutIsSaid() {
    var machine = SupervisorMachine(publicAddress: publicAddress, acceptLossCommand: "the command")
    _ = machine.begin(now: at(0))
    let actions = machine.ended(.eventstore, .exited(65), now: at(100))
    #expect(actions.reports.first == "eventstore refuses its data (exit code 65); ending")
    #expect(actions.reports.last == "the command")
    #expect(actions.withoutReports.contains(.send(.terminate, .gateway)))
    for service in [SupervisedService.gateway, .hub] {
      _ = machine.ended(service, .exited(0), now: at(200))
    }
    #expect(machine.ended(.presence, .exited(0), now: at(200)).last == .end(ExitCode(65)))
  }

  @Test func aStoreThatRefusesItsDataLaterIsLeftEndedAndTheOthersGoOn() {
    var machine = readyMachine()
    let actions = machine.ended(.eventstore, .exited(65), now: at(200))
    #expect(actions.withoutReports.isEmpty)
    #expect(actions.reports.first?.hasSuffix("not starting it again") == true)
    #expect(machine.nextDeadline == nil)
    #expect(
      machine.terminationRequested(now: at(300)).withoutReports.first == .send(.terminate, .gateway))
  }

  /// Another `up` got the port between this one's look at it and its gateway's.
  @Test func aGatewayThatCanNotListenAtItsFirstStartEndsAll() {
    var machine = SupervisorMachine(publicAddress: publicAddress)
    _ = machine.begin(now: at(0))
    let actions = machine.ended(.gateway, .exited(73), now: at(100))
    #expect(actions.reports.first == "gateway can't listen (exit code 73); ending")
    #expect(!actions.withoutReports.isEmpty)
  }

  @Test func theCommandThatAcceptsLossIsWhole() throws {
    let data = try DataDirectory(
      option: "/d", environment: { _ in nil }, isRoot: true, workingDirectory: "/")
    let plan = ServicePlan(
      programs: "/opt/s p", data: data, configuration: "/etc/s.json5", environment: [])
    let command = plan.acceptLossCommand
    #expect(command.hasPrefix("'/opt/s p/sapphire-eventstore' --listen unix:"))
    #expect(command.hasSuffix(" --config /etc/s.json5 --accept-loss"))
    #expect(command.contains(" --data ") && command.contains(" --hub unix:"))
  }
}

@Suite struct SupervisorDrainTests {
  @Test func drainsGatewayThenPresenceAndHubThenEventStore() {
    var machine = readyMachine()
    let first = machine.terminationRequested(now: at(200)).withoutReports
    #expect(first == [.send(.terminate, .gateway), .send(.resume, .gateway)])
    let second = machine.ended(.gateway, .exited(0), now: at(300))
    #expect(
      second == [
        .send(.terminate, .presence), .send(.resume, .presence), .send(.terminate, .hub),
        .send(.resume, .hub),
      ])
    #expect(machine.ended(.hub, .exited(0), now: at(400)).isEmpty)
    let third = machine.ended(.presence, .exited(0), now: at(500))
    #expect(third == [.send(.terminate, .eventstore), .send(.resume, .eventstore)])
    #expect(machine.ended(.eventstore, .exited(0), now: at(600)) == [.end(.ok)])
  }

  @Test func childrenThatGotTheSignalThemselvesAreNoFailure() {
    var machine = readyMachine()
    _ = machine.ended(.hub, .killed(signal: 15), now: at(199))
    _ = machine.terminationRequested(now: at(200))
    _ = machine.ended(.eventstore, .exited(0), now: at(201))
    _ = machine.ended(.presence, .killed(signal: 2), now: at(202))
    #expect(machine.ended(.gateway, .exited(0), now: at(203)) == [.end(.ok)])
  }

  @Test func nothingIsStartedWhileDraining() {
    var machine = readyMachine()
    _ = machine.ended(.hub, .exited(1), now: at(190))
    _ = machine.terminationRequested(now: at(200))
    _ = machine.ended(.presence, .exited(1), now: at(210))
    for ms in stride(from: UInt64(220), to: 11_000, by: 500) {
      #expect(machine.deadlineReached(now: at(ms)).isEmpty)
    }
  }

  @Test func aStageThatOutlastsItsBudgetIsKilledAndTheExitCodeIsOne() {
    var machine = readyMachine()
    _ = machine.terminationRequested(now: at(200))
    #expect(machine.nextDeadline == at(12_200))
    let forced = machine.deadlineReached(now: at(12_200))
    #expect(forced.withoutReports == [.send(.kill, .gateway)])
    #expect(forced.reports == ["gateway did not drain within 12 s; killing it"])
    _ = machine.ended(.gateway, .killed(signal: 9), now: at(12_201))
    _ = machine.ended(.hub, .exited(0), now: at(12_300))
    _ = machine.ended(.presence, .exited(0), now: at(12_300))
    #expect(machine.ended(.eventstore, .exited(0), now: at(12_400)) == [.end(.failure)])
  }

  @Test func theBudgetsOfAllStagesStayUnder25Seconds() {
    let total = SupervisorMachine.stages.reduce(Duration.zero) { $0 + $1.budget }
    #expect(total < .seconds(25))
    #expect(Set(SupervisorMachine.stages.flatMap(\.services)) == Set(SupervisedService.allCases))
  }

  @Test func aCrashWhileDrainingShowsInTheExitCode() {
    var machine = readyMachine()
    _ = machine.terminationRequested(now: at(200))
    _ = machine.ended(.gateway, .killed(signal: 11), now: at(201))
    _ = machine.ended(.hub, .exited(0), now: at(202))
    _ = machine.ended(.presence, .exited(0), now: at(203))
    #expect(machine.ended(.eventstore, .exited(0), now: at(204)) == [.end(.failure)])
  }

  @Test func aSecondSignalKillsAllAndEndsAtOnce() {
    var machine = readyMachine()
    _ = machine.terminationRequested(now: at(200))
    _ = machine.ended(.gateway, .exited(0), now: at(300))
    let actions = machine.terminationRequested(now: at(301)).withoutReports
    #expect(
      actions == [
        .send(.kill, .hub), .send(.kill, .eventstore), .send(.kill, .presence),
        .end(.interrupted),
      ])
    #expect(machine.terminationRequested(now: at(302)).isEmpty)
  }

  @Test func aSignalBeforeAnythingRunsEndsWithNothingToDo() {
    var machine = SupervisorMachine(publicAddress: publicAddress)
    #expect(machine.terminationRequested(now: at(0)).withoutReports == [.end(.ok)])
  }

  @Test func linesOfDrainingChildrenAreNotAnnounced() {
    var machine = readyMachine()
    _ = machine.terminationRequested(now: at(200))
    #expect(machine.printed("ready unix:/x", by: .hub, now: at(201)).isEmpty)
  }
}
