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

/// What the addresses of the gateway's peers have under way, over all its loops. Any thread.
///
/// Loopback peers that no limit binds are not in it, so a gateway on one machine never takes the
/// lock. Bounded by the addresses that have connections now or had one in the last seconds.
final class AddressLedger: Sendable {
  private struct Account {
    var connections = 0
    var requests = RateMeter()
  }

  private let accounts = Mutex<[AddressKey: Account]>([:])

  /// Counts one more connection, unless the address has `most` already.
  func enter(_ key: AddressKey, most: Int) -> Bool {
    accounts.withLock { accounts in
      let count = accounts[key]?.connections ?? 0
      guard count < most else { return false }
      accounts[key, default: Account()].connections = count + 1
      return true
    }
  }

  func leave(_ key: AddressKey) {
    accounts.withLock { accounts in
      guard let count = accounts[key]?.connections else { return }
      accounts[key]?.connections = max(0, count - 1)
    }
  }

  /// Takes one request of the address's rate. Nil if it may go on, else how long to wait.
  func request(_ key: AddressKey, _ now: Instant, _ rate: Rate) -> Duration? {
    accounts.withLock { accounts in
      var account = accounts[key] ?? Account()
      defer { accounts[key] = account }
      return account.requests.take(1, now, rate) ? nil : account.requests.wait(now, rate)
    }
  }

  /// Forgets addresses that have nothing under way and have used up nothing. One walk.
  func forgetIdle(_ now: Instant) {
    accounts.withLock { accounts in
      accounts = accounts.filter { $0.value.connections > 0 || !$0.value.requests.isFresh(now) }
    }
  }

  var count: Int { accounts.withLock { $0.count } }
}
