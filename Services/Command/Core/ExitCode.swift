/// How a command ended, as the shell sees it (the numbers of `sysexits.h` where it has one).
public struct ExitCode: Hashable, Sendable {
  public let number: Int32
  init(_ number: Int32) { self.number = number }

  public static let ok = ExitCode(0)
  /// It was tried and did not work; the reason is on standard error.
  static let failure = ExitCode(1)
  /// The command line is wrong.
  static let usage = ExitCode(64)
  /// The event store is damaged, or lacks what it had acknowledged.
  static let damagedData = ExitCode(65)
  /// The address is taken, or can't be listened on.
  static let cannotListen = ExitCode(73)
  /// The server can't be reached or is not ready.
  static let unavailable = ExitCode(69)
  /// The server refuses: no key, a wrong one, or one without the right.
  static let notPermitted = ExitCode(77)
  /// The configuration is wrong.
  static let configuration = ExitCode(78)
  /// Ended by a second interrupt, without draining.
  static let interrupted = ExitCode(130)
}
