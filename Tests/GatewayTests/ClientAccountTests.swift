import ChannelKit
import Config
import Observe
import Platform
import TestKit
import Testing

@testable import GatewayCore

/// Rates by class, connection, user and address, and the seats of users: decisions about moments.
struct ClientAccountTests {
  private let start: UInt64 = 5_000_000_000
  private func at(_ milliseconds: UInt64) -> Instant {
    Instant(nanoseconds: start + milliseconds * 1_000_000)
  }

  private func limits(_ change: (inout Limits) -> Void) -> Limits {
    var limits = Limits()
    limits.publicationsPerSecond = 10_000
    change(&limits)
    return limits
  }

  private func client(
    _ ledgers: ClientLedgers, user: String? = nil, address: UInt32 = 1
  ) -> ClientAccount {
    let account = ClientAccount(ledgers, .ipv4(address))
    if let user { #expect(account.signIn(user, most: 100)) }
    return account
  }

  // MARK: rates of classes

  @Test func aRateOfMessagesHoldsOverItsPeriodWithItsBurst() {
    let rate = Rate(MessageRate(100, per: .minute, burst: 20))
    var meter = RateMeter()
    var taken = 0
    while meter.take(1, at(0), rate) { taken += 1 }
    #expect(taken == 20)
    // One each 600 ms from then on.
    #expect(meter.wait(at(0), rate) == .milliseconds(600))
    var later = 0
    for second in 1...60 { while meter.take(1, at(UInt64(second) * 1_000), rate) { later += 1 } }
    #expect(later == 100)
  }

  @Test(arguments: [MessageRate(1, per: .hour, burst: 10_000_000), MessageRate(10_000_000, per: .second)])
  func theEndsOfTheRangeNeitherOverflowNorStandStill(rate: MessageRate) {
    var meter = RateMeter()
    let latest = Instant(nanoseconds: .max / 4)
    for moment in [at(0), latest] {
      let isTaken = meter.take(1, moment, Rate(rate))
      #expect(isTaken)
    }
    #expect(meter.wait(latest, Rate(rate)) >= .zero)
  }

  /// S002-19: cursors at 60 Hz and a hundred messages a minute, both at once, by one user on two
  /// connections.
  @Test func cursorsAt60HertzAndAHundredMessagesAMinuteAreHeldToSideBySide() {
    let rates = ClientRates(
      limits {
        $0.ephemeralRate = MessageRate(60, per: .second)
        $0.stateRatePerUser = MessageRate(100, per: .minute)
      })
    let ledgers = ClientLedgers()
    let devices = [client(ledgers, user: "ann"), client(ledgers, user: "ann")]
    var (cursors, messages, refused) = (0, 0, 0)
    // A minute of 60 cursors and 5 messages a second from each device.
    for frame in 0..<3_600 {
      let now = at(UInt64(frame) * 1_000 / 60)
      for device in devices {
        if device.publish(.ephemeral, rates, now) == nil { cursors += 1 }
        guard frame.isMultiple(of: 12) else { continue }
        if let overrun = device.publish(.state, rates, now) {
          #expect(overrun.limit == .stateRatePerUser && overrun.wait <= .milliseconds(600))
          refused += 1
        } else {
          messages += 1
        }
      }
    }
    #expect(cursors == 7_200, "no cursor is lost for messages that were too many")
    #expect((199...200).contains(messages) && messages + refused == 600)
    // Another user has its own hundred; one that is not signed in is nobody's.
    let other = client(ledgers, user: "bob")
    #expect(other.publish(.state, rates, at(60_000)) == nil)
    let nobody = client(ledgers)
    for _ in 0..<1_000 { #expect(nobody.publish(.state, rates, at(60_000)) == nil) }
    // And cursors have a bound as well.
    var more = 0
    while devices[0].publish(.ephemeral, rates, at(120_000)) == nil { more += 1 }
    #expect(more == 60)
    #expect(devices[0].publish(.ephemeral, rates, at(120_000))?.limit == .ephemeralRate)
  }

  @Test(arguments: MessageClass.allCases, RateScope.allCases)
  func everyClassIsHeldToEveryRateOfItsOwnAndToNoOther(
    messageClass: MessageClass, scope: RateScope
  ) throws {
    let name = LimitName(rateOf: messageClass, by: scope)
    let limit = try #require(Limits.table.first { $0.name == name })
    guard case .rate(let path) = limit.slot else { return }
    let rates = ClientRates(limits { $0[keyPath: path] = MessageRate(3, per: .minute) })
    let ledgers = ClientLedgers()
    // Two connections each of what is counted together, and one that shares nothing.
    let first = client(ledgers, user: "ann", address: 1)
    let second = client(
      ledgers, user: scope == .user ? "ann" : "bob", address: scope == .address ? 1 : 2)
    let apart = client(ledgers, user: "cay", address: 3)
    func take(_ account: ClientAccount) -> Overrun? {
      messageClass == .control
        ? account.ask(subscribes: false, rates, at(0)) : account.publish(messageClass, rates, at(0))
    }
    #expect((0..<3).allSatisfy { _ in take(first) == nil })
    let overrun = try #require(take(first))
    #expect(overrun.limit == name && overrun.wait == .seconds(20))
    #expect(overrun.what.contains(scope.rawValue) && overrun.what.contains(messageClass.rawValue))
    #expect((take(second) == nil) == (scope == .connection))
    #expect(take(apart) == nil)
    for other in [MessageClass.state, .ephemeral, .bulk] where other != messageClass {
      #expect(first.publish(other, rates, at(0)) == nil)
    }
  }

  @Test func whatOneRefusesCostsNothingAtTheOthers() {
    let rates = ClientRates(
      limits {
        $0.stateRate = MessageRate(10, per: .minute)
        $0.stateRatePerUser = MessageRate(10, per: .minute)
        $0.stateRatePerAddress = MessageRate(2, per: .minute)
      })
    let ledgers = ClientLedgers()
    let here = client(ledgers, user: "ann", address: 1)
    for _ in 0..<2 { #expect(here.publish(.state, rates, at(0)) == nil) }
    for _ in 0..<50 {
      #expect(here.publish(.state, rates, at(0))?.limit == .stateRatePerAddress)
    }
    // From elsewhere the user has what it has not used.
    let there = client(ledgers, user: "ann", address: 2)
    for _ in 0..<2 { #expect(there.publish(.state, rates, at(0)) == nil) }
    let elsewhere = client(ledgers, user: "ann", address: 3)
    let further = client(ledgers, user: "ann", address: 4)
    let last = client(ledgers, user: "ann", address: 5)
    for account in [elsewhere, further, last] {
      for _ in 0..<2 { #expect(account.publish(.state, rates, at(0)) == nil) }
    }
    #expect(client(ledgers, user: "ann", address: 6).publish(.state, rates, at(0))?.limit
      == .stateRatePerUser)
  }

  @Test func otherRatesAreInForceAtOnceForWhoIsThere() {
    let account = client(ClientLedgers())
    func rates(_ rate: MessageRate?) -> ClientRates { ClientRates(limits { $0.stateRate = rate }) }
    let (slow, fast) = (rates(MessageRate(1, per: .hour)), rates(MessageRate(100, per: .second)))
    #expect(account.publish(.state, slow, at(0)) == nil)
    #expect(account.publish(.state, slow, at(1))?.wait == .milliseconds(3_599_999))
    #expect(account.publish(.state, rates(nil), at(2)) == nil)
    // An hour of the slow rate is a hundredth of a second of the fast one.
    #expect(account.publish(.state, fast, at(2))?.wait == .milliseconds(10))
    #expect(account.publish(.state, fast, at(12)) == nil)
    #expect(account.publish(.state, slow, at(13)) != nil)
  }

  @Test func subscriptionsCountForBothTheirRates() {
    let rates = ClientRates(
      limits {
        $0.subscriptionsPerSecond = 1
        $0.burstWindow = .seconds(2)
        $0.controlRate = MessageRate(5, per: .minute)
      })
    let account = client(ClientLedgers())
    for _ in 0..<2 { #expect(account.ask(subscribes: true, rates, at(0)) == nil) }
    for _ in 0..<9 {
      #expect(account.ask(subscribes: true, rates, at(0))?.limit == .subscriptionsPerSecond)
    }
    for _ in 0..<3 { #expect(account.ask(subscribes: false, rates, at(0)) == nil) }
    #expect(account.ask(subscribes: false, rates, at(0))?.limit == .controlRate)
    #expect(account.ask(subscribes: true, rates, at(2_000))?.limit == .controlRate)
  }

  @Test func aPublicationsClassIsTheRulesElseByItsSizeAndTheHistory() {
    var policy = ChannelPolicy()
    #expect(policy.messageClass(ofBytes: 65_535, bulk: 65_536) == .ephemeral)
    #expect(policy.messageClass(ofBytes: 65_536, bulk: 65_536) == .bulk)
    policy.history = .durable
    #expect(policy.messageClass(ofBytes: 1, bulk: 65_536) == .state)
    policy.messageClass = .ephemeral
    #expect(policy.messageClass(ofBytes: 1 << 20, bulk: 65_536) == .ephemeral)
  }

  // MARK: seats

  @Test func aUserHasSoManyConnectionsAndNoMore() {
    let ledgers = ClientLedgers()
    let held = (0..<3).map { _ in ClientAccount(ledgers, .ipv4(1)) }
    for account in held { #expect(account.signIn("ann", most: 3)) }
    let late = ClientAccount(ledgers, .ipv4(2))
    #expect(!late.signIn("ann", most: 3) && late.signIn("bob", most: 3))
    held[0].leave()
    held[0].leave()
    #expect(ClientAccount(ledgers, .ipv4(2)).signIn("ann", most: 3))
    #expect(ledgers.users.connections(of: UserKey("ann")) == 2, "a seat goes with its owner")
  }

  @Test func usersThatOnlyLookAlikeAreTwo() {
    let ledgers = ClientLedgers()
    let (one, other) = (ClientAccount(ledgers, .other), ClientAccount(ledgers, .other))
    #expect(one.signIn("\u{E9}", most: 1) && other.signIn("e\u{301}", most: 1))
  }

  /// Against a model: whatever clients do, in whatever order they end, the ledger counts who is in.
  @Test(arguments: 0..<20)
  func theCountIsAlwaysThoseWhoAreIn(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let ledgers = ClientLedgers()
    let users = ["ann", "bob", "cay"]
    var clients: [(account: ClientAccount, user: String?)] = []
    var moment: UInt64 = 0
    for _ in 0..<2_000 {
      moment += UInt64.random(in: 0..<2_000, using: &random)
      let most = Int.random(in: 1...6, using: &random)
      switch Int.random(in: 0..<6, using: &random) {
      case 0, 1: clients.append((ClientAccount(ledgers, .ipv4(1)), nil))
      case 2:
        // Signs in, perhaps again: a refresh is the same user's.
        guard let index = clients.indices.randomElement(using: &random) else { continue }
        let user = clients[index].user ?? users[Int.random(in: 0..<3, using: &random)]
        let taken = clients.count { $0.user == user }
        let isIn = clients[index].account.signIn(user, most: most)
        #expect(isIn == (clients[index].user != nil || taken < most), "seed \(seed)")
        if isIn { clients[index].user = user }
      case 3:
        // Ends in order, and is told so twice now and then.
        guard let index = clients.indices.randomElement(using: &random) else { continue }
        let (account, _) = clients.remove(at: index)
        account.leave()
        if Bool.random(using: &random) { account.leave() }
      case 4:
        // Is dropped without a word.
        guard let index = clients.indices.randomElement(using: &random) else { continue }
        clients.remove(at: index)
      default: ledgers.users.forgetIdle(at(moment))
      }
      for user in users {
        let count = clients.count { $0.user == user }
        #expect(ledgers.users.connections(of: UserKey(user)) == count, "seed \(seed)")
      }
    }
    clients = []
    ledgers.users.forgetIdle(at(moment))
    #expect(ledgers.users.count == 0, "seed \(seed)")
  }

  @Test func whoHasOnlyTakenIsForgottenInTimeAndWhenThereAreTooMany() {
    let ledger = Ledger<AddressKey>(restingMax: 10)
    let rate = Rate(MessageRate(1, per: .hour))
    #expect(ledger.enter(.ipv4(1_000), most: 1))
    for address in UInt32(0)..<10 {
      #expect(ledger.take(.state, of: .ipv4(address), at(0), rate) == nil)
    }
    ledger.forgetIdle(at(1))
    #expect(ledger.count == 11)
    #expect(ledger.take(.state, of: .ipv4(1), at(1), rate) != nil)
    #expect(ledger.take(.state, of: .ipv4(10), at(1), rate) == nil)
    ledger.forgetIdle(at(2))
    #expect(ledger.count == 1 && ledger.connections(of: .ipv4(1_000)) == 1)
    #expect(ledger.take(.state, of: .ipv4(1), at(3), rate) == nil)
    ledger.forgetIdle(at(4_000_000))
    #expect(ledger.count == 1)
  }

  // MARK: what a running gateway takes over

  /// A row that says that SIGHUP brings it into force is one that the loops take over.
  @Test func everyLimitThatIsSaidToBeTakenOverIs() throws {
    for limit in Limits.table {
      // The one of the process is no loop's.
      guard limit.keepers.contains(.gateway), limit.uptake != .restart, limit.name != .drainTimeout
      else { continue }
      var other = Limits()
      switch limit.slot {
      case .count(let path), .bytes(let path): other[keyPath: path] += 1
      case .duration(let path): other[keyPath: path] += .milliseconds(1)
      case .rate(let path): other[keyPath: path] = MessageRate(7, per: .hour)
      }
      #expect(Self.adopted(Limits()) != Self.adopted(other), "\(limit.name)")
    }
  }

  /// What stands in the settings of a loop once it has taken over `limits`.
  private static func adopted(_ limits: Limits) -> String {
    var settings = LoopSettings(
      upstreams: Upstreams.Addresses(
        hub: .unix(path: "h"), eventstore: .unix(path: "e"), presence: .unix(path: "p")),
      registry: ChannelRegistry(), policy: { _ in ChannelPolicy() },
      access: AccessRules(isLoopback: true, allowsAnonymous: true, keys: APIKeys([])),
      authenticator: Authenticator(IdentitySettings(), keys: nil, IdentityMetrics(Metrics())),
      isEchoOn: true, startedAt: Instant(nanoseconds: 0), renderMetrics: { "" })
    settings.adopt(limits)
    return Mirror(reflecting: settings).children
      .filter { !["authenticator", "ledgers", "access", "rules", "renderMetrics"].contains($0.label) }
      .map { "\($0.label ?? "")=\($0.value)" }.joined(separator: " ")
  }
}
