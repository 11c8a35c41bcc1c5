internal import Bytes
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Service
internal import Wire

/// The event store on its loop: carries requests from links to the store's threads and answers
/// back, and sees to it that the hub hears of every commit.
///
/// Knows no client protocol and no plugin. Bounded by the credit of its links and the store's own
/// queues: an append's bytes are granted again only once it is decided.
final class EventStoreService {
  let loop: EventLoop
  let store: StoreThread
  private let artifacts: ArtifactThread
  private let context: ServiceContext
  let metrics: EventStoreMetrics
  let announcer: Announcer
  private lazy var transfers = ArtifactTransfers(artifacts)
  var waiting: [StoreThread.Tag: Waiting] = [:]
  private var lastTag: StoreThread.Tag = 0
  private var nextLink = 1
  /// Pages that wait for their peers, by the links' tags.
  private var gates: [Int: ReadGate<PageRead>] = [:]
  private var gatesWatched: Set<Int> = []
  private(set) var isStopping = false
  lazy var eventsWaiting = EventsWaiting(loop)
  var listener: LinkListener?

  /// Who asked.
  struct Waiting {
    weak var link: Link?
    var header: FrameHeader
    /// The request's bytes are granted again when it is answered.
    var isHeld: Bool
    /// What its answer counts for in its link's gate.
    var pageBytes = 0
    /// The stream that is gone once it is carried out.
    var deletes: ChannelName?
    var events: EventsWait?
  }

  private struct PageRead {
    weak var link: Link?
    var header: FrameHeader
    var query: StoreThread.Query
    var events: EventsWait?
  }


  init(
    _ loop: EventLoop, _ store: StoreThread, _ artifacts: ArtifactThread, hub: SocketAddress,
    metrics: EventStoreMetrics, context: ServiceContext
  ) {
    self.loop = loop
    self.store = store
    self.artifacts = artifacts
    self.context = context
    self.metrics = metrics
    announcer = Announcer(
      to: hub, store: store, artifacts: artifacts, identity: context.identity, on: loop,
      logger: context.logger)
  }

  /// Roles that may link to an event store. A hub has no business here: it is told, it never asks.
  static func accepts(_ role: Role) -> Bool {
    role == .gateway || role == .worker || role == .operations
  }

  func start() {
    announcer.ask = { [weak self] query in self?.askForAnnouncer(query) }
    announcer.indexRefused = { [logger = context.logger] reason in
      logger.error("artifacts can't be found yet: their index", ["reason": .text(reason)])
    }
    announcer.start()
  }

  // MARK: news from the threads

  func received(_ mail: [StoreMail]) {
    for message in mail {
      switch message {
      case .committed(let completions): committed(completions)
      case .answered(let tag, let answer): answered(tag, answer)
      case .probed(let tag, let holdings): probed(tag, holdings)
      case .carriedOut(let tag, let done): carriedOut(tag, done)
      case .failed(let failure): failed(failure)
      case .artifact(let outcome): received(outcome)
      case .drain: drain()
      }
    }
  }

  private func committed(_ completions: [StoreThread.Completion]) {
    var written: [(request: AppendRequest, receipt: AppendReceipt)] = []
    for completion in completions {
      if let asked = waiting.removeValue(forKey: completion.tag) {
        answer(asked, completion.outcome)
        if asked.isHeld { asked.link?.release(asked.header) }
      }
      if case .committed(let receipt) = completion.outcome, receipt.origin == .appended {
        metrics.appended.add(UInt64(completion.request.events.count))
        written.append((completion.request, receipt))
      }
    }
    // A commit brings the events of each stream together.
    written.sort { $0.receipt.position < $1.receipt.position }
    for (request, receipt) in written { announcer.committed(request, receipt) }
    for read in eventsWaiting.committed(written) { readAgain(read) }
    metrics.commits.add()
    announcer.endOfBatch()
  }

