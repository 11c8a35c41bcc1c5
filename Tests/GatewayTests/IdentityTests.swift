import Bytes
import ChannelKit
import Config
import HTTPCodec
import Identity
import JSON
import Observe
import Platform
import Testing

@testable import GatewayCore

/// What a client may do, by its token and by rules.
struct ClientStandingTests {
  private func capability(_ pattern: String, _ rights: Rights) throws -> Capability {
    Capability(channels: [try #require(ChannelPattern(pattern))], rights: rights)
  }

  private func may(
    _ right: Rights, _ name: String, _ identity: Identity?, _ policy: ChannelPolicy,
    anonymous: Bool = false, grant: SubscriptionGrant? = nil
  ) -> Bool {
    ClientStanding(ClientID(number: 1), identity).may(
      right, channel(name), policy,
      AccessRules(isLoopback: true, allowsAnonymous: anonymous, keys: APIKeys([])),
      isGranted: grant != nil)
  }

  @Test func rulesNameUsersRolesAndOwners() {
    var policy = ChannelPolicy()
    policy.subscribe = [.role("admin"), .user(UserID("bob"))]
    #expect(!may(.subscribe, "a", nil, policy, anonymous: true))
    #expect(!may(.subscribe, "a", Identity(user: "ada"), policy))
    #expect(may(.subscribe, "a", Identity(user: "bob"), policy))
    #expect(may(.subscribe, "a", Identity(user: "ada", roles: ["admin"]), policy))
    // A user without a name has signed in and is nobody.
    #expect(!may(.subscribe, "a", Identity(), ChannelPolicy()))
    #expect(may(.subscribe, "a", Identity(user: "ada"), ChannelPolicy()))
    #expect(may(.subscribe, "a", nil, ChannelPolicy(), anonymous: true))
  }

  @Test func historyAndPresenceFollowSubscribingUnlessTheRuleSaysMore() {
    var policy = ChannelPolicy()
    policy.subscribe = [.users]
    let ada = Identity(user: "ada")
    #expect(may(.history, "a", ada, policy) && may(.presence, "a", ada, policy))
    #expect(!may(.history, "a", nil, policy) && !may(.presence, "a", nil, policy))
    policy.readHistory = [.role("auditor")]
    policy.seePresence = []
    #expect(!may(.history, "a", ada, policy) && !may(.presence, "a", ada, policy))
    #expect(may(.history, "a", Identity(user: "ada", roles: ["auditor"]), policy))
  }

  @Test func aTokenAllowsWhatTheRuleDoesNot() throws {
    var policy = ChannelPolicy()
    policy.subscribe = []
    policy.publish = []
    let ada = Identity(user: "ada", capabilities: [try capability("log:*", [.subscribe, .publish])])
    #expect(may(.subscribe, "log:1", ada, policy) && may(.publish, "log:1", ada, policy))
    #expect(!may(.subscribe, "other", ada, policy))
    #expect(may(.history, "log:1", ada, policy))
    policy.readHistory = []
    #expect(!may(.history, "log:1", ada, policy))
    let put = Identity(user: "ada", channels: [channel("news")])
    #expect(may(.subscribe, "news", put, policy) && !may(.publish, "news", put, policy))
  }

  @Test func aSubscriptionTokenStandsForTheRule() throws {
    var policy = ChannelPolicy()
    policy.subscribe = []
    policy.publish = []
    let claims = Array(#"{"sub":"ada","exp":9000000000}"#.utf8)
    let ada = try Identity(trusted: claims, now: 0)
    let grant = try TokenVerifier(keys: TokenKeySet([TokenKey(secret: secret, id: nil)]))
      .grant(of: signed(#"{"sub":"ada","channel":"room","exp":9000000000}"#), now: 0)
    #expect(may(.subscribe, "room", ada, policy, grant: grant))
    #expect(may(.history, "room", ada, policy, grant: grant))
    #expect(!may(.publish, "room", ada, policy, grant: grant))
  }

  @Test func nobodyGetsAtTheGatewaysOwnChannel() throws {
    let all = Identity(
      user: "ada", capabilities: [try capability("*", [.subscribe, .publish, .history, .presence])])
    for right in [Rights.subscribe, .publish, .history, .presence] {
      #expect(!may(right, "@sapphire:identity", all, ChannelPolicy(), anonymous: true))
    }
  }

  @Test func aConnectionStaysWithItsUser() throws {
    var standing = ClientStanding(ClientID(number: 1), Identity(user: "ada", roles: ["admin"]))
    #expect(standing.context.roles == ["admin"] && standing.context.user?.text == "ada")
    try standing.renew(Identity(user: "ada"))
    #expect(standing.context.roles == [] && standing.context.id == ClientID(number: 1))
    for other in [Identity(user: "bob"), Identity(), Identity(user: "ad\u{61}\u{301}")] {
      #expect(throws: Refusal.otherUser) {
        var standing = ClientStanding(ClientID(number: 1), Identity(user: "ada"))
        try standing.renew(other)
      }
    }
    #expect(throws: Refusal.signInFirst) {
      var standing = ClientStanding(ClientID(number: 1))
      try standing.renew(Identity(user: "ada"))
    }
  }

  @Test func closeCodesTellWhetherToComeBack() {
    for refusal in [Refusal.tokenExpired, .tokenRevoked, .ticketInvalid, .signInFirst, .noTokens] {
      #expect(refusal.closeCode == 4401)
    }
    #expect(Refusal.disconnected.closeCode == 4403 && Refusal.permissionDenied.closeCode == 1008)
  }
}

/// Orders as gateways tell them each other.
struct IdentityOrderTests {
  @Test func areReadAsTheyWereWritten() {
    let whom = IdentityOrder.Whom(user: "ada", client: nil, session: "s\"1")
    let orders: [IdentityOrder] = [
      .revoke(Revocation(.token("t"), at: 1, until: 2)), .disconnect(whom),
      .revoke(Revocation(.user("ada\n"), at: 3, until: 4)), .unsubscribe(whom, channel("a")),
      .revoke(Revocation(.session("s"), at: 5, until: 6)),
    ]
    for order in orders {
      let json = order.json(origin: "here")
      #expect(IdentityOrder(json: json) == order && IdentityOrder.origin(json: json) == "here")
    }
  }

  @Test(arguments: [
    "", "{}", "[]", #"{"do":"dance"}"#, #"{"do":"revoke","at":1,"until":2}"#,
    #"{"do":"revoke","jti":"a","user":"b","at":1,"until":2}"#, #"{"do":"revoke","jti":""}"#,
    #"{"do":"unsubscribe","user":"a"}"#, #"{"do":"unsubscribe","user":"a","channel":"a b"}"#,
    #"{"do":"look"}"#,
  ])
  func whatAnotherVersionMayHaveWrittenIsPassedOver(text: String) {
    #expect(IdentityOrder(json: [UInt8](text.utf8)) == nil)
  }

  @Test func everyNameThatIsGivenHasToFit() {
    let ada = Identity(user: "ada", session: "s1")
    let context = ClientContext(id: ClientID(number: 255), user: UserID("ada"))
    func includes(_ user: String?, _ client: String?, _ session: String?) -> Bool {
      IdentityOrder.Whom(user: user, client: client, session: session).includes(ada, context)
    }
    #expect(!includes(nil, nil, nil))
    #expect(includes("ada", nil, nil) && includes(nil, "00000000000000ff", nil))
    #expect(includes("ada", "00000000000000ff", "s1") && !includes("ada", nil, "s2"))
    #expect(!includes("bob", "00000000000000ff", nil) && !includes("ada", "ff", nil))
    // Who has come since has come back.
    let before = IdentityOrder.Whom(user: "ada", before: 1_000)
    #expect(before.includes(ada, context, since: 1_000) && !before.includes(ada, context, since: 1_001))
    let anyone = IdentityOrder.Whom(user: "ada")
    #expect(!anyone.includes(nil, ClientContext(id: ClientID(number: 1))))
  }
}

/// What loops find in their sweep.
struct AuthenticatorTests {
  private let now = Instant(nanoseconds: 1_000_000_000)
  private static func order(_ user: String) -> IdentityOrder { .disconnect(.init(user: user)) }

  @Test func everyLoopFindsEachOrderOnce() {
    let authenticator = Authenticator(IdentitySettings(), keys: nil, IdentityMetrics(Metrics()))
    var (one, other) = (Authenticator.Seen(), Authenticator.Seen())
    #expect(authenticator.due(&one).orders == [])
    authenticator.lookAgain()
    #expect(authenticator.take(Self.order("b"), now: now))
    let due = authenticator.due(&one)
    #expect(due.orders == [Self.order("b")] && due.looksAgain && !authenticator.due(&one).looksAgain)
    #expect(authenticator.take(Self.order("a"), now: now))
    #expect(authenticator.due(&one).orders == [Self.order("a")])
    #expect(authenticator.due(&other).orders.count == 2)
    #expect(authenticator.due(&one).orders == [] && authenticator.due(&other).orders == [])
  }

  /// However many come at once, a loop looks at its connections once.
  @Test func revocationsWithoutNumberAreOneLook() {
    let authenticator = Authenticator(IdentitySettings(), keys: nil, IdentityMetrics(Metrics()))
    var seen = Authenticator.Seen()
    let until = Authenticator.now + 60
    for number in 0..<Revocations.countMax {
      let revocation = Revocation(.token("\(number)"), at: 1, until: until)
      guard authenticator.take(.revoke(revocation), now: now) else {
        Issue.record("number \(number) found no room")
        return
      }
    }
    let full = Revocation(.token("one more"), at: 1, until: until)
    #expect(!authenticator.take(.revoke(full), now: now))
    #expect(!authenticator.isRevoked(Identity(user: "ada", tokenID: "one more")))
    let due = authenticator.due(&seen)
    #expect(due.revokes && due.orders.isEmpty && !authenticator.due(&seen).revokes)
    #expect(authenticator.take(Self.order("a"), now: now))
  }

  @Test func tooManyOrdersAreRefusedUntilOldOnesAreForgotten() {
    let authenticator = Authenticator(IdentitySettings(), keys: nil, IdentityMetrics(Metrics()))
    var taken = 0
    while taken < 10_000, authenticator.take(Self.order("a"), now: now) { taken += 1 }
    #expect(taken == 4_096)
    #expect(authenticator.take(Self.order("a"), now: now + .seconds(16)))
  }

  @Test func withoutKeysNoTokenIsTaken() {
    let authenticator = Authenticator(IdentitySettings(), keys: nil, IdentityMetrics(Metrics()))
    #expect(throws: Refusal.noTokens) { try authenticator.identity(token: "a.b.c") }
    #expect(throws: Refusal.noTokens) { try authenticator.grant(token: "") }
  }

  @Test func aTicketStandsForItsClaimsOnceAndNotForWhoWasRevoked() throws {
    let authenticator = Authenticator(IdentitySettings(), keys: nil, IdentityMetrics(Metrics()))
    let end = Authenticator.now + 60
    let claims = Array(#"{"sub":"ada","sid":"s","iat":1,"exp":\#(end)}"#.utf8)
    let ticket = try authenticator.ticket(claims: claims).reveal()
    #expect(try authenticator.identity(ticket: ticket).user == "ada")
    #expect(throws: Refusal.ticketInvalid) { try authenticator.identity(ticket: ticket) }
    let other = try authenticator.ticket(claims: claims).reveal()
    let revocation = Revocation(.session("s"), at: Authenticator.now, until: end)
    #expect(authenticator.take(.revoke(revocation), now: now))
    #expect(throws: Refusal.tokenRevoked) { try authenticator.identity(ticket: other) }
    #expect(throws: Refusal.self) { try authenticator.ticket(claims: Array(#"{"sub":1}"#.utf8)) }
  }

  @Test func gatewaysOfOneMachineTakeEachOthersTicketsOnce() throws {
    let folder = try TemporaryFolder()
    var settings = IdentitySettings()
    settings.ticketDirectory = folder.path
    let one = Authenticator(settings, keys: nil, IdentityMetrics(Metrics()))
    let other = Authenticator(settings, keys: nil, IdentityMetrics(Metrics()))
    let claims = Array(#"{"sub":"ada","exp":\#(Authenticator.now + 60)}"#.utf8)
    for (maker, first, second) in [(one, other, one), (one, one, other)] {
      let ticket = try maker.ticket(claims: claims).reveal()
      let files = try Files.list(FilePath(folder.path)).map { String(decoding: $0, as: UTF8.self) }
      #expect(files.count == 1 && !files.joined().contains(ticket))
      #expect(try first.identity(ticket: ticket).user == "ada")
      #expect(throws: Refusal.ticketInvalid) { try second.identity(ticket: ticket) }
      #expect(try Files.list(FilePath(folder.path)).isEmpty)
    }
    let directory = TicketDirectory(folder.path, life: .seconds(30))
    let digest = [UInt8](repeating: 1, count: 32)
    let content = TicketContent(claims: claims, key: nil)
    try directory.put(digest, content, nowMs: 0)
    #expect(directory.take(digest, nowMs: 30_000) == nil)
    let key = try #require(KeyMark(bytes: [UInt8](repeating: 7, count: 16)))
    for content in [content, TicketContent(claims: claims, key: key)] {
      try directory.put(digest, content, nowMs: 0)
      #expect(directory.take(digest, nowMs: 29_999) == content)
    }
    try directory.put(digest, content, nowMs: 0)
    try Files.replace(FilePath("\(folder.path)/other"), with: [])
    directory.sweep(nowMs: SystemClock.wallMilliseconds() + 61_000)
    #expect(try Files.list(FilePath(folder.path)) == [[UInt8]("other".utf8)])
  }

  @Test func whatAClientShowsIsNeverPrinted() throws {
    let text = #"{"type":"connect","id":1,"token":"a-secret-token"}"#
    let message = try ClientMessage.parse([UInt8](text.utf8))
    var dumped = "\(message) \(String(reflecting: message))"
    dump(message, to: &dumped)
    #expect(message == .connect(id: .number(1), .token("a-secret-token")))
    #expect(!dumped.contains("secret-token"))
  }

  @Test(arguments: [
    #"{"type":"connect"}"#, #"{"type":"connect","token":1}"#,
    #"{"type":"connect","token":"a","ticket":"b"}"#, #"{"type":"refresh"}"#,
  ])
  func aClientShowsOneThing(text: String) {
    #expect(throws: ClientMessage.Malformed.self) { try ClientMessage.parse([UInt8](text.utf8)) }
  }
}

private let secret = [UInt8](repeating: 7, count: 32)

private func signed(_ claims: String) throws -> [UInt8] {
  Array((try TokenSigner(secret: secret, id: nil).sign(Array(claims.utf8)) ?? "").utf8)
}

/// What `revoke` is asked for.
struct RevocationRequestTests {
  private func revocation(_ text: String) throws -> Revocation {
    let bytes = Array(text.utf8)
    return try Revocation(asked: try JSONValue.parse(bytes.span), at: 1_000, leeway: 10, standardTTL: 60)
  }

  @Test func aRevocationHoldsAsLongAsItSays() throws {
    #expect(try revocation(#"{"user":"ada"}"#) == Revocation(.user("ada"), at: 1_010, until: 1_060))
    #expect(try revocation(#"{"jti":"a","ttl":1}"#) == Revocation(.token("a"), at: 1_000, until: 1_001))
    #expect(try revocation(#"{"session":"s","ttl":2592000}"#).until == 1_000 + 2_592_000)
  }

  @Test(arguments: [
    "0", "-1", "2592001", "1e300", "1.5", "1e3", #""x""#, #""60""#, "null", "true", "[60]", "{}",
    "9223372036854775807", "9223372036854775808",
  ])
  func refusesATimeThatIsNoWholeNumberInItsRange(ttl: String) {
    #expect(throws: Refusal.self) { try revocation(#"{"user":"ada","ttl":\#(ttl)}"#) }
  }

  @Test(arguments: ["jti", "session", "user"])
  func refusesNamesThatNoTokenCanHave(name: String) throws {
    let longest = String(repeating: "x", count: 255)
    #expect(try revocation("{\"\(name)\":\"\(longest)\"}").until == 1_060)
    // Bytes are counted, not characters.
    for text in [longest + "x", String(repeating: "é", count: 128)] {
      #expect(throws: Refusal.self) { try revocation("{\"\(name)\":\"\(text)\"}") }
    }
    #expect(throws: Refusal.self) { try revocation("{\"\(name)\":\"\"}") }
  }
}
