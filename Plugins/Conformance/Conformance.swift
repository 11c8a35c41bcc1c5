public import ChannelKit

/// The application that the conformance suites of Socket.IO and Engine.IO talk to: tells every
/// newcomer what it brought, and sends back what it is sent.
///
/// | where | what comes | what goes back |
/// |---|---|---|
/// | a namespace | a client | `auth` with what it brought, `{}` for nothing |
/// | a namespace | `message` | `message-back` with the same arguments |
/// | a namespace | `message-with-ack` | an acknowledgement with the same arguments |
/// | bare Engine.IO | a message | the same message |
public struct Conformance: CallHandler {
  public static let name = "conformance"

  public init() {}

  public func entered(
    _ space: String, _ credentials: Payload?, by client: ClientContext,
    _ effects: inout CallEffects
  ) {
    guard !space.isEmpty else { return }
    effects.emit("auth", [credentials ?? Payload(json: "{}")])
  }

  public func called(
    _ call: Call, by client: ClientContext, _ effects: inout CallEffects
  ) throws(ChannelError) {
    guard !call.space.isEmpty else { return effects.emit("", call.arguments) }
    switch call.name {
    case "message": effects.emit("message-back", call.arguments)
    case "message-with-ack": effects.answer(call.arguments)
    default: throw .unknownEvent(call.name)
    }
  }
}
