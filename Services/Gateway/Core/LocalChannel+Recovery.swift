internal import Bytes
internal import ChannelKit
internal import Link
internal import Loop
internal import Observe
internal import Wire

/// How a channel gets from a known offset to now: what the hub did not bring is read from the
/// history. How one client does is in `LocalChannel+Replay.swift`.
extension LocalChannel {
  /// Events asked for at a time; a page is bounded in bytes as well.
  var pageCount: UInt32 { UInt32(clamping: gateway.settings.pageMax) }
  static let pageBytes = 1024 * 1024

  /// The hub has opened the channel: `epoch` and `head` are its history's, where it keeps one.
  func opened(_ answer: ChannelOpened) {
    handle = answer.handle
    isOpening = false
    subscriberTotal = Int(answer.subscribers)
    noteSubscribers()
    settleWaiting(nil)
    guard isSubscribed else { return }
    switch policy.history {
    case .none:
      tellOfUnknownLoss()
      becomeLive()
    case .durable: beginCatchUp()
    case .memory:
      guard let epoch = answer.epoch else { return becomeLive() }
      let head = Position(epoch: epoch, offset: answer.head)
      if position == head { return becomeLive() }
      if !isHeadKnown, plugin?.traits.state != .folded {
        position = head
        isHeadKnown = true
        return becomeLive()
      }
      beginCatchUp()
    }
  }

  /// The hub is gone: nothing arrives until it is back. What is held comes from the history then.
  func detached() {
    handle = .none
    isOpening = false
    isSubscribed = false
    held.removeAll()
    fetchNumber &+= 1
    isFetching = false
    isMissing = false
    needsAnotherFetch = false
    settleWaiting(.unavailable)
    if policy.history == .none, phase == .live { mayHaveLost = true }
    phase = .detached
  }

  /// The hub won't open the channel: nobody is left waiting for what never comes.
  func openingRefused(_ refusal: Refusal) {
    settleWaiting(refusal)
    forEachSubscription { $0.session.refused($0, refusal) }
  }

  /// Nobody knows what a channel without history lost while the hub was away. Said when it is back:
  /// who looks elsewhere for what it missed then misses nothing more.
  private func tellOfUnknownLoss() {
    guard mayHaveLost else { return }
    mayHaveLost = false
    forEachLive { $0.session.tell(.gap(name, dropped: nil)) }
  }

  private func beginCatchUp() {
    phase = .catchingUp
    fetch()
  }

  /// An offset is missing, or may be: reads on from the last one applied. While a page is under
  /// way another is asked for after it, since it may have been read too early.
  func catchUp() {
    switch phase {
    case .detached: return
    case .catchingUp: needsAnotherFetch = true
    case .live: beginCatchUp()
    }
  }

  func fetch() {
    guard !isFetching, phase == .catchingUp else { return }
    isFetching = true
    needsAnotherFetch = false
    fetchNumber &+= 1
    let number = fetchNumber
    if !isHeadKnown, beginsFromSnapshot(number, orElse: {}) { return }
    // A channel that nobody has read here yet needs no more than its head, unless its plugin
    // folds the whole history.
    let wantsHeadOnly = !isHeadKnown && plugin?.traits.state != .folded
    gateway.readHistory(
      self, after: position?.offset ?? .zero, count: wantsHeadOnly ? 0 : pageCount,
      bytes: UInt32(Self.pageBytes)
    ) { [self] result in
      guard number == fetchNumber, phase == .catchingUp else { return }
      isFetching = false
      switch result {
      case .failure(let failure) where failure.code == .notFound:
        // A fork that nobody made, or that was deleted: looked for again when somebody comes.
        isMissing = true
        forEachSubscription { $0.session.refused($0, Refusal(failure)) }
      case .failure(let failure): failure.code.isPassing ? retryFetch() : giveUp(failure)
      case .success(let page):
        fetchFailures = 0
        if wantsHeadOnly { adoptHead(page) } else { fetched(page) }
      }
    }
  }

  /// Somebody comes to a fork that was not there when it was read last.
  func lookAgain() {
    guard isMissing else { return }
    isMissing = false
    fetch()
  }

  func retryFetch() {
    fetchFailures += 1
    let delay = Duration.milliseconds(min(2000, 50 << min(fetchFailures, 6)))
    let number = fetchNumber
    gateway.loop.after(delay) { [self] in if number == fetchNumber { fetch() } }
  }

