internal import Config
internal import Platform

/// A rate that has been used up: whose it is, and how long until one more is allowed.
struct Overrun: Equatable {
  var limit: LimitName
  var wait: Duration
  /// What there were too many of.
  var what: String
}

/// What all connections of users and addresses have taken, over all loops of this process.
struct ClientLedgers: Sendable {
  let addresses = AddressLedger()
  let users = UserLedger()
}

/// A client that limits bind: what it has taken of its rates, its address, and its user's seat once
/// it has signed in. Its session owns it. Loop-confined; the ledgers are everybody's.
///
/// Three meters may have a say in one message: the connection's, its user's, its address's. What one
/// of them refuses costs nothing at the others.
final class ClientAccount {
  private let ledgers: ClientLedgers
  let address: AddressKey
  private var own = Meters()
  /// INVARIANT: set exactly while the user's ledger counts this connection.
  private var user: UserKey?

  init(_ ledgers: ClientLedgers, _ address: AddressKey) {
    self.ledgers = ledgers
    self.address = address
  }

  deinit { leave() }

  // MARK: the user's seat

  /// The client turns out to be this user's. False where the user has `most` connections already.
  ///
  /// A client keeps its user for as long as it is connected, so there is one seat at most.
  func signIn(_ user: String, most: Int) -> Bool {
    guard self.user == nil else { return true }
    let key = UserKey(user)
    guard ledgers.users.enter(key, most: most) else { return false }
    self.user = key
    return true
  }

  /// The connection is over. Calling it twice is calling it once.
  func leave() {
    guard let user else { return }
    self.user = nil
    ledgers.users.leave(user)
  }

  // MARK: rates

  /// Takes one publication of a class; nil where it may go on.
  func publish(_ messageClass: MessageClass, _ rates: ClientRates, _ now: Instant) -> Overrun? {
    if let overrun = look(.publications, rates.publications, .publicationsPerSecond, now) {
      return overrun
    }
    if let overrun = take(messageClass, rates, now) { return overrun }
    _ = own[.publications].take(1, now, rates.publications)
    return nil
  }

  /// Takes one request of a client to the gateway itself, of which some are for a subscription.
  func ask(subscribes: Bool, _ rates: ClientRates, _ now: Instant) -> Overrun? {
    if subscribes,
      let overrun = look(.subscriptions, rates.subscriptions, .subscriptionsPerSecond, now)
    {
      return overrun
    }
    if let overrun = take(.control, rates, now) { return overrun }
    if subscribes { _ = own[.subscriptions].take(1, now, rates.subscriptions) }
    return nil
  }

  private func look(
    _ name: Meters.Name, _ rate: Rate, _ limit: LimitName, _ now: Instant
  ) -> Overrun? {
    if own[name].allows(1, now, rate) { return nil }
    return Overrun(limit: limit, wait: own[name].wait(now, rate), what: "\(name)")
  }

  private func take(
    _ messageClass: MessageClass, _ rates: ClientRates, _ now: Instant
  ) -> Overrun? {
    let rate = rates[messageClass]
    let name = Meters.Name(messageClass)
    func overrun(_ scope: RateScope, _ wait: Duration) -> Overrun {
      Overrun(
        limit: LimitName(rateOf: messageClass, by: scope), wait: wait,
        what: "\(messageClass.rawValue) messages of this \(scope.rawValue)")
    }
    if let limit = rate.connection, !own[name].allows(1, now, limit) {
      return overrun(.connection, own[name].wait(now, limit))
    }
    if let user, let limit = rate.user, let wait = ledgers.users.take(name, of: user, now, limit) {
      return overrun(.user, wait)
    }
    if let limit = rate.address,
      let wait = ledgers.addresses.take(name, of: address, now, limit)
    {
      if let user, let taken = rate.user { ledgers.users.giveBack(name, of: user, taken) }
      return overrun(.address, wait)
    }
    if let limit = rate.connection { _ = own[name].take(1, now, limit) }
    return nil
  }
}

/// What one class of messages may do, by whom it is counted; nil: no rate.
struct ClassRate: Sendable, Equatable {
  let connection: Rate?
  let user: Rate?
  let address: Rate?

  init(_ messageClass: MessageClass, _ limits: Limits) {
    connection = limits.rate(of: messageClass, by: .connection).map { Rate($0) }
    user = limits.rate(of: messageClass, by: .user).map { Rate($0) }
    address = limits.rate(of: messageClass, by: .address).map { Rate($0) }
  }
}

/// What one client, its user, or its address may do in a time.
struct ClientRates: Sendable, Equatable {
  let requests: Rate
  let frames: Rate
  let publications: Rate
  let subscriptions: Rate
  let control: ClassRate
  let state: ClassRate
  let ephemeral: ClassRate
  let bulk: ClassRate

  init(_ limits: Limits) {
    let burst = limits.burstWindow
    requests = Rate(perSecond: limits.requestsPerSecond, burst: burst)
    frames = Rate(perSecond: limits.framesPerSecond, burst: burst)
    publications = Rate(perSecond: limits.publicationsPerSecond, burst: burst)
    subscriptions = Rate(perSecond: limits.subscriptionsPerSecond, burst: burst)
    control = ClassRate(.control, limits)
    state = ClassRate(.state, limits)
    ephemeral = ClassRate(.ephemeral, limits)
    bulk = ClassRate(.bulk, limits)
  }

  subscript(_ messageClass: MessageClass) -> ClassRate {
    switch messageClass {
    case .control: control
    case .state: state
    case .ephemeral: ephemeral
    case .bulk: bulk
    }
  }
}
