internal import Bytes
internal import ChannelKit
internal import Link
internal import Loop
internal import Observe
internal import Wire

/// How a channel, and each client that comes back, gets from a known offset to now.
extension LocalChannel {
  /// Events asked for at a time; a page is bounded in bytes as well.
  static let pageCount: UInt32 = 512
  static let pageBytes: UInt32 = 1024 * 1024

  // MARK: the channel

  /// The hub has opened the channel: `epoch` and `head` are its history's, where it keeps one.
  func opened(_ answer: ChannelOpened) {
    handle = answer.handle
    isOpening = false
    subscriberTotal = Int(answer.subscribers)
    resetSubscriberReport()
    let waiting = waitingForHandle
    waitingForHandle = []
    for body in waiting { body() }
    switch policy.history {
    case .none: becomeLive()
    case .durable: beginCatchUp()
    case .memory:
      guard let epoch = answer.epoch else { return becomeLive() }
      let head = Position(epoch: epoch, offset: answer.head)
      if position == head { return becomeLive() }
      if position == nil, plugin?.traits.state != .folded {
        position = head
        return becomeLive()
      }
      beginCatchUp()
    }
  }

  /// The hub is gone: nothing arrives until it is back.
  func detached() {
    handle = .none
    isOpening = false
    if policy.history == .none, phase == .live {
      // Nobody knows what a channel without history loses meanwhile.
      forEachLive { $0.subscriber.tell(ControlMessage.gap(channel: name.text, dropped: nil)) }
    }
    phase = .detached
  }

  private func beginCatchUp() {
    phase = .catchingUp
    fetch()
  }

  /// An offset is missing: reads from the history what the hub did not bring.
  func catchUp() {
    guard phase == .live else { return }
    phase = .catchingUp
    fetch()
  }

  private func fetch() {
    guard !isFetching, phase == .catchingUp else { return }
    isFetching = true
    // A channel that nobody has read here yet needs no more than its head, unless its plugin
    // folds the whole history.
    let wantsHeadOnly = position == nil && plugin?.traits.state != .folded
    gateway.readHistory(
      self, after: position?.offset ?? .zero, count: wantsHeadOnly ? 0 : Self.pageCount,
      bytes: Self.pageBytes
    ) { [self] result in
      isFetching = false
      switch result {
      case .failure: retryFetch()
      case .success(let page):
        fetchFailures = 0
        if wantsHeadOnly { adoptHead(page) } else { fetched(page) }
      }
    }
  }

  private func retryFetch() {
    guard phase == .catchingUp else { return }
    fetchFailures += 1
    let delay = Duration.milliseconds(min(2000, 50 << min(fetchFailures, 6)))
    gateway.loop.after(delay) { [self] in fetch() }
  }

  private func adoptHead(_ page: EventPage) {
    position = page.epoch.map { Position(epoch: $0, offset: page.head) }
    drainHeld()
  }

  private func fetched(_ page: EventPage) {
    guard phase == .catchingUp else { return }
    guard let epoch = page.epoch else { return drainHeld() }
    if let known = position, known.epoch != epoch {
      lost(.epochChanged, page, restartAt: page.floor)
      return fetch()
    }
    if (position?.offset ?? .zero) < page.floor {
      lost(.trimmed, page, restartAt: page.floor)
      return fetch()
    }
    if position == nil { position = Position(epoch: epoch, offset: .zero) }
    for event in page.events { apply(Arrival(event, epoch)) }
    if page.hasMore { fetch() } else { drainHeld() }
  }

  /// Tells everyone that what is between their position and `restartAt` can't be had.
  private func lost(
    _ reason: ControlMessage.UnrecoverableReason, _ page: EventPage, restartAt: Offset
  ) {
    let isNew = reason == .epochChanged
    forEachLive {
      $0.subscriber.tell(
        ControlMessage.unrecoverable(
          channel: name.text, reason: reason, epoch: page.epoch, floor: page.floor,
          head: page.head))
    }
    gateway.metrics.unrecoverable.add()
    // In a new epoch live clients go on from the head: the old and the new do not connect.
    position = page.epoch.map { Position(epoch: $0, offset: isNew ? page.head : restartAt) }
    if isNew { gateway.rebuildPlugin(self) }
  }

  /// Applies what came meanwhile; a gap that is left is fetched again.
  private func drainHeld() {
    let arrivals = held.takeAll()
    phase = .live
    for arrival in arrivals { received(arrival) }
    if phase == .live { becomeLive() }
  }

  private func becomeLive() {
    phase = .live
    let arrivals = held.takeAll()
    for arrival in arrivals { received(arrival) }
    guard phase == .live else { return }
    for subscription in joining { advance(subscription) }
  }

