public import Loop
public import Platform
public import Wire

/// Keeps one link to an address open: connects, waits, connects again.
///
/// Waits 50 ms after the first failure and doubles up to 2 s, each time between half and the whole
/// of it by chance, so that many gateways do not come at once. Loop-confined.
public final class LinkDialer {
  private let loop: EventLoop
  private let identity: LinkIdentity
  private let address: SocketAddress
  private let wanted: Role
  private let owner: any LinkOwner
  private var connector: Connector?
  private var backoff = Backoff(first: .milliseconds(50), most: .seconds(2))
  private var isStopped = false
  private var generator = SystemRandomNumberGenerator()

  /// The link, open or opening; nil between attempts.
  public private(set) var link: Link?
  /// Why the last attempt failed, for health pages.
  public private(set) var lastFailure: String?
  private var failures = 0
  private var toldFailure: String?

  /// At a start the peers come within fewer attempts than these, which take about a second.
  private static let attemptsUntilTold = 5

  public init(
    to address: SocketAddress, expecting wanted: Role, identity: LinkIdentity, on loop: EventLoop,
    owner: any LinkOwner
  ) {
    self.address = address
    self.wanted = wanted
    self.identity = identity
    self.loop = loop
    self.owner = owner
  }

  /// The link if frames can be sent on it now.
  public var open: Link? {
    guard let link, link.isOpen else { return nil }
    return link
  }

  public func start() { connect() }

  /// Closes and does not connect again.
  public func stop() {
    isStopped = true
    connector?.cancel()
    link?.close(.draining)
  }

  private func connect() {
    guard !isStopped else { return }
    connector = Connector(to: address, on: loop, within: .seconds(2)) {
      [weak self] descriptor, error in
      self?.connected(descriptor, error)
    }
  }

  private func connected(_ descriptor: consuming Descriptor?, _ error: SystemError?) {
    connector = nil
    guard let descriptor, !isStopped else {
      lastFailure = error?.description
      return retry()
    }
    let wanted = wanted
    let overTCP = if case .tcp = address { true } else { false }
    let link = Link(
      descriptor, on: loop, identity: identity, overTCP: overTCP, owner: self,
      accepts: { $0 == wanted })
    self.link = link
    link.start()
  }

  private func retry() {
    guard !isStopped else { return }
    failures += 1
    if failures >= Self.attemptsUntilTold, let lastFailure, lastFailure != toldFailure {
      toldFailure = lastFailure
      owner.linkUnreachable(address, lastFailure)
    }
    loop.after(backoff.next(using: &generator)) { [weak self] in self?.connect() }
  }
}

extension LinkDialer: LinkOwner {
  public func linkOpened(_ link: Link) {
    (lastFailure, toldFailure, failures) = (nil, nil, 0)
    backoff.succeeded()
    owner.linkOpened(link)
  }

  public func linkReceived(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  {
    try owner.linkReceived(link, header, body)
  }

  public func linkMissedPublications(_ link: Link) { owner.linkMissedPublications(link) }
  public func linkRelieved(_ link: Link) { owner.linkRelieved(link) }

  public func linkEnded(_ link: Link, _ end: LinkEnd) {
    guard link === self.link else { return }
    let wasOpen = link.peer != nil
    lastFailure = end.message
    self.link = nil
    if wasOpen { owner.linkEnded(link, end) }
    retry()
  }
}

/// Growing waits with jitter. Pure but for the generator it is given.
public struct Backoff: Sendable {
  private let first: Duration
  private let most: Duration
  private var current: Duration

  public init(first: Duration, most: Duration) {
    self.first = first
    self.most = most
    current = first
  }

  /// The next wait: between half and the whole of the step, which then doubles.
  public mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
    let step = current.nanosecondsClamped
    current = min(most, current * 2)
    return .nanoseconds(Int64.random(in: (step / 2)...max(1, step), using: &generator))
  }

  public mutating func succeeded() { current = first }
}
