internal import Bytes
internal import Config
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// Who of this loop's clients is where, told to presence in batches, and what presence tells back.
///
/// What one turn brings is told at its end; where much happens, what some turns bring is told at once,
/// so that thousands who connect wake presence, and cost two system calls, far less often.
///
/// Keeps nothing of the members: sessions know where they are, and a report asks them. Of channels
/// that somebody watches it keeps who presence says is there. The lease is the gateway process's;
/// every loop's link renews it.
final class PresenceReporter {
  private let gateway: GatewayLoop
  private var queue = PresenceQueue()
  private let news: PacedWork
  private var hasBeenAttached = false
  private var leaseTimer: TimerID?
  private var watches: [ChannelName: Watch] = [:]
  /// Channels to ask for, once what happened in this turn has been told.
  private var unasked: [ChannelName] = []

  private struct Watch {
    var observer = PresenceObserver()
    /// Subscriptions on this loop that are told.
    var count = 1
    /// Who asked before the first snapshot was here, by the timer that ends the wait.
    var waiting: [(until: TimerID, ask: () -> Void)] = []
  }

  /// BUDGET: how long joins and leaves wait behind others that were told just before.
  private static let pause = Duration.milliseconds(5)
  /// BUDGET: batches in one turn, so that a report of very many holds up nobody.
  private static let batchesPerTurn = 16
  /// BUDGET: people named in the first message; the total says how many there are.
  private static let shownMax = 1000

  init(_ gateway: GatewayLoop) {
    self.gateway = gateway
    news = PacedWork(gateway.loop, every: Self.pause) { [unowned gateway] in gateway.presence.flush() }
  }

  // MARK: reporting

  func happened(_ event: @autoclosure () -> MemberEvent) {
    // A report that is due will say it.
    guard !queue.isReportDue else { return }
    queue.append(event())
    news.ask()
  }

  /// The link for whoever asks presence something: behind all that has happened on this loop.
  func linkToAsk() -> Link? {
    tellNow()
    return gateway.upstreams.presence
  }

  /// Tells what waits, if anything does.
  func tellNow() { if !queue.isEmpty { flush() } }

  private func schedule() { news.askNow() }

  private func flush() {
    guard let link = gateway.upstreams.presence else { return }
    if queue.isReportDue { queue.beginReport(everybody()) }
    var left = Self.batchesPerTurn
    while left > 0, let batch = queue.next() {
      // Without credit it waits for `relieved`.
      guard link.send(batch) == .sent else { return }
      queue.sent(batch)
      left -= 1
    }
    guard queue.isEmpty else {
      gateway.loop.after(.milliseconds(1)) { [weak self] in self?.schedule() }
      return
    }
    while let channel = unasked.last {
      guard link.send(WatchPresence(channel: channel)) == .sent else { return }
      unasked.removeLast()
    }
  }

  private func everybody() -> [MemberEvent] {
    var events: [MemberEvent] = []
    for connection in gateway.connections.all { connection.session?.reportPresence(&events) }
    gateway.engines.reportPresence(&events)
    return events
  }

  // MARK: the link

  func linkOpened(_ link: Link) {
    queue.startOver()
    renew()
    hasBeenAttached = true
    unasked = Array(watches.keys)
    schedule()
  }

  func linkLost() {
    if let leaseTimer { gateway.loop.cancel(leaseTimer) }
    leaseTimer = nil
    queue.startOver()
    unasked = []
    for channel in Array(watches.keys) {
      watches[channel]?.observer.startOver()
      stopWaiting(channel)
    }
  }

  /// Credit is back.
  func relieved() { schedule() }

  func reportRequested() {
    queue.requireReport()
    schedule()
  }

  func refused(_ refusal: PresenceRefused) {
    // Without a client it is a watch that was refused, whose bound is no setting.
    if refusal.client == 0 { stopWaiting(refusal.channel) } else {
      gateway.metrics.limits.reached(
        refusal.code == .tooLarge ? .presenceInfoBytes : .presenceMembers)
    }
    gateway.logger.warning(
      "presence refused",
      ["channel": .text(refusal.channel.text), "reason": .text(refusal.message)])
  }

  private func renew() {
    guard let link = gateway.upstreams.presence else { return }
    let lease = Lease(
      remainingMs: 2000, lane: UInt16(clamping: gateway.index), hasBeenAttached: hasBeenAttached)
    link.request(lease, expecting: Leased.self, within: .seconds(2)) { [weak self, weak link] in
      guard let self, let link, link === gateway.upstreams.presence else { return }
      switch $0 {
      case .success(let leased): renew(in: .milliseconds(Int64(leased.durationMs) / 3))
      case .failure(let failure): if failure.code.isPassing { renew(in: .milliseconds(500)) }
      }
    }
  }

