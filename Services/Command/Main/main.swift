internal import ChannelKit
internal import CommandCore
internal import Config
internal import PluginRegistry

let registry = ChannelRegistry.compiledIn
CommandLineTool.runAndExit(
  Array(CommandLine.arguments.dropFirst()), channelTypes: registry.names,
  callHandlers: registry.handlerNames
) { [registry] rule in
  let history: ChannelHistory =
    switch rule.history {
    case .none: .none
    case .memory: .memory
    case .durable: .durable
    }
  do throws(ChannelOptionsError) {
    try registry.check(rule.type, options: ChannelOptions(json: rule.options), history: history)
    return nil
  } catch { return ChannelTypeFault(option: error.option, error.reason) }
}
