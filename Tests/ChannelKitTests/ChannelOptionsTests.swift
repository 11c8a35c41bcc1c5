import ChannelKit
import Testing

@Suite struct ChannelOptionsTests {
  @Test func readsNilWhereAnOptionIsAbsent() throws {
    var options = ChannelOptions()
    #expect(try options.int("rate", in: 1...9) == nil)
    #expect(try options.bool("on") == nil)
    #expect(try options.text("word") == nil)
    #expect(try options.texts("words") == nil)
    #expect(try options.principals("who") == nil)
  }

  @Test func readsValuesOfTheRightType() throws {
    var options = ChannelOptions([
      "rate": 9, "on": true, "word": "a", "words": ["a", "b"], "one": "c",
      "who": ["anonymous", "user:*", "user:7", "role:admin", "api"],
      "nobody": "none",
    ])
    #expect(try options.int("rate", in: 1...9) == 9)
    #expect(try options.bool("on") == true)
    #expect(try options.choice("word", of: ["a", "b"]) == "a")
    #expect(try options.texts("words") == ["a", "b"])
    #expect(try options.texts("one") == ["c"])
    #expect(
      try options.principals("who")
        == [.anyone, .users, .user(UserID("7")), .role("admin"), .api])
    #expect(try options.principals("nobody") == [])
  }

  @Test(arguments: [
    OptionValue.number(0), .number(10), .number(1.5), .number(.nan), .number(1e300),
  ])
  func refusesNumbersThatAreNotWholeOrOutOfRange(value: OptionValue) {
    #expect(throws: ChannelOptionsError.self) {
      var options = ChannelOptions(["rate": value])
      _ = try options.int("rate", in: 1...9)
    }
  }

  @Test func namesTheOptionAndWhatItMustBe() {
    let error = #expect(throws: ChannelOptionsError.self) {
      var options = ChannelOptions(["rate": "fast"])
      _ = try options.int("rate", in: 1...9)
    }
    #expect(error?.description == "options.rate: must be a whole number from 1 to 9, is a string")
  }

  @Test(arguments: ["", "everyone", "none", "role:", "user:", "role", "group:a"])
  func refusesPrincipalsOutsideTheGrammar(text: String) {
    #expect(Principal(text) == nil)
  }

  @Test(arguments: ["anonymous", "user:*", "user:7", "role:admin", "api"])
  func principalsReadWhatTheyPrint(text: String) {
    #expect(Principal(text)?.description == text)
  }

  @Test func principalsIncludeWhomTheyName() {
    let anonymous = ClientContext(id: ClientID("c1"))
    let admin = ClientContext(id: ClientID("c2"), user: UserID("u"), roles: ["admin"])
    #expect(Principal.anyone.includes(anonymous))
    #expect(!Principal.users.includes(anonymous) && Principal.users.includes(admin))
    #expect(!Principal.users.includes(.api) && Principal.api.includes(.api))
    #expect(Principal.role("admin").includes(admin) && !Principal.role("adm").includes(admin))
    #expect(Principal.user(UserID("u")).includes(admin) && !Principal.api.includes(admin))
    #expect([Principal.api, .users].include(admin) && ![Principal]().include(admin))
  }

  /// Snapshots of one rule's states are told from another's by it.
  @Test func otherOptionsHaveAnotherFingerprint() {
    let options: [[String: OptionValue]] = [
      ["a": 1], ["a": 2], ["a": "1"], ["b": 1], ["a": [1]], ["a": 1, "b": 1], ["a": .null],
      ["a": .object(["a": 1])], ["a": true], ["a": false], ["a": []],
    ]
    let prints = options.map { ChannelOptions($0).fingerprint }
    #expect(Set(prints).count == options.count && !prints.contains(nil))
    #expect(ChannelOptions(options[5]).fingerprint == ChannelOptions(["b": 1, "a": 1]).fingerprint)
    #expect(ChannelOptions().fingerprint == nil)
  }
}