  private func renew(in delay: Duration) {
    leaseTimer = gateway.loop.after(delay) { [weak self] in self?.renew() }
  }

  // MARK: watching

  /// The subscription's client is told who is there, and from then on who comes and goes.
  func watch(_ subscription: Subscription) {
    let channel = subscription.channel.name
    subscription.watching = .awaited
    guard let watch = watches[channel] else {
      watches[channel] = Watch()
      unasked.append(channel)
      return schedule()
    }
    watches[channel]?.count = watch.count + 1
    if watch.observer.isReady { show(subscription) }
  }

  func unwatch(_ subscription: Subscription) {
    let channel = subscription.channel.name
    guard subscription.watching != .no, let count = watches[channel]?.count else { return }
    subscription.watching = .no
    watches[channel]?.count = count - 1
    guard count == 1 else { return }
    stopWaiting(channel)
    watches[channel] = nil
    if unasked.contains(channel) {
      unasked.removeAll { $0 == channel }
    } else {
      gateway.upstreams.presence?.send(UnwatchPresence(channel: channel))
    }
  }

  /// Calls `ask` once the channel's watchers are told who comes and goes: at once where nobody is to be.
  ///
  /// A client whose protocol has no word for the snapshot asks for it itself. An answer of before that
  /// snapshot would hide for good who came between the two. Without presence it is called late rather
  /// than never.
  func onceShown(_ channel: ChannelName, _ ask: @escaping () -> Void) {
    guard watches[channel]?.observer.isReady == false, gateway.upstreams.presence != nil else {
      return ask()
    }
    let patience = Duration.milliseconds(gateway.settings.publishMaxMs)
    let until = gateway.loop.after(patience) { [weak self] in self?.stopWaiting(channel) }
    watches[channel]?.waiting.append((until, ask))
  }

  private func stopWaiting(_ channel: ChannelName) {
    guard let waiting = watches[channel]?.waiting, !waiting.isEmpty else { return }
    watches[channel]?.waiting = []
    for one in waiting {
      gateway.loop.cancel(one.until)
      one.ask()
    }
  }

  func received(_ page: PresencePage) { observed(page.channel) { $0.received(page) } }
  func received(_ changes: PresenceChanges) { observed(changes.channel) { $0.received(changes) } }

  private func observed(
    _ name: ChannelName, _ step: (inout PresenceObserver) -> PresenceObserver.Outcome
  ) {
    guard watches[name] != nil, let channel = gateway.existing(name) else {
      // An *unwatch* that had no credit is said again.
      gateway.upstreams.presence?.send(UnwatchPresence(channel: name))
      return
    }
    switch step(&watches[name, default: Watch()].observer) {
    case .ready:
      channel.forEachSubscription { if $0.watching == .awaited { show($0) } }
      stopWaiting(name)
    case .news(let news): tell(news, channel)
    case .outOfStep:
      unasked.append(name)
      schedule()
    }
  }

  private func tell(_ news: [PresenceObserver.News], _ channel: LocalChannel) {
    guard !news.isEmpty else { return }
    let messages: [ServerMessage] = news.map {
      .member($0, channel.name, json: ControlMessage.news($0, channel: channel.name.text))
    }
    channel.forEachSubscription { subscription in
      guard subscription.watching == .shown else { return }
      guard !isBehind(subscription) else { return subscription.watching = .behind }
      for message in messages { subscription.session.tell(message) }
    }
  }

  /// A client that takes nothing is shown everybody anew once it has caught up.
  private func isBehind(_ subscription: Subscription) -> Bool {
    guard let carrier = subscription.session.carrier else { return true }
    let session = subscription.session
    return carrier.isBlocked
      && carrier.queuedBytes + session.waitingPinnedBytes > session.queueBytesMax
  }

  func caughtUp(_ subscription: Subscription) {
    if subscription.watching == .behind { show(subscription) }
  }

  private func show(_ subscription: Subscription) {
    guard let observer = watches[subscription.channel.name]?.observer else { return }
    guard !isBehind(subscription) else { return subscription.watching = .behind }
    // Whoever is shown anew hears so from `watching`, and may end for it.
    defer { if subscription.watching != .no { subscription.watching = .shown } }
    subscription.session.tell(
      .presence(
        subscription.channel.name,
        observer.members(Self.shownMax).map { ControlMessage.Person($0) }, total: observer.count))
  }
}
