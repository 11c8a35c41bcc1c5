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
    #expect(greeting("", nil).isEmpty)
  }

  @Test func sendsBackWhatItIsSent() throws {
    let arguments = [Payload(text: "a"), Payload(.binary, [1])]
    #expect(try call("message") == [.emit(name: "message-back", arguments)])
    #expect(try call("message-with-ack", asks: true) == [.answer(arguments)])
    #expect(try call("", in: "") == [.emit(name: "", arguments)])
    #expect(throws: ChannelError.unknownEvent("other")) { _ = try call("other") }
  }

  @Test func effectsOfOneCallAreBounded() {
    var effects = CallEffects()
    for _ in 0...CallEffects.countMax { effects.emit("x", []) }
    #expect(effects.list.count == CallEffects.countMax)
  }
}
