import Testing

@testable import CommandCore

private let options: [Option] = [
  .value("--listen", "HOST:PORT", "where"), .value("--since", "POSITION", "from when"),
  .flag("--json", "as JSON"), .flag("--help", "shows this"),
]

private func message(_ words: String...) -> String? {
  do throws(UsageError) {
    _ = try Arguments(words, options: options)
    return nil
  } catch {
    return error.message
  }
}

@Suite struct ArgumentsTests {
  @Test func takesOptionsAndOperandsInAnyOrder() throws {
    let words = ["a", "--listen", "h:1", "--json", "b", "--since=e=1:2", "-"]
    let arguments = try Arguments(words, options: options)
    #expect(arguments.operands == ["a", "b", "-"])
    #expect(arguments["--listen"] == "h:1")
    #expect(arguments["--since"] == "e=1:2")
    #expect(arguments.has("--json"))
    #expect(!arguments.has("--help"))
  }

  @Test func whatFollowsTwoDashesIsNoOption() throws {
    let arguments = try Arguments(["--json", "--", "--listen", "--"], options: options)
    #expect(arguments.operands == ["--listen", "--"])
  }

  @Test func theShortFormOfHelpIsHelp() throws {
    #expect(try Arguments(["-h"], options: options).has("--help"))
  }

  @Test func aValueMayBeginWithADash() throws {
    #expect(try Arguments(["--since", "-1"], options: options)["--since"] == "-1")
  }

  @Test func refusalsNameWhatIsWrong() {
    #expect(message("--listn", "x") == "unknown option --listn; did you mean --listen?")
    #expect(message("--frobnicate") == "unknown option --frobnicate")
    #expect(message("--listen") == "--listen needs a value: --listen HOST:PORT")
    #expect(message("--json=1") == "--json takes no value")
    #expect(message("--json", "--json") == "--json stands twice")
    #expect(message("-x") == "unknown option -x")
  }

  @Test func numbersOutsideTheirRangeAreRefused() throws {
    let arguments = try Arguments(["--since", "11"], options: options)
    #expect(try arguments.integer("--since", in: 1...11, default: 3) == 11)
    #expect(try arguments.integer("--listen", in: 1...5, default: 3) == 3)
    #expect(throws: UsageError("--since is a whole number from 1 to 10, not 11")) {
      _ = try arguments.integer("--since", in: 1...10, default: 3)
    }
  }

  @Test func everyCommandHasAHelpTextThatNamesItsOptions() {
    for command in CommandLineTool.commands {
      #expect(command.help.hasPrefix("sapphire \(command.name)"))
      for option in command.options { #expect(command.help.contains(option.name)) }
      #expect(CommandLineTool.overview.contains(command.summary))
    }
    let names = CommandLineTool.commands.map(\.name)
    #expect(Set(names).count == names.count)
  }

  @Test func commandsOfTwoWordsAreFoundBeforeThoseOfOne() {
    #expect(CommandLineTool.find(["up", "--json"])?.rest == ["--json"])
    #expect(CommandLineTool.find(["nothing"]) == nil)
    #expect(CommandLineTool.find(["history", "remove", "room"])?.command.name == "history remove")
    #expect(CommandLineTool.find(["history", "remove", "room"])?.rest == ["room"])
    // A channel may have that name.
    #expect(CommandLineTool.find(["history", "--", "remove"])?.command.name == "history")
    #expect(CommandLineTool.find(["history", "room"])?.rest == ["room"])
  }
}
