internal import Platform

/// `sapphire-eventstore --verify DIR...`: checks stores that are not running.
///
/// Prints one JSON object a line: a store's streams with their heads and hashes, then the store
/// itself with `ok`. `-` in place of directories reads them from standard input, one a line, and
/// answers each before it reads the next.
public enum VerifyCommand {
  /// - Shape: `scratch` is a directory with room for a copy of the largest store.
  /// - Errors: gives the exit code of the first store that is not good, else 0.
  public static func run(
    _ directories: [String], scratch: String, now: StoreInstant, print: (String) -> Void,
    nextLine: () -> String?
  ) -> Int32 {
    var code: Int32 = 0
    func verify(_ directory: String) {
      let report = StoreVerifier.verify(directory, scratch: scratch, now: now)
      for line in report.lines { print(line) }
      if code == 0, let problem = report.problem { code = problem.exitCode }
    }
    if directories == ["-"] {
      while let directory = nextLine() { verify(directory) }
    } else {
      for directory in directories { verify(directory) }
    }
    return code
  }
}

extension VerifyCommand {
  /// Runs and ends the process where the command line begins with `--verify`; else does nothing.
  public static func runIfAsked(_ arguments: [String] = CommandLine.arguments) {
    guard arguments.count > 1, arguments[1] == "--verify" else { return }
    guard arguments.count > 2 else {
      print("--verify needs the directory of a store, or several")
      Processes.exit(64)
    }
    let code = run(
      Array(arguments[2...]), scratch: scratchDirectory, now: .now(),
      print: { line in printLine(line) }, nextLine: { readLine() })
    Processes.exit(code)
  }

  /// `TMPDIR`, else /var/tmp: a store may be too large for a file system in memory.
  private static var scratchDirectory: String { Processes.environment("TMPDIR") ?? "/var/tmp" }

  /// Writes to standard output at once, so that whoever feeds directories can wait for answers.
  private static func printLine(_ line: String) {
    var bytes = [UInt8](line.utf8)
    bytes.append(UInt8(ascii: "\n"))
    var offset = 0
    while offset < bytes.count,
      case .count(let written) = Syscalls.write(number: 1, bytes, from: offset)
    {
      offset += written
    }
  }
}
