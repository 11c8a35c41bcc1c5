internal import Bytes
internal import Crypto
internal import Loop
internal import Wire

/// Histories in this process's memory: gone with it, and the epochs say so.
///
/// Bounded by each channel's policy, and in bytes over all channels: past `bytesMax` the channels
/// that were published to longest ago lose their oldest events first. No call walks all channels:
/// what is past its age is dropped a slice at a time, and whoever asks for it finds it gone.
final class MemoryHistory: ChannelHistory {
  private typealias Channel = KeptChannel

  private var channels: [ChannelName: Channel] = [:]
  /// The channel that each of the caller's numbers stood for last; it may be forgotten since.
  private var numbered: [Channel?] = []
  /// INVARIANT: each channel is in one of the two lists: in `holding` if it has events, by its last
  /// publication; else in `idle`, by when it lost its last event, or by its last use.
  private var holding = RecencyQueue<Channel>()
  private var idle = RecencyQueue<Channel>()
  /// INVARIANT: the channels of `holding`, each at its `slot`, for the walk of `expire`.
  private var slots: [Channel] = []
  private var walked = 0
  private var keys: IdempotencyKeys
  private var bytes = 0
  private var nowMs: Int64 = 0
  private var bytesMax: Int
  private var channelsMax: Int
  private var epochs: EpochSeries

  /// Histories without events are forgotten after this long; a returning client then finds a new
  /// epoch and is told so.
  static let metadataMs: Int64 = 30 * 24 * 3600 * 1000
  /// BUDGET: channels known at once; past it the one quiet longest is forgotten.
  static let channelsMax = 1_000_000
  /// BUDGET: channels looked at, and channels forgotten, in one call of `expire`: about 1 ms.
  static let sliceMax = 10_000
  /// BUDGET: what a page holds at most, whatever its reader asks for: with the fields around
  /// `Limits.eventsMax` events it still fits a frame.
  static let pageBytesMax = 16 * 1024 * 1024

  init(
    bytesMax: Int, channelsMax: Int = MemoryHistory.channelsMax,
    keys: IdempotencyKeys = IdempotencyKeys(), epochs: EpochSeries = EpochSeries()
  ) {
    self.bytesMax = bytesMax
    self.channelsMax = channelsMax
    self.keys = keys
    self.epochs = epochs
  }

  /// Goes on with other bounds; what is over them goes as publications and channels come.
  func adopt(_ limits: HubLimits) {
    bytesMax = limits.historyBytes
    channelsMax = limits.channels
    keys.adopt(windowMs: limits.keyWindowMs, countMax: limits.keys)
  }

  var channelCount: Int { channels.count }
  /// Channels that have events.
  var holdingCount: Int { slots.count }

  func append(
    _ event: HistoryEvent, to name: ChannelName, number: Int, policy: HistoryPolicy
  ) -> HistoryAnswer {
    .now(append(event, to: ensure(name, number, policy), policy: policy))
  }

  private func append(_ event: HistoryEvent, to channel: Channel, policy: HistoryPolicy)
    -> Result<HistoryAppend, Failure>
  {
    if !event.key.isEmpty {
      switch keys.find(event.key, in: channel.name, payload: event.payload, nowMs: nowMs) {
      case .new: break
      case .conflict: return .failure(Failure(.idempotencyConflict))
      case .same(let position):
        if let position { return .success(HistoryAppend(position: position, isDuplicate: true)) }
      }
    }
    if let expected = event.expected, expected != channel.head {
      return .failure(Failure(.offsetConflict))
    }
    let appended = change(channel) { channel in
      channel.set(policy, nowMs)
      return channel.add(event, nowMs)
    }
    if !event.key.isEmpty {
      keys.remember(event.key, in: channel.name, payload: event.payload, at: appended, nowMs: nowMs)
    }
    if bytes > bytesMax { shrink() }
    return .success(HistoryAppend(position: appended, isDuplicate: false))
  }

  /// The one place that changes a channel's events, so that the sums and the lists hold.
  private func change<T>(_ channel: Channel, _ body: (Channel) -> T) -> T {
    let before = channel.bytes
    let head = channel.head
    let result = body(channel)
    bytes += channel.bytes - before
    let isUsed = channel.head != head
    switch (channel.isHolding, channel.bytes > 0) {
    case (false, true):
      idle.remove(channel)
      hold(channel)
    case (true, false):
      letGo(channel)
      rest(channel)
    // Once for each tick of the clock: an order finer than that is worth nothing.
    case (true, true) where isUsed && channel.listedMs != nowMs: renew(channel, in: &holding)
    case (false, false) where isUsed && channel.listedMs != nowMs: rest(channel)
    default: break
    }
    return result
  }

  private func hold(_ channel: Channel) {
    channel.slot = slots.count
    slots.append(channel)
    renew(channel, in: &holding)
  }

  private func rest(_ channel: Channel) { renew(channel, in: &idle) }

  private func renew(_ channel: Channel, in queue: inout RecencyQueue<Channel>) {
    channel.listedMs = nowMs
    queue.renew(channel)
  }

