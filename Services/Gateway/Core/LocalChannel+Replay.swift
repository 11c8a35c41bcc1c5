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
    case .live, .parked, .ended: return
    case .replaying(let replay) where replay.isForbidden: beginAnewAsForbidden(subscription)
    case .replaying(let replay):
      if !replay.isReading, !replay.awaitsChannel { read(subscription, replay) }
    case .waiting(let since): begin(subscription, since)
    }
  }

  private func begin(_ subscription: Subscription, _ since: Subscription.Since) {
    guard subscription.session.mayBegin(subscription) else { return waitOn(subscription) }
    subscription.session.admitted(subscription)
    start(subscription, since)
  }

  /// Its client knows that it is in.
  func start(_ subscription: Subscription) {
    guard phase == .live, case .waiting(let since) = subscription.state else { return }
    start(subscription, since)
  }

  private func start(_ subscription: Subscription, _ since: Subscription.Since) {
    subscription.session.entered(subscription)
    switch since {
    case .now:
      subscription.begins(after: place)
      subscription.begun()
      sendSnapshot(subscription)
      goLive(subscription)
    case .start, .empty:
      guard policy.history != .none else { return beginAnew(subscription, .noHistory, nil, .zero) }
      var replay = Subscription.Replay(epoch: nil, delivered: .zero)
      replay.takesWhatIsKept = since == .start
      read(subscription, replay)
    case .position(let from):
      goOn(subscription, Subscription.Replay(epoch: from.epoch, delivered: from.offset))
    case .abbreviated(let tag, let offset):
      var replay = Subscription.Replay(epoch: nil, delivered: offset)
      replay.tag = tag
      goOn(subscription, replay)
    }
  }

  private func goOn(_ subscription: Subscription, _ from: Subscription.Replay) {
    guard policy.history != .none else { return beginAnew(subscription, .noHistory, nil, .zero) }
    var replay = from
    if let position {
      guard replay.isOf(position.epoch) else {
        return beginAnew(subscription, .epochChanged, position.epoch, position.offset)
      }
      replay.isChecking = replay.delivered > position.offset
    } else {
      replay.isChecking = true
    }
    read(subscription, replay)
  }

  /// Where a client stands that has everything this loop has applied.
  var place: Subscription.Since {
    if let position { return .position(position) }
    return policy.history == .none ? .now : .empty
  }

  /// Tells a client that its position is gone and lets it in from `head`, where this loop stands.
  private func beginAnew(
    _ subscription: Subscription, _ reason: ControlMessage.UnrecoverableReason, _ epoch: Epoch?,
    _ head: Offset, floor: Offset = .zero
  ) {
    subscription.session.pinWaiting(of: subscription)
    subscription.begins(after: place)
    tellUnrecoverable(subscription, reason, epoch, floor, head)
    subscription.begun()
    sendSnapshot(subscription)
    goLive(subscription)
  }

  /// The client may not read what it asked for any more: it goes on from now. What it lags behind by
  /// as a slow reader is no history, and stays its own.
  func endReplay(of subscription: Subscription) {
    guard case .replaying(var replay) = subscription.state, !replay.isResumed else { return }
    guard phase != .live else { return beginAnewAsForbidden(subscription) }
    replay.isForbidden = true
    subscription.state = .replaying(replay)
  }

  private func beginAnewAsForbidden(_ subscription: Subscription) {
    beginAnew(subscription, .notPermitted, position?.epoch, position?.offset ?? .zero)
  }

  // MARK: pages

  private func read(_ subscription: Subscription, _ replay: Subscription.Replay) {
    var replay = replay
    replay.isReading = true
    subscription.state = .replaying(replay)
    gateway.replays(policy).wants(subscription)
  }

  /// Reads the page that `subscription` waits for; `finished` is called once that is dealt with.
  func readPage(_ subscription: Subscription, _ finished: @escaping () -> Void) {
    guard case .replaying(let replay) = subscription.state else {
      return gateway.loop.atTurnEnd { finished() }
    }
    // Where the history stands is told by a page without events.
    let bytes = replay.isChecking ? 0 : UInt32(clamping: subscription.session.pageBytes)
    gateway.readOutline(
      self, after: replay.delivered, count: replay.isChecking ? 0 : pageCount, bytes: bytes
    ) { [self] result, body in
      guard case .replaying(var replay) = subscription.state, !replay.isForbidden else {
        return finished()
      }
      switch result {
      case .failure(let failure): failed(failure, subscription, replay)
      case .success(let page):
        replay.isReading = false
        replay.failures = 0
        guard replay.isChecking else { return deliver(page, body, to: subscription, replay, finished) }
        checked(page, subscription, replay)
      }
      finished()
    }
  }

  /// What passes is waited for: a client that was let in is never left without what follows. What
  /// is damaged stays so: the client is told, and goes on from where this loop stands.
  private func failed(
    _ failure: Failure, _ subscription: Subscription, _ replay: Subscription.Replay
  ) {
    if failure.code.isPassing { return retry(subscription, replay) }
    guard failure.code == .corrupt else {
      return subscription.session.refused(subscription, Refusal(failure))
    }
    var replay = replay
    replay.isReading = false
    guard phase == .live else { return waitForChannel(subscription, replay) }
    beginAnew(subscription, .corrupt, position?.epoch, position?.offset ?? .zero)
  }

  /// Reads again after a while, longer each time.
  private func retry(_ subscription: Subscription, _ replay: Subscription.Replay) {
    var replay = replay
    replay.failures = min(replay.failures + 1, 16)
    replay.isReading = true
    subscription.state = .replaying(replay)
    gateway.loop.after(.milliseconds(min(2000, 50 << min(replay.failures, 6)))) { [self] in
      guard case .replaying = subscription.state else { return }
      gateway.replays(policy).wants(subscription)
    }
  }

  /// A position beyond what this loop has seen may be right (the store is ahead of the hub's
  /// announcements) or of a future that never came.
  private func checked(
    _ page: OutlinedPage, _ subscription: Subscription, _ replay: Subscription.Replay
  ) {
    var replay = replay
    replay.isChecking = false
    let isSame = page.epoch.map { replay.isOf($0) } ?? false
    if isSame, replay.delivered <= page.head {
      // By now this loop may have applied more than the client has.
      begins(subscription, replay)
      subscription.begun()
      return join(subscription, replay)
    }
    let reason: ControlMessage.UnrecoverableReason = isSame ? .ahead : .epochChanged
    guard plugin == nil else {
      guard phase == .live, position?.epoch == page.epoch else {
        replay.isChecking = true
        return waitForChannel(subscription, replay)
      }
      return beginAnew(subscription, reason, page.epoch, position?.offset ?? page.head)
    }
    // What was published since that head was read is the first that this client gets.
    replay = Subscription.Replay(epoch: page.epoch, delivered: page.head)
    begins(subscription, replay)
    tellUnrecoverable(subscription, reason, page.epoch, page.floor, page.head)
    subscription.begun()
    read(subscription, replay)
  }

  /// Has the next page read while this one is encoded, unless there may be no room for both.
  private func deliver(
    _ page: OutlinedPage, _ body: borrowing Span<UInt8>, to subscription: Subscription,
    _ replay: Subscription.Replay, _ finished: () -> Void
  ) {
    guard let from = place(of: page, subscription, replay) else { return finished() }
    var replay = from
    if let last = page.events.last?.offset { replay.delivered = max(last, replay.delivered) }
    let readsAhead = page.hasMore && subscription.isDirect
    if readsAhead { read(subscription, replay) }
    finished()
    if let epoch = page.epoch {
      send(page.events, of: body, epoch, after: from.delivered, to: subscription)
    }
    subscription.begun()
    if readsAhead { return }
    if page.hasMore { return read(subscription, replay) }
    join(subscription, replay, broughtNothing: replay.delivered == from.delivered)
  }

  /// From where on the client gets what a page holds, once it has been told what is not there; nil
  /// where it gets nothing of it.
  private func place(
    of page: OutlinedPage, _ subscription: Subscription, _ replay: Subscription.Replay
  ) -> Subscription.Replay? {
    var replay = replay
    let applied = position?.offset ?? .zero
    if let known = replay.epoch, page.epoch != known || page.head < replay.delivered {
      // The history was replaced between two pages, or this loop has not seen yet that it was.
      guard phase == .live, position?.epoch == page.epoch, applied <= page.head else {
        waitForChannel(subscription, replay)
        return nil
      }
      beginAnew(
        subscription, page.epoch == known ? .ahead : .epochChanged, page.epoch, applied,
        floor: page.floor)
      return nil
    }
    let before = replay.delivered
    replay.epoch = page.epoch
    let isTrimmed = replay.delivered < page.floor
    // Whoever asked for the start gets what there is; whoever named a place has lost something.
    let isLoss = isTrimmed && !replay.takesWhatIsKept
    if isTrimmed { replay.delivered = page.floor }
    if isTrimmed || !subscription.hasBegun { begins(subscription, replay) }
    if isLoss, replay.isResumed, policy.history == .memory {
      tellLeftOut(subscription, page.floor.value &- before.value)
    } else if isLoss {
      tellUnrecoverable(subscription, .trimmed, page.epoch, page.floor, page.head)
    }
    return replay
  }

  private func send(
    _ events: [EncodedEvent], of page: borrowing Span<UInt8>, _ epoch: Epoch,
    after delivered: Offset, to subscription: Subscription
  ) {
    var run =
      subscription.takesTogether ? ReplayedRun(subscription, of: epoch, envelopePrefix) : nil
    for event in events where event.offset > delivered {
      // What has no meta is for everyone.
      if event.meta.isEmpty, own.isEmpty, run?.append(event, page) != nil {
        gateway.metrics.replayed.add()
        continue
      }
      // It was read past once.
      guard let stored = try? StoredEvent(event, in: page) else { continue }
      let arrival = Arrival(stored, epoch)
      if isSpared(arrival, event.offset, subscription) {
        run?.handOver()
      } else if run?.append(arrival) == nil {
        send(arrival, to: subscription)
      } else {
        gateway.metrics.replayed.add()
      }
    }
    run?.handOver()
  }

  /// The client published it, for others. Histories of older builds don't say so.
  private func isSpared(
    _ arrival: Arrival, _ offset: Offset, _ subscription: Subscription
  ) -> Bool {
    arrival.isForOthers && arrival.publisher.client == subscription.session.clientNumber
      || own.contains(offset, by: ObjectIdentifier(subscription))
  }

  /// A history in memory has lost what a slow client was to read on with: it missed that many.
  private func tellLeftOut(_ subscription: Subscription, _ count: UInt64) {
    gateway.metrics.dropped.add(count)
    gateway.metrics.slow.publications[.skip].add(count)
    subscription.session.tell(.gap(name, dropped: count))
  }

  private func begins(_ subscription: Subscription, _ replay: Subscription.Replay) {
    subscription.begins(
      after: replay.epoch.map { .position(Position(epoch: $0, offset: replay.delivered)) }
        ?? .empty)
  }

  /// The seam: what was applied here while the page was read, then live.
  private func join(
    _ subscription: Subscription, _ replay: Subscription.Replay, broughtNothing: Bool = false
  ) {
    var replay = replay
    if let position, let epoch = replay.epoch, position.epoch != epoch {
      return waitForChannel(subscription, replay)
    }
    let now = position?.offset ?? .zero
    if replay.delivered < now {
      guard phase == .live else {
        // Reads on from here once this loop is live again.
        subscription.state = .replaying(replay)
        return
      }
      guard let first = recent.list.first?.position, first.epoch == position?.epoch,
        first.offset <= replay.delivered.next
      else {
        guard broughtNothing else { return read(subscription, replay) }
        // A history that lacks what was applied here is not the one that this loop knows.
        retry(subscription, replay)
        return catchUp()
      }
      for arrival in recent.list {
        guard let at = arrival.position, at.offset > replay.delivered else { continue }
        if !isSpared(arrival, at.offset, subscription) { send(arrival, to: subscription) }
        (replay.epoch, replay.delivered) = (at.epoch, at.offset)
      }
    }
    guard let epoch = replay.epoch else { return goLive(subscription) }
    goLive(subscription, after: Position(epoch: epoch, offset: replay.delivered))
  }

  /// The history is another than this loop has applied: the client goes on once the loop knows it.
  private func waitForChannel(_ subscription: Subscription, _ replay: Subscription.Replay) {
    subscription.state = .replaying(replay)
    catchUp()
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
    guard let position else { return }
    forEachJoining { subscription in
      if case .replaying(let replay) = subscription.state, replay.awaitsChannel,
        replay.epoch == position.epoch, replay.delivered <= position.offset
      {
        goLive(subscription)
      }
    }
  }

  /// A new epoch: nobody who was ahead in the old one will be caught up with. Who is in the new one
  /// already reads on from where it is.
  func releaseThoseAhead(_ page: EventPage) {
    forEachJoining { subscription in
      guard case .replaying(var replay) = subscription.state, replay.awaitsChannel else { return }
      guard replay.epoch == page.epoch, replay.delivered <= page.head else {
        return beginAnew(subscription, .epochChanged, page.epoch, page.head, floor: page.floor)
      }
      awaitingCount -= 1
      replay.awaitsChannel = false
      subscription.state = .replaying(replay)
    }
  }

  /// What follows was trimmed, and this loop goes on behind it: whoever was ahead of it and is not any more
  /// reads on from where it is, and learns there what it lost.
  func releaseThoseOvertaken(by restart: Offset) {
    forEachJoining { subscription in
      guard case .replaying(var replay) = subscription.state, replay.awaitsChannel,
        replay.delivered <= restart
      else { return }
      awaitingCount -= 1
      replay.awaitsChannel = false
      subscription.state = .replaying(replay)
    }
  }

  private func send(_ arrival: Arrival, to subscription: Subscription) {
    subscription.send(
      arrival.payload, position: arrival.position, timeMs: arrival.timeMs,
      publisher: arrival.publisher, tags: arrival.tags)
    gateway.metrics.replayed.add()
  }

  /// State, which has no place among the publications: a client that knows its position would take
  /// it for something that it has already.
  private func sendSnapshot(_ subscription: Subscription) {
    guard let plugin else { return }
    for payload in plugin.snapshot() {
      send(
        Arrival(
          position: nil, timeMs: gateway.loop.wallMilliseconds, publisher: Publisher(),
          payload: payload), to: subscription)
    }
  }

  private func tellUnrecoverable(
    _ subscription: Subscription, _ reason: ControlMessage.UnrecoverableReason, _ epoch: Epoch?,
    _ floor: Offset, _ head: Offset
  ) {
    gateway.metrics.unrecoverable[reason].add()
    subscription.session.tell(
      .unrecoverable(
        .init(channel: name, reason: reason, epoch: epoch, floor: floor, head: head)))
  }
}
