internal import Bytes
internal import Crypto

/// Keys seen in the last minutes and what was published under them. Pure; bounded.
///
/// The payload itself is not kept, only its SHA-256. At the bound the oldest key is forgotten: a
/// retry that late would be published again.
struct IdempotencyKeys {
  enum Finding: Equatable {
    case new
    /// Published before, at this position; nil in a channel without history.
    case same(Position?)
    case conflict
  }

  private struct Key: Hashable {
    var channel: ChannelName
    var text: ExactText
  }
  private struct Entry {
    var hash: [UInt8]
    var position: Position?
    var expiresMs: Int64
  }

  private var entries: [Key: Entry] = [:]
  private var order: [(key: Key, expiresMs: Int64)] = []
  private var start = 0

  private var windowMs: Int64
  private var countMax: Int

  static let windowMs: Int64 = 5 * 60 * 1000
  static let countMax = 100_000

  init(windowMs: Int64 = Self.windowMs, countMax: Int = Self.countMax) {
    self.windowMs = windowMs
    self.countMax = countMax
  }

  /// Goes on with other bounds; what is remembered already ends when it would have.
  mutating func adopt(windowMs: Int64, countMax: Int) {
    self.windowMs = windowMs
    self.countMax = countMax
  }

  func find(_ text: String, in channel: ChannelName, payload: Payload, nowMs: Int64) -> Finding {
    guard let entry = entries[Key(channel: channel, text: ExactText(text))], entry.expiresMs > nowMs else {
      return .new
    }
    return entry.hash == Self.hash(payload) ? .same(entry.position) : .conflict
  }

  mutating func remember(
    _ text: String, in channel: ChannelName, payload: Payload, at position: Position?, nowMs: Int64
  ) {
    let key = Key(channel: channel, text: ExactText(text))
    let expiresMs = nowMs + windowMs
    entries[key] = Entry(hash: Self.hash(payload), position: position, expiresMs: expiresMs)
    order.append((key, expiresMs))
    while order.count - start > countMax { forgetFirst() }
  }

  mutating func expire(nowMs: Int64) {
    while start < order.count, order[start].expiresMs <= nowMs { forgetFirst() }
  }

  private mutating func forgetFirst() {
    let (key, expiresMs) = order[start]
    if entries[key]?.expiresMs == expiresMs { entries[key] = nil }
    start += 1
    if start > 1024, start * 2 > order.count {
      order.removeFirst(start)
      start = 0
    }
  }

  private static func hash(_ payload: Payload) -> [UInt8] {
    SHA256.digest([payload.kind.rawValue] + payload.bytes)
  }
}
