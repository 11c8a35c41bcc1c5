internal import Bytes
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// Hands every committed event to the hub, in commit order, until the hub has confirmed it.
///
/// The shell around `AnnouncementFlow`, which says what is sent when. What the hub confirms is
/// stored lazily, so an event may be announced twice; the hub passes each offset on once. Artifact
/// events are also indexed, and an event counts as confirmed only when that is done.
final class Announcer {
  private let loop: EventLoop
  private let store: StoreThread
  private let artifacts: ArtifactThread
  private let address: SocketAddress
  private let identity: LinkIdentity
  private let logger: Logger
  private var dialer: LinkDialer?
  private var hub: Link?
  private var flow: AnnouncementFlow
  private var indexing = ArtifactIndexing()
  private var indexBackoff = Backoff(first: .milliseconds(100), most: .seconds(10))
  private var indexTimer: TimerID?
  private var generator = SystemRandomNumberGenerator()
  /// The last of a batch: sent as a request, whose answer confirms them all.
  private var pending: (message: Publish, position: Int64)?

  /// Asks the store's reader; gives the question's number, nil when it can't be taken now.
  var ask: (StoreThread.Query) -> StoreThread.Tag? = { _ in nil }
  /// Told why an index entry could not be written, once for each round of tries.
  var indexRefused: (String) -> Void = { _ in }

  /// Without an answer for this long the batch is announced again: whoever waits for its last event
  /// has it within five seconds, even if a frame was lost.
  private static let answerMax = Duration.seconds(3)

  /// BUDGET: events of one page of the outbox.
  private static let pageCount = 512

  init(
    to address: SocketAddress, store: StoreThread, artifacts: ArtifactThread,
    identity: LinkIdentity, on loop: EventLoop, logger: Logger
  ) {
    self.address = address
    self.store = store
    self.artifacts = artifacts
    self.identity = identity
    self.loop = loop
    self.logger = logger
    flow = AnnouncementFlow(confirmed: store.announcedAtOpen)
  }

  /// Nothing waits to be announced that could be.
  var isIdle: Bool { flow.isIdle }

  func start() {
    let dialer = LinkDialer(
      to: address, expecting: .hub, identity: identity, on: loop, owner: self)
    self.dialer = dialer
    dialer.start()
  }

  func stop() { dialer?.stop() }

  // MARK: commits

  func committed(_ request: AppendRequest, _ receipt: AppendReceipt) {
    for (index, event) in request.events.enumerated() {
      let position = receipt.position + Int64(index)
      indexArtifact(event.eventType, event.meta, request.stream, position)
      guard flow.committed(position) else { continue }
      let offset = Offset(receipt.first.value + UInt64(index))
      queue(
        Publish(
          remainingMs: 0, handle: .none, name: request.stream.text, flags: Self.flags(event.meta),
          timeMs: receipt.time, publisher: request.publisher, eventType: event.eventType,
          position: Position(epoch: receipt.epoch, offset: offset), payload: event.payload,
          meta: event.meta),
        position)
    }
  }

  /// All outcomes of one commit were handed over.
  func endOfBatch() {
    flush()
    readOn()
  }

  /// The stream is no longer what it was. Without a hub nobody has to be told: whoever comes back looks.
  func changed(_ stream: ChannelName) {
    guard let hub, hub.peer?.knowsChanges == true else { return }
    hub.send(StreamChanged(name: stream))
  }

  /// Positions up to `position` are nobody's business yet: what an import stages.
  func passOver(through position: Int64) {
    flow.passOver(through: position)
    flush()
    readOn()
  }

  private static func flags(_ meta: [UInt8]) -> Publish.Flags {
    EventOrigin(meta: meta)?.isForOthers == true ? .forOthers : []
  }

  /// Sends all but the last of a batch without asking.
  private func queue(_ message: Publish, _ position: Int64) {
    if let earlier = pending, hub?.publish(earlier.message) != .sent { return fellBehind() }
    pending = (message, position)
  }

