/// What a message is for; each class has rates of its own (S002-19), so that cursors at 60 Hz and a
/// hundred chat messages a minute can both be allowed.
public enum MessageClass: String, Sendable, CaseIterable, Hashable {
  /// What a client asks of the gateway itself: to subscribe, to leave, to sign in, for a pong.
  case control
  /// Publications that are kept: the channel has a history.
  case state
  /// Publications that the next one replaces, such as cursors: the channel keeps nothing.
  case ephemeral
  /// Large publications, of `Limits.bulkBytes` and more.
  case bulk
}

/// So many in a time, of which some may come at once: `100/m`, `60/s burst 10`.
public struct MessageRate: Sendable, Equatable {
  public enum Period: String, Sendable, CaseIterable {
    case second = "s"
    case minute = "m"
    case hour = "h"

    public var duration: Duration {
      switch self {
      case .second: .seconds(1)
      case .minute: .seconds(60)
      case .hour: .seconds(3_600)
      }
    }
  }

  public static let countRange: ClosedRange<Int64> = 1...10_000_000

  /// How many over a long time in each period.
  public let count: Int
  public let period: Period
  /// How many may come at once; one more follows each time that `count` allows one.
  public let burst: Int

  /// - Parameter burst: nil: all that come in one period.
  public init(_ count: Int, per period: Period, burst: Int? = nil) {
    self.count = count
    self.period = period
    self.burst = burst ?? count
  }

  /// Reads `100/m` or `100/m burst 20`; nil for any other text.
  public init?(written text: String) {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    guard words.count == 1 || words.count == 3 && words[1] == "burst" else { return nil }
    let parts = words[0].split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let count = Self.number(parts[0]),
      let period = Period(rawValue: String(parts[1]))
    else { return nil }
    var burst = count
    if words.count == 3 {
      guard let number = Self.number(words[2]) else { return nil }
      burst = number
    }
    self.init(count, per: period, burst: burst)
  }

  private static func number(_ text: Substring) -> Int? {
    guard text.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int64(text),
      countRange.contains(number)
    else { return nil }
    return Int(number)
  }

  /// As a configuration writes it.
  public var text: String {
    "\(count)/\(period.rawValue)" + (burst == count ? "" : " burst \(burst)")
  }
}

/// Whom a rate of messages binds.
public enum RateScope: String, Sendable, CaseIterable, Hashable {
  case connection, user, address
}
