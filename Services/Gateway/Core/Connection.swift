internal import Bytes
internal import Config
internal import HTTPCodec
internal import Loop
internal import Observe
internal import Platform
internal import TLS
internal import TLSStream

/// One client's connection: speaks HTTP until it is upgraded to a socket, or an answer without end
/// takes it.
///
///     starting ──▶ securing, where TLS is spoken ──▶ HTTP ──▶ another conversation ──▶ ended
///
/// Owns the stream; hands its bytes to whichever conversation is on, which knows nothing of TLS.
/// Loop-confined.
final class Connection: StreamOwner, Numbered {
  let gateway: GatewayLoop
  var placeInList: Int?
  let stream: Stream
  let peer: PeerIdentity
  /// The peer, or for whom it speaks if it is a trusted proxy.
  private(set) var client: PeerIdentity
  /// Whether the limits of clients bind this client.
  private(set) var isBound: Bool
  /// Where the connection is counted among those of its client's address.
  var account: AddressKey?
  /// What the access log says of the socket once it has ended, but for its time and bytes.
  private var socketLog: SocketLog?
  private var awaitsProxyHeader: Bool
  private var mode: Mode
  /// Until then sweeps pass over it, unless something is to be sent.
  private var quietUntil = Instant(nanoseconds: 0)
  private let secure: TLSTransform?

  /// Kept apart: most gateways keep no access log, and many connections.
  private final class SocketLog {
    var entry: AccessLog.Entry
    let since: Instant
    var bytes: UInt64 = 0

    init(_ entry: AccessLog.Entry, since: Instant) {
      self.entry = entry
      self.since = since
    }
  }

  private enum Mode {
    case starting
    case securing(since: Instant)
    case carrying(any Conversation)
    case ended
  }

  init(_ descriptor: consuming Descriptor, _ peer: PeerIdentity, on gateway: GatewayLoop) {
    self.gateway = gateway
    self.peer = peer
    client = peer
    isBound = gateway.binds(peer)
    let proxies = gateway.settings.proxies
    awaitsProxyHeader = proxies.speakProxyProtocol && proxies.contains(peer)
    secure = gateway.settings.tls.map { TLSTransform($0.context) }
    stream = Stream(descriptor, on: gateway.loop, transform: secure)
    mode = .starting
  }

  /// One that came to another loop.
  init(_ descriptor: consuming Descriptor, _ moved: MovedConnection, on gateway: GatewayLoop) {
    self.gateway = gateway
    peer = moved.peer
    client = moved.client
    isBound = gateway.binds(moved.client)
    awaitsProxyHeader = false
    secure = nil
    stream = Stream(descriptor, on: gateway.loop)
    mode = .starting
  }

  /// Goes on with the request that another loop has read.
  func start(with moved: MovedConnection) {
    let conversation = HTTPConversation(self)
    mode = .carrying(conversation)
    do throws(SystemError) {
      try stream.start(self)
    } catch {
      mode = .ended
      return gateway.ended(self)
    }
    conversation.goOn(with: moved.head)
    stream.offerFirst(moved.rest)
  }

  /// Whether nothing would be lost if another loop went on with the connection. With TLS it stays, and
  /// what is queued, such as the end of a handshake, leaves in its order.
  var canMove: Bool { secure != nil || stream.queuedBytes == 0 }

  /// Gives the connection to the loop that holds its session, with the request that was just read and
  /// what came behind it. False where that can't be.
  func move(to loop: Int, _ head: HTTPRequestHead, _ rest: [UInt8]) -> Bool {
    do throws(SystemError) {
      guard secure != nil else {
        let moved = MovedConnection(
          try stream.duplicateDescriptor(), peer, client, head, rest, isRelayed: false)
        guard gateway.post(.moved(moved), to: loop) else { return false }
        mode = .ended
        stream.close()
        return true
      }
      var pair = try Sockets.pair()
      var ours = Descriptor(owning: -1)
      swap(&ours, &pair.first)
      var theirs = Descriptor(owning: -1)
      swap(&theirs, &pair.second)
      let relay = ConnectionRelay(stream, ours, on: gateway.loop)
      let moved = MovedConnection(theirs, peer, client, head, rest, isRelayed: true)
      guard gateway.post(.moved(moved), to: loop) else { return false }
      mode = .carrying(relay)
      try relay.start()
      return true
    } catch { return false }
  }