  private func answer(_ asked: Waiting, _ outcome: AppendOutcome) {
    guard let link = asked.link else { return }
    switch outcome {
    case .committed(let receipt):
      link.reply(
        Appended(
          epoch: receipt.epoch, first: receipt.first,
          count: UInt16(clamping: receipt.last.value - receipt.first.value + 1),
          isDuplicate: receipt.origin == .duplicate, timeMs: receipt.time),
        to: asked.header.correlation)
    case .conflict(_, let head):
      link.fail(asked.header, .offsetConflict, "the stream is at offset \(head)")
    case .idempotencyConflict: link.fail(asked.header, .idempotencyConflict)
    case .fenced(let epoch):
      link.reply(
        Failure(.fenced, "the producer is in epoch \(epoch)", number: epoch),
        to: asked.header.correlation)
    case .sequenceGap(let next):
      link.reply(
        Failure(.sequenceGap, "sequence number \(next) is the next one", number: next),
        to: asked.header.correlation)
    case .refused(let refusal):
      let code: ErrorCode =
        switch refusal {
        case .tooManyBytes, .tooManyEvents: .tooLarge
        case .noSuchFork: .notFound
        case .tooManyProducers: .limitReached
        default: .badRequest
        }
      link.fail(asked.header, code, refusal.rawValue)
    case .outOfSpace:
      metrics.outOfSpace.add()
      link.fail(asked.header, .outOfSpace)
    }
  }

  private func answered(_ tag: StoreThread.Tag, _ answer: StoreThread.Answer) {
    if case .unannounced(let page) = answer {
      return announcer.read(tag, page)
    }
    guard let asked = waiting.removeValue(forKey: tag) else {
      if case .failed = answer { announcer.readFailed(tag) }
      return
    }
    let correlation = asked.header.correlation
    switch answer {
    case .page(let page): asked.link?.reply(page, to: correlation)
    case .heads(let heads): asked.link?.reply(HeadsPage(heads: heads), to: correlation)
    case .streams(let streams, let hasMore):
      asked.link?.reply(StreamList(hasMore: hasMore, streams: streams), to: correlation)
    case .descriptions(let streams, let hasMore):
      asked.link?.reply(StreamDescriptions(hasMore: hasMore, streams: streams), to: correlation)
    case .failed(let failure):
      switch failure {
      case .corrupt:
        metrics.corrupt.add()
        context.logger.error("a stored event is corrupt", ["reason": .text(failure.description)])
        asked.link?.fail(asked.header, .corrupt, failure.description)
      case .noSuchFork: asked.link?.fail(asked.header, .notFound, failure.description)
      case .otherPosition: asked.link?.fail(asked.header, .unrecoverable, failure.description)
      case .unavailable(let reason): asked.link?.fail(asked.header, .unavailable, reason)
      }
    case .events(let page): read(page, asked)
    case .snapshot(let found): self.answer(asked.link, asked.header, found)
    case .unannounced: break
    }
    if asked.pageBytes > 0, let link = asked.link {
      gates[link.tag]?.answered(bytes: asked.pageBytes)
      readPages(of: link)
    }
  }

  private func probed(_ tag: StoreThread.Tag, _ holdings: EventStore.Holdings?) {
    guard let asked = waiting.removeValue(forKey: tag) else { return }
    if let holdings {
      asked.link?.reply(
        Probed(events: holdings.events, bytes: holdings.bytes), to: asked.header.correlation)
    } else {
      asked.link?.fail(asked.header, .outOfSpace, "the store can't write: the disk is full")
    }
  }

  /// What was under way is unknown to everyone who waits: the links end without an answer.
  private func failed(_ failure: StoreFailure) {
    context.report(.finished(code: failure.exitCode, message: failure.description))
    loop.stop()
  }

  private func received(_ outcome: ArtifactThread.Outcome) {
    switch outcome {
    case .failed(let reason):
      context.logger.error("the artifacts can't be kept", ["reason": .text(reason)])
    case .indexed(let position): announcer.indexed(position)
    case .indexFailed(let position, let reason): announcer.indexFailed(position, reason)
    case .refused(_, .damaged(let sha256)):
      metrics.corrupt.add()
      context.logger.error(
        "a content of the vault is damaged; it was put aside", ["sha256": .text(hex(sha256))])
      transfers.received(outcome)
    default: transfers.received(outcome)
    }
  }

  /// Milliseconds since 1970.
  var wallMilliseconds: Int64 { loop.wallMilliseconds }

  // MARK: requests

  func take(
    _ link: Link, _ header: FrameHeader, isHeld: Bool = false, pageBytes: Int = 0,
    deletes: ChannelName? = nil, events: EventsWait? = nil,
    _ submit: (StoreThread.Tag) -> StoreThread.Submission
  ) -> Consumption {
    lastTag &+= 1
    let tag = lastTag
    waiting[tag] = Waiting(
      link: link, header: header, isHeld: isHeld, pageBytes: pageBytes, deletes: deletes,
      events: events)
    switch submit(tag) {
    case .accepted: return isHeld ? .later : .now
    case .overloaded:
      waiting[tag] = nil
      link.fail(header, .overloaded)
    case .stopped:
      waiting[tag] = nil
      link.fail(header, .draining)
    }
    return .now
  }

