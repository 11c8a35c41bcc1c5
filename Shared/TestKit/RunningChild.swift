internal import Platform
internal import Synchronization

/// One program that a test has started, with all it says.
///
/// Started by a thread that lives as long as the tests do, because a child is killed when the
/// thread that started it ends. Two threads read its output; the test asks.
final class RunningChild: Sendable {
  let process: ProcessID
  private let state = Mutex(State())

  private struct State {
    var lines: [String] = []
    var errors: [String] = []
    var end: ProcessEnd?
    /// Pipes read to their end.
    var finished = 0
  }

  private enum Source { case output, errors }

  /// Lines kept of each stream.
  private static let linesMax = 4000

  init(_ program: ChildProgram) throws {
    var started = try Starter.shared.start(program)
    process = started.process
    try read(Descriptor.take(&started.output), .output)
    try read(Descriptor.take(&started.errors), .errors)
  }

  var lines: [String] { state.withLock { $0.lines } }
  var errors: [String] { state.withLock { $0.errors } }
  /// What it said last, both streams.
  var tail: [String] { state.withLock { $0.lines + $0.errors } }

  /// Whether all that it said is here; after its end, soon.
  var hasSaidAll: Bool { state.withLock { $0.finished == 2 } }

  /// How it ended; nil while it runs.
  var end: ProcessEnd? {
    state.withLock { state in
      while state.end == nil, let change = Processes.nextChange(of: process) {
        if case .ended(_, let end) = change { state.end = end }
      }
      return state.end
    }
  }

  func send(_ signal: ProcessSignal) {
    // Under the lock, so that the number can't have been given to another process meanwhile.
    state.withLock { state in
      if state.end == nil { Processes.send(signal, to: process) }
    }
  }

  private func read(_ pipe: consuming Descriptor, _ source: Source) throws {
    let reader = LineReader(pipe) { [self] line in add(line, source) }
    try RunningThread(name: "child-output") { [self] in
      reader.run()
      state.withLock { $0.finished += 1 }
    }.detach()
  }

  private func add(_ line: String, _ source: Source) {
    state.withLock { state in
      switch source {
      case .output: if state.lines.count < Self.linesMax { state.lines.append(line) }
      case .errors:
        state.errors.append(line)
        if state.errors.count > Self.linesMax { state.errors.removeFirst(Self.linesMax / 2) }
      }
    }
  }
}

/// Reads lines from a pipe until its end.
private final class LineReader: Sendable {
  private let pipe: Descriptor
  private let receive: @Sendable (String) -> Void

  init(_ pipe: consuming Descriptor, _ receive: @escaping @Sendable (String) -> Void) {
    self.pipe = pipe
    self.receive = receive
  }

  func run() {
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    var line: [UInt8] = []
    while case .count(let count) = Syscalls.read(pipe, into: &buffer) {
      for byte in buffer[..<count] {
        if byte == 10 {
          receive(String(decoding: line, as: UTF8.self))
          line.removeAll(keepingCapacity: true)
        } else {
          line.append(byte)
        }
      }
    }
    if !line.isEmpty { receive(String(decoding: line, as: UTF8.self)) }
  }
}

extension Descriptor {
  fileprivate static func take(_ descriptor: inout Descriptor) -> Descriptor {
    var taken = Descriptor(owning: -1)
    swap(&taken, &descriptor)
    return taken
  }
}

/// A child, and the ends of the pipes it writes to.
private struct Started: ~Copyable, Sendable {
  let process: ProcessID
  var output: Descriptor
  var errors: Descriptor

  init(_ program: ChildProgram) throws(SystemError) {
    var output = try Syscalls.makePipe()
    var errors = try Syscalls.makePipe()
    process = try Processes.start(program, output: output.writing, errors: errors.writing)
    self.output = Descriptor.take(&output.reading)
    self.errors = Descriptor.take(&errors.reading)
  }
}

/// The thread that starts every child.
private final class Starter: Sendable {
  static let shared = Starter()

  private struct Desk: ~Copyable {
    var order: ChildProgram?
    var started: Started?
    var failure: SystemError?
  }
  private let desk = Mutex(Desk())
  private let turn = Mutex(())
  private let wanted: WakeSignal?
  private let done: WakeSignal?

  private init() {
    wanted = try? WakeSignal()
    done = try? WakeSignal()
    try? RunningThread(name: "child-starter") { [self] in serve() }.detach()
  }

  func start(_ program: ChildProgram) throws -> Started {
    try turn.withLock { _ throws in
      desk.withLock { $0.order = program }
      wanted?.signal()
      done?.wait()
      return try desk.withLock { desk throws -> Started in
        if let failure = desk.failure.take() { throw failure }
        guard let started = desk.started.take() else {
          throw ClusterFailure("there is no thread to start a program from")
        }
        return started
      }
    }
  }

  private func serve() {
    while true {
      wanted?.wait()
      guard let program = desk.withLock({ $0.order.take() }) else { continue }
      var started: Started?
      var failure: SystemError?
      do throws(SystemError) { started = try Started(program) } catch { failure = error }
      let made = started.take()
      hand(made, failure)
      done?.signal()
    }
  }

  private func hand(_ made: consuming sending Started?, _ failure: SystemError?) {
    var made = made
    desk.withLock { desk in
      desk.started = made.take()
      desk.failure = failure
    }
  }
}
