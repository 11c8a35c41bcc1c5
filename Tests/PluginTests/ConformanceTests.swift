import ChannelKit
import ConformanceChannel
import Testing

@Suite struct ConformanceTests {
  private let client = ClientContext(id: ClientID(number: 7))

  private func call(_ name: String, in space: String = "/", asks: Bool = false) throws(ChannelError)
    -> [CallEffects.Effect]
  {
    var effects = CallEffects()
    let arguments = [Payload(text: "a"), Payload(.binary, [1])]
    try Conformance().called(
      Call(space: space, name: name, arguments: arguments, wantsAnswer: asks), by: client, &effects)
    return effects.list
  }

  private func greeting(_ space: String, _ credentials: Payload?) -> [CallEffects.Effect] {
    var effects = CallEffects()
    Conformance().entered(space, credentials, by: client, &effects)
    return effects.list
  }

  @Test func tellsNewcomersWhatTheyBrought() {
    let brought = Payload(json: #"{"token":"1"}"#)
    #expect(greeting("/custom", brought) == [.emit(name: "auth", [brought])])
    #expect(greeting("/", nil) == [.emit(name: "auth", [Payload(json: "{}")])])
    #expect(greeting("", brought) == [.answer([brought])])
    #expect(greeting("", nil) == [.answer([])])
  }

  @Test func sendsBackWhatItIsSent() throws {
    let arguments = [Payload(text: "a"), Payload(.binary, [1])]
    #expect(try call("message") == [.emit(name: "message-back", arguments)])
    #expect(try call("message-with-ack", asks: true) == [.answer(arguments)])
    #expect(try call("", in: "") == [.emit(name: "", arguments)])
    #expect(try call("message-with-ack", in: "", asks: true) == [.answer(arguments)])
    #expect(throws: ChannelError.unknownEvent("other")) { _ = try call("other") }
  }

  @Test func asksWhomeverWantsToBeAsked() throws {
    let arguments = [Payload(text: "a"), Payload(.binary, [1])]
    let question = CallQuestion("question", arguments, within: .seconds(1), tag: "ask-me")
    #expect(try call("ask-me") == [.ask(question)])
    let one = Payload(json: "1")
    #expect(told(question, .answered([one])) == [Payload(text: "answered"), one])
    #expect(told(question, .late) == [Payload(text: "late")])
    #expect(told(question, .gone) == nil)
  }

  private func told(_ question: CallQuestion, _ outcome: CallAnswer.Outcome) -> [Payload]? {
    var effects = CallEffects()
    Conformance().answered(CallAnswer(question, in: "/", outcome), by: client, &effects)
    guard case .emit("asked-and", let arguments)? = effects.list.first else { return nil }
    return arguments
  }

  @Test func questionsAreBounded() {
    var effects = CallEffects()
    effects.ask("x", [], within: .seconds(100_000), tag: String(repeating: "t", count: 2_000))
    #expect(effects.questions == [CallQuestion("x", [], within: CallQuestion.withinMax)])
    effects.ask("y", [], within: .zero)
    #expect(effects.questions[1].within == .milliseconds(1))
  }

  @Test func effectsOfOneCallAreBounded() {
    var effects = CallEffects()
    for _ in 0...CallEffects.countMax { effects.emit("x", []) }
    #expect(effects.list.count == CallEffects.countMax)
  }
}
