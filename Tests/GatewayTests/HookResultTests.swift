import Bytes
import Hooks
import Identity
import JSON
import Testing

@testable import GatewayCore

/// What back ends are asked and what their results say, in Centrifugo's shapes.
@Suite struct HookResultTests {
  private let now: Int64 = 1_795_299_188

  private func read(_ text: String) throws -> HookResult {
    let object = try #require(try JSONValue.parse([UInt8](text.utf8).span).object)
    return HookResult(object)
  }

  private func text(_ bytes: [UInt8]?) -> String? {
    bytes.map { String(decoding: $0, as: UTF8.self) }
  }

  // MARK: questions

  @Test func aQuestionSaysByWhatTheClientCame() throws {
    var question = HookQuestion("00ab", HookDoor(transport: "websocket"))
    question.add("user", "ada")
    question.add("channel", "room:7")
    try question.add(Payload(json: #"{"a":1}"#))
    #expect(
      text(question.end())
        == #"{"client":"00ab","transport":"websocket","protocol":"json","encoding":"json","#
        + #""user":"ada","channel":"room:7","data":{"a":1}}"#)
  }

  @Test(arguments: [
    (Payload(.binary, [0, 255]), #""b64data":"AP8=""#), (Payload(text: "a\"b"), #""data":"a\"b""#),
    (Payload(.uncheckedText, [UInt8]("[1]".utf8)), #""data":[1]"#),
    (Payload(.uncheckedText, [UInt8]("[1".utf8)), #""data":"[1""#),
  ])
  func whatIsPublishedStandsAsInAnEnvelope(_ payload: Payload, _ member: String) throws {
    var question = HookQuestion(nil, HookDoor(transport: "poll"))
    try question.add(payload)
    #expect(text(question.end())?.hasSuffix(member + "}") == true)
  }

  // MARK: results

  @Test func dataIsTextJSONOrBytes() throws {
    #expect(try read("{}").payload() == nil)
    #expect(try read(#"{"data":null,"b64data":null}"#).payload() == nil)
    #expect(try read(#"{"data":{"a":[1.50]}}"#).payload() == Payload(json: #"{"a":[1.50]}"#))
    #expect(try read(#"{"data":"x"}"#).payload() == Payload(text: "x"))
    #expect(try read(#"{"b64data":"AP8="}"#).payload() == Payload(.binary, [0, 255]))
    #expect(try read(#"{"data":1,"b64data":""}"#).payload() == Payload(json: "1"))
    #expect(throws: HookFailure.self) { try read(#"{"b64data":"?"}"#).payload() }
    #expect(throws: HookFailure.self) { try read(#"{"b64data":7}"#).payload() }
  }

  @Test func infoIsJSONHoweverItComes() throws {
    #expect(text(try read(#"{"info":{"name":"Ada"}}"#).info()) == #"{"name":"Ada"}"#)
    #expect(text(try read(#"{"b64info":"eyJhIjoxfQ=="}"#).info()) == #"{"a":1}"#)
    #expect(try read("{}").info() == nil)
    #expect(throws: HookFailure.self) { try read(#"{"b64info":"AP8="}"#).info() }
  }

  @Test func aRightEndsInTheFutureOrNever() throws {
    #expect(try read("{}").end(now: now) == nil)
    #expect(try read(#"{"expire_at":0}"#).end(now: now) == nil)
    #expect(try read(#"{"expire_at":\#(now + 1)}"#).end(now: now) == now + 1)
    for wrong in ["\(now)", "-1", "1e99", "\"x\"", "1.5", "true"] {
      #expect(throws: HookFailure.self, "\(wrong)") {
        try read(#"{"expire_at":\#(wrong)}"#).end(now: now)
      }
    }
  }

  @Test func aSwitchIsOnWhereItSaysSo() throws {
    #expect(try !read("{}").isOn("expired"))
    #expect(try read(#"{"expired":true}"#).isOn("expired"))
    #expect(throws: HookFailure.self) { try read(#"{"expired":"true"}"#).isOn("expired") }
  }

  // MARK: who somebody is

  @Test func somebodyHasANameChannelsAndRights() throws {
    let found = try read(
      """
      {"user":"ada","info":{"name":"Ada"},"expire_at":\(now + 60),"channels":["a"],"subs":{"b":{}},
      "roles":["admin"],"caps":[{"channels":["c:*"],"allow":["sub","pub"]}]}
      """
    ).identity(now: now)
    let identity = try #require(found)
    #expect(identity.user == "ada" && identity.expiresAt == now + 60 && identity.roles == ["admin"])
    #expect(text(identity.info) == #"{"name":"Ada"}"#)
    #expect(identity.channels.map(\.text) == ["a", "b"])
    let channel = try #require(ChannelName("c:1"))
    #expect(identity.allows(.publish, in: channel) && !identity.allows(.history, in: channel))
  }

  @Test func nobodyIsNoIdentity() throws {
    for text in ["{}", #"{"user":""}"#, #"{"user":null,"channels":[]}"#, #"{"data":1}"#] {
      #expect(try read(text).identity(now: now) == nil, "\(text)")
    }
    // Nobody in particular, who is in a channel all the same.
    #expect(try read(#"{"channels":["a"]}"#).identity(now: now)?.user == nil)
    #expect(try read(#"{"user":"ada"}"#).identity(now: now)?.expiresAt == nil)
  }

  @Test(arguments: [
    #"{"user":7}"#, #"{"channels":"a"}"#, #"{"channels":["a b"]}"#, #"{"subs":[]}"#,
    #"{"roles":"admin"}"#, #"{"caps":[{"allow":["all"],"channels":["a"]}]}"#,
    #"{"user":"a\u0000"}"#, #"{"expire_at":1}"#,
  ])
  func whoIsNobodyThatCouldBeMakesTheAnswerUseless(_ text: String) throws {
    let result = try read(text)
    #expect(throws: HookFailure.self) { try result.identity(now: now) }
  }

  // MARK: channels

  @Test func whatItHasForAClientInAChannelStandsInSubs() throws {
    #expect(try read("{}").places().isEmpty)
    let places = try read(
      #"{"subs":{"a":{},"b":{"info":{"n":1},"b64data":"AP8=","#
        + #""override":{"presence":{"value":false}}},"c":null}}"#
    ).places()
    let (a, b) = (try #require(ChannelName("a")), try #require(ChannelName("b")))
    #expect(places.count == 2 && places[a] == HookPlace())
    #expect(text(places[b]?.info) == #"{"n":1}"#)
    #expect(places[b]?.data == Payload(.binary, [0, 255]))
    #expect(places[b]?.override == SubscriptionOverride(isHidden: true))
    for wrong in [#"{"subs":[]}"#, #"{"subs":{"a":1}}"#, #"{"subs":{"a":{"b64info":"?"}}}"#] {
      #expect(throws: HookFailure.self, "\(wrong)") { try read(wrong).places() }
    }
  }

  @Test(arguments: [
    ("{}", SubscriptionOverride()),
    (#"{"presence":{"value":true},"join_leave":{"value":false}}"#, SubscriptionOverride()),
    (#"{"force_push_join_leave":{"value":true}}"#, SubscriptionOverride(hearsMembers: true)),
    (
      #"{"force_push_join_leave":{"value":false},"presence":null}"#,
      SubscriptionOverride(hearsMembers: false)
    ),
    (#"{"force_recovery":{"value":false}}"#, SubscriptionOverride(forgetsPlace: true)),
    (
      #"{"force_positioning":{"value":false},"force_recovery":{"value":true}}"#,
      SubscriptionOverride(isUnpositioned: true)
    ),
    (#"{"of_a_later_version":{"value":1}}"#, SubscriptionOverride()),
  ])
  func anOverrideSaysWhatIsDifferent(_ json: String, _ wanted: SubscriptionOverride) throws {
    #expect(try read(#"{"override":\#(json)}"#).place().override == wanted)
  }

  @Test(arguments: [#"[]"#, #"{"presence":false}"#, #"{"presence":{"value":"no"}}"#, #"{"join_leave":{}}"#])
  func anOverrideThatIsNoneMakesTheAnswerUseless(_ json: String) {
    #expect(throws: HookFailure.self) { try read(#"{"override":\#(json)}"#).place() }
  }

  @Test func metaIsAnObject() throws {
    #expect(try read("{}").meta() == nil)
    #expect(text(try read(#"{"meta":{"plan":"gold"}}"#).meta()) == #"{"plan":"gold"}"#)
    #expect(throws: HookFailure.self) { try read(#"{"meta":"gold"}"#).meta() }
  }

}
