internal import Bytes
internal import ChannelKit
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// One channel as this loop sees it: its subscribers, its place in the order, its plugin's state.
///
///     detached ──(hub opened it)──▶ catching up ──(at the head)──▶ live
///         ▲                             │  ▲                         │
///         └──────── hub lost ───────────┘  └──── an offset is missing┘
///
/// Opened for publishers alone it stays detached, with a handle. In every state but *live* publications
/// are held, bounded; what does not fit is read again from the history. Subscribers in the groups get each offset once, in order, or are told what they
/// miss. Loop-confined.
final class LocalChannel: RecencyNode, Flushable {
  enum Phase { case detached, catchingUp, live }

  let name: ChannelName
  private(set) var policy: ChannelPolicy
  /// Of the policy, which is large; what a channel keeps does not change while it is open.
  let isDurable: Bool
  let keepsHistory: Bool
  private(set) var hasSchemas: Bool
  /// Of the rules that `policy` is of.
  private(set) var rulesVersion: Int
  let gateway: GatewayLoop
  let envelopePrefix: [UInt8]
  /// What becomes of its publications for clients that are slow.
  private(set) var slow: SlowLadder
  private(set) var merges: Bool
  private let isMergedType: Bool
  /// Who may publish where the rule or the channel's type says; nil: the listener's default.
  private(set) var publishers: [Principal]?
  /// A rule in force matches.
  private(set) var isNamed = true
  private let publishersOfType: [Principal]?
  var plugin: AnyChannel?
  /// Where decisions depend on each other: nil until there was such a one.
  var decisions: Decisions?
  var merging: LatestPerKey?
  var mergeTimer: TimerID?

  var handle = ChannelHandle.none
  var isOpening = false
  /// The hub sends its publications here; else the handle is for publishing alone, and the channel
  /// stays detached.
  var isSubscribed = false
  var phase = Phase.detached
  /// The last offset applied here; nil in a channel without history, and before it is known.
  var position: Position?
  /// Where the history stands has been read: with no position it is empty.
  var isHeadKnown = false
  /// Publications that can't be applied yet.
  var held: HeldArrivals
  /// The latest applied ones, kept while somebody replays, so that he finds the seam.
  var recent: HeldArrivals
  var isFetching = false
  /// A fork that the store did not have when it was read last, so that nothing is under way.
  var isMissing = false
  /// The hub was away, and there is no history to tell what came meanwhile.
  var mayHaveLost = false
  var fetchFailures = 0
  var folding = Folding()
  /// Answers to earlier questions are passed over.
  var fetchNumber: UInt64 = 0
  /// The page under way may have been read before something that is missing was there.
  var needsAnotherFetch = false

  /// What subscribers are to be spared when they read on from the history.
  var own = OwnPublications()
  /// By whom it is counted that it was brought into being; nil: by nobody.
  var owner: AddressKey?

  /// One for each encoding that somebody here has got.
  var groups: [SubscriberGroup] = []
  /// Those who get less than others, or the same in another form; nil where nobody ever did.
  var tailored: TailoredSubscribers?
  /// Subscribers that are not live yet.
  private(set) var joining: [ObjectIdentifier: Subscription] = [:]
  /// Subscribers that are too slow to be live, and read on when they have room.
  private(set) var parked: [ObjectIdentifier: Subscription] = [:]
  /// How many of them wait for this loop to catch up with them.
  var awaitingCount = 0
  /// Something is gathered for its subscribers.
  var isDirty = false
  /// The loop will have it flushed when this turn ends.
  var isMarked = false
  /// What is gathered waits for more; ends the wait.
  var waitForMore: TimerID?
  /// The turn in which this loop last gave the hub a publication of the channel.
  var publishedAt: Instant?
  /// What is gathered stands in the history.
  var gathersPlaced = true
  /// Clients through all gateways, as the hub last said.
  var subscriberTotal = 0
  /// Those that wait for the handle to publish; nil where nobody has since it was opened last.
  private var waiting: WaitingPublications?
  var lastUsed: Instant
  /// Since when nobody subscribes to it; of the directory, as its neighbours there.
  var restsSince: Instant
  unowned var older: LocalChannel?
  unowned var newer: LocalChannel?
  private var reportedSubscribers = 0
  private var isReportDue = false

