internal import Wire

/// What this loop knows of one channel's members: replays pages and changes as presence sends them.
///
/// Pages and changes are applied in the order they come. A snapshot that comes again, after a new
/// link or because this loop fell behind, adds members at once and takes away who is missing only
/// when it is complete. Over a lost link everybody stays on show. Pure.
struct PresenceObserver {
  /// What clients are to be told, in order.
  enum News: Equatable {
    case joined(Member)
    case updated(Member)
    case left(Member)
  }

  enum Outcome: Equatable {
    case news([News])
    /// The first snapshot is here: from now on clients can be shown the members.
    case ready
    /// A change is missing: the channel has to be watched anew.
    case outOfStep
  }

  private struct Known {
    var client: UInt64
    var info: [UInt8]
  }

  private var known: [MemberKey: Known] = [:]
  /// Who the snapshot has named so far, while one arrives.
  private var fresh: Set<MemberKey>?
  /// Nil until the first page of this link's snapshot.
  private var version: UInt64?
  /// A whole snapshot has come; what came before it was told to nobody.
  private(set) var isReady = false

  var count: Int { known.count }

  /// At most `most` members, in no particular order.
  func members(_ most: Int) -> [Member] { known.prefix(most).map(Self.member) }

  private static func member(_ key: MemberKey, _ known: Known) -> Member {
    Member(key: key, client: known.client, info: known.info)
  }

  /// The link is gone: a new snapshot will come.
  mutating func startOver() {
    fresh = nil
    version = nil
  }

  mutating func received(_ page: PresencePage) -> Outcome {
    if page.isFirst {
      fresh = []
      version = page.version
    }
    // What is left of a watch that was given up.
    guard fresh != nil else { return .news([]) }
    guard page.version == version else { return outOfStep() }
    var news: [News] = []
    for member in page.members {
      fresh?.insert(member.key)
      put(member, &news)
    }
    guard page.isLast else { return told(news) }
    if !page.isRebuilding { removeMissing(&news) }
    fresh = nil
    guard isReady else {
      isReady = true
      return .ready
    }
    return .news(news)
  }

  mutating func received(_ batch: PresenceChanges) -> Outcome {
    guard let version else { return .news([]) }
    guard batch.after == version else { return outOfStep() }
    self.version = version &+ UInt64(batch.changes.count)
    var news: [News] = []
    for change in batch.changes {
      let key = change.member.key
      switch change.what {
      case .joined, .updated:
        if fresh != nil { fresh?.insert(key) }
        put(change.member, &news)
      case .left:
        fresh?.remove(key)
        if let gone = known.removeValue(forKey: key) { news.append(.left(Self.member(key, gone))) }
      }
    }
    return told(news)
  }

  private func told(_ news: [News]) -> Outcome { .news(isReady ? news : []) }

  private mutating func outOfStep() -> Outcome {
    startOver()
    return .outOfStep
  }

  /// A member keeps the client that it was shown with, by which clients know it: presence, started
  /// again, knows a resumed session by its later connection.
  private mutating func put(_ member: Member, _ news: inout [News]) {
    guard let before = known[member.key] else {
      known[member.key] = Known(client: member.client, info: member.info)
      return news.append(.joined(member))
    }
    guard before.info != member.info else { return }
    known[member.key]?.info = member.info
    news.append(.updated(Member(key: member.key, client: before.client, info: member.info)))
  }

  private mutating func removeMissing(_ news: inout [News]) {
    guard let fresh, known.count > fresh.count else { return }
    for key in known.keys where !fresh.contains(key) {
      if let gone = known.removeValue(forKey: key) { news.append(.left(Self.member(key, gone))) }
    }
  }
}
