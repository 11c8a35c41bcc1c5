package import Bytes
package import Link
package import Loop
package import Observe
internal import Platform
package import Wire

/// Presence on its loop: frames become events of the board, the board's actions become frames.
///
/// Owns the links, the board's time and what a link without credit is still owed; decides nothing
/// about membership. Every turn that had an event, or a deadline, ends with one call of
/// `PresenceBoard.turnEnded`.
package final class PresenceService {
  private let loop: EventLoop
  private let metrics: PresenceMetrics
  private let logger: Logger
  private var board: PresenceBoard
  private var links: [LinkID: Attached] = [:]
  private var lastLink: UInt64 = 0
  private var isTurnMarked = false
  private var timer: (at: PresenceCore.Instant, id: TimerID)?
  private var reported = PresenceCounters()
  /// Nil where no back end is told anything.
  private let teller: ChannelTeller?

  /// A link that has said which loop it serves.
  private struct Attached {
    let link: Link
    /// What it had no credit for, in order. Bounded: a link that owes is given nothing more by the
    /// board, so that this is at most what one turn had for it.
    var owed: [PresenceAction] = []
  }

  package init(
    loop: EventLoop, limits: PresenceLimits, metrics: PresenceMetrics, logger: Logger,
    telling told: @escaping @Sendable (ChannelName) -> ChannelNews.Kinds = { _ in [] },
    by teller: ChannelTeller? = nil
  ) {
    self.teller = teller
    self.loop = loop
    self.metrics = metrics
    self.logger = logger
    board = PresenceBoard(limits: limits, startedAt: Self.instant(loop.now), telling: told)
    schedule()
  }

  package func adopt(sizesOf limits: PresenceLimits) { board.adopt(sizesOf: limits) }

  /// Roles that may link to presence.
  package static func accepts(_ role: Role) -> Bool {
    role == .gateway || role == .operations
  }

  private var now: PresenceCore.Instant { Self.instant(loop.now) }

  private static func instant(_ instant: Platform.Instant) -> PresenceCore.Instant {
    PresenceCore.Instant(nanoseconds: instant.nanoseconds)
  }

  // MARK: the turn

  /// The board has been told something: it gives its answer when the turn ends.
  private func markTurn() {
    guard !isTurnMarked else { return }
    isTurnMarked = true
    loop.atTurnEnd { [weak self] in self?.endTurn() }
  }

  private func endTurn() {
    isTurnMarked = false
    for action in board.turnEnded(now: now) { carryOut(action) }
    metrics.update(board.totals, board.counters, since: reported)
    reported = board.counters
    schedule()
  }

  /// One timer, for the board's next deadline.
  private func schedule() {
    guard let deadline = board.deadline else {
      if let timer { loop.cancel(timer.id) }
      timer = nil
      return
    }
    if let timer {
      if timer.at == deadline { return }
      loop.cancel(timer.id)
    }
    let id = loop.at(Platform.Instant(nanoseconds: deadline.nanoseconds)) { [weak self] in
      self?.timer = nil
      self?.markTurn()
    }
    timer = (deadline, id)
  }

  // MARK: what the board wants

  private func carryOut(_ action: PresenceAction) {
    switch action {
    case .sendChanges(_, let id), .sendPage(_, let id), .requestReport(let id):
      deliver(action, to: id)
    case .tell(let channel, let news): teller?.tell(channel, news)
    case .refuseJoin(let client, let channel, let refusal, let id):
      // Only said if there is credit: the gateway can do nothing about it.
      links[id]?.link.send(
        PresenceRefused(
          channel: channel, client: client.number, code: refusal.code, message: refusal.message))
    case .refuseWatch(let channel, let refusal, let id):
      links[id]?.link.send(
        PresenceRefused(
          channel: channel, client: 0, code: refusal.code, message: refusal.message))
    case .refuseLink(let id, let refusal):
      logger.warning("a gateway was refused", ["reason": .text(refusal.message)])
      end(id, refusal.code, refusal.message)
    case .fence(let id, let current):
      logger.info("a gateway's link was fenced", ["current": .text(current.description)])
      end(id, .fenced, ErrorCode.fenced.reason)
    }
  }

  /// Sends, or keeps what the link has no credit for and tells the board that it has enough.
  private func deliver(_ action: PresenceAction, to id: LinkID) {
    guard let attached = links[id] else { return }
    if attached.owed.isEmpty, send(action, on: attached.link) == .sent { return }
    if attached.owed.isEmpty { board.linkStalled(id) }
    links[id]?.owed.append(action)
  }

  private func send(_ action: PresenceAction, on link: Link) -> Link.SendResult {
    switch action {
    case .sendChanges(let changes, _): link.send(Wire.PresenceChanges(changes))
    case .sendPage(let page, _): link.send(Wire.PresencePage(page))
    case .requestReport: link.send(RequestReport(remainingMs: leaseMs))
    default: .sent
    }
  }

  private func end(_ id: LinkID, _ code: ErrorCode, _ message: String) {
    links.removeValue(forKey: id)?.link.close(code, message)
  }

  private var leaseMs: UInt32 { UInt32(clamping: board.limits.lease.millisecondsClamped) }

  // MARK: what gateways say

  private func lease(_ link: Link, _ header: FrameHeader, _ request: Lease) {
    guard let peer = link.peer, peer.role == .gateway,
      let gateway = GatewayID(instance: peer.instance)
    else { return link.fail(header, .roleForbidden) }
    if let id = attachedID(link) {
      board.receivedHeartbeat(from: id, now: now)
    } else if link.tag == 0 {
      lastLink += 1
      link.tag = Int(lastLink)
      links[LinkID(lastLink)] = Attached(link: link)
      board.linkOpened(
        LinkID(lastLink),
        as: GatewayAttachment(
          gateway: gateway, incarnation: Incarnation(peer.incarnation),
          lane: LaneNumber(request.lane), contact: request.hasBeenAttached ? .again : .first),
        now: now)
    } else {
      return link.fail(header, .fenced)
    }
    markTurn()
    link.reply(Leased(durationMs: leaseMs), to: header.correlation)
  }

  /// The link's number for the board; nil before it is attached, and after it was fenced.
  private func attachedID(_ link: Link) -> LinkID? {
    let id = LinkID(UInt64(clamping: link.tag))
    return links[id] == nil ? nil : id
  }

  private func receive(_ batch: Wire.PresenceBatch, from id: LinkID, _ peer: Hello) {
    guard let gateway = GatewayID(instance: peer.instance) else { return }
    board.receivedBatch(
      PresenceBatch(
        gateway: gateway, incarnation: Incarnation(peer.incarnation), sequence: batch.sequence,
        part: PresenceBatch.Part(batch.part), events: batch.events.compactMap { PresenceEvent($0) }),
      from: id, now: now)
  }

  private func read(_ link: Link, _ header: FrameHeader, _ request: ReadPresence) {
    let stats = board.stats(of: request.channel)
    var members: [Member] = []
    var next = 0
    if request.count > 0 {
      let page = board.members(
        of: request.channel, from: Int(clamping: request.from), countMax: Int(request.count))
      members = page.entries.map { Member($0) }
      next = page.next ?? 0
    }
    link.reply(
      PresenceList(
        connections: UInt32(clamping: stats.connections), total: UInt32(clamping: stats.members),
        next: UInt64(clamping: next), members: members),
      to: header.correlation)
  }
}

