import Bytes
import Config
import Crypto
import Identity
import Testing

@Suite struct ClaimTests {
  @Test func readsEverythingThatATokenMaySay() throws {
    let token = signed(
      #"""
      {"sub":"ada","exp":1800000600.7,"iat":1799999999,"nbf":1799999999,"jti":"t1","sid":"s1",
       "roles":["admin","staff"],"channels":["news","map:cursor"],"info": {"a" : [1, "\u00e9"]},
       "caps":[{"channels":["chat:*"],"allow":["sub","pub"]},
               {"channels":["log"],"match":"wildcard","allow":["sub","hst","prs"]}],
       "unknown":{"anything":true}}
      """#)
    let identity = try verifier().identity(token)
    #expect(identity.user == "ada")
    #expect(identity.roles == ["admin", "staff"])
    #expect(identity.channels.map(\.text) == ["news", "map:cursor"])
    #expect(identity.info == Array(#"{"a" : [1, "\u00e9"]}"#.utf8))
    #expect(identity.tokenID == "t1")
    #expect(identity.session == "s1")
    #expect(identity.issuedAt == 1_799_999_999)
    #expect(identity.expiresAt == 1_800_000_600)
    let chat = try #require(ChannelName("chat:7"))
    let log = try #require(ChannelName("log"))
    #expect(identity.allows(.publish, in: chat))
    #expect(identity.allows([.subscribe, .publish], in: chat))
    #expect(!identity.allows(.history, in: chat))
    #expect(identity.allows([.history, .presence], in: log))
    #expect(!identity.allows(.publish, in: log))
    #expect(!identity.allows(.subscribe, in: try #require(ChannelName("logs"))))
  }

  @Test func aTokenMayNameNobody() throws {
    for claims in [#"{"exp":1900000000}"#, #"{"exp":1900000000,"sub":""}"#] {
      #expect(try verifier().identity(signed(claims)).user == nil)
    }
  }

  @Test func expireAtRulesTheConnectionAndExpTheToken() throws {
    let verifier = try verifier()
    let later = signed(#"{"exp":1800000100,"expire_at":1800090000}"#)
    #expect(try verifier.identity(later).expiresAt == 1_800_090_000)
    #expect(verifier.refusal(later, now: 1_800_001_000) == .expired)
    let never = try verifier.identity(signed(#"{"exp":1800000100,"expire_at":0}"#))
    #expect(never.expiresAt == nil)
    #expect(!never.isExpired(now: .max))
    #expect(verifier.refusal(signed(#"{"exp":1800000100,"expire_at":1799999999}"#)) == .expired)
    let identity = try verifier.identity(signed(#"{"exp":1800000100}"#))
    #expect(!identity.isExpired(now: 1_800_000_099))
    #expect(identity.isExpired(now: 1_800_000_100))
  }

  @Test func clocksMayDifferALittle() throws {
    let verifier = try verifier(TokenRules(leewaySeconds: 30))
    let token = signed(#"{"exp":1800000000,"nbf":1799999000,"iat":1799999000}"#)
    #expect(verifier.refusal(token, now: 1_800_000_029) == nil)
    #expect(verifier.refusal(token, now: 1_800_000_030) == .expired)
    #expect(verifier.refusal(token, now: 1_799_998_970) == nil)
    #expect(verifier.refusal(token, now: 1_799_998_969) == .notYetValid)
    #expect(TokenRules(leewaySeconds: 300).leewaySeconds == 30)
    #expect(TokenRules(leewaySeconds: -1).leewaySeconds == 0)
  }

  @Test func issuerAndAudienceAreThoseThatAreConfigured() throws {
    let strict = try verifier(TokenRules(issuer: "https://id", audience: "app"))
    let good = #"{"exp":1900000000,"iss":"https://id","aud":"app"}"#
    #expect(strict.refusal(signed(good)) == nil)
    #expect(
      strict.refusal(signed(#"{"exp":1900000000,"iss":"https://id","aud":["x","app"]}"#)) == nil)
    let cases: [(String, TokenError)] = [
      (#"{"exp":1900000000,"aud":"app"}"#, .wrongIssuer),
      (#"{"exp":1900000000,"iss":"https://id/","aud":"app"}"#, .wrongIssuer),
      (#"{"exp":1900000000,"iss":["https://id"],"aud":"app"}"#, .invalidClaim),
      (#"{"exp":1900000000,"iss":"https://id"}"#, .wrongAudience),
      (#"{"exp":1900000000,"iss":"https://id","aud":"App"}"#, .wrongAudience),
      (#"{"exp":1900000000,"iss":"https://id","aud":[]}"#, .wrongAudience),
      (#"{"exp":1900000000,"iss":"https://id","aud":["app",1]}"#, .invalidClaim),
      (#"{"exp":1900000000,"iss":"https://id","aud":{"app":1}}"#, .invalidClaim),
    ]
    for (claims, error) in cases { #expect(strict.refusal(signed(claims)) == error, "\(claims)") }
    // Made out to somebody, where nobody is configured.
    #expect(try verifier().refusal(signed(good)) == .wrongAudience)
  }

  @Test func namesAreComparedByteForByte() throws {
    let composed = "caf\u{e9}"
    let strict = try verifier(TokenRules(issuer: composed))
    #expect(strict.refusal(signed(#"{"exp":1900000000,"iss":"\#(composed)"}"#)) == nil)
    #expect(
      strict.refusal(signed(#"{"exp":1900000000,"iss":"cafe\#u{301}"}"#)) == .wrongIssuer)
  }

  @Test(arguments: [
    (#"{}"#, TokenError.missingClaim), (#"{"sub":"a"}"#, .missingClaim),
    (#"{"exp":"1900000000"}"#, .invalidClaim), (#"{"exp":-1}"#, .invalidClaim),
    (#"{"exp":null}"#, .invalidClaim), (#"{"exp":true}"#, .invalidClaim),
    (#"{"exp":1e300}"#, .invalidClaim), (#"{"exp":1e309}"#, .invalidClaim),
    (#"{"exp":99999999999999999999999}"#, .invalidClaim), (#"{"exp":[1900000000]}"#, .invalidClaim),
    (#"{"exp":1700000000}"#, .expired), (#"{"exp":0}"#, .expired),
    (#"{"exp":1900000000,"nbf":1800000100}"#, .notYetValid),
    (#"{"exp":1900000000,"iat":1800000100}"#, .notYetValid),
    (#"{"exp":1900000000,"nbf":"0"}"#, .invalidClaim),
    (#"{"exp":1900000000,"iat":-5}"#, .invalidClaim),
    (#"{"exp":1900000000,"sub":7}"#, .invalidClaim),
    (#"{"exp":1900000000,"sub":"a\nb"}"#, .invalidClaim),
    (#"{"exp":1900000000,"roles":"admin"}"#, .invalidClaim),
    (#"{"exp":1900000000,"roles":[""]}"#, .invalidClaim),
    (#"{"exp":1900000000,"roles":[["admin"]]}"#, .invalidClaim),
    (#"{"exp":1900000000,"channels":["a b"]}"#, .invalidClaim),
    (#"{"exp":1900000000,"channels":["a*"]}"#, .invalidClaim),
    (#"{"exp":1900000000,"caps":[{"channels":["a"],"allow":["all"]}]}"#, .invalidClaim),
    (#"{"exp":1900000000,"caps":[{"channels":["a b"],"allow":["sub"]}]}"#, .invalidClaim),
    (
      #"{"exp":1900000000,"caps":[{"channels":["a"],"match":"regex","allow":["sub"]}]}"#,
      .invalidClaim
    ),
    (#"{"exp":1900000000,"caps":{}}"#, .invalidClaim),
    (#"{"exp":1900000000,"exp":1900000000}"#, .malformed),
    (#"{"exp":1900000000,"sub":"a","su\u0062":"b"}"#, .malformed),
    (#"{"exp":1900000000,"info":{"a":1,"a":2}}"#, .malformed),
    (#"[{"exp":1900000000}]"#, .malformed), (#"{"exp":1900000000}x"#, .malformed),
    ("", .malformed), ("null", .malformed), (#"{"exp":1900000000,}"#, .malformed),
    (#"{"exp":1900000000,"channel":"news"}"#, .wrongPurpose),
  ])
  func refusesClaimsThatCanNotBeUsed(claims: String, error: TokenError) throws {
    #expect(try verifier().refusal(signed(claims)) == error)
  }

  @Test func boundsWhatAGoodSignatureMayHold() throws {
    let many = (0..<65).map { #""r\#($0)""# }.joined(separator: ",")
    #expect(
      try verifier().refusal(signed(#"{"exp":1900000000,"roles":[\#(many)]}"#)) == .invalidClaim)
    let long = String(repeating: "u", count: 256)
    #expect(
      try verifier().refusal(signed(#"{"exp":1900000000,"sub":"\#(long)"}"#)) == .invalidClaim)
    let deep = String(repeating: "[", count: 65) + String(repeating: "]", count: 65)
    #expect(try verifier().refusal(signed(#"{"exp":1900000000,"x":\#(deep)}"#)) == .malformed)
  }
}

@Suite struct SubscriptionTokenTests {
  @Test func admitsOneUserToOneChannel() throws {
    let grant = try verifier().grant(
      signed(#"{"sub":"ada","channel":"news","exp":1900000000,"info":{"n":1},"jti":"t"}"#))
    let news = try #require(ChannelName("news"))
    #expect(grant.channel == news)
    #expect(grant.info == Array(#"{"n":1}"#.utf8))
    #expect(grant.expiresAt == 1_900_000_000)
    #expect(grant.admits(Identity(user: "ada"), to: news))
    #expect(!grant.admits(Identity(user: "bob"), to: news))
    #expect(!grant.admits(Identity(), to: news))
    #expect(!grant.admits(Identity(user: "ada"), to: try #require(ChannelName("news2"))))
  }

  @Test func oneForNobodyAdmitsNobodyElse() throws {
    let grant = try verifier().grant(signed(#"{"channel":"news","exp":1900000000}"#))
    let news = try #require(ChannelName("news"))
    #expect(grant.admits(Identity(), to: news))
    #expect(!grant.admits(Identity(user: "ada"), to: news))
  }

  @Test func isNoConnectionTokenNorTheOtherWayRound() throws {
    let verifier = try verifier()
    #expect(verifier.refusal(signed(#"{"channel":"news","exp":1900000000}"#)) == .wrongPurpose)
    #expect(throws: TokenError.wrongPurpose) {
      try verifier.grant(signed(#"{"sub":"ada","exp":1900000000}"#))
    }
  }

  @Test(arguments: [
    #"{"channel":"a b","exp":1900000000}"#, #"{"channel":"news*","exp":1900000000}"#,
    #"{"channel":["news"],"exp":1900000000}"#, #"{"channel":null,"exp":1900000000}"#,
  ])
  func itsChannelIsOneName(claims: String) throws {
    let verifier = try verifier()
    #expect(throws: TokenError.invalidClaim) { try verifier.grant(signed(claims)) }
  }
}
