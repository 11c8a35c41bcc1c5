import GatewayCore
import PluginRegistry
import Service

let registry = PluginRegistry.all()
ServiceProcess.run(GatewayProgram.description(registry)) { context in
  try GatewayProgram.start(context, registry)
}
