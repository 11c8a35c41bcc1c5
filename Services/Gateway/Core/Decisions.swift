internal import Bytes
internal import ChannelKit
internal import Loop
internal import Platform
internal import Wire

/// Decides the events of one channel in the order they came to this loop, where decisions depend
/// on each other; `DecisionOrder` says when. Loop-confined.
///
/// Only channels whose plugin folds a history, or has once expected a channel unchanged, have one.
final class Decisions {
  typealias Completion = Publishing.Completion

  private struct Event {
    let request: PublishRequest
    let target: (any EffectTarget)?
    let answer: Completion
    var attempt = 1
    /// Where the history stood after it came: what it is refused for has to be seen from there.
    var mustSee: Position?
  }

  private let publishing: Publishing
  private let gateway: GatewayLoop
  private var order: DecisionOrder<Event>
  private var isAdvancing = false
  private var isScheduled = false
  private var hasTimer = false
  /// The wait that the last look saw.
  private var waitSeen: UInt64?
  /// What the loop has been told that waits here.
  private var countedBytes = 0

  /// How often what should have moved is looked at. A publication comes from the hub within
  /// milliseconds; one that is lost on the way is read from the history after two looks.
  private static let lookEvery = Duration.milliseconds(100)
  /// What an event takes beside its payload.
  private static let overheadBytes = 256

  init(_ publishing: Publishing, _ gateway: GatewayLoop, needsLive: Bool) {
    self.publishing = publishing
    self.gateway = gateway
    order = DecisionOrder(needsLive: needsLive)
  }

  var isIdle: Bool { order.isIdle }

  /// Decides an event when its turn comes, and tells `answer` what became of it, exactly once.
  func submit(
    _ request: PublishRequest, _ target: (any EffectTarget)?, _ answer: @escaping Completion
  ) {
    let isKept = order.append(
      Event(request: request, target: target, answer: answer),
      bytes: request.event.payload.bytes.count + Self.overheadBytes,
      deadline: gateway.loop.now + gateway.settings.publishMax)
    guard isKept else { return answer(.failure(.overloaded)) }
    advance(request.channel)
  }

  /// The channel has moved or come up to date: goes on at the end of the turn, when all that came
  /// with it has been applied.
  func channelChanged(_ channel: LocalChannel) {
    guard !order.isIdle, !isScheduled else { return }
    isScheduled = true
    gateway.loop.atTurnEnd { [self] in
      isScheduled = false
      advance(channel)
    }
  }

  private func advance(_ channel: LocalChannel) {
    // A decision may be answered while it is made; the loop below goes on with the next.
    guard !isAdvancing else { return }
    isAdvancing = true
    defer {
      isAdvancing = false
      countBytes()
    }
    expire(channel)
    while let event = order.take(
      at: channel.position, isLive: channel.phase == .live, now: gateway.loop.now)
    {
      decide(event, channel)
    }
    guard !order.isIdle else { return }
    if channel.phase != .live { gateway.attach(channel) }
    lookLater(channel)
  }

  // MARK: memory

  private func countBytes() {
    let waiting = order.bytes
    guard waiting != countedBytes else { return }
    gateway.memory.channelsHold(waiting - countedBytes)
    countedBytes = waiting
  }

  func forEachWaiting(_ body: (UInt64, PublishRequest, Int) -> Void) {
    order.forEachWaiting { body($0, $1.request, $2) }
  }

  /// Refuses an event that waits, if it still does: clients hold too much.
  func letGo(_ number: UInt64) {
    guard let event = order.remove(number) else { return }
    countBytes()
    event.answer(.failure(.overloaded))
  }

  // MARK: deciding

  private func expire(_ channel: LocalChannel) {
    for event in order.takeExpired(now: gateway.loop.now) {
      let reason: Refusal =
        event.attempt > 1 || event.mustSee != nil
        ? Refusal(.contended) : channel.phase == .live ? .overloaded : .unavailable
      event.answer(.failure(reason))
    }
  }

  private func decide(_ event: Event, _ channel: LocalChannel) {
    let list: [Effect]
    do throws(ChannelError) {
      list = try channel.plugin?.decide(event.request.event, from: event.request.client) ?? []
    } catch {
      return refuse(event, error, channel)
    }
    let at = channel.position
    guard list.contains(where: \.expectsUnchanged) else {
      order.settle()
      return publishing.carryOut(list, event.request, event.target, at, event.answer)
    }
    guard channel.phase == .live else {
      order.needsLive = true
      order.putBack(event)
      return order.settle()
    }
    publishing.carryOut(list, event.request, event.target, at) { [self] result in
      settle(event, at, result)
      advance(channel)
    }
  }

  /// Refuses an event, where that can't be for want of what this loop has not heard yet: a publisher
  /// goes on from an answer that another loop gave it. Else it is decided again when that is here.
  private func refuse(_ event: Event, _ error: ChannelError, _ channel: LocalChannel) {
    guard channel.plugin?.traits.state == .folded, error.mayDependOnState else {
      return refuse(event, error)
    }
    let at = channel.position
    if event.mustSee != nil { return refuse(event, error, seen: at) }
    gateway.readHistory(channel, after: .zero, count: 0, bytes: 0) { [self] result in
      var event = event
      if case .success(let page) = result, let epoch = page.epoch {
        event.mustSee = Position(epoch: epoch, offset: page.head)
      }
      refuse(event, error, seen: at)
      advance(channel)
    }
  }

  private func refuse(_ event: Event, _ error: ChannelError, seen at: Position?) {
    if let mustSee = event.mustSee, at == nil || at?.epoch == mustSee.epoch,
      at?.offset ?? .zero < mustSee.offset
    {
      order.putBack(event)
      order.wait(since: at, until: gateway.loop.now + gateway.settings.publishMax)
      return event.request.channel.catchUp()
    }
    refuse(event, error)
  }

  private func refuse(_ event: Event, _ error: ChannelError) {
    order.settle()
    publishing.refuse(Refusal(error), unlessRepeated: event.request, event.answer)
  }

  private func settle(_ event: Event, _ at: Position?, _ result: Result<PublishResult, Refusal>) {
    let until = gateway.loop.now + gateway.settings.publishMax
    switch result {
    case .failure(.conflict):
      // Another publication came first: once it is applied here, decide anew.
      guard event.attempt < Effects.decisionsMax else {
        order.wait(since: at, until: until)
        return event.answer(.failure(Refusal(.contended)))
      }
      var again = event
      again.attempt += 1
      order.putBack(again)
      order.wait(since: at, until: until)
    case .success(let done) where !done.isDuplicate:
      order.wait(since: at, until: until)
      event.answer(result)
    case .success, .failure:
      order.settle()
      event.answer(result)
    }
  }

  // MARK: looking after it

  private func lookLater(_ channel: LocalChannel) {
    guard !hasTimer else { return }
    hasTimer = true
    gateway.loop.after(Self.lookEvery) { [self] in
      hasTimer = false
      if order.isWaiting, waitSeen == order.waits { channel.catchUp() }
      waitSeen = order.waits
      advance(channel)
    }
  }
}
