internal import Client
internal import Loop
internal import Platform

/// Carries out what `SupervisorMachine` decides: processes, pipes, signals, files of the run
/// directory.
///
/// Runs on the main thread, which outlives every child: their death signal is tied to it.
final class Supervisor {
  private let loop: EventLoop
  private let plan: ServicePlan
  private let console: Console
  private var machine: SupervisorMachine
  private var processes: [SupervisedService: ProcessID] = [:]
  private var outputs: [SupervisedService: ChildOutput] = [:]
  private var signals: SignalHandler?
  private var timer: TimerID?
  private var exitCode: ExitCode?

  init(_ plan: ServicePlan, publicAddress: SocketAddress, console: Console) throws(SystemError) {
    loop = try EventLoop()
    self.plan = plan
    self.console = console
    machine = SupervisorMachine(
      publicAddress: publicAddress, acceptLossCommand: plan.acceptLossCommand)
    signals = try SignalHandler(loop) { [weak self] in self?.received($0) }
  }

  /// Runs until all has ended and gives the exit code.
  func run() -> ExitCode {
    carryOut(machine.begin(now: SystemClock.monotonic()))
    while exitCode == nil { loop.turn() }
    removeFiles()
    return exitCode ?? .failure
  }

  // MARK: events

  private func received(_ signal: ServiceSignal) {
    switch signal {
    case .terminate: carryOut(machine.terminationRequested(now: SystemClock.monotonic()))
    case .reload: carryOut(machine.reloadRequested())
    case .childChanged:
      while let change = Processes.nextChildChange() { childChanged(change) }
    }
  }

  private func childChanged(_ change: ChildChange) {
    let now = SystemClock.monotonic()
    switch change {
    case .ended(let process, let end):
      guard let service = service(of: process) else { return }
      // What it printed last is read before its end is told.
      outputs.removeValue(forKey: service)?.finish()
      processes[service] = nil
      carryOut(machine.ended(service, end, now: now))
    case .stopped(let process):
      guard let service = service(of: process) else { return }
      machine.stopped(service, now: now)
      carryOut([])
    case .continued(let process):
      guard let service = service(of: process) else { return }
      machine.continued(service)
      carryOut([])
    }
  }

  private func service(of process: ProcessID) -> SupervisedService? {
    processes.first { $0.value == process }?.key
  }

  // MARK: actions

  private func carryOut(_ actions: [SupervisorMachine.Action]) {
    for action in actions {
      switch action {
      case .start(let service, let address): start(service, address)
      case .send(let signal, let service):
        if let process = processes[service] { Processes.send(signal, to: process) }
      case .announce(let line): console.line(line)
      case .report(let line): console.report(line)
      case .recordURL(let url): record(url)
      case .end(let code): exitCode = code
      }
    }
    arm()
  }

  private func start(_ service: SupervisedService, _ address: SocketAddress) {
    do throws(SystemError) {
      var pipe = try Syscalls.makePipe()
      try Syscalls.setNonBlocking(number: pipe.reading.number)
      let program = plan.program(service, publicAddress: address)
      let process = try Processes.start(program, output: pipe.writing)
      pipe.writing.close()
      processes[service] = process
      var reading = Descriptor(owning: -1)
      swap(&reading, &pipe.reading)
      outputs[service] = try ChildOutput(reading, on: loop) { [weak self] line in
        self?.printed(line, by: service)
      }
      try Files.replace(plan.data.pid(of: service), with: [UInt8]("\(process)\n".utf8))
    } catch {
      if let process = processes[service] {
        console.report("\(service.rawValue): \(error)")
        Processes.send(.kill, to: process)
      } else {
        carryOut(
          machine.startFailed(
            service, reason: error.description, now: SystemClock.monotonic()))
      }
    }
  }

  private func printed(_ line: String, by service: SupervisedService) {
    carryOut(machine.printed(line, by: service, now: SystemClock.monotonic()))
  }

  private func record(_ url: ServerURL) {
    do throws(SystemError) {
      try Files.replace(
        plan.data.url, with: [UInt8]("\(url.reachable.description)\n".utf8), mode: 0o644)
    } catch {
      console.report("the address can't be written down: \(error)")
    }
  }

  private func arm() {
    if let timer { loop.cancel(timer) }
    timer = machine.nextDeadline.map { deadline in
      loop.at(deadline) { [weak self] in
        guard let self else { return }
        carryOut(machine.deadlineReached(now: SystemClock.monotonic()))
      }
    }
  }

  private func removeFiles() {
    for service in SupervisedService.allCases { try? Files.remove(plan.data.pid(of: service)) }
    try? Files.remove(plan.data.url)
  }
}

/// Signals as events of a loop; they were blocked before.
final class SignalHandler: LoopHandler {
  private let reader: SignalReader
  private let receive: (ServiceSignal) -> Void

  init(_ loop: EventLoop, receive: @escaping (ServiceSignal) -> Void) throws(SystemError) {
    reader = try SignalReader()
    self.receive = receive
    _ = try loop.add(self, reader.descriptor, .read)
  }

  func ready(_ readiness: Readiness) {
    while let signal = reader.next() { receive(signal) }
  }
}

/// The lines that a child prints, from the reading end of a pipe.
final class ChildOutput: LoopHandler {
  private let loop: EventLoop
  private var descriptor: Descriptor
  private var slot: PollSlot?
  private var lines = LineSplitter()
  private let receive: (String) -> Void

  init(_ descriptor: consuming Descriptor, on loop: EventLoop, receive: @escaping (String) -> Void)
    throws(SystemError)
  {
    self.loop = loop
    self.descriptor = descriptor
    self.receive = receive
    slot = try loop.add(self, self.descriptor, .read)
  }

  func ready(_ readiness: Readiness) {
    while descriptor.isOpen {
      var buffer = [UInt8](repeating: 0, count: 4096)
      guard case .count(let count) = Syscalls.read(descriptor, into: &buffer) else { break }
      for line in lines.split(buffer.span.extracting(0..<count)) { receive(line) }
      if count < buffer.count { return }
    }
    if readiness.contains(.broken) { close() }
  }

  /// Reads what is still in the pipe and closes it.
  func finish() {
    ready(.readable)
    close()
  }

  private func close() {
    if let slot { loop.remove(slot, descriptor) }
    slot = nil
    descriptor.close()
  }
}