  private func append(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  {
    let message = try Append(body: body)
    let request = AppendRequest(
      to: message.stream, message.events, expected: message.expected,
      idempotencyKey: message.key.isEmpty ? nil : message.key,
      keyHash: message.keyHash.count == 32 ? message.keyHash : nil,
      producer: message.producer,
      publisher: Publisher(client: message.client, user: message.user),
      time: loop.wallMilliseconds)
    return take(link, header, isHeld: true) { store.append(request, tag: $0) }
  }

  private func read(_ link: Link, _ header: FrameHeader, _ query: StoreThread.Query) -> Consumption
  {
    take(link, header) { store.read(query, tag: $0) }
  }

  /// A page is read once the peer has taken those before it.
  private func readPage(_ link: Link, _ header: FrameHeader, _ request: ReadStream) -> Consumption {
    let query = StoreThread.Query.page(
      request.stream, from: request.after, request.isReverse ? .backwards : .forwards,
      count: Int(request.count), bytes: Int(request.bytes))
    // An answer without events counts for nothing, and waits for none that has some.
    guard request.count > 0 else { return read(link, header, query) }
    readPage(
      link, header, query, bytes: Int(request.bytes),
      until: loop.now + .milliseconds(Int64(request.remainingMs)))
    return .now
  }

  func readPage(
    _ link: Link, _ header: FrameHeader, _ query: StoreThread.Query, bytes: Int, until: Instant,
    events: EventsWait? = nil
  ) {
    let isAdded =
      gates[link.tag, default: ReadGate()].add(
        PageRead(link: link, header: header, query: query, events: events),
        bytes: min(max(bytes, 1), StoreLimits.pageBytesMax), until: until)
    if isAdded { readPages(of: link) } else { link.fail(header, .overloaded) }
  }

  private func readPages(of link: Link) {
    while let step = gates[link.tag]?.next(queued: link.queuedBytes, loop.now) {
      switch step {
      case .expired(let page): link.fail(page.header, .deadlineExceeded)
      case .start(let page, let bytes):
        let before = waiting.count
        _ = take(link, page.header, pageBytes: bytes, events: page.events) {
          store.read(page.query, tag: $0)
        }
        if waiting.count == before { gates[link.tag]?.answered(bytes: bytes) }
      }
    }
    guard let gate = gates[link.tag] else { return }
    if gate.isUnused {
      gates[link.tag] = nil
    } else if !gate.isEmpty {
      lookAgain(at: link)
    }
  }

  /// The link does not say when its peer has taken what it was sent.
  private func lookAgain(at link: Link) {
    guard gatesWatched.insert(link.tag).inserted else { return }
    loop.after(.milliseconds(5)) { [weak self, weak link] in
      guard let self, let link else { return }
      gatesWatched.remove(link.tag)
      readPages(of: link)
    }
  }

  private func askForAnnouncer(_ query: StoreThread.Query) -> StoreThread.Tag? {
    lastTag &+= 1
    return store.read(query, tag: lastTag) == .accepted ? lastTag : nil
  }

  // MARK: draining

  private func drain() {
    guard !isStopping else { return }
    isStopping = true
    listener?.stopAccepting()
    for read in eventsWaiting.takeAll() { answerEmpty(read) }
    let deadline = loop.now + .seconds(10)
    waitUntilDone(deadline)
  }

  /// Appends that were taken are answered, and announced if the hub is there.
  private func waitUntilDone(_ deadline: Instant) {
    guard waiting.isEmpty && announcer.isIdle || loop.now >= deadline else {
      loop.after(.milliseconds(5)) { [weak self] in self?.waitUntilDone(deadline) }
      return
    }
    listener?.close(.draining)
    announcer.stop()
    loop.after(.milliseconds(20)) { [self] in
      store.stop()
      artifacts.stop()
      loop.stop()
      context.report(.finished(code: ExitCode.ok, message: nil))
    }
  }
}

extension EventStoreService: LinkOwner {
  func linkOpened(_ link: Link) {
    link.tag = nextLink
    nextLink += 1
    metrics.links.add(1)
  }

