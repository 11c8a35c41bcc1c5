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
    guard text.utf8.contains(UInt8(ascii: ":")) else {
      guard let value = Self.ipv4(text[...]) else { return nil }
      self = .ipv4(value)
      return
    }
    let address = text.prefix { $0 != "%" }
    if address.hasPrefix("::ffff:"), let value = Self.ipv4(address.dropFirst(7)) {
      self = .ipv4(value)
      return
    }
    guard let prefix = Self.ipv6Prefix(address) else { return nil }
    self = .ipv6(prefix: prefix)
  }

  private static func ipv4(_ text: Substring) -> UInt32? {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    var value: UInt32 = 0
    for part in parts {
      guard let byte = UInt8(part) else { return nil }
      value = value << 8 | UInt32(byte)
    }
    return value
  }

  /// The first four groups; those that `::` stands for are zero.
  private static func ipv6Prefix(_ text: Substring) -> UInt64? {
    var groups: [UInt16] = []
    var following: Int?
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      if part.isEmpty {
        // Empty parts stand at `::` alone; at an end it makes two.
        if index > 0, index < parts.count - 1, following == nil { following = groups.count }
        continue
      }
      if part.contains(".") {
        groups += [0, 0]
      } else {
        guard let group = UInt16(part, radix: 16) else { return nil }
        groups.append(group)
      }
    }
    guard groups.count == 8 || groups.count < 8 && following != nil else { return nil }
    if let following {
      groups.insert(contentsOf: Array(repeating: 0, count: 8 - groups.count), at: following)
    }
    return groups.prefix(4).reduce(0) { $0 << 16 | UInt64($1) }
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
