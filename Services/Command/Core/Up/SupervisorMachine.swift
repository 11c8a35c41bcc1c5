internal import Client
internal import Platform

/// Decides what `sapphire up` does: what to start, when to start it again, what to say, how to end.
///
/// One child:
///
///            begin            "ready …"
///     idle ────────▶ starting ─────────▶ ready
///      ▲                │ ended            │ ended
///      │ delay is over  ▼                  ▼
///      └──────────── waiting (50 ms, doubling to 5 s; from the start after 10 s of running)
///
/// The whole:
///
///     running ─ signal, or a child refuses its configuration or data ─▶ draining gateway
///       ─ gone ─▶ draining presence and hub ─ gone ─▶ draining event store ─ gone ─▶ ended
///
/// An event store that refuses its data after it was ready once is left ended; the others go on.
/// A stage that outlasts its budget is killed and makes the exit code 1; a second signal kills all
/// and ends at once. While draining nothing is started. Pure: no clock, no process, no output.
struct SupervisorMachine {
  enum Action: Equatable {
    /// Start the service; the gateway on this address.
    case start(SupervisedService, publicAddress: SocketAddress)
    case send(ProcessSignal, SupervisedService)
    /// A line for standard output.
    case announce(String)
    /// A line for standard error.
    case report(String)
    /// The gateway listens at this URL.
    case recordURL(ServerURL)
    case end(ExitCode)
  }

  private enum ChildState: Equatable {
    case idle
    case waiting(until: Instant)
    case starting(since: Instant)
    case ready(since: Instant)
  }

  private struct Child {
    var state = ChildState.idle
    var failures = 0
    var hasBeenReady = false
    /// Since when SIGSTOP holds it; nil while it runs or after that was reported.
    var stopReportDue: Instant?

    var isRunning: Bool {
      switch state {
      case .idle, .waiting: false
      case .starting, .ready: true
      }
    }
    var isReady: Bool { if case .ready = state { true } else { false } }
    var runningSince: Instant? {
      switch state {
      case .idle, .waiting: nil
      case .starting(let since), .ready(let since): since
      }
    }
  }

  private enum Phase: Equatable {
    case running
    case draining(stage: Int, deadline: Instant, code: ExitCode)
    case ended
  }

  private var children: [SupervisedService: Child]
  private var phase = Phase.running
  private var publicAddress: SocketAddress
  private var url: ServerURL?
  private var hasAnnouncedWhole = false
  /// The command line that opens a store that has lost events.
  private let acceptLossCommand: String

  static let restartDelayFirst = Duration.milliseconds(50)
  static let restartDelayMax = Duration.seconds(5)
  /// Having run this long, a child starts over with the shortest delay.
  static let healthyAfter = Duration.seconds(10)
  /// A stop by SIGSTOP is mentioned after this long, and never more than mentioned.
  static let stopReportedAfter = Duration.seconds(10)

  /// The order of draining, with what each stage may take; 23 s in all, under the 25 s promised.
  static let stages: [(services: [SupervisedService], budget: Duration)] = [
    ([.gateway], .seconds(12)), ([.presence, .hub], .seconds(4)), ([.eventstore], .seconds(7)),
  ]

  init(publicAddress: SocketAddress, acceptLossCommand: String = "") {
    self.publicAddress = publicAddress
    self.acceptLossCommand = acceptLossCommand
    children = Dictionary(
      uniqueKeysWithValues: SupervisedService.allCases.map { ($0, Child()) })
  }

  var isEnded: Bool { phase == .ended }

  /// When `deadlineReached` is due next; nil while nothing waits for the clock.
  var nextDeadline: Instant? {
    var deadlines: [Instant] = []
    for child in children.values {
      if case .waiting(let until) = child.state, phase == .running { deadlines.append(until) }
      if let due = child.stopReportDue { deadlines.append(due) }
    }
    if case .draining(_, let deadline, _) = phase { deadlines.append(deadline) }
    return deadlines.min()
  }

  // MARK: events

  /// Starts all services at once: each waits for its peers by itself.
  mutating func begin(now: Instant) -> [Action] {
    SupervisedService.allCases.map { start($0, now) }
  }

  /// A program could not be started at all.
  mutating func startFailed(_ service: SupervisedService, reason: String, now: Instant) -> [Action]
  {
    guard let child = children[service] else { return [] }
    guard phase == .running else { return childIsGone(service, now) }
    if !child.hasBeenReady, child.failures == 0 {
      children[service]?.state = .idle
      return [.report("\(service.rawValue) can't be started: \(reason)")] + drain(.failure, now)
    }
    return wait(service, because: "can't be started (\(reason))", now)
  }

