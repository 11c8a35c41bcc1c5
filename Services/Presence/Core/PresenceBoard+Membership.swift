// Connections in channels: joins, leaves, and what may still resume.

internal import Bytes

extension PresenceBoard {
  struct Connection: Placed, Sendable {
    enum State: Sendable {
      case live(lane: Int)
      case lost
    }

    /// Tells this connection from another that has its slot later.
    let serial: UInt64
    let roster: Int
    let key: MemberKey
    let run: GatewayRun
    let client: ClientID
    let session: SessionName?
    var info: [UInt8]
    var reportNumber: UInt64
    var state: State
  }

  // MARK: Events

  /// A loop's joins and leaves. Ignored are batches of fenced links, repetitions, and whatever
  /// comes while a report is awaited and doesn't open one; a missing batch makes a report due.
  package mutating func receivedBatch(
    _ batch: PresenceBatch, from link: LinkID, now real: Instant
  ) {
    let now = clock.read(real)
    guard let lane = links[link]?.lane, isCurrent(batch, for: lane) else {
      counters.batchesIgnored += 1
      return
    }
    renewLease(of: batch.gateway, at: now)
    guard accept(batch, lane: lane, link: link, at: now) else {
      counters.batchesIgnored += 1
      return
    }
    guard let run = gateways[lanes[lane].gateway]?.run else { return }
    for event in batch.events {
      switch event {
      case .joined(let join): admit(join, lane: lane, link: link, run)
      case .left(let leave): depart(leave, lane: lane, at: now)
      }
    }
    if batch.part == .closesReport || batch.part == .wholeReport {
      finishReport(of: lane, at: now)
    }
  }

  private func isCurrent(_ batch: PresenceBatch, for lane: Int) -> Bool {
    batch.gateway == lanes[lane].gateway
      && batch.incarnation == gateways[batch.gateway]?.incarnation
  }

  /// Whether the batch is the next one of its lane, or opens a report.
  private mutating func accept(
    _ batch: PresenceBatch, lane: Int, link: LinkID, at now: Instant
  ) -> Bool {
    let last = lanes[lane].lastSequence
    guard batch.sequence > last else { return false }
    if batch.part == .opensReport || batch.part == .wholeReport {
      lanes[lane].report = .underWay
      lanes[lane].reportNumber += 1
      lanes[lane].reportDue = lanes[lane].reportDue ?? now + limits.lease
    } else {
      if case .awaited = lanes[lane].report { return false }
      guard batch.sequence == last + 1 else {
        requestReport(of: lane, on: link, at: now)
        return false
      }
    }
    lanes[lane].lastSequence = batch.sequence
    return true
  }

  /// Who was here and is not in the report left unseen: counted as lost, since the manner is unknown.
  private mutating func finishReport(of lane: Int, at now: Instant) {
    guard case .underWay = lanes[lane].report else { return }
    lanes[lane].report = .finished
    lanes[lane].reportDue = nil
    for connection in unreported(in: lane) { lose(connection, until: now + limits.resumeGrace) }
  }

  // MARK: Joining

  private mutating func admit(
    _ join: PresenceJoin, lane: Int, link: LinkID, _ run: GatewayRun
  ) {
    let key = join.key(at: run)
    let known = rosterNumbers[join.channel]
    if let number = known {
      let attendance = Lane.Attendance(client: join.client, roster: number)
      if let known = lanes.at(lane, { $0.connections[attendance] }) {
        if connections[known].key == key { return confirm(known, join, lane: lane, link: link) }
        drop(known)
      }
      if let lost = resumable(join, in: number, key: key, at: run) {
        counters.resumes += 1
        insert(join, key: key, roster: number, lane: lane, run)
        return drop(lost)
      }
    }
    if let refusal = refusal(of: join, in: known, key: key) {
      return refuse(join, refusal, link)
    }
    guard let number = known ?? roster(of: join.channel) else {
      return refuse(join, .tooManyChannels, link)
    }
    insert(join, key: key, roster: number, lane: lane, run)
  }

  private mutating func refuse(_ join: PresenceJoin, _ refusal: PresenceRefusal, _ link: LinkID) {
    outbox.append(.refuseJoin(join.client, in: join.channel, refusal, to: link))
    counters.refusals += 1
  }