extension PresenceService: LinkOwner {
  /// A link counts from its first *lease* on.
  package func linkOpened(_ link: Link) {}

  package func linkReceived(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  {
    switch header.kind {
    case .lease: lease(link, header, try Lease(body: body))
    case .readPresence: read(link, header, try ReadPresence(body: body))
    case .readMetrics:
      _ = try ReadMetrics(body: body)
      link.reply(MetricsText(text: metrics.text), to: header.correlation)
    case .presenceBatch, .watchPresence, .unwatchPresence:
      guard let id = attachedID(link), let peer = link.peer else { break }
      markTurn()
      switch header.kind {
      case .presenceBatch: receive(try Wire.PresenceBatch(body: body), from: id, peer)
      case .watchPresence: board.watched(try WatchPresence(body: body).channel, by: id)
      default: board.unwatched(try UnwatchPresence(body: body).channel, by: id)
      }
    default: link.fail(header, .unexpectedKind)
    }
    return .now
  }

  package func linkMissedPublications(_ link: Link) {}

  /// Credit is back: what is owed goes first, then the board may give more.
  package func linkRelieved(_ link: Link) {
    guard let id = attachedID(link), let owed = links[id]?.owed, !owed.isEmpty else { return }
    var sent = 0
    while sent < owed.count, send(owed[sent], on: link) == .sent { sent += 1 }
    links[id]?.owed.removeFirst(sent)
    guard sent == owed.count else { return }
    board.linkDrained(id)
    markTurn()
  }

  package func linkEnded(_ link: Link, _ end: LinkEnd) {
    guard let id = attachedID(link) else { return }
    links[id] = nil
    board.linkClosed(id, now: now)
    markTurn()
  }
}
