public import Loop
public import Platform
public import Wire

/// Accepts links at an address and keeps those that stand.
///
/// On a Unix socket the peer must be our own user, root or a named friend, before a byte of it is
/// read. TCP needs a key: without one it does not listen at all.
public final class LinkListener {
  private let loop: EventLoop
  private let identity: LinkIdentity
  private let owner: any LinkOwner
  private let accepts: (Role) -> Bool
  private var listener: Listener?
  private var links: [ObjectIdentifier: Link] = [:]
  /// Links whose handshake is not done: not yet known to be one of ours.
  private(set) var handshaking = 0
  private let overTCP: Bool
  /// Told of each connection that was turned away, with the reason.
  public var refused: (String) -> Void = { _ in }

  public let address: SocketAddress

  /// BUDGET: links at once; past it newcomers are closed.
  public static let linksMax = 1024
  /// BUDGET: links in their handshake at once, counted apart, so that strangers can't take the
  /// room of our own.
  public static let handshakesMax = 64

  /// - Throws: `SystemError`, or a `Failure` for TCP without a key.
  public init(
    at address: SocketAddress, identity: LinkIdentity, on loop: EventLoop, owner: any LinkOwner,
    accepts: @escaping (Role) -> Bool
  ) throws {
    self.loop = loop
    self.identity = identity
    self.owner = owner
    self.accepts = accepts
    overTCP = if case .tcp = address { true } else { false }
    if overTCP, identity.key == nil {
      throw Failure(.notAuthenticated, "a TCP address needs a link key: set links.keyFile")
    }
    let descriptor = try Sockets.listen(on: address)
    self.address = overTCP ? try Sockets.localAddress(descriptor) : address
    listener = nil
    listener = try Listener(descriptor, address: self.address, on: loop) { [weak self] in
      self?.accepted($0, $1)
    }
  }

  public var openLinks: [Link] { links.values.filter(\.isOpen) }

  /// Stops accepting; links stay.
  public func stopAccepting() {
    listener?.close()
    listener = nil
  }

  /// Closes every link.
  public func close(_ code: ErrorCode) {
    stopAccepting()
    for link in links.values { link.close(code) }
  }

  private func accepted(_ descriptor: consuming Descriptor, _ peer: PeerIdentity) {
    if case .local(let pid, let uid) = peer, uid != Syscalls.userID, uid != 0,
      !identity.friendlyUsers.contains(uid)
    {
      refused("process \(pid) of user \(uid) may not connect")
      return
    }
    guard links.count - handshaking < Self.linksMax else {
      refused("there are \(Self.linksMax) links already")
      return
    }
    guard handshaking < Self.handshakesMax else {
      refused("there are \(Self.handshakesMax) handshakes under way")
      return
    }
    let link = Link(
      descriptor, on: loop, identity: identity, overTCP: overTCP, owner: self, accepts: accepts)
    links[ObjectIdentifier(link)] = link
    handshaking += 1
    link.start()
  }
}

extension LinkListener: LinkOwner {
  public func linkOpened(_ link: Link) {
    handshaking -= 1
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
    links[ObjectIdentifier(link)] = nil
    guard link.peer == nil else { return owner.linkEnded(link, end) }
    handshaking -= 1
    refused(end.message)
  }
}
