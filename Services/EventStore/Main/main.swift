import EventStoreCore
import Service

VerifyCommand.runIfAsked()