  /// A child printed a line on its standard output.
  mutating func printed(_ line: String, by service: SupervisedService, now: Instant) -> [Action] {
    guard let child = children[service], child.isRunning, phase == .running else { return [] }
    switch ServiceLine(line) {
    case .listening(let text): return service == .gateway ? gatewayListens(text) : []
    case .ready(let endpoint): return becameReady(service, endpoint, now)
    case .other(let text): return [.report("\(service.rawValue): \(text)")]
    }
  }

  /// A child has ended.
  mutating func ended(_ service: SupervisedService, _ end: ProcessEnd, now: Instant) -> [Action] {
    guard let child = children[service], child.isRunning else { return [] }
    children[service]?.stopReportDue = nil
    guard phase == .running else { return endedWhileDraining(service, end, now) }
    if case .exited(let code) = end, let refusal = Self.refusal(service, code) {
      if !child.hasBeenReady {
        children[service]?.state = .idle
        return [.report("\(service.rawValue) \(refusal) (exit code \(code)); ending")]
          + advice(code) + drain(ExitCode(code), now)
      }
      if code == ExitCode.damagedData.number {
        children[service]?.state = .idle
        return [.report("\(service.rawValue) \(refusal) (exit code \(code)); not starting it again")]
          + advice(code)
      }
    }
    if let since = child.runningSince, now >= since + Self.healthyAfter {
      children[service]?.failures = 0
    }
    return wait(service, because: end.description, now)
  }

  /// What a service means by an exit code after which another start is of no use.
  private static func refusal(_ service: SupervisedService, _ code: Int32) -> String? {
    switch ExitCode(code) {
    case .usage, .configuration: "refuses its configuration"
    case .damagedData where service == .eventstore: "refuses its data"
    case .cannotListen where service == .gateway: "can't listen"
    default: nil
    }
  }

  /// What helps against data that are refused; the service's own line has said what is wrong.
  private func advice(_ code: Int32) -> [Action] {
    guard code == ExitCode.damagedData.number else { return [] }
    return [
      .report(
        "restore the store from a backup; or, if its message names --accept-loss, serve what is left: "
          + "run this until it is ready, end it with Ctrl-C, then start `sapphire up` again:"),
      .report(acceptLossCommand),
    ]
  }

  /// A child was stopped by a signal. It is let be.
  mutating func stopped(_ service: SupervisedService, now: Instant) {
    guard children[service]?.isRunning == true else { return }
    children[service]?.stopReportDue = now + Self.stopReportedAfter
  }

  /// A stopped child runs again.
  mutating func continued(_ service: SupervisedService) {
    children[service]?.stopReportDue = nil
  }

  /// SIGINT or SIGTERM: the first drains, the second ends at once.
  mutating func terminationRequested(now: Instant) -> [Action] {
    switch phase {
    case .running:
      return [.report("draining: gateway, presence and hub, event store")]
        + drain(.ok, now)
    case .draining:
      phase = .ended
      let running = SupervisedService.allCases.filter { children[$0]?.isRunning == true }
      return [.report("second signal: ending without draining")]
        + running.map { .send(.kill, $0) } + [.end(.interrupted)]
    case .ended: return []
    }
  }

  /// SIGHUP: the services read their configuration again.
  mutating func reloadRequested() -> [Action] {
    guard phase == .running else { return [] }
    return SupervisedService.allCases.filter { children[$0]?.isReady == true }
      .map { .send(.hangUp, $0) }
  }

  /// The clock has reached `nextDeadline`.
  mutating func deadlineReached(now: Instant) -> [Action] {
    var actions: [Action] = []
    for service in SupervisedService.allCases {
      if let due = children[service]?.stopReportDue, due <= now {
        children[service]?.stopReportDue = nil
        actions.append(
          .report("\(service.rawValue) has been stopped for 10 s; SIGCONT lets it go on"))
      }
      if phase == .running, case .waiting(let until) = children[service]?.state, until <= now {
        actions.append(start(service, now))
      }
    }
    if case .draining(let stage, let deadline, _) = phase, deadline <= now {
      actions += forceStage(stage, now)
    }
    return actions
  }

  // MARK: starting

  private mutating func start(_ service: SupervisedService, _ now: Instant) -> Action {
    children[service]?.state = .starting(since: now)
    return .start(service, publicAddress: publicAddress)
  }