  func linkReceived(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  {
    if isStopping {
      link.fail(header, .draining)
      return .now
    }
    switch header.kind {
    case .append: return try append(link, header, body)
    case .readStream:
      return readPage(link, header, try ReadStream(body: body))
    case .readEvents: return readEvents(link, header, try ReadEvents(body: body))
    case .readHeads: return read(link, header, .heads(try ReadHeads(body: body).names))
    case .listStreams:
      let request = try ListStreams(body: body)
      return read(
        link, header,
        .streams(
          prefix: request.prefix, after: ChannelName(request.after),
          limit: Int(min(request.limit, 1000))))
    case .removeHistory:
      let request = try RemoveHistory(body: body)
      return carryOut(link, header, .trim(request.name, through: nil))
    case .trimStream:
      let request = try TrimStream(body: body)
      return carryOut(link, header, .trim(request.name, through: request.through))
    case .deleteStream:
      return carryOut(link, header, .delete(try DeleteStream(body: body).name))
    case .forkStream:
      let request = try ForkStream(body: body)
      return carryOut(
        link, header,
        .fork(
          ForkRequest(
            of: request.source, as: request.name, at: request.at, epoch: request.epoch,
            author: request.author, time: loop.wallMilliseconds)))
    case .describeStreams:
      let request = try DescribeStreams(body: body)
      return read(
        link, header,
        .descriptions(
          prefix: request.prefix, after: ChannelName(request.after),
          limit: Int(min(request.limit, 1000)), at: request.at))
    case .putSnapshot: return try putSnapshot(link, header, body)
    case .readSnapshot: return readSnapshot(link, header, try ReadSnapshot(body: body))
    case .beginImport, .importEvents, .finishImport:
      return try importStream(link, header, body)
    case .readMetrics:
      _ = try ReadMetrics(body: body)
      let queued = listener?.openLinks.reduce(0) { $0 + $1.queuedBytes } ?? 0
      let text = metrics.text(linksBytes: queued, appendsBytes: store.waitingBytes)
      link.reply(MetricsText(text: text), to: header.correlation)
      return .now
    case .probe:
      _ = try Probe(body: body)
      return take(link, header) { store.probe(tag: $0) }
    case .putArtifact, .artifactChunk, .endArtifact, .getArtifact, .artifactCredit,
      .cancelArtifact, .findArtifact:
      return try transfers.received(link, header, body)
    default:
      link.fail(header, .unexpectedKind)
      return .now
    }
  }

  func linkMissedPublications(_ link: Link) {}
  func linkRelieved(_ link: Link) { transfers.relieved(link) }

  func linkEnded(_ link: Link, _ end: LinkEnd) {
    metrics.links.add(-1)
    gates[link.tag] = nil
    gatesWatched.remove(link.tag)
    eventsWaiting.ended(link)
    transfers.ended(link)
  }
}

/// What the event store counts.
struct EventStoreMetrics: Sendable {
  let links: Gauge
  let appended: Counter
  let commits: Counter
  let outOfSpace: Counter
  let corrupt: Counter
  let commitSeconds: Histogram
  private let queued: GaugeFamily<Queue>
  private let all: Metrics

  /// What waits in the store.
  enum Queue: String, MetricLabel {
    static let labelName = "queue"
    /// Appends that the next commits take.
    case appends
    /// Answers that the other ends of links have not taken.
    case links
  }

  init(_ metrics: Metrics) {
    all = metrics
    links = metrics.gauge("sapphire_eventstore_links", "Links that are open.")
    appended = metrics.counter("sapphire_eventstore_appended_total", "Events appended.")
    commits = metrics.counter("sapphire_eventstore_commits_total", "Commits on disk.")
    outOfSpace = metrics.counter(
      "sapphire_eventstore_out_of_space_total", "Appends refused because the disk was full.")
    corrupt = metrics.counter(
      "sapphire_eventstore_corrupt_total", "Reads that met a corrupt event or content.")
    commitSeconds = metrics.histogram(
      "sapphire_eventstore_commit_seconds", "A commit: its transaction, the sync and the head mark.",
      .seconds)
    queued = metrics.gauges(
      "sapphire_eventstore_queue_bytes", "What waits: appends, and answers in links.", by: Queue.self)
  }

  /// All of it as Prometheus text, with what waits now.
  func text(linksBytes: Int, appendsBytes: Int) -> [UInt8] {
    queued[.links].set(linksBytes)
    queued[.appends].set(appendsBytes)
    return [UInt8](all.render().utf8)
  }
}
