// INVARIANTS:
// - Signal sets live on the stack of one call; the kernel copies them.
// - A record is 128 bytes, which is what signalfd writes; it is read into an array of that many.

internal import CLinux
internal import Glibc

/// The signals a service acts on.
public enum ServiceSignal: Sendable, Equatable {
  /// SIGTERM or SIGINT: drain, then end.
  case terminate
  /// SIGHUP: read the configuration again.
  case reload
  /// SIGCHLD: a child has changed state.
  case childChanged
}

/// Signals as something that can be read. Call `blockAll` first, before any thread is started.
public struct SignalReader: ~Copyable {
  public let descriptor: Descriptor

  /// Blocks every signal in this thread and those it starts, and ignores SIGPIPE.
  public static func blockAll() {
    var every = sigset_t()
    _ = unsafe sigfillset(&every)
    // A crash must stay a crash: the faults are left as they are.
    for fault in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT] {
      _ = unsafe sigdelset(&every, fault)
    }
    _ = unsafe pthread_sigmask(SIG_BLOCK, &every, nil)
    _ = Glibc.signal(SIGPIPE, SIG_IGN)
  }

  /// Blocks only what `SignalReader` reads, in this thread and those it starts, and ignores
  /// SIGPIPE; SIGIO too, which read leases raise: for a program in a terminal, where Ctrl-Z and Ctrl-\ keep their meaning.
  public static func blockHandled() {
    var handled = sigset_t()
    _ = unsafe sigemptyset(&handled)
    for number in [SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGIO] {
      _ = unsafe sigaddset(&handled, number)
    }
    _ = unsafe pthread_sigmask(SIG_BLOCK, &handled, nil)
    _ = Glibc.signal(SIGPIPE, SIG_IGN)
  }

  /// `signalfd(2)` over TERM, INT, HUP and CHLD; non-blocking.
  public init() throws(SystemError) {
    var wanted = sigset_t()
    _ = unsafe sigemptyset(&wanted)
    for number in [SIGTERM, SIGINT, SIGHUP, SIGCHLD] { _ = unsafe sigaddset(&wanted, number) }
    let number = unsafe signalfd(
      -1, &wanted, Int32(SFD_NONBLOCK | SFD_CLOEXEC))
    guard number >= 0 else { throw SystemError(code: errno, call: "signalfd") }
    descriptor = Descriptor(owning: number)
  }

  /// The next waiting signal; nil when none waits.
  public borrowing func next() -> ServiceSignal? {
    while true {
      var record = [UInt8](repeating: 0, count: 128)
      guard case .count(let count) = Syscalls.read(descriptor, into: &record), count == 128 else {
        return nil
      }
      switch Int32(record[0]) {
      case SIGTERM, SIGINT: return .terminate
      case SIGHUP: return .reload
      case SIGCHLD: return .childChanged
      default: continue
      }
    }
  }
}
