internal import Bytes
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// The hub on its loop: carries frames between links and the routing table.
///
/// Owns the order of publications in every channel that is not durable. Knows no client protocol,
/// no plugin and no user. Bounded: histories in bytes, links by their credit; what a link can't
/// take is dropped for that link alone, counted, and told as a gap.
final class HubService {
  private let loop: EventLoop
  private let origin: UInt64
  private let history: any ChannelHistory
  private var table: RoutingTable
  private var keys: IdempotencyKeys
  private(set) var links: [LinkNumber: Link] = [:]
  private var nextLink: LinkNumber = 1
  private var gaps: [LinkNumber: [ChannelHandle: UInt64]] = [:]
  private var changedCounts: Set<ChannelHandle> = []
  var relays = RelayTable()
  private var scratch = ByteWriter()
  private var isStopping = false
  let metrics: HubMetrics

  init(
    loop: EventLoop, origin: UInt64, history: any ChannelHistory, metrics: HubMetrics,
    table: RoutingTable = RoutingTable(), keys: IdempotencyKeys = IdempotencyKeys()
  ) {
    self.loop = loop
    self.origin = origin
    self.history = history
    self.metrics = metrics
    self.table = table
    self.keys = keys
    expire()
  }

  /// Goes on with other bounds; names that are open stay so.
  func adopt(_ limits: HubLimits) {
    table.namesMax = limits.linkChannels
    keys.adopt(windowMs: limits.keyWindowMs, countMax: limits.keys)
  }

  /// How long a channel that was never published to is remembered for a link that was lost.
  private static let returnMax = Duration.seconds(60)

  /// Roles that may link to a hub.
  static func accepts(_ role: Role) -> Bool {
    role == .gateway || role == .eventstore || role == .worker || role == .operations
  }

  private func expire() {
    let nowMs = Int64(SystemClock.monotonic().nanoseconds / 1_000_000)
    history.expire(nowMs: nowMs)
    keys.expire(nowMs: nowMs)
    loop.after(.seconds(1)) { [self] in expire() }
  }

  // MARK: publishing

  private func publish(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError)
  {
    let request = try Publish(body: body)
    guard let index = channelIndex(request) else {
      return link.fail(header, .staleHandle)
    }
    if request.flags.contains(.sequenced) {
      guard link.peer?.role == .eventstore, let position = request.position else {
        return link.fail(header, .roleForbidden)
      }
      if table.announce(position, at: index) { deliver(request, position, index) }
      link.reply(Published(position: position), to: header.correlation)
      return
    }
    guard let channel = table[index] else { return }
    // What skips the history has no order either, so it needs no sequencer.
    if request.flags.contains(.skipHistory) {
      publishUnkept(link, header, request, index, channel.name)
    } else if channel.isDurable {
      link.fail(header, .badRequest, "the event store is this channel's sequencer")
    } else if channel.policy.keepsNothing {
      publishUnkept(link, header, request, index, channel.name)
    } else {
      publishKept(link, header, request, channel, index)
    }
  }

  private func channelIndex(_ request: Publish) -> Int? {
    if request.handle.number != 0 { return table.index(request.handle) }
    guard let name = ChannelName(request.name), let handle = table.handle(name) else { return nil }
    return table.index(handle)
  }

  private func publishUnkept(
    _ link: Link, _ header: FrameHeader, _ request: Publish, _ index: Int, _ name: ChannelName
  ) {
    guard request.expected == nil else { return link.fail(header, .noHistory) }
    if !request.key.isEmpty {
      let nowMs = Int64(loop.now.nanoseconds / 1_000_000)
      switch keys.find(request.key, in: name, payload: request.payload, nowMs: nowMs) {
      case .conflict: return link.fail(header, .idempotencyConflict)
      case .same:
        return link.reply(Published(position: nil, isDuplicate: true), to: header.correlation)
      case .new:
        keys.remember(request.key, in: name, payload: request.payload, at: nil, nowMs: nowMs)
      }
    }
    deliver(request, nil, index)
    reply(link, header, nil, isDuplicate: false, index)
  }

  private func publishKept(
    _ link: Link, _ header: FrameHeader, _ request: Publish, _ channel: RoutingTable.Channel,
    _ index: Int
  ) {
    let event = HistoryEvent(
      timeMs: request.timeMs, publisher: request.publisher, eventType: request.eventType,
      key: request.key, expected: request.expected, payload: request.payload, meta: request.meta)
    switch history.append(event, to: channel.name, number: index, policy: channel.policy) {
    case .now(let result): finish(link, header, request, result, channel, index)
    case .later(let tell):
      tell { [self] result in finish(link, header, request, result, channel, index) }
    }
  }

