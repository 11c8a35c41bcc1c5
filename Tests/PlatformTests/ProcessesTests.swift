import Platform
import Testing

@Suite struct ProcessesTests {
  /// Runs a shell line with its output in a pipe; gives output and end.
  private func run(_ line: String, environment: [String]? = nil) throws -> (String, ProcessEnd?) {
    var pipe = try Syscalls.makePipe()
    let program = ChildProgram(
      path: "/bin/sh", arguments: ["-c", line], environment: environment)
    let process = try Processes.start(program, output: pipe.writing)
    pipe.writing.close()
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case .count(let count) = Syscalls.read(pipe.reading, into: &buffer) {
      output += buffer[..<count]
    }
    return (String(decoding: output, as: UTF8.self), try end(of: process))
  }

  private func end(of process: ProcessID) throws -> ProcessEnd? {
    let deadline = SystemClock.monotonic() + .seconds(10)
    while SystemClock.monotonic() < deadline {
      if case .ended(_, let end)? = Processes.nextChange(of: process) { return end }
      SystemClock.pause(.milliseconds(1))
    }
    return nil
  }

  @Test func aChildGetsItsArgumentsAndItsOutputIsRead() throws {
    let (output, end) = try run("printf '%s' \"$NAME\"; exit 7", environment: ["NAME=a b"])
    #expect(output == "a b")
    #expect(end == .exited(7))
  }

  @Test func aChildHasAProcessGroupOfItsOwnAndDefaultSignals() throws {
    let (output, _) = try run(
      "cut -d' ' -f5 /proc/$$/stat; echo $$; exec grep SigBlk /proc/self/status")
    let lines = output.split(separator: "\n")
    #expect(lines.count == 3)
    #expect(lines.first == lines.dropFirst().first)
    #expect(lines.last?.hasSuffix("0000000000000000") == true)
  }

  @Test func theSignalThatEndedAChildIsTold() throws {
    let (_, end) = try run("kill -KILL $$")
    #expect(end == .killed(signal: 9))
    #expect(end?.description == "was ended by SIGKILL")
  }

  @Test func aProgramThatIsNotThereIsAnErrorAndNoChild() throws {
    let pipe = try Syscalls.makePipe()
    #expect(throws: SystemError.self) {
      _ = try Processes.start(
        ChildProgram(path: "/nonexistent/program", arguments: []), output: pipe.writing)
    }
  }

  @Test func stoppingAndContinuingAreTold() throws {
    var pipe = try Syscalls.makePipe()
    let process = try Processes.start(
      ChildProgram(path: "/bin/sh", arguments: ["-c", "kill -STOP $$; exec sleep 60"]),
      output: pipe.writing)
    pipe.writing.close()
    #expect(try change(of: process) == .stopped(process))
    Processes.send(.resume, to: process)
    // Of one that has ended by then the kernel tells nothing else.
    #expect(try change(of: process) == .continued(process))
    Processes.send(.kill, to: process)
    #expect(try change(of: process) == .ended(process, .killed(signal: 9)))
  }

  private func change(of process: ProcessID) throws -> ChildChange? {
    let deadline = SystemClock.monotonic() + .seconds(10)
    while SystemClock.monotonic() < deadline {
      if let change = Processes.nextChange(of: process) { return change }
      SystemClock.pause(.milliseconds(1))
    }
    return nil
  }
}
