internal import Bytes
internal import Config
internal import HTTPCodec
internal import Loop
internal import Observe
internal import Platform

/// One client's connection: speaks HTTP until it is upgraded, then is a socket.
///
/// Owns the stream; hands its bytes to whichever conversation is on. Loop-confined.
final class Connection: StreamOwner {
  let gateway: GatewayLoop
  let stream: Stream
  let peer: PeerIdentity
  /// The peer, or for whom it speaks if it is a trusted proxy.
  private(set) var client: PeerIdentity
  /// Whether the limits of clients bind this client.
  private(set) var isBound: Bool
  /// Where the connection is counted among those of its client's address.
  var account: AddressKey?
  /// What the access log says of the socket once it has ended, but for its time and bytes.
  private var socketEntry: AccessLog.Entry?
  private var becameSocketAt = Instant(nanoseconds: 0)
  private var socketBytes: UInt64 = 0
  private var awaitsProxyHeader: Bool
  private var mode: Mode

  private enum Mode {
    case starting
    case http(HTTPConversation)
    case socket(SocketSession)
    case echo(EchoSession)
    case ended
  }

  init(_ descriptor: consuming Descriptor, _ peer: PeerIdentity, on gateway: GatewayLoop) {
    self.gateway = gateway
    self.peer = peer
    client = peer
    isBound = gateway.settings.binds(peer)
    let proxies = gateway.settings.proxies
    awaitsProxyHeader = proxies.speakProxyProtocol && proxies.contains(peer)
    stream = Stream(descriptor, on: gateway.loop)
    mode = .starting
  }

  func start() {
    mode = .http(HTTPConversation(self))
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

  /// From now on what comes is for the socket.
  func become(_ session: SocketSession) { mode = .socket(session) }
  func become(_ session: EchoSession) { mode = .echo(session) }

  /// The client that this connection carries, once it does.
  var session: ClientSession? {
    if case .socket(let socket) = mode { socket.session } else { nil }
  }

  func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    var taken = 0
    // An upgrade may leave bytes of the new protocol behind its head.
    while taken < bytes.count {
      let rest = bytes.extracting(taken..<bytes.count)
      let step: Int
      switch mode {
      case _ where awaitsProxyHeader: step = readProxyHeader(rest)
      case .http(let conversation): step = conversation.received(rest)
      case .socket(let session): step = session.received(rest)
      case .echo(let session): step = session.received(rest)
      case .starting, .ended: return bytes.count
      }
      if step == 0 { return taken }
      if socketEntry != nil { socketBytes &+= UInt64(step) }
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
    isBound = gateway.settings.binds(client)
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

  /// From here on the connection is the socket that `exchange` asked for.
  func becameSocket(_ exchange: HTTPExchange) {
    guard gateway.access.isOn else { return }
    socketEntry = exchange.accessEntry(now: gateway.loop.now)
    socketEntry?.kind = "socket"
    socketEntry?.status = 101
    becameSocketAt = gateway.loop.now
  }

  private func noteSocket(_ end: StreamEnd) {
    guard var entry = socketEntry else { return }
    entry.received = socketBytes
    entry.sent = nil
    entry.time = gateway.loop.now.since(becameSocketAt)
    entry.end = "\(end)"
    gateway.access.note(entry)
  }

  func streamDrained(_ stream: Stream) {
    switch mode {
    case .socket(let session): session.drained()
    case .http(let conversation): conversation.drained()
    case .echo(let session): session.drained()
    case .starting, .ended: break
    }
  }

  func streamPeerFinished(_ stream: Stream) -> Bool {
    if case .http(let conversation) = mode { conversation.peerFinished() } else { false }
  }

  func streamEnded(_ stream: Stream, _ end: StreamEnd) {
    let before = mode
    mode = .ended
    noteSocket(end)
    switch before {
    case .socket(let session): session.ended()
    case .http(let conversation): conversation.ended()
    case .echo, .starting, .ended: break
    }
    gateway.ended(self)
  }

  func sweep(_ now: Instant) {
    switch mode {
    case .http(let conversation): conversation.sweep(now)
    case .socket(let session): session.sweep(now)
    case .echo(let session): session.sweep(now)
    case .starting, .ended: break
    }
  }

  func drain() {
    switch mode {
    case .http(let conversation): conversation.drain()
    case .socket(let session): session.drain()
    case .echo(let session): session.drain()
    case .starting, .ended: break
    }
  }

  func close() { stream.close() }
}
