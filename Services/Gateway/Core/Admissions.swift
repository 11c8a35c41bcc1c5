internal import Bytes
internal import ChannelKit
internal import Identity

/// What back ends have let clients into, and put them out of again: for those who come back. Pure.
///
/// Each gateway has it from the stream of orders. What is too old for it, or has no room, is as if it
/// had never been: whoever comes back is not brought there. Nobody is brought to what he was put out of
/// later, or to anything from before a back end had him go altogether.
struct Admissions {
  private struct Entry {
    let whom: IdentityOrder.Whom
    /// Nil: out of the channel.
    let admission: IdentityOrder.Admission?
    /// Not in force from then on, in seconds of Unix time.
    let end: Int64
    let bytes: Int
    /// Which order it was of all.
    let number: UInt64
  }

  /// A back end has ended the connections, or the tokens, of some.
  private struct Farewell {
    let whom: IdentityOrder.Whom
    let end: Int64
    let number: UInt64
  }

  /// BUDGET: how long an order is remembered, in seconds.
  static let life: Int64 = 86_400
  /// BUDGET: orders, and what they take in bytes.
  private let countMax: Int
  private static let bytesMax = 16 << 20
  /// BUDGET: farewells; beyond, everything is forgotten.
  private let farewellsMax: Int
  private static let overheadBytes = 256

  /// Each channel's in the order they came; the last that is about a client decides.
  private var entries: [ChannelName: [Entry]] = [:]
  private(set) var count = 0
  private var bytes = 0
  private var farewells: [Farewell] = []
  private var lastNumber: UInt64 = 0

  init(countMax: Int = 16_384, farewellsMax: Int = 4_096) {
    self.countMax = countMax
    self.farewellsMax = farewellsMax
  }

  /// Takes a note of an order that is one of these, given at that second of Unix time.
  mutating func note(_ order: IdentityOrder, at: Int64, now: Int64) {
    guard now < at &+ Self.life else { return }
    lastNumber &+= 1
    switch order {
    case .subscribe(let whom, let admission):
      let end = min(admission.until ?? .max, at &+ Self.life)
      add(whom, admission, in: admission.channel, end: end, now)
    case .unsubscribe(let whom, let channel):
      guard entries[channel] != nil else { return }
      add(whom, nil, in: channel, end: at &+ Self.life, now)
    case .disconnect(let whom, _) where !whom.isFence: end(whom, at, now)
    case .revoke(let revocation):
      switch revocation.target {
      case .user(let name): end(IdentityOrder.Whom(user: name), at, now)
      case .session(let id): end(IdentityOrder.Whom(session: id), at, now)
      // Whose it was nobody knows; another token has to be shown.
      case .token: break
      }
    case .disconnect, .refresh: break
    }
  }

  private mutating func end(_ whom: IdentityOrder.Whom, _ at: Int64, _ now: Int64) {
    guard count > 0 else { return }
    farewells.removeAll { $0.end <= now || $0.whom.names(the: whom) }
    guard farewells.count < farewellsMax else {
      (entries, count, bytes, farewells) = ([:], 0, 0, [])
      return
    }
    farewells.append(Farewell(whom: whom, end: at &+ Self.life, number: lastNumber))
  }

  private mutating func add(
    _ whom: IdentityOrder.Whom, _ admission: IdentityOrder.Admission?, in channel: ChannelName,
    end: Int64, _ now: Int64
  ) {
    remove(in: channel) { $0.whom.names(the: whom) }
    let size =
      (admission?.info?.count ?? 0) + (admission?.data?.count ?? 0) + whom.except.count * 32
      + Self.overheadBytes
    if count >= countMax || bytes + size > Self.bytesMax { forget(now: now) }
    guard count < countMax, bytes + size <= Self.bytesMax else {
      // Who is put out stays out.
      if admission == nil { remove(in: channel) { _ in true } }
      return
    }
    entries[channel, default: []].append(
      Entry(whom: whom, admission: admission, end: end, bytes: size, number: lastNumber))
    count += 1
    bytes += size
  }

  /// What lets the client into the channel; nil: nothing.
  func admission(
    to channel: ChannelName, of identity: Identity?, _ context: ClientContext, now: Int64
  ) -> IdentityOrder.Admission? {
    let last = entries[channel]?.last { $0.whom.includes(identity, context) }
    guard let last, now < last.end else { return nil }
    let farewell = farewells.last { $0.whom.includes(identity, context) }
    if let farewell, farewell.number > last.number { return nil }
    return last.admission
  }

  /// Forgets what is over.
  mutating func forget(now: Int64) {
    for channel in Array(entries.keys) { remove(in: channel) { $0.end <= now } }
    farewells.removeAll { $0.end <= now }
  }

  private mutating func remove(in channel: ChannelName, _ isOver: (Entry) -> Bool) {
    guard let before = entries[channel] else { return }
    let left = before.filter { !isOver($0) }
    guard left.count < before.count else { return }
    count -= before.count - left.count
    bytes -= before.reduce(0) { $0 + $1.bytes } - left.reduce(0) { $0 + $1.bytes }
    entries[channel] = left.isEmpty ? nil : left
  }
}

extension IdentityOrder.Whom {
  /// Whether an order about `other` takes the place of an earlier one about these.
  fileprivate func names(the other: Self) -> Bool {
    func same(_ a: String?, _ b: String?) -> Bool {
      guard let a, let b else { return a == nil && b == nil }
      return a.utf8.elementsEqual(b.utf8)
    }
    return same(user, other.user) && same(client, other.client) && same(session, other.session)
      && except.isEmpty && other.except.isEmpty
  }
}
