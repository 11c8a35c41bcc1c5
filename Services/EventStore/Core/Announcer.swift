internal import Bytes
internal import Link
internal import Loop
internal import Platform
internal import Wire

/// Hands every committed event to the hub, in commit order, until the hub has confirmed it.
///
///     live ──(hub lost, no credit)──▶ behind ──(hub there)──▶ reading ──(caught up)──▶ live
///
/// Live, an event goes out as soon as its commit is on disk. Behind, events wait in the store and
/// are read from the outbox position on. What the hub confirms is stored lazily, so an event may
/// be announced twice; the hub passes each offset on once. Artifact events are also indexed, and
/// an event counts as confirmed only when that is done.
final class Announcer {
  private let loop: EventLoop
  private let store: StoreThread
  private let artifacts: ArtifactThread
  private let address: SocketAddress
  private let identity: LinkIdentity
  private var dialer: LinkDialer?
  private var hub: Link?
  private var mode = Mode.behind
  /// The last position sent on this link; what follows is still to be sent.
  private var sent: Int64
  /// The last position that was committed, as far as this process knows.
  private var committed: Int64
  private var confirmed: Int64
  /// Positions of artifact events whose index entry is not on disk yet.
  private var indexing: [Int64] = []
  private var unconfirmedBatch: Publish?
  private var unconfirmedPosition: Int64 = 0

  private enum Mode { case live, behind, reading }

  /// Asks the store's reader; false when it can't take the question now.
  var ask: (StoreThread.Query) -> Bool = { _ in false }

  /// BUDGET: events of one page of the outbox.
  private static let pageCount = 512

  init(
    to address: SocketAddress, store: StoreThread, artifacts: ArtifactThread,
    identity: LinkIdentity, on loop: EventLoop
  ) {
    self.address = address
    self.store = store
    self.artifacts = artifacts
    self.identity = identity
    self.loop = loop
    sent = store.announcedAtOpen
    confirmed = sent
    committed = sent
  }

  /// Nothing waits to be announced that could be.
  var isIdle: Bool { hub == nil || mode == .live && confirmed >= committed }

  func start() {
    let dialer = LinkDialer(
      to: address, expecting: .hub, identity: identity, on: loop, owner: self)
    self.dialer = dialer
    dialer.start()
  }

  func stop() { dialer?.stop() }

  // MARK: commits

  func committed(_ request: AppendRequest, _ receipt: AppendReceipt) {
    let last = receipt.position + Int64(request.events.count) - 1
    committed = max(committed, last)
    for (index, event) in request.events.enumerated() {
      let position = receipt.position + Int64(index)
      indexArtifact(event.eventType, event.meta, request.stream, position)
      guard mode == .live, position == sent + 1 else {
        if mode == .live { mode = .behind }
        continue
      }
      let offset = Offset(receipt.first.value + UInt64(index))
      queue(
        Publish(
          remainingMs: 0, handle: .none, name: request.stream.text, flags: .sequenced,
          timeMs: receipt.time, publisher: request.publisher, eventType: event.eventType,
          position: Position(epoch: receipt.epoch, offset: offset), payload: event.payload),
        position)
    }
  }

  /// All outcomes of one commit were handed over.
  func endOfBatch() {
    flushBatch()
    if mode == .behind { readOn() }
  }

  /// Sends all but the last of a batch without asking; the last one's answer confirms them all.
  private func queue(_ message: Publish, _ position: Int64) {
    if let earlier = unconfirmedBatch, hub?.publish(earlier) != .sent {
      unconfirmedBatch = nil
      fellBehind()
      return
    }
    unconfirmedBatch = message
    unconfirmedPosition = position
    sent = position
  }

  private func flushBatch() {
    guard let last = unconfirmedBatch else { return }
    unconfirmedBatch = nil
    guard let hub else { return fellBehind() }
    let position = unconfirmedPosition
    hub.request(last, expecting: Published.self, within: .seconds(30)) { [weak self] result in
      guard let self, self.hub === hub else { return }
      switch result {
      case .success: confirm(position)
      case .failure(let failure):
        // Nobody has the channel open: the hub has dealt with it all the same.
        if failure.code == .staleHandle { confirm(position) } else { fellBehind() }
      }
    }
  }

  private func fellBehind() {
    unconfirmedBatch = nil
    sent = confirmed
    mode = .behind
    loop.after(.milliseconds(50)) { [weak self] in self?.readOn() }
  }

  private func confirm(_ position: Int64) {
    confirmed = max(confirmed, position)
    noteConfirmed()
  }

  private func noteConfirmed() {
    let upTo = min(confirmed, (indexing.min() ?? .max) - 1)
    store.confirmAnnounced(through: upTo)
  }

  // MARK: catching up

  private func readOn() {
    guard mode == .behind, hub != nil else { return }
    mode = .reading
    guard ask(.unannounced(after: sent, limit: Self.pageCount)) else {
      mode = .behind
      loop.after(.milliseconds(50)) { [weak self] in self?.readOn() }
      return
    }
  }

  func readFailed() {
    guard mode == .reading else { return }
    mode = .behind
    loop.after(.milliseconds(200)) { [weak self] in self?.readOn() }
  }

  func read(_ page: AnnouncementPage) {
    guard mode == .reading else { return }
    guard hub != nil else {
      mode = .behind
      return
    }
    for item in page.announcements where item.position > sent {
      indexArtifact(item.event.eventType, item.event.meta, item.stream, item.position)
      queue(
        Publish(
          remainingMs: 0, handle: .none, name: item.stream.text, flags: .sequenced,
          timeMs: item.event.timeMs, publisher: item.event.publisher,
          eventType: item.event.eventType,
          position: Position(epoch: item.epoch, offset: item.event.offset),
          payload: item.event.payload), item.position)
      guard mode == .reading else { return }
    }
    flushBatch()
    guard mode == .reading else { return }
    sent = max(sent, page.through)
    committed = max(committed, page.through)
    if page.announcements.isEmpty, page.through > confirmed { confirm(page.through) }
    mode = page.hasMore || sent < committed ? .behind : .live
    readOn()
  }

  // MARK: artifacts

  private func indexArtifact(
    _ type: String, _ meta: [UInt8], _ stream: ChannelName, _ position: Int64
  ) {
    guard type == "artifact", meta.count == 32, !indexing.contains(position) else { return }
    if artifacts.index(meta, stream, position) { indexing.append(position) }
  }

  func indexed(_ position: Int64) {
    indexing.removeAll { $0 == position }
    noteConfirmed()
  }
}

extension Announcer: LinkOwner {
  func linkOpened(_ link: Link) {
    hub = link
    sent = confirmed
    mode = .behind
    readOn()
  }

  func linkReceived(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  { .now }

  func linkMissedPublications(_ link: Link) {}

  func linkRelieved(_ link: Link) { readOn() }

  func linkEnded(_ link: Link, _ end: LinkEnd) {
    guard hub === link else { return }
    hub = nil
    unconfirmedBatch = nil
    mode = .behind
  }
}