  /// The history can't be read from here, and never will be: goes on from its head.
  private func giveUp(_ failure: Failure) {
    gateway.logger.error(
      "a channel's history can't be read on",
      ["channel": .text(name.text), "reason": .text(failure.message)])
    let at = position
    forEachLive {
      $0.session.tell(
        .unrecoverable(
          .init(
            channel: name, reason: .corrupt, epoch: at?.epoch, floor: at?.offset ?? .zero,
            head: at?.offset ?? .zero)))
    }
    gateway.metrics.unrecoverable[.corrupt].add()
    position = nil
    isHeadKnown = false
    // A head alone is read without touching any event.
    isFetching = true
    let number = fetchNumber
    gateway.readHistory(self, after: .zero, count: 0, bytes: 0) { [self] result in
      guard number == fetchNumber, phase == .catchingUp else { return }
      isFetching = false
      guard case .success(let page) = result else { return retryFetch() }
      adoptHead(page)
    }
  }

  private func adoptHead(_ page: EventPage) {
    position = page.epoch.map { Position(epoch: $0, offset: page.head) }
    isHeadKnown = true
    drainHeld()
  }

  private func fetched(_ page: EventPage) {
    isHeadKnown = true
    if let known = position {
      // What was applied was stored before: a history that ends earlier is another one.
      let isOther = known.epoch != page.epoch
      if isOther || page.head < known.offset {
        lost(isOther ? .epochChanged : .ahead, page, restartAt: page.head)
        return page.epoch == nil ? drainHeld() : fetch()
      }
    }
    guard let epoch = page.epoch else { return drainHeld() }
    if (position?.offset ?? .zero) < page.floor {
      // From nothing to the floor is no loss: nobody here has been promised what is before it.
      let wasKnown = position != nil
      if wasKnown { lost(.trimmed, page, restartAt: page.floor) }
      position = Position(epoch: epoch, offset: page.floor)
      return foldOn(from: page.floor, looksAgain: wasKnown)
    }
    if position == nil {
      historyBegins(epoch)
      position = Position(epoch: epoch, offset: .zero)
    } else if folding.began == nil {
      // What a state is built from is no gap.
      gateway.metrics.gapFilled.add(UInt64(page.events.count))
    }
    for event in page.events { apply(Arrival(event, epoch)) }
    if page.hasMore { fetch() } else { drainHeld() }
  }

  /// Tells everyone that what is between their position and `restartAt` can't be had. In a new
  /// epoch live clients go on from the head: the old and the new do not connect.
  private func lost(
    _ reason: ControlMessage.UnrecoverableReason, _ page: EventPage, restartAt: Offset
  ) {
    forEachLive {
      $0.session.tell(
        .unrecoverable(
          .init(
            channel: name, reason: reason, epoch: page.epoch, floor: page.floor, head: page.head)))
    }
    gateway.metrics.unrecoverable[reason].add()
    position = page.epoch.map { Position(epoch: $0, offset: restartAt) }
    // The seam is not to be sewn with what was before.
    recent.removeAll()
    guard reason != .trimmed else { return releaseThoseOvertaken(by: restartAt) }
    if plugin?.traits.state == .folded {
      gateway.rebuildPlugin(self)
      position = page.epoch.map { Position(epoch: $0, offset: .zero) }
    }
    releaseThoseAhead(page)
  }

  /// Applies what came meanwhile; a gap that is left is fetched again. What came before the page
  /// was read and is of another epoch belongs to a history that is gone.
  private func drainHeld() {
    if needsAnotherFetch { return fetch() }
    let arrivals = held.takeAll()
    phase = .live
    for arrival in arrivals {
      if let epoch = arrival.position?.epoch, let now = position?.epoch, epoch != now { continue }
      received(arrival)
    }
    if phase == .live { becomeLive() }
  }

  private func becomeLive() {
    phase = .live
    let arrivals = held.takeAll()
    for arrival in arrivals { received(arrival) }
    guard phase == .live else { return }
    stateIsBuilt()
    decisions?.channelChanged(self)
    forEachJoining { advance($0) }
  }
}

extension Arrival {
  init(_ event: StoredEvent, _ epoch: Epoch) {
    let tags = ArrivalTags(event.eventType, event.meta)
    self.init(
      position: Position(epoch: epoch, offset: event.offset), timeMs: event.timeMs,
      publisher: event.publisher, payload: event.payload, tags: tags,
      isForOthers: tags?.isForOthers == true)
  }
}