  private mutating func refusal(
    of join: PresenceJoin, in roster: Int?, key: MemberKey
  ) -> PresenceRefusal? {
    if let refusal = infoRefusal(join.info, replacing: 0) { return refusal }
    if connections.count >= limits.connectionsMax { return .tooManyConnections }
    guard let number = roster else { return nil }
    let (siblings, members) = rosters.at(number) {
      ($0.connections(of: key)?.count ?? 0, $0.memberCount)
    }
    if siblings >= limits.connectionsPerMemberMax { return .tooManyConnectionsOfMember }
    let isFull = members >= limits.membersPerChannelMax
    return siblings == 0 && isFull ? .channelFull : nil
  }

  private func infoRefusal(_ info: [UInt8], replacing old: Int) -> PresenceRefusal? {
    if info.count > limits.infoBytesMax { return .infoTooLong }
    return infoBytes - old + info.count > limits.infoBytesTotalMax ? .infoMemoryFull : nil
  }

  /// A connection that was here is still here, perhaps with something else to say of itself.
  private mutating func confirm(
    _ known: Int, _ join: PresenceJoin, lane: Int, link: LinkID
  ) {
    connections[known].reportNumber = lanes[lane].reportNumber
    let old = connections[known].info
    guard old != join.info else { return }
    if let refusal = infoRefusal(join.info, replacing: old.count) {
      return refuse(join, refusal, link)
    }
    infoBytes += join.info.count - old.count
    connections[known].info = join.info
    list(connections[known].roster)
    rosters[connections[known].roster].update(join.info, of: connections[known].key)
  }

  /// A lost connection of the same member that `join` carries on: the same session, or the very
  /// same connection. Another of the user's devices does not count, for it has a grace of its own.
  private func resumable(
    _ join: PresenceJoin, in number: Int, key: MemberKey, at run: GatewayRun
  ) -> Int? {
    // Whoever is lost lingers.
    guard lingering.count > 0, infoRefusal(join.info, replacing: 0) == nil else { return nil }
    return rosters[number].connections(of: key)?.first { index in
      let other = connections[index]
      guard case .lost = other.state else { return false }
      if let session = join.session, session == other.session { return true }
      return other.client == join.client && other.run == run
    }
  }

  private mutating func insert(
    _ join: PresenceJoin, key: MemberKey, roster: Int, lane: Int, _ run: GatewayRun
  ) {
    lastSerial += 1
    let connection = connections.insert(
      Connection(
        serial: lastSerial, roster: roster, key: key, run: run, client: join.client,
        session: join.session, info: join.info,
        reportNumber: lanes.at(lane) { $0.reportNumber }, state: .live(lane: lane)))
    infoBytes += join.info.count
    counters.joins += 1
    lanes.at(lane) {
      $0.connections[Lane.Attendance(client: join.client, roster: roster)] = connection
    }
    list(roster)
    let entry = PresenceEntry(key: key, client: join.client, info: join.info)
    rosters.at(roster) { $0.insert(connection, of: entry) }
  }

  // MARK: Leaving

  private mutating func depart(_ leave: PresenceLeave, lane: Int, at now: Instant) {
    guard let number = rosterNumbers[leave.channel] else { return }
    let attendance = Lane.Attendance(client: leave.client, roster: number)
    guard let connection = lanes.at(lane, { $0.connections[attendance] }) else { return }
    switch leave.manner {
    case .goodbye: drop(connection)
    case .lost: lose(connection, until: now + limits.resumeGrace)
    }
  }

  /// Keeps a live connection's place until `until`, off its lane.
  mutating func lose(_ number: Int, until: Instant) {
    guard lingering.count < limits.lingeringMax else { return drop(number) }
    detach(number)
    connections[number].state = .lost
    lingering.insert(
      DeadlineHeap.Entry(at: until, connection: number, serial: connections[number].serial))
  }

  /// Ends a connection, live or lost; its member leaves with the last one.
  mutating func drop(_ number: Int) {
    detach(number)
    let connection = connections.remove(at: number)
    infoBytes -= connection.info.count
    counters.leaves += 1
    list(connection.roster)
    rosters.at(connection.roster) { $0.remove(number, of: connection.key) }
  }

  private mutating func detach(_ number: Int) {
    let connection = connections[number]
    guard case .live(let lane) = connection.state else { return }
    let attendance = Lane.Attendance(client: connection.client, roster: connection.roster)
    lanes.at(lane) { $0.connections[attendance] = nil }
  }
}
