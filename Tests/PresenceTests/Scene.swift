import Bytes
import PresenceCore
import Testing

/// A board, a clock that the test moves, and an observer at the end of every link.
struct Scene {
  var board: PresenceBoard
  var now = Instant(nanoseconds: 1_000_000_000_000)
  var observers: [LinkID: Observer] = [:]
  /// Actions other than pages and changes, in order.
  var answers: [PresenceAction] = []
  var actionCount = 0
  private var sequences: [LinkID: UInt64] = [:]
  private var attachments: [LinkID: GatewayAttachment] = [:]
  private var lastLink: UInt64 = 0

  /// With `.settled`, the time after the start in which leaves are withheld is over.
  enum Start {
    case justNow
    case settled
  }

  init(_ start: Start = .settled, _ adjust: (inout PresenceLimits) -> Void = { _ in }) {
    var limits = PresenceLimits()
    adjust(&limits)
    board = PresenceBoard(limits: limits, startedAt: now)
    if start == .settled { advance(by: limits.lease) }
  }

  /// The service is killed and started again: it knows nothing, and every link is gone.
  mutating func restartBoard() {
    board = PresenceBoard(limits: board.limits, startedAt: now)
  }

  // MARK: Gateways

  mutating func open(
    _ gateway: String, incarnation: UInt64 = 1, lane: UInt16 = 0,
    contact: GatewayAttachment.Contact = .first
  ) -> LinkID {
    lastLink += 1
    let link = LinkID(lastLink)
    let attachment = GatewayAttachment(
      gateway: gatewayID(gateway), incarnation: Incarnation(incarnation), lane: LaneNumber(lane),
      contact: contact)
    attachments[link] = attachment
    observers[link] = Observer()
    board.linkOpened(link, as: attachment, now: now)
    return link
  }

  /// Opens a link and reports `joins` as all there is.
  mutating func attach(
    _ gateway: String, incarnation: UInt64 = 1, lane: UInt16 = 0,
    contact: GatewayAttachment.Contact = .first, reporting joins: [PresenceJoin] = []
  ) -> LinkID {
    let link = open(gateway, incarnation: incarnation, lane: lane, contact: contact)
    send(joins.map { .joined($0) }, .wholeReport, on: link)
    turn()
    return link
  }

  @discardableResult
  mutating func send(
    _ events: [PresenceEvent], _ part: PresenceBatch.Part = .next, on link: LinkID
  ) -> PresenceBatch {
    guard let attachment = attachments[link] else { preconditionFailure("the link was opened") }
    sequences[link, default: 0] += 1
    let batch = PresenceBatch(
      gateway: attachment.gateway, incarnation: attachment.incarnation,
      sequence: sequences[link] ?? 0, part: part, events: events)
    board.receivedBatch(batch, from: link, now: now)
    return batch
  }

  /// Sends as `send` does, but the batch gets lost.
  mutating func lose(on link: LinkID) { sequences[link, default: 0] += 1 }

  mutating func join(_ join: PresenceJoin, on link: LinkID) { send([.joined(join)], on: link) }

  mutating func leave(
    _ client: String, _ channel: ChannelName = lobby, _ manner: PresenceLeave.Manner = .goodbye,
    on link: LinkID
  ) {
    send(
      [.left(PresenceLeave(channel: channel, client: clientID(client), manner: manner))], on: link)
  }

  mutating func close(_ link: LinkID) { board.linkClosed(link, now: now) }

  mutating func watch(_ channel: ChannelName = lobby, on link: LinkID) {
    board.watched(channel, by: link)
    turn()
  }

  // MARK: Time

  /// Ends turns until nothing waits.
  mutating func turn() {
    repeat { endTurn() } while board.deadline.map { $0 <= now } ?? false
  }

  @discardableResult
  mutating func endTurn() -> [PresenceAction] {
    let actions = board.turnEnded(now: now)
    actionCount += actions.count
    for action in actions {
      switch action {
      case .sendChanges(let changes, let link): observers[link]?.received(changes)
      case .sendPage(let page, let link): observers[link]?.received(page)
      default: answers.append(action)
      }
    }
    return actions
  }

  /// Moves the clock on, ending a turn at each deadline, with every link in `alive` sending heartbeats.
  mutating func advance(by duration: Duration, alive: [LinkID] = []) {
    let end = now + duration
    turn()
    while now < end {
      var next = end
      if let deadline = board.deadline { next = min(next, deadline) }
      if !alive.isEmpty { next = min(next, now + .milliseconds(500)) }
      now = max(next, now)
      for link in alive { board.receivedHeartbeat(from: link, now: now) }
      turn()
    }
  }

  // MARK: What is shown

  func keys(on link: LinkID, _ channel: ChannelName = lobby) -> Set<MemberKey> {
    observers[link]?.keys(channel) ?? []
  }

  /// What the observer has shown since this was asked last.
  mutating func events(on link: LinkID, _ channel: ChannelName = lobby) -> [Observer.Shown] {
    defer { observers[link]?.forgetEvents() }
    return observers[link]?.view(channel).events ?? []
  }

  func expectNoBreaches(_ location: SourceLocation = #_sourceLocation) {
    for (link, observer) in observers {
      #expect(observer.breaches == [], "link \(link)", sourceLocation: location)
    }
  }
}

// MARK: Names, all valid by construction

let lobby = channelName("lobby")

func channelName(_ text: String) -> ChannelName {
  ChannelName(text) ?? { preconditionFailure("a test's channel name is valid") }()
}
func gatewayID(_ text: String) -> GatewayID {
  GatewayID(text) ?? { preconditionFailure("a test's gateway id is valid") }()
}
func clientID(_ text: String) -> ClientID {
  ClientID(text.utf8.reduce(0) { $0 &* 257 &+ UInt64($1) })
}
func user(_ text: String) -> MemberKey {
  .user(UserID(text) ?? { preconditionFailure("a test's user is valid") }())
}
func session(_ text: String) -> MemberKey {
  .session(SessionName(text) ?? { preconditionFailure("a test's session is valid") }())
}
func connection(_ client: String, at gateway: String, _ incarnation: UInt64 = 1) -> MemberKey {
  .client(clientID(client), at: GatewayRun(of: gatewayID(gateway), Incarnation(incarnation)))
}

func joining(
  _ client: String, user: String? = nil, session: String? = nil, info: String = "",
  in channel: ChannelName = lobby
) -> PresenceJoin {
  PresenceJoin(
    channel: channel, client: clientID(client), user: user.flatMap { UserID($0) },
    session: session.flatMap { SessionName($0) }, info: [UInt8](info.utf8))
}
