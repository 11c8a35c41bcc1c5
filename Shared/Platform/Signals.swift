// INVARIANTS:
// - Signal sets live on the stack of one call; the kernel copies them.
// - A record is 128 bytes, which is what signalfd writes; it is read into an array of that many.

internal import CLinux
internal import Glibc
internal import Synchronization

/// The signals a service acts on.
public enum ServiceSignal: Sendable, Equatable {
  /// SIGTERM or SIGINT: drain, then end.
  case terminate
  /// SIGHUP: read the configuration again.
  case reload
  /// SIGCHLD: a child has changed state.
  case childChanged
}

/// Tells a second request to end from the first one arriving twice. Pure.
///
/// Whoever ends a whole tree of processes signals each of them, and each parent passes its own
/// signal on: one request then comes from the parent and from elsewhere, in either order. Two from
/// the parent, or two from elsewhere, are two requests, unless they come in the same second: some
/// signal a process and its group, and so it twice.
struct TerminationRequests {
  private var first: Instant?
  static let oneRequest = Duration.seconds(1)
  private var fromParent = 0
  private var fromElsewhere = 0
  private var told = 0

  /// Whether this signal makes a request that was not told yet.
  mutating func isNew(sender: Int32, parent: Int32, now: Instant) -> Bool {
    if let first, now < first + Self.oneRequest {
      if sender == parent { fromParent = max(fromParent, 1) }
      if sender != parent { fromElsewhere = max(fromElsewhere, 1) }
      return false
    }
    first = first ?? now
    if sender == parent { fromParent += 1 } else { fromElsewhere += 1 }
    let requests = max(fromParent, fromElsewhere)
    guard requests > told else { return false }
    told = requests
    return true
  }
}

/// Signals as something that can be read. Call `blockAll` first, before any thread is started.
public struct SignalReader: ~Copyable {
  public let descriptor: Descriptor
  private let terminations = Mutex(TerminationRequests())

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

  /// Blocks only what `SignalReader` reads, and SIGIO, which read leases raise, in this thread and
  /// those it starts; ignores SIGPIPE. For a program in a terminal, where Ctrl-Z and Ctrl-\ keep
  /// their meaning.
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

  /// The next waiting signal; nil when none waits. A request to end that the parent process passes
  /// on and that came directly as well is told once.
  public borrowing func next() -> ServiceSignal? {
    while true {
      var record = [UInt8](repeating: 0, count: 128)
      guard case .count(let count) = Syscalls.read(descriptor, into: &record), count == 128 else {
        return nil
      }
      switch Int32(record[0]) {
      case SIGTERM, SIGINT:
        // ssi_pid, the sender, at byte 12 of signalfd_siginfo; 0 for the terminal's own.
        let sender = record[12..<16].reversed().reduce(0) { $0 << 8 | UInt32($1) }
        let isNew = terminations.withLock {
          $0.isNew(
            sender: Int32(bitPattern: sender), parent: getppid(), now: SystemClock.monotonic())
        }
        if isNew { return .terminate }
      case SIGHUP: return .reload
      case SIGCHLD: return .childChanged
      default: continue
      }
    }
  }
}