  // MARK: one subscription

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
    switch since {
    case .now:
      subscription.subscriber.subscribed(subscription)
      sendSnapshot(subscription)
      goLive(subscription)
    case .start:
      guard policy.history != .none else { return withoutHistory(subscription, since) }
      subscription.subscriber.subscribed(subscription)
      read(subscription, Subscription.Replay(delivered: .zero))
    case .position(let from):
      guard policy.history != .none else { return withoutHistory(subscription, since) }
      subscription.subscriber.subscribed(subscription)
      guard let position else {
        // The channel is empty: any position in it is of a history that is gone.
        tellUnrecoverable(subscription, .epochChanged, nil, .zero, .zero)
        return goLive(subscription)
      }
      if from.epoch != position.epoch {
        tellUnrecoverable(subscription, .epochChanged, position.epoch, .zero, position.offset)
        sendSnapshot(subscription)
        return goLive(subscription)
      }
      if from.offset > position.offset { return checkAhead(subscription, from) }
      read(subscription, Subscription.Replay(delivered: from.offset))
    }
  }

  private func withoutHistory(_ subscription: Subscription, _ since: Subscription.Since) {
    subscription.subscriber.subscribed(subscription)
    tellUnrecoverable(subscription, .noHistory, nil, .zero, .zero)
    sendSnapshot(subscription)
    goLive(subscription)
  }

  /// A position beyond what this loop has seen may be right (the store is ahead of the hub's
  /// announcements) or of a future that never came.
  private func checkAhead(_ subscription: Subscription, _ from: Position) {
    subscription.state = .replaying(Subscription.Replay(delivered: from.offset, isReading: true))
    gateway.readHistory(self, after: from.offset, count: 0, bytes: 0) {
      [self] result in
      guard case .replaying = subscription.state else { return }
      guard case .success(let page) = result else {
        return subscription.subscriber.refused(subscription, .unavailable)
      }
      if page.epoch == from.epoch, from.offset <= page.head {
        return goLive(subscription, after: from.offset)
      }
      tellUnrecoverable(subscription, .ahead, page.epoch, page.floor, page.head)
      guard plugin == nil else {
        sendSnapshot(subscription)
        return goLive(subscription)
      }
      // What was published since that head was read is the first that this client gets.
      read(subscription, Subscription.Replay(delivered: page.head))
    }
  }

  private func read(_ subscription: Subscription, _ replay: Subscription.Replay) {
    var replay = replay
    replay.isReading = true
    subscription.state = .replaying(replay)
    gateway.readHistory(
      self, after: replay.delivered, count: Self.pageCount, bytes: Self.pageBytes
    ) { [self] result in
      guard case .replaying = subscription.state else { return }
      switch result {
      case .failure: subscription.subscriber.refused(subscription, .unavailable)
      case .success(let page): deliver(page, to: subscription, replay)
      }
    }
  }

  private func deliver(
    _ page: EventPage, to subscription: Subscription, _ replay: Subscription.Replay
  ) {
    var replay = replay
    replay.isReading = false
    if replay.delivered < page.floor {
      let isFromStart = replay.delivered == .zero
      if !isFromStart {
        tellUnrecoverable(subscription, .trimmed, page.epoch, page.floor, page.head)
      }
      replay.delivered = page.floor
    }
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

  /// Reads on at once, or when the client has taken most of what it was sent.
  private func continueReplay(_ subscription: Subscription, _ replay: Subscription.Replay) {
    if subscription.subscriber.stream.queuedBytes < subscription.subscriber.queueBytesMax / 2 {
      read(subscription, replay)
    }
  }

  /// The seam: what was applied here while the page was read, then live.
  private func join(_ subscription: Subscription, _ replay: Subscription.Replay) {
    var delivered = replay.delivered
    let now = position?.offset ?? .zero
    if delivered < now {
      guard phase == .live, let first = recent.list.first?.position?.offset,
        first <= delivered.next
      else { return read(subscription, replay) }
      for arrival in recent.list {
        guard let offset = arrival.position?.offset, offset > delivered else { continue }
        send(arrival, to: subscription)
        delivered = offset
      }
    }
    goLive(subscription, after: delivered)
  }

  /// Joins the others once this loop has seen what was delivered to this one already.
  private func goLive(_ subscription: Subscription, after delivered: Offset) {
    guard delivered > position?.offset ?? .zero else { return goLive(subscription) }
    subscription.state = .replaying(Subscription.Replay(delivered: delivered, awaitsChannel: true))
  }

  /// Those that a replay has taken further than this loop, and who have been caught up with.
  func promoteThoseAhead() {
    let now = position?.offset ?? .zero
    for subscription in joining {
      if case .replaying(let replay) = subscription.state, replay.awaitsChannel,
        replay.delivered <= now
      {
        goLive(subscription)
      }
    }
  }

  private func send(_ arrival: Arrival, to subscription: Subscription) {
    subscription.subscriber.stream.send { bytes in
      subscription.encoding.append(
        arrival.payload, position: arrival.position, timeMs: arrival.timeMs,
        prefix: envelopePrefix, to: &bytes)
    }
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
    subscription.subscriber.tell(
      ControlMessage.unrecoverable(
        channel: name.text, reason: reason, epoch: epoch, floor: floor, head: head))
  }
}

extension Arrival {
  init(_ event: StoredEvent, _ epoch: Epoch) {
    self.init(
      position: Position(epoch: epoch, offset: event.offset), timeMs: event.timeMs,
      publisher: event.publisher, payload: event.payload)
  }
}
