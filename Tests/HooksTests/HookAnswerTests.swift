import JSON
import Testing

@testable import Hooks

@Suite struct HookAnswerTests {
  private func read(_ text: String) throws(HookFailure) -> HookAnswer {
    try HookAnswer([UInt8](text.utf8))
  }

  @Test func aResultIsTaken() throws {
    #expect(try read(#"{"result":{}}"#) == .result(JSONObject()))
    #expect(try read(#" {"result":{"user":"56"}, "more":1} "#) == .result(["user": .string("56")]))
  }

  @Test func anErrorHasACodeAWordAndMayPass() throws {
    #expect(
      try read(#"{"error":{"code":1000,"message":"no"}}"#)
        == .error(code: 1000, message: "no", isTemporary: false))
    #expect(
      try read(#"{"error":{"code":100,"temporary":true}}"#)
        == .error(code: 100, message: "", isTemporary: true))
  }

  @Test func aDisconnectGoesBeforeAllElse() throws {
    #expect(
      try read(#"{"result":{},"error":{"code":1000},"disconnect":{"code":4500,"reason":"x"}}"#)
        == .disconnect(code: 4500, reason: "x"))
    #expect(
      try read(#"{"disconnect":null,"error":null,"result":{}}"#) == .result(JSONObject()))
  }

  @Test(arguments: [
    "", "{", "[]", "1", "null", "{}", #"{"result":null}"#, #"{"result":[]}"#,
    #"{"error":{"code":99}}"#, #"{"error":{"code":2000}}"#, #"{"error":{"code":1.5}}"#,
    #"{"error":{"code":"1000"}}"#, #"{"error":{}}"#, #"{"disconnect":{}}"#,
    #"{"disconnect":{"code":3999}}"#, #"{"disconnect":{"code":5000}}"#,
    #"{"disconnect":{"code":1e400}}"#, #"{"error":{"code":99999999999999999999}}"#,
  ])
  func whatSaysNothingIsNoPermission(_ text: String) {
    #expect(throws: HookFailure.self) { try read(text) }
  }

  @Test func longWordsAreCutBetweenCharacters() throws {
    let long = String(repeating: "é", count: 400)
    guard case .error(_, let message, _) = try read(#"{"error":{"code":1000,"message":"\#(long)"}}"#)
    else {
      Issue.record("it is an error")
      return
    }
    #expect(message == String(repeating: "é", count: 256))
    guard case .disconnect(_, let reason) = try read(#"{"disconnect":{"code":4000,"reason":"\#(long)"}}"#)
    else {
      Issue.record("it is a disconnect")
      return
    }
    #expect(reason.utf8.count == 120)
  }
}
