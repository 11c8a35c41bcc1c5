public import ChannelKit

/// The application that the conformance suites of Socket.IO and Engine.IO talk to: tells every
/// newcomer what it brought, and sends back what it is sent.
///
/// | where | what comes | what goes back |
/// |---|---|---|
/// | a namespace | a client | `auth` with what it brought, `{}` for nothing |
/// | a namespace | `message` | `message-back` with the same arguments |
/// | a namespace | `message-with-ack` | an acknowledgement with the same arguments |
/// | a namespace | `ask-me` | `question` with the same arguments, to be answered within a second |
/// | a namespace | the answer to it | `asked-and` with `answered` and what it was, or with `late` |
/// | bare Engine.IO | a message | the same message |
/// | Centrifuge | a client | what it brought, as `data` of the reply to `connect` |
/// | Centrifuge | `message`, or `send` | the same as a push `message` |
/// | Centrifuge | `message-with-ack` | an answer with the same data |
public struct Conformance: CallHandler {
  public static let name = "conformance"

  public init() {}

  public func entered(
    _ space: String, _ credentials: Payload?, by client: ClientContext,
    _ effects: inout CallEffects
  ) {
    guard !space.isEmpty else { return effects.answer(credentials.map { [$0] } ?? []) }
    effects.emit("auth", [credentials ?? Payload(json: "{}")])
  }

  public func called(
    _ call: Call, by client: ClientContext, _ effects: inout CallEffects
  ) throws(ChannelError) {
    guard !call.space.isEmpty || !call.name.isEmpty else {
      return effects.emit("", call.arguments)
    }
    switch call.name {
    case "message": effects.emit("message-back", call.arguments)
    case "message-with-ack": effects.answer(call.arguments)
    case "ask-me": effects.ask("question", call.arguments, within: .seconds(1), tag: call.name)
    default: throw .unknownEvent(call.name)
    }
  }

  public func answered(
    _ answer: CallAnswer, by client: ClientContext, _ effects: inout CallEffects
  ) {
    switch answer.outcome {
    case .answered(let said): effects.emit("asked-and", [Payload(text: "answered")] + said)
    case .late: effects.emit("asked-and", [Payload(text: "late")])
    case .unreadable: effects.emit("asked-and", [Payload(text: "unreadable")])
    case .gone, .notAsked: break
    }
  }
}
