import ChannelKit
import GatewayCore
import PluginRegistry
import Service

let registry = ChannelRegistry.compiledIn
ServiceProcess.run(GatewayProgram.description(registry)) { context in
  try GatewayProgram.start(context, registry)
}
