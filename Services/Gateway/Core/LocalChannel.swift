internal import Bytes
internal import ChannelKit
internal import JSON
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// One publication as it comes to a loop, from the hub or from a history.
struct Arrival {
  var position: Position?
  var timeMs: Int64
  var publisher: Publisher
  var payload: Payload
  /// Its publisher's own client does not get it.
  var isForOthers = false
}

/// One channel as this loop sees it: its subscribers, its place in the order, its plugin's state.
///
///     detached ──(hub opened it)──▶ catching up ──(at the head)──▶ live
///         ▲                             │  ▲                         │
///         └──────── hub lost ───────────┘  └──── an offset is missing┘
///
/// In every state but *live* publications are held, bounded; what does not fit is read again from
/// the history. Subscribers in the groups get each offset once, in order, or are told what they
/// miss. Loop-confined.
final class LocalChannel: IdleNode, Flushable {
  enum Phase { case detached, catchingUp, live }

  let name: ChannelName
  private(set) var policy: ChannelPolicy
  let gateway: GatewayLoop
  let envelopePrefix: [UInt8]
  /// What becomes of its publications for clients that are slow.
  private(set) var slow: SlowLadder
  private var merges: Bool
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
  /// The hub was away, and there is no history to tell what came meanwhile.
  var mayHaveLost = false
  var fetchFailures = 0
  /// Answers to earlier questions are passed over.
  var fetchNumber: UInt64 = 0
  /// The page under way may have been read before something that is missing was there.
  var needsAnotherFetch = false

  /// What subscribers are to be spared when they read on from the history.
  var own = OwnPublications()
  /// By whom it is counted that it was brought into being; nil: by nobody.
  var owner: AddressKey?

  /// One for each encoding that somebody here has got.
  private var groups: [SubscriberGroup] = []
  /// Subscribers that are not live yet.
  private var joining: [ObjectIdentifier: Subscription] = [:]
  /// Subscribers that are too slow to be live, and read on when they have room.
  private var parked: [ObjectIdentifier: Subscription] = [:]
  /// How many of them wait for this loop to catch up with them.
  var awaitingCount = 0
  private var isDirty = false
  /// What is gathered stands in the history.
  private var gathersPlaced = true
  /// Clients through all gateways, as the hub last said.
  var subscriberTotal = 0
  /// Those that wait for the handle to publish.
  private var waiting: [WaitingPublish] = []
  private var waitingTimer: TimerID?
  var lastUsed: Instant
  private var reportedSubscribers = 0

  init(_ name: ChannelName, _ policy: ChannelPolicy, _ gateway: GatewayLoop, _ made: AnyChannel) {
    self.name = name
    self.policy = policy
    self.gateway = gateway
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
    super.init()
    if let plugin, case .latestPerKey(let framesPerSecond) = plugin.delivery {
      merging = LatestPerKey(framesPerSecond: framesPerSecond)
    }
  }

  /// Other rules are in force; nil where none matches any more.
  func adopt(_ other: ChannelPolicy?) {
    isNamed = other != nil
    policy.adopt(other ?? policy.closed)
    slow = SlowLadder(policy, merges: isMergedType)
    merges = slow.merge != nil
    publishers = policy.publish ?? publishersOfType
  }

  var subscriberCount: Int {
    groups.reduce(joining.count + parked.count) { $0 + $1.members.count }
  }
  var isIdle: Bool { subscriberCount == 0 && waiting.isEmpty && decisions?.isIdle != false }

  // MARK: subscribers

  func add(_ subscription: Subscription) {
    lastUsed = gateway.loop.now
    joining[ObjectIdentifier(subscription)] = subscription
    gateway.channels.isNeeded(self)
    if phase == .live { advance(subscription) } else { gateway.attach(self) }
    noteSubscribers()
  }

  func remove(_ subscription: Subscription) {
    switch subscription.state {
    case .live(let index): groups[group(of: subscription)].remove(at: index)
    case .waiting, .replaying: leaveJoining(subscription)
    case .parked: parked[ObjectIdentifier(subscription)] = nil
    case .ended: return
    }
    subscription.state = .ended
    own.forget(ObjectIdentifier(subscription))
    if subscription.isCounted { gateway.settings.subscribers.leave(name) }
    subscription.isCounted = false
    noteSubscribers()
    lastUsed = gateway.loop.now
    if subscriberCount == 0 { gateway.channels.rests(self) }
  }

