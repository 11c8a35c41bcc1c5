internal import Bytes
internal import Crypto
internal import Wire

/// Histories in this process's memory: gone with it, and the epochs say so.
///
/// Bounded by each channel's policy, and in bytes over all channels: past `bytesMax` the channels
/// that were published to longest ago lose their oldest events first.
final class MemoryHistory: ChannelHistory {
  private struct Kept {
    var event: StoredEvent
    var addedMs: Int64
  }

  /// A class, so that one look-up finds it and it is changed in place.
  private final class Channel {
    let epoch: Epoch
    var head = Offset.zero
    var policy: HistoryPolicy
    /// Oldest first; the first live one is at `start`.
    var events: [Kept] = []
    var start = 0
    var bytes = 0
    var lastUsedMs: Int64

    init(epoch: Epoch, policy: HistoryPolicy, lastUsedMs: Int64) {
      self.epoch = epoch
      self.policy = policy
      self.lastUsedMs = lastUsedMs
    }

    var live: ArraySlice<Kept> { events[start...] }
    var floor: Offset { Offset(head.value - UInt64(events.count - start)) }
  }

  private var channels: [ChannelName: Channel] = [:]
  private var keys = IdempotencyKeys()
  private var bytes = 0
  private var nowMs: Int64 = 0
  private let bytesMax: Int
  private let makeEpoch: () -> Epoch

  /// Bytes that an event costs beside its payload.
  static let overheadBytes = 160
  /// Histories without events are forgotten after this long; a returning client then finds a new
  /// epoch and is told so.
  static let metadataMs: Int64 = 30 * 24 * 3600 * 1000
  static let channelsMax = 1_000_000
  /// BUDGET: what a page holds at most, whatever its reader asks for: with the fields around
  /// `Limits.eventsMax` events it still fits a frame.
  static let pageBytesMax = 16 * 1024 * 1024

  init(bytesMax: Int, makeEpoch: @escaping () -> Epoch = { Epoch(random: SystemRandom.bits128()) })
  {
    self.bytesMax = bytesMax
    self.makeEpoch = makeEpoch
  }

  func append(
    _ event: HistoryEvent, to name: ChannelName, policy: HistoryPolicy,
    _ completion: @escaping (Result<HistoryAppend, Failure>) -> Void
  ) {
    completion(append(event, to: name, policy: policy))
  }

  func append(_ event: HistoryEvent, to name: ChannelName, policy: HistoryPolicy)
    -> Result<HistoryAppend, Failure>
  {
    if !event.key.isEmpty {
      switch keys.find(event.key, in: name, payload: event.payload, nowMs: nowMs) {
      case .new: break
      case .conflict: return .failure(Failure(.idempotencyConflict))
      case .same(let position):
        if let position { return .success(HistoryAppend(position: position, isDuplicate: true)) }
      }
    }
    let channel = ensure(name, policy)
    if let expected = event.expected, expected != channel.head {
      return .failure(Failure(.offsetConflict))
    }
    let before = channel.bytes
    let appended = update(channel, event, policy)
    bytes += channel.bytes - before
    if !event.key.isEmpty {
      keys.remember(event.key, in: name, payload: event.payload, at: appended, nowMs: nowMs)
    }
    if bytes > bytesMax { shrink() }
    return .success(HistoryAppend(position: appended, isDuplicate: false))
  }

  private func update(_ channel: Channel, _ event: HistoryEvent, _ policy: HistoryPolicy)
    -> Position
  {
    let offset = channel.head.next
    let stored = StoredEvent(
      offset: offset, timeMs: event.timeMs, publisher: event.publisher,
      eventType: event.eventType, payload: event.payload)
    channel.head = offset
    channel.policy = policy
    channel.lastUsedMs = nowMs
    channel.events.append(Kept(event: stored, addedMs: nowMs))
    channel.bytes += event.payload.bytes.count + Self.overheadBytes
    Self.trim(channel, nowMs)
    return Position(epoch: channel.epoch, offset: offset)
  }

