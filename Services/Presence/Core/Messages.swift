package import Bytes

/// A connection is in a channel.
package struct PresenceJoin: Hashable, Sendable {
  package var channel: ChannelName
  package var client: ClientID
  package var user: UserID?
  package var session: SessionName?
  package var info: [UInt8]

  package init(
    channel: ChannelName, client: ClientID, user: UserID? = nil, session: SessionName? = nil,
    info: [UInt8] = []
  ) {
    self.channel = channel
    self.client = client
    self.user = user
    self.session = session
    self.info = info
  }

  func key(at run: GatewayRun) -> MemberKey {
    if let user { return .user(user) }
    if let session { return .session(session) }
    return .client(client, at: run)
  }
}

/// A connection is no longer in a channel.
package struct PresenceLeave: Hashable, Sendable {
  package enum Manner: Hashable, Sendable {
    /// It said so, or closed with 1000 or 1001: shown at once.
    case goodbye
    /// It broke off and may resume: shown after the grace.
    case lost
  }

  package var channel: ChannelName
  package var client: ClientID
  package var manner: Manner

  package init(channel: ChannelName, client: ClientID, manner: Manner) {
    self.channel = channel
    self.client = client
    self.manner = manner
  }
}

package enum PresenceEvent: Hashable, Sendable {
  case joined(PresenceJoin)
  case left(PresenceLeave)
}

/// What one loop of a gateway saw in one turn, in its order.
///
/// `sequence` counts the link's batches from 1. A *report* is a run of batches that names every
/// connection of the loop; the first on a link opens one, and so does an answer to
/// `.requestReport`. What a finished report did not name is gone.
package struct PresenceBatch: Hashable, Sendable {
  package enum Part: Hashable, Sendable {
    /// What happened since the last batch; inside a report, more of it.
    case next
    case opensReport
    case closesReport
    case wholeReport
  }

  package var gateway: GatewayID
  package var incarnation: Incarnation
  package var sequence: UInt64
  package var part: Part
  package var events: [PresenceEvent]

  package init(
    gateway: GatewayID, incarnation: Incarnation, sequence: UInt64, part: Part = .next,
    events: [PresenceEvent]
  ) {
    self.gateway = gateway
    self.incarnation = incarnation
    self.sequence = sequence
    self.part = part
    self.events = events
  }
}

/// What a link says of itself when it opens.
package struct GatewayAttachment: Hashable, Sendable {
  package enum Contact: Hashable, Sendable {
    /// The loop has never had a link to presence: it has shown nobody to anybody.
    case first
    /// The loop has shown members to its clients, whom it must not lose sight of.
    case again
  }

  package var gateway: GatewayID
  package var incarnation: Incarnation
  package var lane: LaneNumber
  package var contact: Contact

  package init(
    gateway: GatewayID, incarnation: Incarnation, lane: LaneNumber, contact: Contact
  ) {
    self.gateway = gateway
    self.incarnation = incarnation
    self.lane = lane
    self.contact = contact
  }
}

/// One step in a channel's membership. Applying one twice is applying it once.
package enum PresenceChange: Hashable, Sendable {
  case joined(PresenceEntry)
  /// The member stays, and says something else about itself.
  case updated(PresenceEntry)
  case left(MemberKey)

  var byteCount: Int {
    switch self {
    case .joined(let entry), .updated(let entry): entry.byteCount
    case .left(let key): key.byteCount + 8
    }
  }
}

/// Changes `after + 1`, `after + 2` … of one channel, never empty.
package struct PresenceChanges: Hashable, Sendable {
  package var channel: ChannelName
  package var after: PresenceVersion
  package var changes: [PresenceChange]
}

/// Part of a channel's membership.
///
/// A page shows its members as of `version`. Changes between two pages of a snapshot are sent
/// between them, so that a watcher that applies pages and changes in order of arrival is right
/// about the whole channel after the last page, and after every change that follows.
package struct PresencePage: Hashable, Sendable {
  package enum Completeness: Hashable, Sendable {
    /// Who is not in the snapshot is not in the channel.
    case complete
    /// Gateways are still reporting to a service that has just started: who is not in the
    /// snapshot may be there. A complete one follows.
    case rebuilding
  }

  package var channel: ChannelName
  package var version: PresenceVersion
  package var entries: [PresenceEntry]
  package var isFirst: Bool
  package var isLast: Bool
  package var completeness: Completeness

  package init(
    channel: ChannelName, version: PresenceVersion, entries: [PresenceEntry], isFirst: Bool,
    isLast: Bool, completeness: Completeness
  ) {
    self.channel = channel
    self.version = version
    self.entries = entries
    self.isFirst = isFirst
    self.isLast = isLast
    self.completeness = completeness
  }
}

/// Why a link, a join or a watch was turned down.
package enum PresenceRefusal: Hashable, Sendable {
  case infoTooLong
  case infoMemoryFull
  case channelFull
  case tooManyChannels
  case tooManyConnections
  case tooManyConnectionsOfMember
  case tooManyGateways
  case tooManyLanes
  case tooManyWatches
}

/// What a back end is told of a channel.
package enum ChannelNews: Hashable, Sendable {
  /// The first member has come.
  case occupied
  /// The last member has gone.
  case vacated
  case joined(PresenceEntry)
  case left(PresenceEntry)

  package struct Kinds: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let occupied = Kinds(rawValue: 1)
    package static let vacated = Kinds(rawValue: 2)
    package static let join = Kinds(rawValue: 4)
    package static let leave = Kinds(rawValue: 8)
  }
}

/// What the board wants done.
package enum PresenceAction: Hashable, Sendable {
  case sendChanges(PresenceChanges, to: LinkID)
  case sendPage(PresencePage, to: LinkID)
  /// In the order it happened in the channel.
  case tell(ChannelName, [ChannelNews])
  /// Ask for a report: batches are missing, or the lease had lapsed.
  case requestReport(from: LinkID)
  /// The connection is not counted as present; its later leave is ignored.
  case refuseJoin(ClientID, in: ChannelName, PresenceRefusal, to: LinkID)
  case refuseWatch(ChannelName, PresenceRefusal, to: LinkID)
  /// The link is not attached; close it.
  case refuseLink(LinkID, PresenceRefusal)
  /// The link speaks for an outdated run of its gateway, or a newer link has taken its place;
  /// close it and name the current incarnation. Nothing it says counts.
  case fence(LinkID, current: Incarnation)
}
