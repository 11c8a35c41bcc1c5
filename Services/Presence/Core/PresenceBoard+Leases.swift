// Gateways, their lanes and links: who may speak, and for how long it is believed.

extension PresenceBoard {
  struct Gateway: Sendable {
    let run: GatewayRun
    var leaseUntil: Instant
    var hasLapsed = false
    var lanes: [LaneNumber: Int] = [:]

    var incarnation: Incarnation { run.incarnation }

    init(_ attachment: GatewayAttachment, leaseUntil: Instant) {
      run = GatewayRun(of: attachment.gateway, attachment.incarnation)
      self.leaseUntil = leaseUntil
    }
  }

  /// One event loop of a gateway process, and the connections it has in channels.
  struct Lane: Placed, Sendable {
    enum Attachment: Sendable {
      case linked(LinkID)
      case detached(until: Instant)
    }
    enum Report: Sendable {
      /// Batches are ignored until one opens a report.
      case awaited
      case underWay
      case finished
    }
    struct Attendance: Hashable, Sendable {
      var client: ClientID
      var roster: Int

      /// In one step: it is looked up for everything that happens.
      func hash(into hasher: inout Hasher) {
        hasher.combine(client.number ^ UInt64(truncatingIfNeeded: roster) &* 0x9E37_79B9_7F4A_7C15)
      }
    }

    let gateway: GatewayID
    let number: LaneNumber
    var attachment: Attachment
    var report = Report.awaited
    /// By when a report has to be finished; what it has not named by then is gone.
    var reportDue: Instant?
    /// Which report is the latest; a connection that it named carries its number.
    var reportNumber: UInt64 = 0
    var lastSequence: UInt64 = 0
    var connections: [Attendance: Int] = [:]
  }

  // MARK: Events

  /// A link has said which gateway loop it serves. Its first batch has to open a report.
  package mutating func linkOpened(
    _ link: LinkID, as attachment: GatewayAttachment, now real: Instant
  ) {
    let now = clock.read(real)
    precondition(links[link] == nil, "a link opens once")
    guard admit(attachment, on: link, at: now) else { return }
    let lane = lane(for: attachment, at: now)
    if case .linked(let older) = lanes[lane].attachment {
      fence(older, current: attachment.incarnation)
    }
    lanes[lane].attachment = .linked(link)
    lanes[lane].lastSequence = 0
    links[link] = Link(lane: lane)
    awaitReport(lane, at: now)
    switch attachment.contact {
    case .first: rebuild?.hasHeardFirst = true
    case .again: rebuild?.hasHeardAgain = true
    }
  }

  /// The link is gone, with its watches; its lane has `linkGrace` to come back.
  package mutating func linkClosed(_ link: LinkID, now real: Instant) {
    let now = clock.read(real)
    guard let lane = links[link]?.lane else { return }
    forget(link)
    lanes[lane].attachment = .detached(until: now + limits.linkGrace)
    lanes[lane].report = .awaited
    lanes[lane].reportDue = nil
  }

  /// The gateway is alive: a heartbeat of one link renews the lease of all its lanes.
  package mutating func receivedHeartbeat(from link: LinkID, now real: Instant) {
    let now = clock.read(real)
    guard let lane = links[link]?.lane else { return }
    renewLease(of: lanes[lane].gateway, at: now)
  }

  // MARK: Attaching

  /// Whether the attachment may stand; the gateway is known and leased afterwards if so.
  private mutating func admit(
    _ attachment: GatewayAttachment, on link: LinkID, at now: Instant
  ) -> Bool {
    let id = attachment.gateway
    guard let known = gateways[id] else {
      guard gateways.count < limits.gatewaysMax else { return refuse(link, .tooManyGateways) }
      if gateways.isEmpty { nextSweep = now + limits.sweepInterval }
      gateways[id] = Gateway(attachment, leaseUntil: now + limits.lease)
      return true
    }
    guard attachment.incarnation >= known.incarnation else {
      fence(link, current: known.incarnation)
      return false
    }
    if attachment.incarnation > known.incarnation {
      retireLanes(of: id, for: attachment.incarnation, at: now)
      gateways[id] = Gateway(attachment, leaseUntil: now + limits.lease)
      return true
    }
    guard
      known.lanes[attachment.lane] != nil || known.lanes.count < limits.lanesPerGatewayMax
    else { return refuse(link, .tooManyLanes) }
    renewLease(of: id, at: now)
    return true
  }

  private mutating func refuse(_ link: LinkID, _ refusal: PresenceRefusal) -> Bool {
    outbox.append(.refuseLink(link, refusal))
    counters.refusals += 1
    return false
  }