  init(
    _ name: ChannelName, _ policy: ChannelPolicy, ofVersion version: Int, _ gateway: GatewayLoop,
    _ made: AnyChannel
  ) {
    self.name = name
    self.policy = policy
    isDurable = policy.isDurable
    keepsHistory = policy.history != .none
    hasSchemas = !policy.schemas.isEmpty
    self.gateway = gateway
    rulesVersion = version
    publishersOfType = made.traits.publishers
    publishers = policy.publish ?? publishersOfType
    let plugin = made.isPassThrough ? nil : made
    self.plugin = plugin
    envelopePrefix = Encoding.prefix(name)
    isMergedType = made.delivery != .immediate
    slow = SlowLadder(policy, merges: isMergedType)
    merges = slow.merge != nil
    let reached = gateway.metrics.limits.recoveryHeldBytes
    held = HeldArrivals(bytesMax: gateway.settings.heldBytesMax, reached, gateway.memory)
    recent = HeldArrivals(bytesMax: gateway.settings.heldBytesMax, reached, gateway.memory)
    lastUsed = gateway.loop.now
    restsSince = lastUsed
    if let plugin, case .latestPerKey(let framesPerSecond) = plugin.delivery {
      merging = LatestPerKey(framesPerSecond: framesPerSecond)
    }
  }

  /// Other rules are in force; nil where none matches any more.
  func adopt(_ other: ChannelPolicy?, ofVersion version: Int) {
    rulesVersion = version
    isNamed = other != nil
    policy.adopt(other ?? policy.closed)
    hasSchemas = !policy.schemas.isEmpty
    slow = SlowLadder(policy, merges: isMergedType)
    merges = slow.merge != nil
    publishers = policy.publish ?? publishersOfType
  }

  /// In whatever state they are.
  private(set) var subscriberCount = 0
  /// Whether what is published is for anybody here: subscribers, or a type that goes by it. A durable
  /// channel compares its head with the store's, so it always takes part.
  var wantsPublications: Bool { plugin != nil || isDurable || subscriberCount > 0 }
  var isIdle: Bool { subscriberCount == 0 && waiting?.isEmpty != false && decisions?.isIdle != false }

  // MARK: subscribers

  func add(_ subscription: Subscription) {
    lastUsed = gateway.loop.now
    if subscriberCount == 0 { gateway.channels.isNeeded(self) }
    subscriberCount += 1
    // Most go live at once, and are never among those that are not.
    if phase == .live, case .waiting(.now) = subscription.state {
      advance(subscription)
    } else {
      joining[ObjectIdentifier(subscription)] = subscription
      if phase == .live {
        advance(subscription)
      } else {
        gateway.attach(self)
        lookAgain()
      }
    }
    noteSubscribers()
  }

  func remove(_ subscription: Subscription) {
    switch subscription.state {
    case .live(let index): leaveLive(subscription, index)
    case .waiting, .replaying: leaveJoining(subscription)
    case .parked: parked[ObjectIdentifier(subscription)] = nil
    case .ended: return
    }
    subscription.state = .ended
    subscriberCount -= 1
    own.forget(ObjectIdentifier(subscription))
    if subscription.isCounted { gateway.settings.subscribers.leave(name) }
    subscription.isCounted = false
    noteSubscribers()
    lastUsed = gateway.loop.now
    if subscriberCount == 0 { gateway.channels.rests(self) }
  }

  private func leaveLive(_ subscription: Subscription, _ index: Int) {
    guard subscription.tailoring != nil else {
      return groups[group(of: subscription)].remove(at: index)
    }
    tailored?.remove(subscription, at: index)
  }

  /// Those who are live now, for things that are told to everyone.
  func forEachLive(_ body: (Subscription) -> Void) {
    for group in groups { for member in group.members { body(member) } }
    for member in tailored?.members ?? [] { body(member) }
  }

  func forEachSubscription(_ body: (Subscription) -> Void) {
    forEachLive(body)
    forEachJoining(body)
    for member in Array(parked.values) { body(member) }
  }

  /// Those who are not live yet; `body` may make them so.
  func forEachJoining(_ body: (Subscription) -> Void) {
    for member in Array(joining.values) { body(member) }
  }

  /// One that may not begin yet stays among those that are not live.
  func waitOn(_ subscription: Subscription) {
    if subscription.isWaiting { joining[ObjectIdentifier(subscription)] = subscription }
  }

  private func leaveJoining(_ subscription: Subscription) {
    if case .replaying(let replay) = subscription.state, replay.awaitsChannel { awaitingCount -= 1 }
    if !joining.isEmpty { joining[ObjectIdentifier(subscription)] = nil }
    if joining.isEmpty, !recent.isEmpty { recent.removeAll() }
  }

  func noteSubscribers() {
    let count = subscriberCount
    guard count != reportedSubscribers, !isReportDue else { return }
    isReportDue = true
    let isFirst = reportedSubscribers <= 0
    gateway.subscriberReports.changed(self, isUrgent: isFirst || policy.subscribersMax != nil)
  }