  private static func trim(_ channel: Channel, _ nowMs: Int64) {
    while channel.start < channel.events.count,
      channel.events.count - channel.start > channel.policy.count
        || nowMs - channel.events[channel.start].addedMs > channel.policy.ageMs
    {
      dropFirst(channel)
    }
    // Compacts when half is dead, so that the cost stays constant per event.
    if channel.start > 32, channel.start * 2 > channel.events.count {
      channel.events.removeFirst(channel.start)
      channel.start = 0
    }
  }

  private static func dropFirst(_ channel: Channel) {
    channel.bytes -= channel.events[channel.start].event.payload.bytes.count + overheadBytes
    channel.events[channel.start].event.payload.bytes = []
    channel.start += 1
    if channel.start == channel.events.count {
      channel.events = []
      channel.start = 0
    }
  }

  func read(
    _ request: ReadHistory, _ completion: @escaping (Result<EventPage, Failure>) -> Void
  ) {
    completion(.success(page(request)))
  }

  func page(_ request: ReadHistory) -> EventPage {
    guard let channel = channels[request.name] else {
      return EventPage(epoch: nil, floor: .zero, head: .zero, hasMore: false, events: [])
    }
    var page = EventPage(
      epoch: channel.epoch, floor: channel.floor, head: channel.head, hasMore: false, events: [])
    guard request.count > 0 else { return page }
    var bytesLeft = min(Int(request.bytes), Self.pageBytesMax)
    let limit = min(Int(request.count), Limits.eventsMax)
    func take(_ kept: Kept) -> Bool {
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
      for kept in channel.live.reversed()
      where request.after == .zero || kept.event.offset < request.after {
        guard take(kept) else { break }
      }
    } else {
      for kept in channel.live where kept.event.offset > request.after {
        guard take(kept) else { break }
      }
    }
    return page
  }

  /// What an event takes of a page: the texts that a peer chose the length of count as well.
  private static func pageCost(_ event: StoredEvent) -> Int {
    event.payload.bytes.count + event.publisher.user.utf8.count + event.eventType.utf8.count
  }

  func head(of name: ChannelName) -> StreamHead? {
    channels[name].map {
      StreamHead(name: name, epoch: $0.epoch, floor: $0.floor, head: $0.head)
    }
  }

  func open(_ name: ChannelName, policy: HistoryPolicy) -> StreamHead {
    ensure(name, policy)
    return head(of: name) ?? StreamHead(name: name, epoch: nil, floor: .zero, head: .zero)
  }

  @discardableResult
  private func ensure(_ name: ChannelName, _ policy: HistoryPolicy) -> Channel {
    if let known = channels[name] { return known }
    if channels.count >= Self.channelsMax { forgetOldest() }
    let made = Channel(epoch: makeEpoch(), policy: policy, lastUsedMs: nowMs)
    channels[name] = made
    return made
  }

  func expire(nowMs: Int64) {
    self.nowMs = max(self.nowMs, nowMs)
    keys.expire(nowMs: nowMs)
    for (name, channel) in channels {
      let before = channel.bytes
      Self.trim(channel, nowMs)
      bytes += channel.bytes - before
      if channel.events.isEmpty, nowMs - channel.lastUsedMs > Self.metadataMs {
        channels[name] = nil
      }
    }
  }

  /// Takes a tenth of the bytes from the channels that have been quiet longest.
  private func shrink() {
    let target = bytesMax / 10 * 9
    for channel in channels.values.filter({ $0.bytes > 0 }).sorted(by: {
      $0.lastUsedMs < $1.lastUsedMs
    }) {
      while bytes > target, channel.bytes > 0 {
        let before = channel.bytes
        Self.dropFirst(channel)
        bytes += channel.bytes - before
      }
      if bytes <= target { return }
    }
  }

  private func forgetOldest() {
    guard let oldest = channels.min(by: { $0.value.lastUsedMs < $1.value.lastUsedMs }) else {
      return
    }
    bytes -= oldest.value.bytes
    channels[oldest.key] = nil
  }
}
