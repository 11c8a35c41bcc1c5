internal import Bytes
internal import Wire

// What the board says in its own words, and what stands on the wire.

extension GatewayID {
  init?(instance: UInt64) { self.init(String(instance, radix: 36)) }
}

extension PresenceEvent {
  /// Nil where a name is too long for the board.
  init?(_ event: MemberEvent) {
    let client = ClientID(event.client)
    switch event.what {
    case .joined:
      let user = UserID(event.user)
      let session = SessionName(event.session)
      guard event.user.isEmpty || user != nil, event.session.isEmpty || session != nil else {
        return nil
      }
      self = .joined(
        PresenceJoin(
          channel: event.channel, client: client, user: user, session: session, info: event.info))
    case .left:
      self = .left(PresenceLeave(channel: event.channel, client: client, manner: .goodbye))
    case .lost:
      self = .left(PresenceLeave(channel: event.channel, client: client, manner: .lost))
    }
  }
}

extension PresenceBatch.Part {
  init(_ part: Wire.PresenceBatch.Part) {
    switch part {
    case .next: self = .next
    case .opensReport: self = .opensReport
    case .closesReport: self = .closesReport
    case .wholeReport: self = .wholeReport
    }
  }
}

extension Wire.Member {
  init(_ entry: PresenceEntry) {
    self.init(key: Wire.MemberKey(entry.key), client: entry.client.number, info: entry.info)
  }

  /// The member that `key` names, with nothing else known of it.
  init(_ key: MemberKey) {
    if case .client(let client, _) = key {
      self.init(key: .client(client.number), client: client.number)
    } else {
      self.init(key: Wire.MemberKey(key), client: 0)
    }
  }
}

extension Wire.MemberKey {
  init(_ key: MemberKey) {
    switch key {
    case .user(let user): self = .user(user.text)
    case .session(let session): self = .session(session.text)
    // Numbers of connections are unique among all gateways.
    case .client(let client, _): self = .client(client.number)
    }
  }
}

extension Wire.MemberChange {
  init(_ change: PresenceChange) {
    switch change {
    case .joined(let entry): self.init(.joined, Member(entry))
    case .updated(let entry): self.init(.updated, Member(entry))
    case .left(let key): self.init(.left, Member(key))
    }
  }
}

extension Wire.PresenceChanges {
  init(_ changes: PresenceChanges) {
    self.init(
      channel: changes.channel, after: changes.after.value,
      changes: changes.changes.map { MemberChange($0) })
  }
}

extension Wire.PresencePage {
  init(_ page: PresencePage) {
    self.init(
      channel: page.channel, version: page.version.value, isFirst: page.isFirst,
      isLast: page.isLast, isRebuilding: page.completeness == .rebuilding,
      members: page.entries.map { Member($0) })
  }
}

extension PresenceRefusal {
  var code: ErrorCode { self == .infoTooLong ? .tooLarge : .limitReached }

  var message: String {
    switch self {
    case .infoTooLong: "the info is too long"
    case .infoMemoryFull: "all members' info together takes too much memory"
    case .channelFull: "the channel has as many members as it may"
    case .tooManyChannels: "there are as many channels as may be"
    case .tooManyConnections: "there are as many connections as may be"
    case .tooManyConnectionsOfMember: "the member has as many connections as it may"
    case .tooManyGateways: "there are as many gateways as may be"
    case .tooManyLanes: "the gateway has as many loops as it may"
    case .tooManyWatches: "the link watches as many channels as it may"
    }
  }
}