  private mutating func wait(
    _ service: SupervisedService, because reason: String, _ now: Instant
  ) -> [Action] {
    let failures = children[service]?.failures ?? 0
    let delay = Self.restartDelay(failures)
    children[service]?.failures = min(failures + 1, 30)
    children[service]?.state = .waiting(until: now + delay)
    let ms = delay.millisecondsClamped
    return [.report("\(service.rawValue) \(reason); starting it again in \(ms) ms")]
  }

  static func restartDelay(_ failures: Int) -> Duration {
    min(restartDelayFirst * (1 << min(failures, 10)), restartDelayMax)
  }

  // MARK: readiness

  private mutating func gatewayListens(_ text: String) -> [Action] {
    guard let told = ServerURL(text) else { return [] }
    // A gateway that is started again has to come back where its clients look for it.
    if case .tcp(let host, 0) = publicAddress {
      publicAddress = .tcp(host: host, port: told.port)
    }
    url = told
    return [.recordURL(told)]
  }

  private mutating func becameReady(
    _ service: SupervisedService, _ endpoint: String, _ now: Instant
  ) -> [Action] {
    guard let child = children[service], !child.isReady else { return [] }
    var actions: [Action] = []
    if service == .gateway {
      if let told = ServerURL(endpoint), told != url { actions += gatewayListens(endpoint) }
    }
    if child.hasBeenReady {
      actions.append(.report("\(service.rawValue) is ready again"))
    } else {
      let shown = service == .gateway ? url?.address.description ?? endpoint : endpoint
      actions.append(.announce("\(service.rawValue) ready \(shown)"))
    }
    children[service]?.state = .ready(since: child.runningSince ?? now)
    children[service]?.hasBeenReady = true
    return actions + announceWhole()
  }

  private mutating func announceWhole() -> [Action] {
    guard !hasAnnouncedWhole, let url, children.values.allSatisfy(\.isReady) else { return [] }
    hasAnnouncedWhole = true
    return [.announce("ready \(url.description)")]
  }

  // MARK: draining

  private mutating func drain(_ code: ExitCode, _ now: Instant) -> [Action] {
    for service in SupervisedService.allCases where children[service]?.isRunning == false {
      children[service]?.state = .idle
    }
    return enterStage(0, code, now)
  }

  /// Enters the first stage from `stage` on that still has something running.
  private mutating func enterStage(_ stage: Int, _ code: ExitCode, _ now: Instant) -> [Action] {
    for index in stage..<max(stage, Self.stages.count) {
      let running = Self.stages[index].services.filter { children[$0]?.isRunning == true }
      guard running.isEmpty else {
        phase = .draining(stage: index, deadline: now + Self.stages[index].budget, code: code)
        // A stopped process acts on SIGTERM only once it goes on.
        return running.flatMap { [.send(.terminate, $0), .send(.resume, $0)] }
      }
    }
    phase = .ended
    return [.end(code)]
  }

  private mutating func endedWhileDraining(
    _ service: SupervisedService, _ end: ProcessEnd, _ now: Instant
  ) -> [Action] {
    guard !Self.isClean(end) else { return childIsGone(service, now) }
    if case .draining(let stage, let deadline, .ok) = phase {
      phase = .draining(stage: stage, deadline: deadline, code: .failure)
    }
    return [.report("\(service.rawValue) \(end) while draining")] + childIsGone(service, now)
  }

  private mutating func childIsGone(_ service: SupervisedService, _ now: Instant) -> [Action] {
    children[service]?.state = .idle
    guard case .draining(let stage, _, let code) = phase else { return [] }
    let isOver = Self.stages[stage].services.allSatisfy { children[$0]?.isRunning == false }
    return isOver ? enterStage(stage + 1, code, now) : []
  }

  private mutating func forceStage(_ stage: Int, _ now: Instant) -> [Action] {
    guard case .draining(_, _, let code) = phase else { return [] }
    let late = Self.stages[stage].services.filter { children[$0]?.isRunning == true }
    let seconds = Self.stages[stage].budget.components.seconds
    // The kill takes effect at once; the deadline only keeps the machine from asking again.
    phase = .draining(
      stage: stage, deadline: now + .seconds(1), code: code == .ok ? .failure : code)
    return late.flatMap {
      [.report("\($0.rawValue) did not drain within \(seconds) s; killing it"), .send(.kill, $0)]
    }
  }

  /// A service that got the signal itself before it could handle it has ended as asked.
  private static func isClean(_ end: ProcessEnd) -> Bool {
    end == .exited(0) || end == .killed(signal: 15) || end == .killed(signal: 2)
  }
}