  private func finish(
    _ link: Link, _ header: FrameHeader, _ request: Publish,
    _ result: Result<HistoryAppend, Failure>, _ channel: RoutingTable.Channel, _ index: Int
  ) {
    switch result {
    case .failure(let failure): link.reply(failure, to: header.correlation)
    case .success(let appended):
      // Everyone may have closed the channel meanwhile; its history stands all the same.
      let now = table[index] === channel ? index : table.handle(channel.name).flatMap(table.index)
      if let now, !appended.isDuplicate { deliver(request, appended.position, now) }
      reply(link, header, appended.position, isDuplicate: appended.isDuplicate, now)
    }
  }

  private func reply(
    _ link: Link, _ header: FrameHeader, _ position: Position?, isDuplicate: Bool, _ index: Int?
  ) {
    guard header.correlation != 0 else { return }
    let subscribers = index.flatMap { table[$0]?.subscriberTotal } ?? 0
    link.reply(
      Published(position: position, isDuplicate: isDuplicate, subscribers: subscribers),
      to: header.correlation)
  }

  /// Encodes the publication once and gives it to every link that subscribes.
  private func deliver(_ request: Publish, _ position: Position?, _ index: Int) {
    guard let channel = table[index] else { return }
    metrics.publications.add()
    guard !channel.subscribers.isEmpty else { return }
    let handle = ChannelHandle(number: UInt32(index), generation: channel.generation)
    var publication = Publication(
      handle: handle, position: position, timeMs: request.timeMs, origin: origin,
      publisher: request.publisher, eventType: request.eventType, payload: request.payload,
      meta: request.meta)
    publication.flags = request.flags.intersection(.carried)
    var framed: Checksums?
    for number in channel.subscribers {
      guard let link = links[number] else { continue }
      if framed != link.checksums {
        framed = link.checksums
        scratch.bytes.removeAll(keepingCapacity: true)
        scratch.frame(publication, checksums: link.checksums)
      }
      if link.sendPublication(framed: scratch.bytes) == .refused {
        gaps[number, default: [:]][handle, default: 0] += 1
        metrics.dropped.add()
      } else {
        metrics.deliveries.add()
      }
    }
    if scratch.bytes.capacity > Self.scratchMax { scratch = ByteWriter() }
  }

  /// BUDGET: memory kept for encoding from one publication to the next.
  private static let scratchMax = 1024 * 1024

  // MARK: channels

  private func open(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError)
  {
    let request = try OpenChannel(body: body)
    guard let handle = table.open(request, by: link.tag) else {
      return link.fail(header, .limitReached)
    }
    var head: StreamHead?
    if !request.isDurable, request.historyCount > 0, request.historyMs > 0 {
      let policy = HistoryPolicy(
        count: Int(request.historyCount), ageMs: Int64(request.historyMs))
      head = history.open(request.name, policy: policy)
    }
    noteCount(handle)
    metrics.channels.set(table.channelCount)
    let total = table.index(handle).flatMap { table[$0]?.subscriberTotal } ?? 0
    link.reply(
      ChannelOpened(
        handle: handle, epoch: head?.epoch, head: head?.head ?? .zero, subscribers: total),
      to: header.correlation)
  }

  private func noteCount(_ handle: ChannelHandle) {
    if changedCounts.isEmpty { loop.atTurnEnd { [self] in sendCounts() } }
    changedCounts.insert(handle)
  }

  private func sendCounts() {
    for handle in changedCounts {
      guard let index = table.index(handle), let channel = table[index] else { continue }
      let count = SubscriberCount(handle: handle, subscribers: channel.subscriberTotal)
      for number in channel.counters { links[number]?.send(count) }
    }
    changedCounts.removeAll()
  }

  private func count(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError)
  {
    let request = try CountChannels(body: body)
    let found: RoutingTable.Counts
    if request.isExact {
      found = ChannelName(request.prefix).map { table.count(of: $0) } ?? RoutingTable.Counts()
    } else {
      found = table.counts(
        prefix: request.prefix, after: request.after, limit: min(Int(request.limit), 10_000))
    }
    link.reply(
      ChannelCounts(
        total: UInt32(clamping: found.total), hasMore: found.hasMore,
        channels: found.page.map {
          ChannelCounts.Entry(name: $0.name, subscribers: $0.subscribers)
        }),
      to: header.correlation)
  }

