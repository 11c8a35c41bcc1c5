internal import Platform
internal import Synchronization

/// How often sessions came back lately, of those whose clients want to know their quality. Over all
/// loops of this gateway; any thread.
///
/// Bounded: a session that finds no room is not counted, and each is forgotten `memory` after it
/// came back last.
final class ReconnectLedger: Sendable {
  /// How long a reconnect counts.
  static let memory = Duration.seconds(300)
  /// BUDGET: sessions that are remembered.
  static let sessionsMax = 16_384
  /// BUDGET: reconnects of one session; as many leave nothing of any score.
  static let countMax = 8

  private let returns = Mutex<[SessionToken: [Instant]]>([:])

  /// A client came with the session of an earlier connection.
  func returned(_ session: SessionToken, _ now: Instant) {
    returns.withLock { returns in
      guard returns[session] != nil || returns.count < Self.sessionsMax else { return }
      returns[session] = Array(((returns[session] ?? []) + [now]).suffix(Self.countMax))
    }
  }

  func count(_ session: SessionToken, _ now: Instant) -> Int {
    returns.withLock { returns in
      returns[session]?.count { now.since($0) < Self.memory } ?? 0
    }
  }

  /// One walk.
  func forgetOld(_ now: Instant) {
    returns.withLock { returns in
      guard !returns.isEmpty else { return }
      returns = returns.filter { $0.value.last.map { now.since($0) < Self.memory } ?? false }
    }
  }

  var sessions: Int { returns.withLock { $0.count } }
}
