internal import Bytes
internal import Crypto

/// A one-time ticket: 256 random bits, 43 characters, good for one connection.
///
/// Printing it prints nothing of it; `reveal()` is for the one answer that gives it away.
public struct Ticket: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
  CustomReflectable
{
  private let text: String

  init() { text = base64URL(SystemRandom.bytes(32)) }

  public func reveal() -> String { text }

  /// What stands for it wherever it is kept: SHA-256, so that what is kept opens nothing.
  public var digest: [UInt8] { Self.digest(text) }

  static func digest(_ text: String) -> [UInt8] { SHA256.digest(Array(text.utf8)) }

  /// The digest of what somebody shows as a ticket; nil for what can't be one.
  public static func digest(shown text: String) -> [UInt8]? {
    text.utf8.count == 43 ? digest(text) : nil
  }

  public var description: String { "(a ticket)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// What a ticket stands for.
public struct TicketContent: Equatable, Sendable {
  /// JSON, checked when the ticket was asked for.
  public var claims: [UInt8]
  /// The key of the token that the ticket was given for; nil where a back end asked for it.
  public var key: KeyMark?

  public init(claims: [UInt8], key: KeyMark?) {
    self.claims = claims
    self.key = key
  }
}

/// Tickets that were given out and not used yet. A plain value; the moment is an argument.
///
/// Keeps digests and the claims they stand for. Bounded; all tickets live equally long, so that the
/// oldest are the first to go.
public struct TicketTable: Sendable {
  private struct Entry: Sendable {
    var content: TicketContent
    var deadline: UInt64
  }

  private var entries: [[UInt8]: Entry] = [:]
  /// Digests in the order in which they were given out, from `first` on.
  private var order: [[UInt8]] = []
  private var first = 0
  private let lifeNs: UInt64
  private let countMax: Int

  /// BUDGET: with claims of 1 KiB some 64 MB; every one of them was asked for with a key or token.
  public static let countMax = 65_536
  /// BUDGET: claims of one ticket.
  public static let claimsBytesMax = 8_192

  public init(life: Duration, countMax: Int = Self.countMax) {
    let (seconds, attoseconds) = life.components
    lifeNs =
      UInt64(clamping: seconds) &* 1_000_000_000 &+ UInt64(clamping: attoseconds / 1_000_000_000)
    self.countMax = countMax
  }

  public var count: Int { entries.count }

  /// A new ticket for whoever the content's claims name; nil where there are as many as there may be.
  ///
  /// - Parameter now: monotonic, in nanoseconds.
  public mutating func issue(_ content: TicketContent, now: UInt64) -> Ticket? {
    forget(now: now)
    guard entries.count < countMax, content.claims.count <= Self.claimsBytesMax else { return nil }
    let ticket = Ticket()
    entries[ticket.digest] = Entry(content: content, deadline: now &+ lifeNs)
    order.append(ticket.digest)
    return ticket
  }

  /// What a ticket stands for that is good now, which it then isn't any more.
  ///
  /// - Parameter digest: of what was shown. Looking it up tells nothing by its time: who could
  ///   choose a digest would know the ticket.
  public mutating func redeem(_ digest: [UInt8], now: UInt64) -> TicketContent? {
    guard let entry = entries.removeValue(forKey: digest), now < entry.deadline else { return nil }
    return entry.content
  }

  private mutating func forget(now: UInt64) {
    while first < order.count {
      if let entry = entries[order[first]] {
        guard entry.deadline <= now else { break }
        entries[order[first]] = nil
      }
      first += 1
    }
    guard first > order.count / 2 else { return }
    order.removeFirst(first)
    first = 0
  }
}
