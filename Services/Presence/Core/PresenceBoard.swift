package import Bytes

/// Who is in which channel, as the gateways report it and as watchers are told.
///
/// Owns all state of the presence service, and nothing else: no socket, clock or log. The shell feeds
/// it what happened in a turn, with the time, and ends the turn; `turnEnded` answers with what to
/// do, and `deadline` says when to end a turn at the latest even if nothing happens.
///
/// ```
///   connection   absent ──joined──▶ live ──left(.goodbye)──────────────▶ absent
///                                   │ ▲
///                 left(.lost), not  │ │ joined within the grace by the
///                 in a report, or   ▼ │ same session or connection
///                 older run        lost ──resumeGrace over──────────────▶ absent
///
///   lane         linked ──linkClosed──▶ detached ──linkGrace over──▶ gone with its connections
///     ▲            │  ▲                    │
///     └─linkOpened─┘  └─────linkOpened─────┘   each time a report is due
///
///   gateway      leased ──no sign of life for a lease──▶ lapsed ──sign of life──▶ leased,
///                  │                                                   reports requested
///                  └─linkOpened with a greater incarnation──▶ leased, older run fenced
/// ```
///
/// A member (see `MemberKey`) is present while it has a connection, live or lost. Isolation: one
/// loop; the value is Sendable and may be moved.
package struct PresenceBoard: Sendable {
  package private(set) var limits: PresenceLimits
  package internal(set) var counters = PresenceCounters()

  var clock: BoardClock
  var rebuild: Rebuild?
  /// What watchers were last told of completeness; see `Rebuild`.
  var wasWithholding = true
  var nextSweep: Instant

  var gateways: [GatewayID: Gateway] = [:]
  var lanes = Slab<Lane>()
  var links: [LinkID: Link] = [:]

  var rosters = Slab<Roster>()
  var rosterNumbers: [ChannelName: Int] = [:]
  var connections = Slab<Connection>()
  var lastSerial: UInt64 = 0
  var lingering = DeadlineHeap()
  var infoBytes = 0

  /// Rosters to look at when the turn ends, each once.
  var listedRosters: [Int] = []
  var pendingBytes = 0
  var outbox: [PresenceAction] = []
  /// What of a channel a back end is told.
  private let told: @Sendable (ChannelName) -> ChannelNews.Kinds

  /// Goes on with other sizes of infos, channels and pages; who is listed stays listed.
  package mutating func adopt(sizesOf other: PresenceLimits) {
    limits.infoBytesMax = other.infoBytesMax
    limits.membersPerChannelMax = other.membersPerChannelMax
    limits.pageEntriesMax = other.pageEntriesMax
  }

  package init(
    limits: PresenceLimits = PresenceLimits(), startedAt now: Instant,
    telling told: @escaping @Sendable (ChannelName) -> ChannelNews.Kinds = { _ in [] }
  ) {
    self.limits = limits
    self.told = told
    clock = BoardClock(startedAt: now, lateMax: limits.lateMax)
    nextSweep = now
    rebuild = Rebuild(until: now + limits.lease, settleAt: now + limits.firstContactSettle)
    clock.promised = now + limits.firstContactSettle
  }

  // MARK: The end of a turn

  /// Lets expire what is due, and turns what happened into actions, in the order to carry them out.
  ///
  /// - Shape: each watched channel's changes in version order; joins and leaves of one member within
  ///   the turn cancel out, unless watchers knew it before.
  /// - Limits: about `linkBytesPerTurn` a link. If more waits, `deadline` is already past.
  package mutating func turnEnded(now real: Instant) -> [PresenceAction] {
    let now = clock.read(real)
    if now >= clock.holdUntil { expire(at: now) }
    if let end = rebuild?.until, now >= end { rebuild = nil }
    let withholds = rebuild?.isUnderWay(at: now) ?? false
    commit(leaves: withholds ? .withheld : .shown)
    if wasWithholding && !withholds { restartAllSnapshots() }
    wasWithholding = withholds
    limitPendingBytes()
    for link in servableLinks() { serve(link) }
    settleListedRosters()
    clock.promised = nextDeadline(after: now)
    defer { outbox = [] }
    return outbox
  }

  /// When `turnEnded` has to be called at the latest; nil if only an event can bring work.
  package var deadline: Instant? { clock.promised.map { clock.real($0) } }

  private func nextDeadline(after now: Instant) -> Instant? {
    if links.values.contains(where: { $0.isServable }) { return now }
    var expiry: [Instant] = []
    if !gateways.isEmpty { expiry.append(nextSweep) }
    if let first = lingering.first { expiry.append(first.at) }
    var due = expiry.min().map { max($0, clock.holdUntil) }
    if let rebuild {
      let end = now < rebuild.settleAt ? rebuild.settleAt : rebuild.until
      due = due.map { min($0, end) } ?? end
    }
    return due
  }

  private mutating func expire(at now: Instant) {
    while let entry = lingering.popDue(at: now) {
      guard let connection = connections.element(at: entry.connection),
        connection.serial == entry.serial, case .lost = connection.state
      else { continue }
      drop(entry.connection)
    }
    if now >= nextSweep { sweep(at: now) }
  }

  private mutating func commit(leaves: LeavePolicy) {
    let countMax = limits.pendingChangesPerChannelMax
    for number in listedRosters {
      let told: (watchers: Set<LinkID>, bytes: Int, news: [ChannelNews])? = rosters.at(number) {
        guard $0.isTouched else { return nil }
        let before = $0.log.byteCount
        let news = $0.commit(leaves: leaves)
        $0.limitLog(to: countMax)
        return ($0.watchers, $0.log.byteCount - before, news)
      }
      guard let told else { continue }
      pendingBytes += told.bytes
      if !told.news.isEmpty { outbox.append(.tell(rosters[number].channel, told.news)) }
      for watcher in told.watchers { links[watcher]?.enqueue(number) }
    }
  }

  /// Lets go of changes that everybody has, and of channels that nobody needs.
  private mutating func settleListedRosters() {
    for number in listedRosters {
      trimLog(of: number)
      let unused: ChannelName? = rosters.at(number) {
        $0.isListed = false
        return $0.isUnused ? $0.channel : nil
      }
      guard let unused else { continue }
      rosterNumbers[unused] = nil
      rosters.remove(at: number)
    }
    listedRosters = []
  }

  // MARK: Rosters

  /// The channel's roster, made if need be; nil when there are as many channels as may be.
  mutating func roster(of channel: ChannelName) -> Int? {
    if let number = rosterNumbers[channel] { return number }
    guard rosters.count < limits.channelsMax else { return nil }
    let number = rosters.insert(Roster(channel: channel, told: told(channel)))
    rosterNumbers[channel] = number
    list(number)
    return number
  }

  mutating func list(_ number: Int) {
    rosters.at(number) {
      guard !$0.isListed else { return }
      $0.isListed = true
      listedRosters.append(number)
    }
  }

  /// Runs `body` on a roster and keeps count of the bytes in its log.
  mutating func changeLog(of number: Int, _ body: (inout Roster) -> Void) {
    pendingBytes += rosters.at(number) {
      let before = $0.log.byteCount
      body(&$0)
      return $0.log.byteCount - before
    }
  }

  // MARK: Questions

  /// How many connections and members the channel has now.
  package func stats(of channel: ChannelName) -> PresenceStats {
    guard let number = rosterNumbers[channel] else { return PresenceStats() }
    return PresenceStats(
      connections: rosters[number].connectionCount, members: rosters[number].memberCount)
  }

  /// The totals that are measured against the limits.
  package var totals: PresenceTotals {
    var totals = PresenceTotals()
    totals.channels = rosters.count
    totals.connections = connections.count
    totals.gateways = gateways.count
    totals.links = links.count
    totals.lostConnections = lingering.count
    totals.infoBytes = infoBytes
    totals.pendingBytes = pendingBytes
    return totals
  }

  /// Members from `start` on, for a reader that does not watch; 0 first, then what `next` says.
  ///
  /// Members who come or go between two calls may be missed or met; for a consistent view, watch.
  /// At most `countMax`, and no more than a page holds.
  package func members(
    of channel: ChannelName, from start: Int, countMax: Int = .max
  ) -> (entries: [PresenceEntry], next: Int?) {
    guard let number = rosterNumbers[channel], start >= 0 else { return ([], nil) }
    return rosters[number].page(
      from: start, countMax: max(1, min(countMax, limits.pageEntriesMax)),
      bytesMax: limits.messageBytesMax)
  }
}