  /// - Parameter readsFirst: whether the client's first bytes may be there already.
  ///
  /// Returns whether they were.
  func start(readsFirst: Bool) -> Bool {
    guard readsFirst, secure == nil else {
      start()
      return false
    }
    mode = .carrying(HTTPConversation(self))
    return stream.startReading(self)
  }

  private func start() {
    mode = secure == nil ? .carrying(HTTPConversation(self)) : .securing(since: gateway.loop.now)
    do throws(SystemError) {
      try stream.start(self)
    } catch {
      mode = .ended
      gateway.ended(self)
    }
  }

  /// Tells the peer that it is not let in, and reads nothing of it.
  func turnAway(_ answer: [UInt8]) {
    do throws(SystemError) {
      try stream.start(self)
    } catch { return gateway.ended(self) }
    stream.send(answer)
    stream.closeAfterWriting()
  }

  /// From now on the connection is for something else.
  func become(_ conversation: any Conversation) { mode = .carrying(conversation) }

  private var conversation: (any Conversation)? {
    if case .carrying(let conversation) = mode { conversation } else { nil }
  }

  /// TLS' handshake is over.
  func streamOpened(_ stream: Stream) {
    gateway.metrics.tls.handshakes.add()
    if secure?.connection.isResumed == true { gateway.metrics.tls.resumed.add() }
    if case .securing = mode { mode = .carrying(HTTPConversation(self)) }
  }

  /// The client that this connection carries for good, once it does.
  var session: ClientSession? { conversation?.onlySession }

  // MARK: what it holds

  /// What its client makes the gateway hold: what has come and is not whole, and what waits for it.
  var heldBytes: Int {
    let held = stream.heldBytes + (conversation?.heldBytes ?? 0)
    return gateway.hooks == nil ? held : held + (session?.heldByHooks ?? 0)
  }

  /// Its client has been told to go, or nobody is there.
  var isLeaving: Bool { !stream.isOpen }

  func tally(_ held: inout MemoryTally) {
    if isLeaving { held.add(loose: heldBytes) } else { held.add(heldBytes, of: memoryAccount) }
  }

  /// In whose account that is: of the one client that it carries, or of the address.
  var memoryAccount: MemoryAccount {
    if let owner = conversation?.memoryOwner { return owner.memoryAccount }
    return isBound ? .address(account ?? AddressKey(client)) : .alone(ObjectIdentifier(self))
  }

  /// BUDGET: of a client that is let go since there is no memory, what it still may read.
  private static let lastBytesMax = 256 * 1024

  /// Lets the client go, and what it holds: all clients together hold too much, and it the most.
  func letGoForMemory() {
    conversation?.letGoForMemory()
    if stream.queuedBytes > Self.lastBytesMax { stream.abort() }
  }

  /// Whether the clients that this connection carries are still who they were.
  func checkIdentity(_ now: Int64, _ due: Authenticator.Due) {
    conversation?.checkIdentity(now, due)
  }

