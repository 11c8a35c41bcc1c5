internal import Bytes
internal import ChannelKit
internal import Loop
internal import Observe
internal import Wire

/// How one client gets from its position to now: pages of the history, then the seam, then live.
///
/// A client is told that it can't be brought there before it gets anything else (P6).
extension LocalChannel {
  /// Takes a subscription that is not live yet one step on.
  func advance(_ subscription: Subscription) {
    guard phase == .live else { return }
    switch subscription.state {
    case .live, .ended: return
    case .replaying(let replay):
      if !replay.isReading, !replay.awaitsChannel { read(subscription, replay) }
    case .waiting(let since): begin(subscription, since)
    }
  }

  private func begin(_ subscription: Subscription, _ since: Subscription.Since) {
    subscription.session.subscribed(subscription)
    switch since {
    case .now:
      subscription.begins(after: place)
      sendSnapshot(subscription)
      goLive(subscription)
    case .start, .empty:
      guard policy.history != .none else { return beginAnew(subscription, .noHistory, nil, .zero) }
      var replay = Subscription.Replay(epoch: nil, delivered: .zero)
      replay.takesWhatIsKept = since == .start
      read(subscription, replay)
    case .position(let from):
      guard policy.history != .none else { return beginAnew(subscription, .noHistory, nil, .zero) }
      guard let position, position.epoch == from.epoch else {
        return beginAnew(
          subscription, .epochChanged, position?.epoch, position?.offset ?? .zero)
      }
      if from.offset > position.offset { return checkAhead(subscription, from) }
      read(subscription, Subscription.Replay(epoch: from.epoch, delivered: from.offset))
    }
  }

  /// Where a client stands that has everything this loop has applied.
  private var place: Subscription.Since {
    if let position { return .position(position) }
    return policy.history == .none ? .now : .empty
  }

  /// Tells a client that its position is gone and lets it in from `head`, where this loop stands.
  private func beginAnew(
    _ subscription: Subscription, _ reason: ControlMessage.UnrecoverableReason, _ epoch: Epoch?,
    _ head: Offset, floor: Offset = .zero
  ) {
    subscription.begins(after: place)
    tellUnrecoverable(subscription, reason, epoch, floor, head)
    sendSnapshot(subscription)
    goLive(subscription)
  }

  /// A position beyond what this loop has seen may be right (the store is ahead of the hub's
  /// announcements) or of a future that never came.
  private func checkAhead(_ subscription: Subscription, _ from: Position) {
    subscription.state = .replaying(
      Subscription.Replay(epoch: from.epoch, delivered: from.offset, isReading: true))
    gateway.readHistory(self, after: from.offset, count: 0, bytes: 0) { [self] result in
      guard case .replaying = subscription.state else { return }
      switch result {
      case .failure(let failure):
        subscription.session.refused(subscription, Refusal(failure))
      case .success(let page):
        if page.epoch == from.epoch, from.offset <= page.head {
          // By now this loop may have applied more than the client has.
          subscription.begins(after: .position(from))
          return join(
            subscription, Subscription.Replay(epoch: from.epoch, delivered: from.offset))
        }
        guard plugin == nil else {
          return beginAnew(subscription, .ahead, page.epoch, position?.offset ?? page.head)
        }
        // What was published since that head was read is the first that this client gets.
        let replay = Subscription.Replay(epoch: page.epoch, delivered: page.head)
        begins(subscription, replay)
        tellUnrecoverable(subscription, .ahead, page.epoch, page.floor, page.head)
        read(subscription, replay)
      }
    }
  }

  private func read(_ subscription: Subscription, _ replay: Subscription.Replay) {
    var replay = replay
    replay.isReading = true
    subscription.state = .replaying(replay)
    gateway.readHistory(
      self, after: replay.delivered, count: pageCount, bytes: Self.pageBytes
    ) { [self] result in
      guard case .replaying = subscription.state else { return }
      switch result {
      case .failure(let failure):
        subscription.session.refused(subscription, Refusal(failure))
      case .success(let page): deliver(page, to: subscription, replay)
      }
    }
  }

