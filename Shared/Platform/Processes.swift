// INVARIANTS:
// - Argument and environment strings are NUL-terminated copies that outlive the one call to spawn.
// - Only children of this process that have not been waited for are signalled, so that a number
//   can't have come to mean another process.
// - A child with a death signal is started by the thread that has to outlive it.

internal import CLinux
internal import Glibc

/// A process's number.
public struct ProcessID: Hashable, Sendable, CustomStringConvertible {
  public let number: Int32
  public init(_ number: Int32) { self.number = number }
  public var description: String { String(number) }
}

/// How a child ended.
public enum ProcessEnd: Hashable, Sendable, CustomStringConvertible {
  case exited(Int32)
  case killed(signal: Int32)

  public var description: String {
    switch self {
    case .exited(let code): "exited with code \(code)"
    case .killed(let signal): "was ended by \(Self.name(ofSignal: signal))"
    }
  }

  private static func name(ofSignal number: Int32) -> String {
    switch number {
    case SIGKILL: "SIGKILL"
    case SIGTERM: "SIGTERM"
    case SIGINT: "SIGINT"
    case SIGSEGV: "SIGSEGV"
    case SIGILL: "SIGILL (a trap)"
    case SIGTRAP: "SIGTRAP (a trap)"
    case SIGABRT: "SIGABRT"
    case SIGBUS: "SIGBUS"
    case SIGHUP: "SIGHUP"
    default: "signal \(number)"
    }
  }
}

/// A change of a child's state.
public enum ChildChange: Hashable, Sendable {
  case ended(ProcessID, ProcessEnd)
  case stopped(ProcessID)
  case continued(ProcessID)
}

/// What is sent to a child.
public enum ProcessSignal: Sendable, Hashable {
  case terminate, interrupt, kill, hangUp, pause, resume

  var number: Int32 {
    switch self {
    case .terminate: SIGTERM
    case .interrupt: SIGINT
    case .kill: SIGKILL
    case .pause: SIGSTOP
    case .hangUp: SIGHUP
    case .resume: SIGCONT
    }
  }
}

/// A program to start.
public struct ChildProgram: Sendable {
  public var path: FilePath
  /// Without the program's own name, which is taken from `path`.
  public var arguments: [String]
  /// `NAME=VALUE` for each variable; the parent's own when nil.
  public var environment: [String]?

  public init(path: FilePath, arguments: [String], environment: [String]? = nil) {
    self.path = path
    self.arguments = arguments
    self.environment = environment
  }
}

/// Starting, watching and signalling other programs, and what this one was given.
public enum Processes {
  /// Starts a program in a process group of its own, with `output` as its standard output. It is
  /// killed when the calling thread ends, also by SIGKILL.
  ///
  /// - Errors: those of `fork(2)` and of `execve(2)`; nothing runs then.
  public static func start(_ program: ChildProgram, output: borrowing Descriptor)
    throws(SystemError) -> ProcessID
  {
    try start(program, output: output.number, errors: -1)
  }

  /// Starts a program like `start(_:output:)`, with `errors` as its standard error.
  public static func start(
    _ program: ChildProgram, output: borrowing Descriptor, errors: borrowing Descriptor
  ) throws(SystemError) -> ProcessID {
    try start(program, output: output.number, errors: errors.number)
  }

  private static func start(_ program: ChildProgram, output: Int32, errors: Int32)
    throws(SystemError) -> ProcessID
  {
    let arguments = CStrings([program.path.description] + program.arguments)
    let environment = CStrings(program.environment ?? Self.environment())
    let result = unsafe program.path.withPointer { path in
      // SAFE BECAUSE every pointer stays valid until the call returns: the strings' owners are
      // kept alive past it.
      var child = unsafe clinux_child(
        path: path, argv: arguments.pointers, envp: environment.pointers, stdout_fd: output,
        stderr_fd: errors, death_signal: SIGKILL)
      return unsafe clinux_spawn(&child)
    }
    withExtendedLifetime((arguments, environment)) {}
    guard result > 0 else {
      throw SystemError(code: -result, call: "start", subject: program.path.description)
    }
    return ProcessID(result)
  }

  /// The next change of any child (`waitpid(2)` with WNOHANG, WUNTRACED and WCONTINUED); nil when
  /// nothing has changed. A child that has ended is gone after it was told.
  public static func nextChildChange() -> ChildChange? { change(of: -1) }

  /// The next change of one child, like `nextChildChange`.
  public static func nextChange(of child: ProcessID) -> ChildChange? {
    guard child.number > 1 else { return nil }
    return change(of: child.number)
  }

  private static func change(of child: Int32) -> ChildChange? {
    var status: Int32 = 0
    let flags = WNOHANG | WUNTRACED | 8  // WCONTINUED
    let pid = Int32(
      Syscalls.retrying { Int(unsafe waitpid(child, &status, flags)) })
    guard pid > 0 else { return nil }
    let id = ProcessID(pid)
    if status == 0xffff { return .continued(id) }
    if status & 0xff == 0x7f { return .stopped(id) }
    if clinux_exited(status) != 0 { return .ended(id, .exited(clinux_exit_status(status))) }
    return .ended(id, .killed(signal: clinux_term_signal(status)))
  }

  /// `kill(2)` to one child that has not been told as ended.
  public static func send(_ signal: ProcessSignal, to process: ProcessID) {
    guard process.number > 1 else { return }
    _ = kill(process.number, signal.number)
  }

  /// The program that runs here.
  public static func executable() throws(SystemError) -> FilePath {
    try Files.target(ofLink: "/proc/self/exe")
  }

  /// Every `NAME=VALUE` of the environment.
  public static func environment() -> [String] {
    var result: [String] = []
    guard var entry = unsafe clinux_environment() else { return [] }
    // SAFE BECAUSE the environment ends with a null pointer and is not changed by this program.
    while let text = unsafe entry.pointee {
      result.append(unsafe String(cString: text))
      unsafe entry += 1
    }
    return result
  }

  /// One variable of the environment; nil where it is absent.
  public static func environment(_ name: String) -> String? {
    guard let value = unsafe getenv(name) else { return nil }
    return unsafe String(cString: value)
  }

  /// Ends this process at once (`_exit(2)` after flushing nothing).
  public static func exit(_ code: Int32) -> Never { _exit(code) }

  /// Whether descriptor `number` is a terminal.
  public static func isTerminal(_ number: Int32) -> Bool { isatty(number) == 1 }
}

/// A NULL-terminated array of C strings with their storage.
@safe
private final class CStrings {
  private let storage: [UnsafeMutablePointer<CChar>?]
  private let array: UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>

  init(_ strings: [String]) {
    let copies = unsafe strings.map { unsafe strdup($0) } + [nil]
    unsafe storage = copies
    unsafe array = .allocate(capacity: copies.count)
    _ = unsafe array.initialize(from: copies)
  }

  var pointers: UnsafePointer<UnsafeMutablePointer<CChar>?>? {
    unsafe UnsafePointer(array.baseAddress)
  }

  deinit {
    // SAFE BECAUSE this object is the only owner of both allocations.
    unsafe storage.forEach { unsafe free($0) }
    unsafe array.deallocate()
  }
}
