internal import CommandCore

CommandLineTool.runAndExit(Array(CommandLine.arguments.dropFirst()))
