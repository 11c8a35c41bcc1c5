internal import ChannelKit
internal import CommandCore
internal import PluginRegistry

CommandLineTool.runAndExit(
  Array(CommandLine.arguments.dropFirst()), channelTypes: ChannelRegistry.compiledIn.names)
