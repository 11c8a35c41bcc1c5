import Bytes
import Centrifuge
import Config
import Testing
import Wire

@testable import GatewayCore

struct OwnMemberTests {
  @Test(arguments: ["ann", "a:b:c", "zoë", ":"])
  func aMembersNameHasItsUserInIt(user: String) throws {
    let name = try #require(OwnMember.name(user: user, own: "00000000000000ab"))
    #expect(OwnMember.user(ofSession: name) == user)
    let person = ControlMessage.Person(Member(key: .session(name), client: 0xab))
    #expect(person.user == user && person.client == "00000000000000ab")
  }

  @Test func otherSessionsAreNobodys() {
    for name in ["", "abcDEF_-0123456", "connection:", "connection:abc"] {
      #expect(OwnMember.user(ofSession: name) == "", "\(name)")
    }
  }

  @Test func aNameThatPresenceWouldRefuseIsNone() {
    #expect(OwnMember.name(user: String(repeating: "x", count: 255), own: "ab") == nil)
    #expect(OwnMember.name(user: String(repeating: "x", count: 200), own: "ab") != nil)
  }

  @Test func aPersonalChannelHasTheUserInItsName() {
    var settings = CentrifugeSettings()
    #expect(CentrifugeRules(settings).personalChannel(of: "ann") == nil)
    settings.personalChannel = "in:{user}:box"
    let rules = CentrifugeRules(settings)
    #expect(rules.personalChannel(of: "ann") == channel("in:ann:box"))
    #expect(rules.personalChannel(of: "") == nil)
    #expect(rules.personalChannel(of: "a b") == nil)
  }

  @Test func whatADisconnectionSaysSurvivesTheStore() throws {
    let farewell = try #require(IdentityOrder.Farewell(4_555, "enough"))
    var whom = IdentityOrder.Whom(user: "ann")
    whom.except = ["00000000000000ab"]
    let order = IdentityOrder.disconnect(whom, farewell)
    #expect(IdentityOrder(json: order.json(origin: "g")) == order)
    #expect(farewell.refusal.closeCode == 4_555)
    #expect(farewell.refusal.centrifugeDisconnect.code == 4_555)
    #expect(IdentityOrder.Farewell(3_500, "") == nil)
    #expect(IdentityOrder.Farewell(4_000, String(repeating: "x", count: 124)) == nil)
  }
}