  private mutating func lane(for attachment: GatewayAttachment, at now: Instant) -> Int {
    if let lane = gateways[attachment.gateway]?.lanes[attachment.lane] { return lane }
    let lane = lanes.insert(
      Lane(
        gateway: attachment.gateway, number: attachment.lane, attachment: .detached(until: now)))
    gateways[attachment.gateway]?.lanes[attachment.lane] = lane
    return lane
  }

  /// An older run has ended: its clients may resume on any gateway, until the time that its lanes
  /// had left.
  private mutating func retireLanes(
    of id: GatewayID, for successor: Incarnation, at now: Instant
  ) {
    for lane in laneNumbers(of: id) {
      var until = now + limits.linkGrace
      switch lanes[lane].attachment {
      case .linked(let link): fence(link, current: successor)
      case .detached(let end): until = min(until, end)
      }
      for connection in connectionNumbers(of: lane) { lose(connection, until: until) }
      lanes.remove(at: lane)
    }
  }

  /// Ends a link that may no longer speak. What it sends meanwhile comes from an unknown link.
  private mutating func fence(_ link: LinkID, current: Incarnation) {
    forget(link)
    outbox.append(.fence(link, current: current))
    counters.linksFenced += 1
  }

  // MARK: Leases

  /// A lapsed gateway that is alive after all has to say anew who is there.
  mutating func renewLease(of id: GatewayID, at now: Instant) {
    guard let hadLapsed = gateways[id]?.hasLapsed else { return }
    gateways[id]?.leaseUntil = now + limits.lease
    guard hadLapsed else { return }
    gateways[id]?.hasLapsed = false
    for lane in laneNumbers(of: id) {
      guard case .linked(let link) = lanes[lane].attachment else { continue }
      requestReport(of: lane, on: link, at: now)
    }
  }

  mutating func requestReport(of lane: Int, on link: LinkID, at now: Instant) {
    awaitReport(lane, at: now)
    outbox.append(.requestReport(from: link))
    counters.reportsRequested += 1
  }

  private mutating func awaitReport(_ lane: Int, at now: Instant) {
    lanes[lane].report = .awaited
    lanes[lane].reportDue = now + limits.lease
  }

  /// Looks at every lease, link grace and overdue report.
  mutating func sweep(at now: Instant) {
    nextSweep = now + limits.sweepInterval
    for id in gateways.keys.sorted(by: { $0.text < $1.text }) {
      guard let gateway = gateways[id] else { continue }
      if !gateway.hasLapsed, now >= gateway.leaseUntil { lapse(id) }
      for lane in laneNumbers(of: id) { sweepLane(lane, of: id, at: now) }
      let isForgettable = gateways[id]?.lanes.isEmpty == true && gateways[id]?.hasLapsed == true
      if isForgettable, now >= gateway.leaseUntil + limits.fenceRetention { gateways[id] = nil }
    }
  }

  private mutating func lapse(_ id: GatewayID) {
    gateways[id]?.hasLapsed = true
    counters.leasesLapsed += 1
    for lane in laneNumbers(of: id) {
      for connection in connectionNumbers(of: lane) { drop(connection) }
      lanes[lane].report = .awaited
      lanes[lane].reportDue = nil
    }
  }

  private mutating func sweepLane(_ lane: Int, of id: GatewayID, at now: Instant) {
    if case .detached(let until) = lanes[lane].attachment, now >= until {
      for connection in connectionNumbers(of: lane) { drop(connection) }
      gateways[id]?.lanes[lanes[lane].number] = nil
      lanes.remove(at: lane)
    } else if let due = lanes[lane].reportDue, now >= due {
      lanes[lane].reportDue = nil
      for connection in unreported(in: lane) { drop(connection) }
    }
  }

  // MARK: Order

  /// The gateway's lanes in the order of their numbers, so that runs of a test are alike.
  private func laneNumbers(of id: GatewayID) -> [Int] {
    guard let gateway = gateways[id] else { return [] }
    return gateway.lanes.sorted { $0.key.value < $1.key.value }.map(\.value)
  }

  /// The lane's connections in the order they came.
  func connectionNumbers(of lane: Int) -> [Int] {
    lanes[lane].connections.values.sorted { connections[$0].serial < connections[$1].serial }
  }

  /// The lane's connections that the latest report has not named.
  func unreported(in lane: Int) -> [Int] {
    let latest = lanes[lane].reportNumber
    return connectionNumbers(of: lane).filter { connections[$0].reportNumber != latest }
  }
}