  /// What was published and is on its way is delivered all the same.
  private func removeHistory(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError)
  {
    let request = try RemoveHistory(body: body)
    guard link.peer?.role == .gateway || link.peer?.role == .operations else {
      return link.fail(header, .roleForbidden)
    }
    history.remove(request.name) { [link] result in
      switch result {
      case .success(let head): link.reply(HistoryRemoved(head), to: header.correlation)
      case .failure(let failure): link.reply(failure, to: header.correlation)
      }
    }
  }

  /// Nothing was dropped, and yet there is something to look at.
  private func changed(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError)
  {
    let name = try StreamChanged(body: body).name
    guard link.peer?.role == .eventstore else { return link.fail(header, .roleForbidden) }
    guard let handle = table.handle(name), let index = table.index(handle), let channel = table[index]
    else { return }
    for number in channel.subscribers {
      if links[number]?.send(Gap(handle: handle, dropped: 0)) == .refused {
        gaps[number, default: [:]][handle, default: 0] += 0
      }
    }
  }

  private func heads(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError)
  {
    let request = try ReadHeads(body: body)
    // More would not fit the answer's frame.
    guard request.names.count <= 10_000 else { return link.fail(header, .limitReached) }
    let heads = request.names.map { name in
      history.head(of: name)
        ?? StreamHead(name: name, epoch: nil, floor: .zero, head: .zero)
    }
    link.reply(HeadsPage(heads: heads), to: header.correlation)
  }
}

extension HubService: LinkOwner {
  func linkOpened(_ link: Link) {
    link.tag = nextLink
    links[nextLink] = link
    nextLink += 1
    metrics.links.set(links.count)
  }

  func linkReceived(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  {
    switch header.kind {
    case .publish: try publish(link, header, body)
    case .openChannel: try open(link, header, body)
    case .closeChannel:
      let handle = try CloseChannel(body: body).handle
      if let freed = table.close(handle, by: link.tag) {
        history.forgetUnused(freed)
      } else {
        noteCount(handle)
      }
      metrics.channels.set(table.channelCount)
      link.reply(ChannelClosed(handle: handle), to: header.correlation)
    case .subscriberCount:
      let count = try SubscriberCount(body: body)
      table.setClients(count.subscribers, of: count.handle, at: link.tag)
      noteCount(count.handle)
    case .readHistory:
      let request = try ReadHistory(body: body)
      history.read(request) { [link] result in
        switch result {
        case .success(let page): link.reply(HistoryPage(page), to: header.correlation)
        case .failure(let failure): link.reply(failure, to: header.correlation)
        }
      }
    case .removeHistory: try removeHistory(link, header, body)
    case .streamChanged: try changed(link, header, body)
    case .countChannels: try count(link, header, body)
    case .readHeads: try heads(link, header, body)
    case .takeRelays: try takeRelays(link, header, body)
    case .relay: try relay(link, header, body)
    case .endRelay: try endRelay(link, body)
    case .readMetrics:
      _ = try ReadMetrics(body: body)
      let queued = links.values.reduce(0) { $0 + $1.queuedBytes }
      link.reply(MetricsText(text: metrics.text(queuedBytes: queued)), to: header.correlation)
    default: link.fail(header, .unexpectedKind)
    }
    return .now
  }

  func linkMissedPublications(_ link: Link) {}

  /// Tells the link what it missed, channel by channel.
  func linkRelieved(_ link: Link) {
    guard let missed = gaps.removeValue(forKey: link.tag) else { return }
    for (handle, dropped) in missed {
      if link.send(Gap(handle: handle, dropped: dropped)) == .refused {
        gaps[link.tag, default: [:]][handle, default: 0] += dropped
      }
    }
  }

  func linkEnded(_ link: Link, _ end: LinkEnd) {
    links[link.tag] = nil
    gaps[link.tag] = nil
    endRelays(of: link)
    let (left, freed) = table.remove(link.tag)
    for handle in left { noteCount(handle) }
    if !freed.isEmpty { forgetLater(freed) }
    metrics.links.set(links.count)
    metrics.channels.set(table.channelCount)
  }

  /// A lost link mostly comes back at once: those who wait in a channel keep its epoch meanwhile.
  private func forgetLater(_ names: [ChannelName]) {
    loop.after(Self.returnMax) { [self] in
      for name in names where table.handle(name) == nil { history.forgetUnused(name) }
    }
  }
}
