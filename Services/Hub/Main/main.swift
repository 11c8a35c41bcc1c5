import HubCore
import Service

ServiceProcess.run(HubProgram.description, start: HubProgram.start)