  /// Those who are live now, for things that are told to everyone.
  func forEachLive(_ body: (Subscription) -> Void) {
    for group in groups { for member in group.members { body(member) } }
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

  private func leaveJoining(_ subscription: Subscription) {
    if case .replaying(let replay) = subscription.state, replay.awaitsChannel { awaitingCount -= 1 }
    joining[ObjectIdentifier(subscription)] = nil
    if joining.isEmpty { recent.removeAll() }
  }

  func noteSubscribers() {
    let count = subscriberCount
    guard count != reportedSubscribers else { return }
    gateway.subscribersChanged(self)
  }

  /// Clients through all gateways: the hub's last count, with what this loop has not told it yet.
  var subscribersEverywhere: Int {
    max(subscriberCount, subscriberTotal - reportedSubscribers + subscriberCount)
  }

  func takeSubscriberReport() -> UInt32? {
    let count = subscriberCount
    guard count != reportedSubscribers else { return nil }
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

  // MARK: publishers

  private struct WaitingPublish {
    var deadline: Instant
    var bytes: Int
    var finish: (Refusal?) -> Void
  }

  /// BUDGET: publications that wait for the hub to open the channel; more are refused.
  private static let waitingMax = 4096

  /// BUDGET: their bytes in all channels of a loop.
  private static let waitingBytesMax = 16 << 20

  /// Calls `finish` once the hub has given the channel its number, or with the reason why not.
  ///
  /// - Parameter bytes: what is kept meanwhile.
  func whenOpened(
    within limit: Duration, keeping bytes: Int, _ finish: @escaping (Refusal?) -> Void
  ) {
    guard waiting.count < Self.waitingMax, gateway.waitingBytes + bytes <= Self.waitingBytesMax
    else { return finish(.overloaded) }
    gateway.waitingBytes += bytes
    waiting.append(
      WaitingPublish(deadline: gateway.loop.now + limit, bytes: bytes, finish: finish))
    if waitingTimer == nil {
      waitingTimer = gateway.loop.after(limit) { [self] in expireWaiting() }
    }
  }

  func settleWaiting(_ refusal: Refusal?) {
    let settled = waiting
    waiting = []
    if let waitingTimer { gateway.loop.cancel(waitingTimer) }
    waitingTimer = nil
    finish(settled, refusal)
  }

  private func expireWaiting() {
    waitingTimer = nil
    let now = gateway.loop.now
    let expired = Array(waiting.prefix { $0.deadline <= now })
    waiting.removeFirst(expired.count)
    finish(expired, .unavailable)
    if waitingTimer == nil, let next = waiting.first {
      waitingTimer = gateway.loop.at(next.deadline) { [self] in expireWaiting() }
    }
  }

  private func finish(_ settled: [WaitingPublish], _ refusal: Refusal?) {
    for publish in settled { gateway.waitingBytes -= publish.bytes }
    for publish in settled { publish.finish(refusal) }
  }

  /// Puts a subscription into its group: it gets what comes next. What this turn has gathered
  /// goes out first, since the newcomer has it already or is not to get it.
  func goLive(_ subscription: Subscription) {
    if isDirty { flush() }
    leaveJoining(subscription)
    if !subscription.session.hasOutbox { own.forget(ObjectIdentifier(subscription)) }
    subscription.behindSince = nil
    groups[group(of: subscription)].add(subscription)
  }

  /// Stops pushing to a client that is too slow; it goes on with `next`, read from the history.
  /// Nothing is kept for it meanwhile.
  func park(_ subscription: Subscription, from next: Position) {
    guard case .live(let index) = subscription.state else { return }
    groups[group(of: subscription)].remove(at: index)
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

  private func group(of subscription: Subscription) -> Int {
    let encoding = subscription.encoding
    let windowBits = subscription.sharedWindowBits
    if let index = groups.firstIndex(where: {
      $0.encoding == encoding && $0.windowBits == windowBits
    }) {
      return index
    }
    groups.append(SubscriberGroup(encoding, windowBits: windowBits, gateway.compression))
    return groups.count - 1
  }

  // MARK: arrivals

  /// What stays here until it can be applied, or is needed for a seam.
  var heldBytes: Int { held.heldBytes + recent.heldBytes }

  /// Forgets that: whoever needs it reads it again from the history.
  func letGoOfHeld() {
    if !held.isEmpty, phase == .catchingUp { needsAnotherFetch = true }
    held.removeAll()
    recent.removeAll()
  }

  /// A publication from the hub.
  func received(_ arrival: Arrival) {
    guard phase == .live else { return held.append(arrival) }
    guard let at = arrival.position else { return apply(arrival) }
    guard let position else {
      // An empty history begins with 1; a channel without one has no offsets at all.
      if policy.history == .none || at.offset.value == 1 { return apply(arrival) }
      held.append(arrival)
      return catchUp()
    }
    guard at.epoch == position.epoch else {
      held.append(arrival)
      return catchUp()
    }
    if at.offset == position.offset.next { return apply(arrival) }
    guard at.offset > position.offset else { return }
    held.append(arrival)
    catchUp()
  }

  /// Takes the next publication in order: state first, then the subscribers.
  func apply(_ arrival: Arrival) {
    if let at = arrival.position {
      if position == nil { historyBegins(at.epoch) }
      position = at
    }
    if !joining.isEmpty { recent.append(arrival) }
    if plugin != nil { applyToPlugin(arrival) } else { gather(arrival) }
    if awaitingCount > 0 { promoteThoseAhead() }
  }

  /// Something stands in the history that was empty: whoever goes by its epoch learns that before
  /// anything of it comes.
  func historyBegins(_ epoch: Epoch) {
    forEachLive { $0.session.carrier?.historyBegins(epoch, of: $0) }
  }

  private func applyToPlugin(_ arrival: Arrival) {
    let publication = ChannelKit.Publication(
      offset: arrival.position?.offset, timeMs: arrival.timeMs, payload: arrival.payload,
      publisher: arrival.publisher.client == 0 ? nil : ClientID(number: arrival.publisher.client),
      user: arrival.publisher.user.isEmpty ? nil : UserID(arrival.publisher.user))
    plugin?.apply(publication)
    decisions?.channelChanged(self)
    if merging != nil, let key = plugin?.mergeKey(of: publication) {
      merging?.keep(publication, key: key)
      scheduleMerge()
    } else {
      gather(arrival)
    }
  }

  /// By what a publication replaces others for a slow client.
  private func mergeKey(_ publication: ChannelKit.Publication) -> MergeKey? {
    switch slow.merge {
    case nil: nil
    case .type: plugin?.mergeKey(of: publication).map { MergeKey($0.utf8) }
    case .publisher: publication.publisher.map { MergeKey($0.text.utf8) }
    case .user: publication.user.map { MergeKey($0.text.utf8) }
    case .member(let name): Self.member(name, of: publication.payload)
    }
  }

  private func mergeKey(_ arrival: Arrival) -> MergeKey? {
    switch slow.merge {
    case .publisher:
      arrival.publisher.client == 0
        ? nil : MergeKey(ClientID(number: arrival.publisher.client).text.utf8)
    case .user: arrival.publisher.user.isEmpty ? nil : MergeKey(arrival.publisher.user.utf8)
    case .member(let name): Self.member(name, of: arrival.payload)
    case .type, nil: nil
    }
  }

  private func scheduleMerge() {
    guard mergeTimer == nil, let dueNs = merging?.dueNs else { return }
    mergeTimer = gateway.loop.at(Instant(nanoseconds: dueNs)) { [self] in merge() }
  }

  private func merge() {
    mergeTimer = nil
    let latest = merging?.takeFrame(atNs: gateway.loop.now.nanoseconds) ?? []
    if !latest.isEmpty {
      let payloads = plugin?.frame(latest) ?? []
      // A frame that is one message for many has no key.
      let isEach = payloads.count == latest.count
      for (index, payload) in payloads.enumerated() {
        gather(
          Arrival(
            position: nil, timeMs: gateway.loop.wallMilliseconds, publisher: Publisher(),
            payload: payload), key: isEach ? mergeKey(latest[index]) : nil)
      }
    }
    scheduleMerge()
  }

  /// Encodes a publication once for each encoding that somebody here gets.
  private func gather(_ arrival: Arrival, key: MergeKey? = nil) {
    gateway.metrics.publications.add()
    let key = merges ? key ?? mergeKey(arrival) : nil
    if policy.history != .none, arrival.position == nil { leaveOutOfParked() }
    if policy.history != .none, (arrival.position == nil) == gathersPlaced {
      // So that a chunk stands in the history as a whole, or not at all.
      if isDirty { flush() }
      gathersPlaced.toggle()
    }
    if arrival.isForOthers { return deliverToOthers(arrival, key) }
    for index in groups.indices where !groups[index].isEmpty {
      groups[index].append(
        arrival.payload, position: arrival.position, timeMs: arrival.timeMs,
        publisher: arrival.publisher, prefix: envelopePrefix, key: key, merges: merges,
        spare: gateway.loop.takeSpareBuffer)
    }
    guard !isDirty else { return }
    isDirty = true
    gateway.loop.markDirty(self)
  }

  /// Who is parked reads the history later, and this is not in it.
  private func leaveOutOfParked() {
    for member in parked.values {
      member.dropped &+= 1
      gateway.metrics.dropped.add()
      gateway.metrics.slow.publications[.skip].add()
    }
  }

  /// Everyone but the publisher's own client: what was gathered before goes first.
  private func deliverToOthers(_ arrival: Arrival, _ key: MergeKey?) {
    if isDirty { flush() }
    for group in groups where !group.isEmpty {
      var single = SubscriberGroup(like: group)
      single.append(
        arrival.payload, position: arrival.position, timeMs: arrival.timeMs,
        publisher: arrival.publisher, prefix: envelopePrefix, key: key, merges: merges,
        spare: { [] })
      let publication = single.take()
      for member in group.members {
        if member.session.clientNumber != arrival.publisher.client {
          member.deliver(publication)
        } else if let at = arrival.position {
          spare(member, at.offset)
        }
      }
    }
    guard let at = arrival.position else { return }
    for list in [joining, parked] {
      for member in list.values where member.session.clientNumber == arrival.publisher.client {
        own.note(at.offset, by: ObjectIdentifier(member))
      }
    }
  }

  /// What is not for a live subscriber: it may have to be left to the history with what waits for it.
  private func spare(_ member: Subscription, _ offset: Offset) {
    if member.session.hasOutbox {
      own.note(offset, by: ObjectIdentifier(member))
    } else {
      own.forget(ObjectIdentifier(member))
    }
  }

  /// One write for each subscriber with all that this turn had for it.
  func flush() {
    isDirty = false
    for index in groups.indices where groups[index].hasGathered {
      var gathered = groups[index].take()
      // The list is copied by reference: a client that is cut off meanwhile leaves the list.
      let members = groups[index].members
      for member in members { member.deliver(gathered) }
      gateway.metrics.deliveries.add(UInt64(members.count * gathered.count))
      gateway.loop.giveBack(spare: gathered.releaseBytes())
    }
  }
}

extension LocalChannel {
  /// What a payload's member says, as it is written; nil where there is none.
  fileprivate static func member(_ name: String, of payload: Payload) -> MergeKey? {
    guard payload.kind == .json || payload.kind == .uncheckedText else { return nil }
    do throws(JSONError) {
      var scanner = try JSONScanner(object: payload.bytes.span)
      while let member = try scanner.next(payload.bytes.span) {
        guard member.isKey(name, in: payload.bytes.span) else { continue }
        return MergeKey(copying: payload.bytes.span.extracting(member.value))
      }
    } catch {}
    return nil
  }
}

/// Publications in the order they came, bounded; past the bound the oldest go, to be read again
/// from the history by whoever needs them.
struct HeldArrivals {
  private(set) var list: [Arrival] = []
  private var bytes = 0
  private let bytesMax: Int
  private let reached: Counter
  private let memory: LoopMemory

  static let countMax = 4_096
  /// What an arrival takes beside its payload.
  private static let overheadBytes = 128

  init(bytesMax: Int, _ reached: Counter, _ memory: LoopMemory) {
    self.bytesMax = bytesMax
    self.reached = reached
    self.memory = memory
  }

  var isEmpty: Bool { list.isEmpty }
  var heldBytes: Int { bytes + list.count * Self.overheadBytes }

  mutating func append(_ arrival: Arrival) {
    list.append(arrival)
    bytes += arrival.payload.bytes.count
    memory.channelsHold(arrival.payload.bytes.count + Self.overheadBytes)
    if list.count > Self.countMax || bytes > bytesMax { shrink() }
  }

  /// Drops the older half, so that the cost stays constant per arrival.
  private mutating func shrink() {
    let before = heldBytes
    let half = max(1, list.count / 2)
    reached.add(UInt64(half))
    for arrival in list[..<half] { bytes -= arrival.payload.bytes.count }
    list.removeFirst(half)
    memory.channelsHold(heldBytes - before)
  }

  mutating func takeAll() -> [Arrival] {
    let taken = list
    removeAll()
    return taken
  }

  mutating func removeAll() {
    guard !list.isEmpty else { return }
    memory.channelsHold(-heldBytes)
    list = []
    bytes = 0
  }
}
