public import Config
internal import Platform

/// One thing that `sapphire` does.
struct Command: Sendable {
  let name: String
  /// One line for the list of commands.
  let summary: String
  /// What follows the name, one line.
  let usage: String
  /// What a person has to know, with examples; full lines.
  let details: String
  let options: [Option]
  let run: @Sendable (Arguments, CommandContext) -> ExitCode

  /// The text of `sapphire NAME --help`.
  var help: String {
    let all = options + [Self.helpOption]
    let width = all.map(\.spelling.count).max() ?? 0
    let lines = all.map { option in
      let gap = String(repeating: " ", count: width - option.spelling.count + 2)
      return "  \(option.spelling)\(gap)\(option.help)"
    }
    return """
      sapphire \(name) \(usage)

      \(details)

      Options:
      \(lines.joined(separator: "\n"))
      """
  }

  static let helpOption = Option.flag("--help", "shows this")
}

/// What every command is given.
struct CommandContext: Sendable {
  var console = Console()
  /// The channel types that the services of this build know, for configurations.
  var channelTypes: [String] = []
  /// The plugins that answer calls, likewise.
  var callHandlers: [String] = []
  /// What the channel types say of rules, likewise.
  var channelFault: ChannelTypeCheck?
  /// One variable of the environment.
  var environment: @Sendable (String) -> String? = { Processes.environment($0) }

  /// Says why and how to go on, and gives the exit code for a wrong command line.
  func refuse(_ error: UsageError, _ command: String) -> ExitCode {
    console.report(error.message)
    console.report("`sapphire \(command) --help` shows how it is used")
    return .usage
  }

  func dataDirectory(_ arguments: Arguments) throws(UsageError) -> DataDirectory {
    let current: String
    do throws(SystemError) {
      current = try Files.workingDirectory().description
    } catch {
      throw UsageError("the working directory is gone: \(error)")
    }
    return try DataDirectory(
      option: arguments["--data"], environment: environment, isRoot: Syscalls.userID == 0,
      workingDirectory: current)
  }
}

/// The whole program: finds the command and runs it.
public enum CommandLineTool {
  static let version = "0.1.0"

  static let commands: [Command] = [
    UpCommand.command,
    ObserveCommand.command,
    PublishCommand.command,
    LookCommands.channels,
    LookCommands.history,
    LookCommands.removeHistory,
    LookCommands.presence,
    StreamCommands.list,
    StreamCommands.tree,
    StreamCommands.read,
    StreamTail.command,
    StreamCommands.state,
    StreamCommands.fork,
    StreamCommands.diff,
    StreamCommands.trim,
    StreamCommands.remove,
    StreamExport.command,
    StreamVerify.command,
    StreamImport.command,
    LookCommands.health,
    VaultCommands.watch,
    VaultCommands.drop,
    TokenCommands.make,
    TokenCommands.verify,
    TokenCommands.key,
    KeyCommands.make,
    KeyCommands.list,
    KeyCommands.revoke,
    ConfigCheckCommand.command,
    BenchCommand.command,
    versionCommand,
  ]

  /// Runs `sapphire` with the words after its name. Call on the main thread, before any other
  /// thread is started: `up` blocks signals and ties its children to this thread.
  public static func run(
    _ words: [String], channelTypes: [String], callHandlers: [String] = [],
    channelFault: ChannelTypeCheck? = nil
  ) -> Int32 {
    Syscalls.openStandardDescriptors()
    let context = CommandContext(
      channelTypes: channelTypes, callHandlers: callHandlers, channelFault: channelFault)
    guard let name = words.first else {
      context.console.report("what should be done?\n\n\(overview)")
      return ExitCode.usage.number
    }
    switch name {
    case "--help", "-h": return show(overview, context)
    case "--version": return show("sapphire \(version)", context)
    case "help": return help(Array(words.dropFirst()), context)
    default: return run(name, Array(words.dropFirst()), context).number
    }
  }

  /// `run`, and ends the process with its exit code.
  public static func runAndExit(
    _ words: [String], channelTypes: [String], callHandlers: [String],
    channelFault: ChannelTypeCheck? = nil
  ) -> Never {
    Processes.exit(
      run(
        words, channelTypes: channelTypes, callHandlers: callHandlers, channelFault: channelFault))
  }

  private static func show(_ text: String, _ context: CommandContext) -> Int32 {
    context.console.line(text) ? ExitCode.ok.number : ExitCode.failure.number
  }

  private static func help(_ words: [String], _ context: CommandContext) -> Int32 {
    if let (command, _) = find(words) { return show(command.help, context) }
    return show(words.first.flatMap(overview(of:)) ?? overview, context)
  }

  /// The commands whose first word is `name`; nil where there is none.
  private static func overview(of name: String) -> String? {
    let members = commands.filter { $0.name.hasPrefix(name + " ") }
    guard !members.isEmpty else { return nil }
    return """
      Usage: sapphire \(name) COMMAND [OPTIONS]

      \(table(of: members))

      `sapphire \(name) COMMAND --help` teaches each of them.
      """
  }

  /// A line for each: its name and what it is for.
  private static func table(of commands: [Command]) -> String {
    let width = commands.map(\.name.count).max() ?? 0
    return commands.map { command in
      let gap = String(repeating: " ", count: width - command.name.count + 2)
      return "  \(command.name)\(gap)\(command.summary)"
    }.joined(separator: "\n")
  }

  private static func run(_ name: String, _ rest: [String], _ context: CommandContext) -> ExitCode {
    guard let (command, words) = find([name] + rest) else {
      if let members = overview(of: name) {
        if rest.first == "--help" || rest.first == "-h" { return context.console.line(members) ? .ok : .failure }
        let what = rest.first.map { "there is no command `\(name) \($0)`" } ?? "what should be done?"
        context.console.report("\(what)\n\n\(members)")
        return .usage
      }
      context.console.report("there is no command `\(name)`; `sapphire --help` lists them")
      return .usage
    }
    do throws(UsageError) {
      let arguments = try Arguments(words, options: command.options + [Command.helpOption])
      if arguments.has("--help") {
        context.console.line(command.help)
        return .ok
      }
      return command.run(arguments, context)
    } catch {
      return context.refuse(error, command.name)
    }
  }

  /// The command that the first word, or the first two, name; and the words after it.
  static func find(_ words: [String]) -> (command: Command, rest: [String])? {
    for count in [2, 1] where words.count >= count {
      let name = words[..<count].joined(separator: " ")
      if let command = commands.first(where: { $0.name == name }) {
        return (command, Array(words[count...]))
      }
    }
    return nil
  }

  static var overview: String {
    """
    sapphire: publish once, and every observer has it

    Usage: sapphire COMMAND [OPTIONS]

    \(table(of: commands))

    `sapphire COMMAND --help` teaches each of them.

    The server is found by --url, SAPPHIRE_URL or the data directory of this machine's
    `sapphire up`; the key of its API by SAPPHIRE_API_KEY or the same directory. What to sign
    in with as a user is read from SAPPHIRE_TOKEN or --token-file, never from an option.

    Exit codes: 0 done · 1 failed · 64 wrong command line · 69 server not reachable or not
    ready · 77 not permitted · 78 wrong configuration
    """
  }

  private static let versionCommand = Command(
    name: "version", summary: "shows the version", usage: "",
    details: "Prints the version of this program.", options: []
  ) { _, context in
    context.console.line("sapphire \(version)") ? .ok : .failure
  }
}
