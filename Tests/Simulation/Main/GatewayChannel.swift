internal import Bytes
internal import Wire

struct Arrival {
  let position: Position
  let text: String
}

/// A durable channel at a gateway, without a plugin: how it gets from where it stands to now.
///
/// A stand-in for `LocalChannel`, whose decisions are bound to a loop; the rules are those of
/// `LocalChannel+Arrivals` and `LocalChannel+Recovery`, step by step and under the same names: only the
/// next offset is applied, anything else is held and what is missing read from the store, another epoch or
/// a head behind what was applied is told to everyone. Slow clients and merging are left out.
final class GatewayChannel {
  enum Phase { case detached, catchingUp, live }

  let name: ChannelName
  unowned let gateway: SimulatedGateway
  var handle = ChannelHandle.none
  var isOpening = false
  private(set) var phase = Phase.detached
  private(set) var position: Position?
  private var isHeadKnown = false
  private var held: [Arrival] = []
  /// Kept while somebody replays, for the seam.
  private(set) var recent: [Arrival] = []
  private var isFetching = false
  private var needsAnotherFetch = false
  private var fetchNumber = 0
  private var isMissing = false
  private var fetchFailures: Int64 = 0
  private(set) var live: [GatewaySubscription] = []
  private var joining: [GatewaySubscription] = []

  init(_ name: ChannelName, _ gateway: SimulatedGateway) {
    self.name = name
    self.gateway = gateway
  }

  private var world: World { gateway.world }

  // MARK: subscribers

  func add(_ subscription: GatewaySubscription) {
    joining.append(subscription)
    if phase == .live { return subscription.advance() }
    guard isMissing else { return }
    isMissing = false
    fetch()
  }

  func remove(_ subscription: GatewaySubscription) {
    subscription.state = .ended
    live.removeAll { $0 === subscription }
    leaveJoining(subscription)
  }

  private func leaveJoining(_ subscription: GatewaySubscription) {
    joining.removeAll { $0 === subscription }
    if joining.isEmpty { recent = [] }
  }

  func goLive(_ subscription: GatewaySubscription) {
    leaveJoining(subscription)
    subscription.state = .live
    live.append(subscription)
  }

  // MARK: arrivals

  func received(_ arrival: Arrival) {
    guard phase == .live, let position else { return hold(arrival) }
    guard arrival.position.epoch == position.epoch else {
      hold(arrival)
      return catchUp()
    }
    if arrival.position.offset == position.offset.next { return apply(arrival) }
    guard arrival.position.offset > position.offset else { return }
    hold(arrival)
    catchUp()
  }

  private func hold(_ arrival: Arrival) {
    held.append(arrival)
    if held.count > gateway.swarm.heldMax { held.removeFirst(max(1, held.count / 2)) }
  }

  private func apply(_ arrival: Arrival) {
    position = arrival.position
    if !joining.isEmpty {
      recent.append(arrival)
      if recent.count > gateway.swarm.heldMax { recent.removeFirst(max(1, recent.count / 2)) }
    }
    for subscription in live { subscription.send(arrival) }
    promoteThoseAhead()
  }

  // MARK: recovery

  func opened(_ handle: ChannelHandle) {
    self.handle = handle
    isOpening = false
    beginCatchUp()
  }

  func detached() {
    handle = .none
    isOpening = false
    held = []
    fetchNumber += 1
    isFetching = false
    isMissing = false
    needsAnotherFetch = false
    phase = .detached
  }

  private func beginCatchUp() {
    phase = .catchingUp
    fetch()
  }

  func catchUp() {
    switch phase {
    case .detached: return
    case .catchingUp: needsAnotherFetch = true
    case .live: beginCatchUp()
    }
  }

  private func fetch() {
    guard !isFetching, phase == .catchingUp else { return }
    isFetching = true
    needsAnotherFetch = false
    fetchNumber += 1
    let number = fetchNumber
    let wantsHeadOnly = !isHeadKnown
    gateway.read(
      name, after: position?.offset ?? .zero, count: wantsHeadOnly ? 0 : gateway.swarm.pageCount
    ) { [self] answer in
      guard number == fetchNumber, phase == .catchingUp else { return }
      isFetching = false
      guard let answer else { return retryFetch() }
      guard case .page(let page) = answer else { return refuseAll() }
      fetchFailures = 0
      if wantsHeadOnly { adoptHead(page) } else { fetched(page) }
    }
  }

  /// A fork that nobody made, or that was deleted: looked for again when somebody comes.
  private func refuseAll() {
    isMissing = true
    for subscription in live + joining { subscription.refuse() }
  }

  private func retryFetch() {
    fetchFailures += 1
    let number = fetchNumber
    world.after(min(2_000, 50 << min(fetchFailures, 6)) * 1_000) { [self] in
      if number == fetchNumber { fetch() }
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
      let isOther = known.epoch != page.epoch
      if isOther || page.head < known.offset {
        lost(isOther ? .epochChanged : .ahead, page, restartAt: page.head)
        return fetch()
      }
    }
    guard let epoch = page.epoch else { return drainHeld() }
    if (position?.offset ?? .zero) < page.floor {
      if position != nil { lost(.trimmed, page, restartAt: page.floor) }
      position = Position(epoch: epoch, offset: page.floor)
      return fetch()
    }
    for event in page.events { apply(Arrival(event, epoch)) }
    if page.hasMore { fetch() } else { drainHeld() }
  }

  private func lost(_ reason: Unrecoverable.Reason, _ page: EventPage, restartAt: Offset) {
    for subscription in live { subscription.tell(reason, page.epoch, page.floor, page.head) }
    position = page.epoch.map { Position(epoch: $0, offset: restartAt) }
    recent = []
    guard reason != .trimmed else { return releaseThoseOvertaken(by: restartAt) }
    releaseThoseAhead(page)
  }

  private func drainHeld() {
    if needsAnotherFetch { return fetch() }
    phase = .live
    let arrivals = held
    held = []
    for arrival in arrivals where arrival.position.epoch == position?.epoch { received(arrival) }
    if phase == .live { becomeLive() }
  }

  private func becomeLive() {
    let arrivals = held
    held = []
    for arrival in arrivals { received(arrival) }
    guard phase == .live else { return }
    for subscription in joining { subscription.advance() }
  }

  // MARK: those ahead

  private func promoteThoseAhead() {
    guard let position else { return }
    for subscription in joining {
      if case .awaiting(let at) = subscription.state, at.epoch == position.epoch,
        at.offset <= position.offset
      {
        goLive(subscription)
      }
    }
  }

  private func releaseThoseOvertaken(by restart: Offset) {
    for subscription in joining {
      guard case .awaiting(let at) = subscription.state, at.offset <= restart else { continue }
      subscription.state = .replaying(
        GatewaySubscription.Replay(epoch: at.epoch, delivered: at.offset))
    }
  }

  private func releaseThoseAhead(_ page: EventPage) {
    for subscription in joining {
      guard case .awaiting(let at) = subscription.state else { continue }
      if at.epoch == page.epoch, at.offset <= page.head {
        subscription.state = .replaying(
          GatewaySubscription.Replay(epoch: at.epoch, delivered: at.offset))
      } else {
        subscription.beginAnew(.epochChanged, page.epoch, page.head, floor: page.floor)
      }
    }
  }
}

extension Arrival {
  init(_ event: StoredEvent, _ epoch: Epoch) {
    self.init(
      position: Position(epoch: epoch, offset: event.offset),
      text: String(decoding: event.payload.bytes, as: UTF8.self))
  }
}