  private func letGo(_ channel: Channel) {
    holding.remove(channel)
    guard let slot = channel.slot, let last = slots.popLast() else { return }
    channel.slot = nil
    guard last !== channel else { return }
    slots[slot] = last
    last.slot = slot
  }

  private func forget(_ channel: Channel) {
    bytes -= channel.bytes
    if channel.isHolding { letGo(channel) } else { idle.remove(channel) }
    channels[channel.name] = nil
    channel.discard()
  }

  func read(
    _ request: ReadHistory, _ completion: @escaping (Result<EventPage, Failure>) -> Void
  ) {
    completion(.success(page(request)))
  }

  func page(_ request: ReadHistory) -> EventPage {
    guard let channel = current(request.name) else {
      return EventPage(epoch: nil, floor: .zero, head: .zero, hasMore: false, events: [])
    }
    var page = EventPage(
      epoch: channel.epoch, floor: channel.floor, head: channel.head, hasMore: false, events: [])
    guard request.count > 0 else { return page }
    var bytesLeft = min(Int(request.bytes), Self.pageBytesMax)
    let limit = min(Int(request.count), Limits.eventsMax)
    func take(_ kept: KeptChannel.Event) -> Bool {
      let cost = Self.pageCost(kept.event)
      guard page.events.count < limit, page.events.isEmpty || cost <= bytesLeft else {
        page.hasMore = true
        return false
      }
      bytesLeft -= cost
      page.events.append(kept.event)
      return true
    }
    if request.isReverse {
      // Below `after`, and all there is where it is zero.
      let end =
        request.after == .zero
        ? channel.count : channel.index(after: Offset(request.after.value - 1))
      for index in (0..<end).reversed() {
        guard let kept = channel[index], take(kept) else { break }
      }
    } else {
      for index in channel.index(after: request.after)..<channel.count {
        guard let kept = channel[index], take(kept) else { break }
      }
    }
    return page
  }

  /// What an event takes of a page: the texts that a peer chose the length of count as well.
  private static func pageCost(_ event: StoredEvent) -> Int {
    event.payload.bytes.count + event.publisher.user.utf8.count + event.eventType.utf8.count
      + event.meta.count
  }

  func head(of name: ChannelName) -> StreamHead? {
    current(name).map {
      StreamHead(name: name, epoch: $0.epoch, floor: $0.floor, head: $0.head)
    }
  }

  /// A channel without what is past its age.
  private func current(_ name: ChannelName) -> Channel? {
    guard let channel = channels[name] else { return nil }
    change(channel) { $0.trim(nowMs) }
    return channel
  }

  func open(_ name: ChannelName, policy: HistoryPolicy) -> StreamHead {
    let channel = ensure(name, policy)
    if !channel.isHolding { rest(channel) }
    return head(of: name) ?? StreamHead(name: name, epoch: nil, floor: .zero, head: .zero)
  }

  /// The channel of that name, found by the number if it was the last to have it.
  private func ensure(_ name: ChannelName, _ number: Int, _ policy: HistoryPolicy) -> Channel {
    if number < numbered.count, let known = numbered[number], !known.isForgotten,
      known.name == name
    {
      return known
    }
    let found = ensure(name, policy)
    while numbered.count <= number { numbered.append(nil) }
    numbered[number] = found
    return found
  }

  private func ensure(_ name: ChannelName, _ policy: HistoryPolicy) -> Channel {
    if let known = channels[name] { return known }
    if channels.count >= channelsMax, let oldest = idle.oldest ?? holding.oldest { forget(oldest) }
    let made = Channel(name, epoch: epochs.next(), policy: policy)
    channels[name] = made
    rest(made)
    return made
  }

  func remove(
    _ name: ChannelName, _ completion: @escaping (Result<StreamHead, Failure>) -> Void
  ) {
    if let channel = channels[name] { change(channel) { $0.clear() } }
    completion(
      .success(head(of: name) ?? StreamHead(name: name, epoch: nil, floor: .zero, head: .zero)))
  }

  func forgetUnused(_ name: ChannelName) {
    if let channel = channels[name], channel.head == .zero { forget(channel) }
  }

  func expire(nowMs: Int64) {
    self.nowMs = max(self.nowMs, nowMs)
    keys.expire(nowMs: nowMs)
    for _ in 0..<min(slots.count, Self.sliceMax) {
      if walked >= slots.count { walked = 0 }
      guard walked < slots.count else { break }
      let channel = slots[walked]
      change(channel) { $0.trim(self.nowMs) }
      // One that lost its last event gave its slot to another, which is looked at next.
      if channel.isHolding { walked += 1 }
    }
    for _ in 0..<Self.sliceMax {
      guard let oldest = idle.oldest, self.nowMs - oldest.listedMs > Self.metadataMs else { break }
      forget(oldest)
    }
  }

  /// Takes a tenth of the bytes from the channels that have been quiet longest.
  private func shrink() {
    let target = bytesMax / 10 * 9
    while bytes > target, let oldest = holding.oldest {
      change(oldest) { channel in
        var excess = bytes - target
        while excess > 0, channel.bytes > 0 { excess -= channel.dropFirst() }
      }
    }
  }
}
