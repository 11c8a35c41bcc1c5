internal import Config
internal import Platform
internal import Synchronization

/// The address that a peer's limits are counted by: an IPv4 address, or the /64 of an IPv6 one,
/// which is the least that a network gives a single host. Pure.
enum AddressKey: Hashable, Sendable {
  case ipv4(UInt32)
  case ipv6(prefix: UInt64)
  /// A Unix socket's peers together, and what is no numeric address.
  case other

  init(_ peer: PeerIdentity) {
    switch peer {
    case .local: self = .other
    case .remote(let address): self = Self(address) ?? .other
    }
  }

  /// - Parameter text: as `inet_ntop(3)` writes it; a zone behind `%` is passed over.
  init?(_ text: String) {
    guard let address = IPAddress(text) else { return nil }
    self = address.ipv4.map { .ipv4($0) } ?? .ipv6(prefix: address.high)
  }
}

/// The user that a client's limits are counted by: bytes, since texts that only look alike are two.
struct UserKey: Hashable, Sendable {
  private let bytes: [UInt8]
  init(_ user: String) { bytes = [UInt8](user.utf8) }
}

typealias AddressLedger = Ledger<AddressKey>
typealias UserLedger = Ledger<UserKey>

/// What an address or a user has taken of its rates: a meter for each.
struct Meters: Sendable {
  enum Name: Int, CaseIterable {
    case requests, control, state, ephemeral, bulk, publications, subscriptions

    init(_ messageClass: MessageClass) {
      self =
        switch messageClass {
        case .control: .control
        case .state: .state
        case .ephemeral: .ephemeral
        case .bulk: .bulk
        }
    }
  }

  private var meters = InlineArray<7, RateMeter>(repeating: RateMeter())

  subscript(_ name: Name) -> RateMeter {
    get { meters[name.rawValue] }
    set { meters[name.rawValue] = newValue }
  }

  func areFresh(_ now: Instant) -> Bool { Name.allCases.allSatisfy { self[$0].isFresh(now) } }
}

/// What the addresses, or the users, of this gateway's clients have under way, over all its loops.
/// Any thread.
///
/// Loops share nothing else; a ledger is asked only for clients that limits bind, and for rates only
/// where one is configured, so a gateway on one machine never takes the lock. It knows this process
/// alone: of two gateways each lets a user have the whole of a rate.
/// INVARIANT: an account's connections are those that entered and have not left.
final class Ledger<Key: Hashable & Sendable>: Sendable {
  private struct Account {
    var connections = 0
    var meters = Meters()
  }

  private let accounts = Mutex<[Key: Account]>([:])
  private let restingMax: Int

  /// - Parameter restingMax: BUDGET: accounts that are kept for what they have taken alone, between
  ///   two walks of `forgetIdle`; what more there are is forgotten in favour of their owners.
  init(restingMax: Int = 1 << 18) { self.restingMax = restingMax }

  /// Counts one more connection, unless there are `most` already.
  func enter(_ key: Key, most: Int) -> Bool {
    accounts.withLock { accounts in
      let count = accounts[key]?.connections ?? 0
      guard count < most else { return false }
      accounts[key, default: Account()].connections = count + 1
      return true
    }
  }

  func leave(_ key: Key) {
    accounts.withLock { accounts in
      guard let count = accounts[key]?.connections else { return }
      accounts[key]?.connections = max(0, count - 1)
    }
  }

  /// Takes one of a rate. Nil if it may go on, else how long to wait.
  func take(_ name: Meters.Name, of key: Key, _ now: Instant, _ rate: Rate) -> Duration? {
    accounts.withLock { accounts in
      var account = accounts[key] ?? Account()
      defer { accounts[key] = account }
      return account.meters[name].take(1, now, rate) ? nil : account.meters[name].wait(now, rate)
    }
  }

  /// One that was taken was not used after all.
  func giveBack(_ name: Meters.Name, of key: Key, _ rate: Rate) {
    accounts.withLock { $0[key]?.meters[name].giveBack(rate) }
  }

  /// Takes one request of the rate. Nil if it may go on, else how long to wait.
  func request(_ key: Key, _ now: Instant, _ rate: Rate) -> Duration? {
    take(.requests, of: key, now, rate)
  }

  /// Forgets who has nothing under way and has used up nothing. One walk.
  func forgetIdle(_ now: Instant) {
    accounts.withLock { accounts in
      accounts = accounts.filter { $0.value.connections > 0 || !$0.value.meters.areFresh(now) }
      let resting = accounts.values.count { $0.connections == 0 }
      if resting > restingMax { accounts = accounts.filter { $0.value.connections > 0 } }
    }
  }

  var count: Int { accounts.withLock { $0.count } }

  /// Connections of one account.
  func connections(of key: Key) -> Int { accounts.withLock { $0[key]?.connections ?? 0 } }
}
