/// Every bound of the board: its value, what it bounds, and what happens there.
package struct PresenceLimits: Sendable {
  // MARK: Time

  /// A gateway that proves no life for this long has lost its members.
  package var lease: Duration = .seconds(10)
  /// How long a gateway's loop may be without a link before its members leave.
  package var linkGrace: Duration = .seconds(5)
  /// How long a lost connection stays present, so that it can resume unseen.
  package var resumeGrace: Duration = .seconds(5)
  /// How often leases and link graces are looked at; their bounds are late by at most this.
  package var sweepInterval: Duration = .milliseconds(500)
  /// The board called later than this was itself stopped; see `BoardClock`.
  package var lateMax: Duration = .seconds(1)
  /// After a start, how long to wait for gateways with an older view before trusting that there
  /// are none. With one, the service is rebuilding for a whole lease.
  package var firstContactSettle: Duration = .seconds(1)
  /// How long an expired gateway's incarnation is remembered, to fence its late links.
  package var fenceRetention: Duration = .seconds(600)

  // MARK: Membership. Over a bound a join is refused and its gateway told why.

  package var channelsMax = 100_000
  package var membersPerChannelMax = 100_000
  package var connectionsMax = 1_000_000
  package var connectionsPerMemberMax = 1_000
  package var infoBytesMax = 4_096
  package var infoBytesTotalMax = 256 << 20
  /// Lost connections kept for resuming; over it, one that is lost leaves at once.
  package var lingeringMax = 200_000

  // MARK: Links. Over a bound the link or the watch is refused.

  package var gatewaysMax = 1_024
  package var lanesPerGatewayMax = 256
  package var watchesPerLinkMax = 100_000

  // MARK: Output

  /// Changes kept for watchers that can't take them yet; over it, the slowest get a snapshot.
  package var pendingChangesPerChannelMax = 16_384
  /// Bytes of all such changes; over it, watchers on stalled links get snapshots.
  package var pendingBytesMax = 64 << 20
  /// Entries in a page.
  package var pageEntriesMax = 512
  /// About how large one page or list of changes may be; one entry always fits.
  package var messageBytesMax = 64 << 10
  /// BUDGET: about how much one link is given in one turn, so that a large snapshot holds up neither
  /// the other links nor the changes that come with it.
  package var linkBytesPerTurn = 256 << 10

  package init() {}
}