  func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    var taken = 0
    // An upgrade may leave bytes of the new protocol behind its head: they end the quiet that it began.
    while taken < bytes.count {
      isDisturbed()
      let rest = bytes.extracting(taken..<bytes.count)
      let step: Int
      switch mode {
      case _ where awaitsProxyHeader: step = readProxyHeader(rest)
      case .carrying(let conversation): step = conversation.received(rest)
      case .starting, .securing, .ended: return bytes.count
      }
      if step == 0 { return taken }
      if let socketLog { socketLog.bytes &+= UInt64(step) }
      taken += step
    }
    return taken
  }

  // MARK: behind proxies

  /// Takes over for whom the peer, a trusted proxy, speaks. False where that address has as many
  /// connections as it may.
  func belongs(to client: PeerIdentity) -> Bool {
    guard client != self.client else { return true }
    self.client = client
    isBound = gateway.binds(client)
    guard !gateway.count(self) else { return true }
    gateway.metrics.limits.reached(.connectionsPerAddress)
    return false
  }

  private func readProxyHeader(_ bytes: borrowing Span<UInt8>) -> Int {
    switch ProxyHeader.read(bytes) {
    case .incomplete: return 0
    case .malformed:
      gateway.httpLogger.debug("no header of the PROXY protocol came", ["peer": .text(AccessLog.text(peer))])
      stream.close()
      return bytes.count
    case .found(let client, let end):
      awaitsProxyHeader = false
      if let client, !belongs(to: .remote(address: client.description)) {
        stream.send(gateway.refusalOfNewcomers(.tooManyOfAddress))
        stream.closeAfterWriting()
        return bytes.count
      }
      return end
    }
  }

  /// From here on the connection is the socket, or the endless answer, that `exchange` asked for.
  func becameSocket(_ exchange: HTTPExchange, as kind: String = "socket", status: Int = 101) {
    guard gateway.access.isOn else { return }
    var entry = exchange.accessEntry(now: gateway.loop.now)
    entry.kind = kind
    entry.status = status
    socketLog = SocketLog(entry, since: gateway.loop.now)
  }

  private func noteSocket(_ end: StreamEnd) {
    guard let socketLog else { return }
    var entry = socketLog.entry
    entry.received = socketLog.bytes
    entry.sent = nil
    entry.time = gateway.loop.now.since(socketLog.since)
    entry.end = "\(end)"
    gateway.access.note(entry)
  }

  func streamDrained(_ stream: Stream) {
    isDisturbed()
    conversation?.drained()
  }

  private func isDisturbed() { quietUntil = Instant(nanoseconds: 0) }

  func streamPeerFinished(_ stream: Stream) -> Bool { conversation?.peerFinished() ?? false }

  func streamEnded(_ stream: Stream, _ end: StreamEnd) {
    let before = mode
    mode = .ended
    noteSocket(end)
    switch before {
    case .carrying(let conversation): conversation.ended()
    case .securing: noteFailure(secure?.connection.failure.map { TLSFailureReason($0) } ?? .left)
    case .starting: break
    case .ended: return gateway.ended(self)
    }
    if case .securing = before {} else if let error = secure?.connection.failure {
      noteFailure(TLSFailureReason(error))
    }
    gateway.ended(self)
  }

  private func noteFailure(_ reason: TLSFailureReason) {
    gateway.metrics.tls.failures[reason].add()
    gateway.logger.debug(
      "a TLS connection failed",
      ["reason": .text(secure?.connection.failure?.reason ?? reason.rawValue)])
  }

  /// Whether there is nothing to look at: nothing is due, nothing waits, nothing has come. Bytes end it,
  /// and so does a queue that had to be waited for.
  func isQuiet(_ now: Instant) -> Bool { now < quietUntil && stream.heldBytes == 0 }

  /// After a sweep: notes until when the next ones may pass over it.
  func noteQuiet(_ now: Instant) {
    guard case .carrying(let conversation) = mode, let until = conversation.quietUntil(now) else { return }
    quietUntil = until
  }

  func sweep(_ now: Instant) {
    switch mode {
    case .carrying(let conversation): conversation.sweep(now)
    case .securing(let since):
      if now.since(since) > gateway.settings.tlsHandshakeMax { giveUpHandshake() }
    case .starting, .ended: break
    }
  }

  private func giveUpHandshake() {
    guard stream.isOpen else { return }
    mode = .ended
    gateway.metrics.limits.reached(.tlsHandshakeTimeout)
    noteFailure(.timeout)
    stream.close()
  }

  func drain() {
    switch mode {
    case .carrying(let conversation): conversation.drain()
    case .securing: stream.close()
    case .starting, .ended: break
    }
  }

  func close() { stream.close() }
}