  /// Clients through all gateways: the hub's last count, with what this loop has not told it yet.
  var subscribersEverywhere: Int {
    max(subscriberCount, subscriberTotal - reportedSubscribers + subscriberCount)
  }

  /// What the hub has to be told; nil if it knows, or does not know the channel yet.
  func takeSubscriberReport() -> UInt32? {
    isReportDue = false
    let count = subscriberCount
    guard count != reportedSubscribers, handle != .none else { return nil }
    reportedSubscribers = count
    return UInt32(clamping: count)
  }

  /// The hub is told this many with the question that opens the channel.
  func willReport() -> UInt32 {
    reportedSubscribers = subscriberCount
    return UInt32(clamping: reportedSubscribers)
  }

  /// A report that did not leave has to be made again.
  func reportWasRefused() { reportedSubscribers = -1 }

  // MARK: live, and too slow to be

  /// Puts a subscription into its group: it gets what comes next. What this turn has gathered
  /// goes out first, since the newcomer has it already or is not to get it.
  func goLive(_ subscription: Subscription) {
    flushGathered()
    leaveJoining(subscription)
    if !subscription.session.hasOutbox { own.forget(ObjectIdentifier(subscription)) }
    subscription.behindSince = nil
    guard subscription.tailoring != nil else {
      return groups[group(of: subscription)].add(subscription)
    }
    if tailored == nil { tailored = TailoredSubscribers(prefix: envelopePrefix) }
    tailored?.add(subscription)
  }

  /// Stops pushing to a client that is too slow; it goes on with `next`, read from the history.
  /// Nothing is kept for it meanwhile.
  func park(_ subscription: Subscription, from next: Position) {
    guard case .live(let index) = subscription.state else { return }
    leaveLive(subscription, index)
    var replay = Subscription.Replay(
      epoch: next.epoch, delivered: Offset(next.offset.value &- 1))
    replay.isResumed = true
    subscription.state = .parked(replay)
    parked[ObjectIdentifier(subscription)] = subscription
  }

  /// Reads on for a client that was parked and has room again.
  func resume(_ subscription: Subscription) {
    guard case .parked(let replay) = subscription.state else { return }
    parked[ObjectIdentifier(subscription)] = nil
    joining[ObjectIdentifier(subscription)] = subscription
    subscription.state = .replaying(replay)
    subscription.relieved()
    advance(subscription)
  }

  /// Changes what its group goes by. What was gathered before goes out first, as it is.
  func changeGroup(of subscription: Subscription, _ change: () -> Void) {
    guard case .live = subscription.state else { return change() }
    flushGathered()
    // That may have parked it, or ended its client.
    guard case .live(let index) = subscription.state else { return change() }
    groups[group(of: subscription)].remove(at: index)
    change()
    groups[group(of: subscription)].add(subscription)
  }

  private func group(of subscription: Subscription) -> Int {
    let encoding = subscription.encoding
    let windowBits = subscription.sharedWindowBits
    for index in groups.indices
    where groups[index].encoding == encoding && groups[index].windowBits == windowBits {
      return index
    }
    groups.append(SubscriberGroup(encoding, windowBits: windowBits, gateway.compression))
    return groups.count - 1
  }

  // MARK: publishers

  /// Calls `finish` once the hub has given the channel its number, or with the reason why not.
  ///
  /// - Parameter bytes: what is kept meanwhile.
  func whenOpened(
    _ request: PublishRequest, within limit: Duration, keeping bytes: Int,
    _ finish: @escaping (Refusal?) -> Void
  ) {
    let publications = waiting ?? WaitingPublications(gateway)
    waiting = publications
    publications.append(request, keeping: bytes, within: limit, finish)
  }

  func settleWaiting(_ refusal: Refusal?) {
    let settled = waiting
    waiting = nil
    settled?.settle(refusal)
  }

  // MARK: memory

  /// What stays here until it can be applied, or is needed for a seam.
  var heldBytes: Int { held.heldBytes + recent.heldBytes }

  /// Forgets that: whoever needs it reads it again from the history.
  func letGoOfHeld() {
    if !held.isEmpty, phase == .catchingUp { needsAnotherFetch = true }
    held.removeAll()
    recent.removeAll()
  }

  /// What counts as memory of clients, with its bytes.
  func forEachHolder(_ body: (MemoryHolder, Int) -> Void) {
    if heldBytes > 0 { body(.channel(self), heldBytes) }
    if let waiting { waiting.forEach { body(.waiting(waiting, $0), $0.bytes) } }
    if let decisions {
      decisions.forEachWaiting { body(.undecided(decisions, number: $0, $1), $2) }
    }
  }
}
