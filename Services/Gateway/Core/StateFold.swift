internal import Bytes
internal import ChannelKit
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// A folded channel's state as it was at an offset, made apart from the channel itself: from the nearest
/// snapshot, or from the first event on.
///
/// Pages are applied one a turn, so that the loop's clients come in between. Loop-confined; lives
/// until it has answered, exactly once.
final class StateFold {
  struct Result {
    var epoch: Epoch
    var offset: Offset
    var state: [Payload]
    /// Where it began: 0 for the first event.
    var from: Offset
    /// Events that were applied, and how long that took.
    var events: Int
    var took: Duration
    /// Of a fold from the first event: the kept snapshot that it passed, and whether that is the same.
    var compared: (offset: Offset, isSame: Bool)?
  }

  enum Beginning { case nearestSnapshot, firstEvent }

  /// BUDGET: folds on one loop at a time; beyond, one is refused as overloaded.
  static let countMax = 2
  /// BUDGET: some millions of events; what takes longer is refused.
  static let timeMax = Duration.seconds(60)

  private let gateway: GatewayLoop
  private let name: ChannelName
  private let policy: ChannelPolicy
  private let fold: FoldName
  private let beginning: Beginning
  private let finish: (Swift.Result<Result, Refusal>) -> Void
  private let began: Instant
  private var plugin: AnyChannel
  private var target: Offset?
  private var epoch: Epoch?
  private var position = Offset.zero
  private var from = Offset.zero
  private var events = 0
  private var kept: SnapshotFound?
  private var compared: (offset: Offset, isSame: Bool)?

  /// - Errors: the refusal, before anything was begun: a type that folds nothing, or too many folds.
  init(
    _ gateway: GatewayLoop, _ name: ChannelName, _ policy: ChannelPolicy, at target: Offset?,
    _ beginning: Beginning, _ finish: @escaping (Swift.Result<Result, Refusal>) -> Void
  ) throws(Refusal) {
    guard policy.isDurable, let plugin = Self.made(gateway, name, policy),
      plugin.traits.state == .folded
    else { throw .noState }
    guard gateway.foldCount < Self.countMax else { throw .overloaded }
    self.gateway = gateway
    self.name = name
    self.policy = policy
    self.target = target
    self.beginning = beginning
    self.finish = finish
    self.plugin = plugin
    fold = FoldName(of: policy, plugin.traits)
    began = gateway.loop.now
    gateway.foldCount += 1
  }

  private static func made(
    _ gateway: GatewayLoop, _ name: ChannelName, _ policy: ChannelPolicy
  ) -> AnyChannel? {
    try? gateway.settings.registry.make(
      policy.type, channel: name, options: policy.options, history: policy.history)
  }

  func start() {
    guard let store = gateway.upstreams.eventstore else { return answer(.failure(.storeUnavailable)) }
    guard store.peer?.knowsSnapshots ?? false else { return read() }
    let request = ReadSnapshot(
      remainingMs: gateway.settings.publishMaxMs, stream: name, fold: fold, at: target,
      wantsState: true)
    store.request(request, expecting: SnapshotFound.self, within: gateway.settings.publishMax) {
      [self] result in
      // Whatever became of it, the history may have all.
      if case .success(let found) = result, crc32c(found.state) == found.crc { begin(from: found) }
      read()
    }
  }

  private func begin(from found: SnapshotFound) {
    guard beginning == .nearestSnapshot else {
      kept = found
      return
    }
    do throws(ChannelError) {
      try plugin.restore(found.state)
      (epoch, position, from) = (found.epoch, found.offset, found.offset)
    } catch {
      if let again = Self.made(gateway, name, policy) { plugin = again }
    }
  }

  private func read() {
    guard gateway.loop.now.since(began) < Self.timeMax else { return answer(.failure(.foldTooLong)) }
    gateway.readHistory(
      name, policy, after: position, count: UInt32(clamping: gateway.settings.pageMax),
      bytes: UInt32(LocalChannel.pageBytes)
    ) { [self] result in
      switch result {
      case .failure(let failure): answer(.failure(Refusal(failure)))
      case .success(let page): take(page)
      }
    }
  }

  private func take(_ page: EventPage) {
    guard let now = page.epoch, epoch ?? now == now, page.floor <= position else {
      return answer(.failure(.unrecoverable))
    }
    epoch = now
    let until = target ?? page.head
    guard until <= page.head else { return answer(.failure(.beyondHead(page.head))) }
    target = until
    for event in page.events where event.offset <= until {
      plugin.apply(Publication(Arrival(event, now)))
      position = event.offset
      events += 1
      compare()
    }
    if position < until, page.hasMore { return read() }
    answer(
      .success(
        Result(
          epoch: now, offset: position, state: plugin.snapshot(), from: from, events: events,
          took: gateway.loop.now.since(began), compared: compared)))
  }

  /// At the offset of a snapshot that was kept: the same history has made the same state, or not.
  private func compare() {
    guard let found = kept, found.offset == position else { return }
    compared = (found.offset, plugin.checkpoint() == found.state)
    kept = nil
  }

  private func answer(_ result: Swift.Result<Result, Refusal>) {
    gateway.foldCount -= 1
    gateway.metrics.folds.folded.add(UInt64(clamping: events))
    finish(result)
  }
}

extension ChannelKit.Publication {
  /// A publication as a channel's type is told of it.
  init(_ arrival: Arrival) {
    self.init(
      offset: arrival.position?.offset, timeMs: arrival.timeMs, payload: arrival.payload,
      publisher: arrival.publisher.client == 0 ? nil : ClientID(number: arrival.publisher.client),
      user: arrival.publisher.user.isEmpty ? nil : UserID(arrival.publisher.user))
  }
}
