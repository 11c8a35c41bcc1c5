internal import Bytes
internal import Link
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// Orders between gateways: what one takes, all learn by a stream of the event store, which also
/// keeps revocations over restarts.
///
/// One of a gateway's loops reads on every few seconds; a question costs the store one look at an
/// index. Loop-confined.
final class IdentityFeed {
  private let gateway: GatewayLoop
  private let authenticator: Authenticator
  private let origin: String
  private var epoch: Epoch?
  private var last = Offset.zero
  private var isReading = false
  /// Who waits for the answer that is under way, and who has come since.
  private var asked: [(Position?) -> Void] = []
  private var unasked: [(Position?) -> Void] = []
  /// Everything has been read that was there when this process began: what was revoked before is
  /// known. Until then nobody is to be let in.
  private(set) var isCaughtUp = false

  /// A read that failed is made again after this, until everything has been read once.
  private static let again = Duration.milliseconds(200)
  /// A revocation acts on other gateways within this time and their sweep, P17 allows 30 s.
  static let interval = Duration.seconds(5)
  private static let pageMax: UInt32 = 300

  init(_ gateway: GatewayLoop) {
    self.gateway = gateway
    authenticator = gateway.settings.authenticator
    origin = ClientIDText.text(gateway.identity.instance)
  }

  func start() {
    read()
    gateway.loop.after(Self.interval) { [self] in start() }
  }

  /// There is a link to the store, so what was missed while there was none can be read.
  func storeOpened() { read() }

  /// Carries an order out here and gives it to the store for the others and for later.
  func publish(_ order: IdentityOrder, _ answer: @escaping (Refusal?) -> Void) {
    publish(order, placed: { result in
      if case .failure(let refusal) = result { answer(refusal) } else { answer(nil) }
    })
  }

  /// The same, and tells where the order stands among all once it is on disk.
  func publish(
    _ order: IdentityOrder, placed answer: @escaping (Result<Position, Refusal>) -> Void
  ) {
    // Of clients that have come back the loops of this process know by themselves.
    guard order.isFence || authenticator.take(order, now: gateway.loop.now) else {
      return answer(.failure(.overloaded))
    }
    authenticator.note(order, at: Authenticator.now)
    guard let stream = ChannelName.identityOrders, let store = gateway.upstreams.eventstore else {
      return answer(.failure(.unavailable))
    }
    let event = NewEvent(payload: Payload(.json, order.json(origin: origin)))
    let append = Append(
      remainingMs: gateway.settings.publishMaxMs, stream: stream, expected: nil, key: "", client: 0,
      user: "", keyHash: [], events: [event])
    gateway.ask(store, append, expecting: Appended.self) { result in
      answer(result.map { Position(epoch: $0.epoch, offset: $0.first) })
    }
  }

  // MARK: where it stands

  /// Tells where the stream of orders stands at some moment from now on; nothing where the store is
  /// away. However many ask, one question is under way.
  func stands(_ tell: @escaping (Position?) -> Void) {
    unasked.append(tell)
    askWhereItStands()
  }

  private func askWhereItStands() {
    guard asked.isEmpty, !unasked.isEmpty else { return }
    guard let stream = ChannelName.identityOrders, let store = gateway.upstreams.eventstore else {
      return unasked = []
    }
    swap(&asked, &unasked)
    let request = ReadHeads(remainingMs: gateway.settings.publishMaxMs, names: [stream])
    gateway.ask(store, request, expecting: HeadsPage.self) { [self] result in
      let answered = asked
      asked = []
      if case .success(let page) = result {
        let head = page.heads.first
        let place = head?.epoch.map { Position(epoch: $0, offset: head?.head ?? .zero) }
        for tell in answered { tell(place) }
      }
      askWhereItStands()
    }
  }

  private func read() {
    guard !isReading, let stream = ChannelName.identityOrders,
      let store = gateway.upstreams.eventstore
    else { return }
    isReading = true
    let request = ReadStream(
      remainingMs: gateway.settings.publishMaxMs, stream: stream, after: last,
      count: Self.pageMax, bytes: 1 << 20, isReverse: false)
    gateway.ask(store, request, expecting: StreamPage.self) { [self] result in
      isReading = false
      switch result {
      case .success(let answer): take(answer.page)
      case .failure:
        if !isCaughtUp { gateway.loop.after(Self.again) { [self] in read() } }
      }
    }
  }

  private func take(_ page: EventPage) {
    if let known = epoch, let now = page.epoch, known != now {
      // The store has lost its log and begun another: everything in it is new.
      epoch = now
      last = .zero
      return read()
    }
    epoch = page.epoch ?? epoch
    for event in page.events {
      last = event.offset
      carryOut(event)
    }
    if page.hasMore { read() } else { isCaughtUp = true }
  }

  private func carryOut(_ event: StoredEvent) {
    guard IdentityOrder.origin(json: event.payload.bytes) != origin,
      let order = IdentityOrder(json: event.payload.bytes)
    else { return }
    authenticator.note(order, at: event.timeMs / 1_000)
    if case .revoke = order {} else {
      // Who was to be sent away has gone since, or come back with leave.
      guard gateway.loop.wallMilliseconds - event.timeMs < 30_000 else { return }
    }
    let place = epoch.map { Position(epoch: $0, offset: event.offset) }
    guard !authenticator.take(order.placed(at: place), now: gateway.loop.now) else { return }
    gateway.logger.error("a revocation found no room: more are in force than can be remembered")
  }
}
