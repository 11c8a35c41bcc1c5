import PresenceCore
import Service

ServiceProcess.run(PresenceProgram.description, start: PresenceProgram.start)