  private func flush() {
    guard let (message, position) = pending else { return }
    pending = nil
    guard let hub else { return fellBehind() }
    let era = flow.era
    hub.request(message, expecting: Published.self, within: Self.answerMax) { [weak self] result in
      guard let self, era == flow.era else { return }
      switch result {
      case .success: confirm(position, era)
      case .failure(let failure):
        // Nobody has the channel open: the hub has dealt with it all the same.
        if failure.code == .staleHandle { confirm(position, era) } else { fellBehind() }
      }
    }
  }

  private func fellBehind() {
    pending = nil
    flow.fellBehind()
    readLater(.milliseconds(50))
  }

  private func confirm(_ position: Int64, _ era: UInt64) {
    flow.confirmed(position, in: era)
    noteConfirmed()
  }

  private func noteConfirmed() {
    store.confirmAnnounced(through: min(flow.confirmed, (indexing.first ?? .max) - 1))
  }

  // MARK: catching up

  private func readLater(_ wait: Duration) {
    loop.after(wait) { [weak self] in self?.readOn() }
  }

  private func readOn() {
    guard flow.wantsPage else { return }
    guard let question = ask(.unannounced(after: flow.sent, limit: Self.pageCount)) else {
      return readLater(.milliseconds(50))
    }
    flow.asked(question)
  }

  func readFailed(_ question: StoreThread.Tag) {
    if flow.readFailed(question) { readLater(.milliseconds(200)) }
  }

  func read(_ question: StoreThread.Tag, _ page: AnnouncementPage) {
    guard flow.accepts(question) else { return }
    for item in page.announcements {
      guard flow.read(item.position) else { continue }
      indexArtifact(item.event.eventType, item.event.meta, item.stream, item.position)
      queue(
        Publish(
          remainingMs: 0, handle: .none, name: item.stream.text, flags: Self.flags(item.event.meta),
          timeMs: item.event.timeMs, publisher: item.event.publisher,
          eventType: item.event.eventType,
          position: Position(epoch: item.epoch, offset: item.event.offset),
          payload: item.event.payload, meta: item.event.meta), item.position)
    }
    flush()
    flow.pageRead(through: page.through, hasMore: page.hasMore)
    noteConfirmed()
    readOn()
  }

  // MARK: artifacts

  private func indexArtifact(
    _ type: String, _ meta: [UInt8], _ stream: ChannelName, _ position: Int64
  ) {
    guard type == "artifact", meta.count == 32 else { return }
    let entry = ArtifactIndexing.Entry(position: position, sha256: meta, stream: stream)
    if indexing.add(entry) { handOver(entry) }
  }

  private func handOver(_ entry: ArtifactIndexing.Entry) {
    if !artifacts.index(entry.sha256, entry.stream, entry.position) {
      indexFailed(entry.position, "too much waits to be written")
    }
  }

  func indexed(_ position: Int64) {
    indexing.done(position)
    if indexing.first == nil { indexBackoff.succeeded() }
    if let leftOut = indexing.takeLeftOut() {
      pending = nil
      flow.rewind(to: leftOut - 1)
      readOn()
    }
    noteConfirmed()
  }

  func indexFailed(_ position: Int64, _ reason: String) {
    if indexing.failed(position) { indexRefused(reason) }
    guard indexTimer == nil else { return }
    indexTimer = loop.after(indexBackoff.next(using: &generator)) { [weak self] in
      guard let self else { return }
      indexTimer = nil
      for entry in indexing.takeWaiting() { handOver(entry) }
    }
  }
}

extension Announcer: LinkOwner {
  func linkOpened(_ link: Link) {
    hub = link
    pending = nil
    flow.hubFound()
    readOn()
  }

  func linkReceived(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  { .now }

  func linkMissedPublications(_ link: Link) {}

  func linkRelieved(_ link: Link) { readOn() }

  func linkUnreachable(_ address: SocketAddress, _ reason: String) {
    logger.warning(
      "no link to hub; what is committed waits to be announced",
      ["address": .text("\(address)"), "reason": .text(reason)])
  }

  func linkEnded(_ link: Link, _ end: LinkEnd) {
    guard hub === link else { return }
    hub = nil
    pending = nil
    flow.hubLost()
  }
}