  private func deliver(
    _ page: EventPage, to subscription: Subscription, _ replay: Subscription.Replay
  ) {
    var replay = replay
    replay.isReading = false
    if let known = replay.epoch, page.epoch != known {
      // The history was replaced between two pages.
      return beginAnew(subscription, .epochChanged, page.epoch, position?.offset ?? page.head)
    }
    replay.epoch = page.epoch
    let isTrimmed = replay.delivered < page.floor
    // Whoever asked for the start gets what there is; whoever named a place has lost something.
    let isLoss = isTrimmed && !replay.takesWhatIsKept
    if isTrimmed { replay.delivered = page.floor }
    if isTrimmed || !subscription.hasBegun { begins(subscription, replay) }
    if isLoss { tellUnrecoverable(subscription, .trimmed, page.epoch, page.floor, page.head) }
    if let epoch = page.epoch {
      for event in page.events where event.offset > replay.delivered {
        send(Arrival(event, epoch), to: subscription)
        replay.delivered = event.offset
      }
    }
    subscription.state = .replaying(replay)
    if page.hasMore { return continueReplay(subscription, replay) }
    join(subscription, replay)
  }

  private func begins(_ subscription: Subscription, _ replay: Subscription.Replay) {
    subscription.begins(
      after: replay.epoch.map { .position(Position(epoch: $0, offset: replay.delivered)) }
        ?? .empty)
  }

  /// Reads on at once, or when the client has taken what it was sent.
  private func continueReplay(_ subscription: Subscription, _ replay: Subscription.Replay) {
    if subscription.hasRoomForPage() { read(subscription, replay) }
  }

  /// The seam: what was applied here while the page was read, then live.
  private func join(_ subscription: Subscription, _ replay: Subscription.Replay) {
    var replay = replay
    let now = position?.offset ?? .zero
    if replay.delivered < now {
      guard phase == .live, let first = recent.list.first?.position?.offset,
        first <= replay.delivered.next
      else { return continueReplay(subscription, replay) }
      for arrival in recent.list {
        guard let offset = arrival.position?.offset, offset > replay.delivered else { continue }
        send(arrival, to: subscription)
        replay.delivered = offset
      }
    }
    guard let epoch = replay.epoch else { return goLive(subscription) }
    goLive(subscription, after: Position(epoch: epoch, offset: replay.delivered))
  }

  /// Joins the others once this loop has seen what was delivered to this one already.
  private func goLive(_ subscription: Subscription, after delivered: Position) {
    guard delivered.offset > position?.offset ?? .zero else { return goLive(subscription) }
    awaitingCount += 1
    subscription.state = .replaying(
      Subscription.Replay(
        epoch: delivered.epoch, delivered: delivered.offset, awaitsChannel: true))
  }

  /// Those that a replay has taken further than this loop, and who have been caught up with.
  func promoteThoseAhead() {
    let now = position?.offset ?? .zero
    forEachJoining { subscription in
      if case .replaying(let replay) = subscription.state, replay.awaitsChannel,
        replay.delivered <= now
      {
        goLive(subscription)
      }
    }
  }

  /// A new epoch: nobody who was ahead in the old one will be caught up with.
  func releaseThoseAhead(_ page: EventPage) {
    forEachJoining { subscription in
      if case .replaying(let replay) = subscription.state, replay.awaitsChannel {
        beginAnew(subscription, .epochChanged, page.epoch, page.head, floor: page.floor)
      }
    }
  }

  private func send(_ arrival: Arrival, to subscription: Subscription) {
    subscription.send(
      arrival.payload, position: arrival.position, timeMs: arrival.timeMs,
      user: arrival.publisher.user)
    gateway.metrics.replayed.add()
  }

  private func sendSnapshot(_ subscription: Subscription) {
    guard let plugin else { return }
    for payload in plugin.snapshot() {
      send(
        Arrival(
          position: position, timeMs: gateway.loop.wallMilliseconds, publisher: Publisher(),
          payload: payload), to: subscription)
    }
  }

  private func tellUnrecoverable(
    _ subscription: Subscription, _ reason: ControlMessage.UnrecoverableReason, _ epoch: Epoch?,
    _ floor: Offset, _ head: Offset
  ) {
    gateway.metrics.unrecoverable.add()
    subscription.session.tell(
      .unrecoverable(
        .init(channel: name, reason: reason, epoch: epoch, floor: floor, head: head)))
  }
}