/// The time after a start in which gateways that knew another run of this service come back.
///
/// Until they have reported, absence proves nothing: leaves are withheld and snapshots say that they
/// are not complete. It ends after one lease; or after a short while when all who have come are
/// new themselves, as on the first start of a whole system. A gateway with an older view that comes
/// later, within the lease, opens it again.
struct Rebuild: Sendable {
  let until: Instant
  let settleAt: Instant
  var hasHeardFirst = false
  var hasHeardAgain = false

  func isUnderWay(at now: Instant) -> Bool {
    guard now < until else { return false }
    return hasHeardAgain || !hasHeardFirst || now < settleAt
  }
}

package struct PresenceStats: Hashable, Sendable {
  package var connections: Int
  package var members: Int

  package init(connections: Int = 0, members: Int = 0) {
    self.connections = connections
    self.members = members
  }
}

package struct PresenceTotals: Hashable, Sendable {
  package var channels = 0
  package var connections = 0
  package var gateways = 0
  package var links = 0
  /// Including some that have resumed meanwhile.
  package var lostConnections = 0
  package var infoBytes = 0
  package var pendingBytes = 0

  package init() {}
}

/// What the board has done since it started, for metrics.
package struct PresenceCounters: Hashable, Sendable {
  package var joins: UInt64 = 0
  package var leaves: UInt64 = 0
  package var resumes: UInt64 = 0
  package var refusals: UInt64 = 0
  package var batchesIgnored: UInt64 = 0
  package var reportsRequested: UInt64 = 0
  package var linksFenced: UInt64 = 0
  package var leasesLapsed: UInt64 = 0
  package var snapshotsForced: UInt64 = 0

  package init() {}
}
