import EventStoreCore
import Service

VerifyCommand.runIfAsked()
ServiceProcess.run(EventStoreProgram.description, start: EventStoreProgram.start)
