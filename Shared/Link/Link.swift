internal import Bytes
internal import Crypto
public import Loop
public import Platform
public import Wire

/// Who this process is on its links.
public struct LinkIdentity: Sendable {
  public var role: Role
  /// Random at start, the same on all links of the process.
  public var instance: UInt64
  /// Grows with every start: wall-clock nanoseconds at start.
  public var incarnation: UInt64
  public var software: String
  /// The shared key of TCP links; nil allows Unix sockets only.
  public var key: [UInt8]?
  /// Users besides our own and root who may connect to our Unix socket.
  public var friendlyUsers: Set<UInt32> = []

  public init(role: Role, instance: UInt64, incarnation: UInt64, software: String, key: [UInt8]?) {
    self.role = role
    self.instance = instance
    self.incarnation = incarnation
    self.software = software
    self.key = key
  }

  var hello: Hello {
    var hello = Hello(role: role, instance: instance, incarnation: incarnation)
    hello.software = software
    hello.features = Hello.relays | Hello.removals | Hello.metrics | Hello.timelines
      | Hello.eventsInOrder | Hello.producers | Hello.snapshots | Hello.imports | Hello.changes
    return hello
  }
}

/// Why a link ended.
public struct LinkEnd: Equatable, Sendable {
  public var code: ErrorCode
  public var message: String
  /// The peer said so, rather than this end.
  public var isPeers: Bool
}

/// Whether a received frame's bytes may be granted to the peer again at once.
public enum Consumption: Sendable {
  case now
  /// The owner calls `Link.release` when it has dealt with them.
  case later
}

/// What a link tells its owner, on the loop.
public protocol LinkOwner: AnyObject {
  func linkOpened(_ link: Link)
  /// A frame that is neither control nor the reply to a request.
  func linkReceived(_ link: Link, _ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError) -> Consumption
  /// The peer had to leave out publications for want of credit.
  func linkMissedPublications(_ link: Link)
  /// Credit has come back after something had been refused.
  func linkRelieved(_ link: Link)
  func linkEnded(_ link: Link, _ end: LinkEnd)
  /// A dialer does not get a link, for a second or more, and why; not told again for the same reason.
  func linkUnreachable(_ address: SocketAddress, _ reason: String)
}

extension LinkOwner {
  public func linkUnreachable(_ address: SocketAddress, _ reason: String) {}
}

/// A framed connection between two of our services.
///
/// Owns the stream, the handshake, credit, heartbeats and the table of requests under way. Knows
/// nothing of what frames mean beyond control. Loop-confined. Its queue is bounded by the credit
/// that the peer grants; requests and publications beyond it are refused, replies are not.
public final class Link: StreamOwner {
  /// What links need that is not ours, with its version.
  public static var libraries: [String] { ["OpenSSL \(CryptoLibrary.version)"] }

  public let loop: EventLoop
  private let stream: Stream
  /// Strong, so that no reference is counted the slow way; given up at the end.
  private var owner: (any LinkOwner)?
  private var reader: FrameReader
  public let checksums: Checksums
  private var handshake: LinkHandshake
  private var credit = CreditWindow(window: Limits.linkCreditBytes)
  private var requests = RequestTable()
  /// The last request's limit, and the same in nanoseconds: most are given the same time.
  private var lastLimit = (Duration.zero, nanoseconds: UInt64(0))
  private var phase: Phase = .handshaking
  private var ending: LinkEnd?
  private var lastHeard: Instant
  private var startedAt: Instant
  private var heartbeatTimer: TimerID?
  private var sweepTimer: TimerID?
  private var sentPublications: UInt64 = 0
  private var droppedPublications: UInt64 = 0
  private var receivedPublications: UInt64 = 0
  /// Frames that may be ignored are not counted: readers skip those that they don't know.
  private var sentFrames: UInt64 = 0
  private var receivedFrames: UInt64 = 0
  private var knownDropped: UInt64 = 0

  private enum Phase { case handshaking, open, ended }

  /// The peer's hello, once the link is open.
  public private(set) var peer: Hello?
  /// For the owner: which of its things this link is.
  public var tag = 0

  public static let heartbeat = Duration.seconds(1)
  /// Without a sign of life for this long the peer counts as gone.
  public static let silenceMax = Duration.seconds(3)
  /// The handshake is done within this, or the link is given up.
  public static let handshakeMax = Duration.seconds(5)
  /// Frames queued here and not taken by the kernel; past it the link is beyond saving.
  public static let queueBytesMax = 128 * 1024 * 1024

  public init(
    _ descriptor: consuming Descriptor, on loop: EventLoop, identity: LinkIdentity,
    overTCP: Bool, owner: any LinkOwner, accepts: @escaping (Role) -> Bool
  ) {
    self.loop = loop
    self.owner = owner
    checksums = overTCP ? .crc32c : .none
    reader = FrameReader(checksums: checksums)
    handshake = LinkHandshake(
      local: identity.hello, key: overTCP ? identity.key ?? [] : nil,
      nonce: overTCP ? SystemRandom.bytes(32) : [], accepts: accepts)
    stream = Stream(descriptor, on: loop)
    lastHeard = loop.now
    startedAt = loop.now
  }

  /// Sends the hello and begins to read.
  public func start() {
    do throws(SystemError) {
      try stream.start(self)
    } catch {
      end(LinkEnd(code: .linkLost, message: error.description, isPeers: false))
      return
    }
    lastHeard = SystemClock.monotonic()
    startedAt = lastHeard
    carryOut([handshake.started()])
    scheduleHeartbeat()
  }

  public var isOpen: Bool { phase == .open }

  /// Bytes that the peer has not taken yet.
  public var queuedBytes: Int { stream.queuedBytes }

  // MARK: sending

  public enum SendResult: Sendable { case sent, refused }

  /// Sends a message that asks for nothing. Refused without credit.
  @discardableResult
  public func send<M: WireMessage>(_ message: M, flags: FrameFlags = []) -> SendResult {
    guard phase == .open, credit.sendable > 0 else { return refuse() }
    write(message, correlation: 0, flags: flags)
    return .sent
  }

  /// Sends one publication, already framed for `checksums`. Refused, and counted as dropped,
  /// without credit: the peer learns the count with the next heartbeat.
  @discardableResult
  public func sendPublication(framed bytes: [UInt8]) -> SendResult {
    guard phase == .open, credit.allows(bytes.count) else {
      droppedPublications &+= 1
      return refuse()
    }
    sentPublications &+= 1
    sentFrames &+= 1
    credit.sent(bytes.count)
    stream.send(bytes)
    return .sent
  }

  /// Sends a publication like `sendPublication`, encoding it here.
  @discardableResult
  public func publish(_ message: Publish) -> SendResult {
    guard phase == .open, credit.allows(message.payload.bytes.count + 1024) else {
      droppedPublications &+= 1
      return refuse()
    }
    sentPublications &+= 1
    write(message, correlation: 0, flags: [])
    return .sent
  }

  /// Answers the request of `correlation`.
  public func reply<M: WireMessage>(_ message: M, to correlation: UInt32) {
    guard phase == .open, correlation != 0 else { return }
    write(message, correlation: correlation, flags: .reply)
    if stream.queuedBytes > Self.queueBytesMax {
      close(.overloaded, "the peer does not read its replies")
    }
  }

  /// Sends a request and hands its reply, or why there is none, to `completion`: exactly once, on
  /// the loop, never before this returns. Without credit the answer is `overloaded`.
  public func request<M: WireMessage, R: WireMessage>(
    _ message: M, expecting reply: R.Type, within limit: Duration,
    _ completion: @escaping (Result<R, Failure>) -> Void
  ) {
    request(message, within: limit) { outcome, body in
      completion(Self.reply(outcome, body))
    }
  }

  /// What a request expects, out of what has become of it.
  @inlinable
  public static func reply<R: WireMessage>(
    _ outcome: RequestOutcome, _ body: borrowing Span<UInt8>
  ) -> Result<R, Failure> {
    switch outcome {
    case .failed(let failure): return .failure(failure)
    case .replied(let kind):
      do throws(FrameError) {
        if kind == R.kind { return .success(try R(body: body)) }
        return .failure(kind == .failure ? try Failure(body: body) : Failure(.unexpectedKind))
      } catch { return .failure(Failure(.badFrame)) }
    }
  }

  /// As `request(_:expecting:within:_:)`, for whoever reads the reply itself, with `reply`.
  public func request<M: WireMessage>(
    _ message: M, within limit: Duration,
    _ completion: @escaping (RequestOutcome, borrowing Span<UInt8>) -> Void
  ) {
    let finish = RequestTable.Completion(completion)
    guard phase == .open else { return failLater(finish, .unavailable) }
    guard credit.sendable > 0, let correlation = requests.add(deadline(limit), finish) else {
      _ = refuse()
      return failLater(finish, .overloaded)
    }
    write(message, correlation: correlation, flags: [])
    scheduleSweep()
  }

  private func deadline(_ limit: Duration) -> Instant {
    if lastLimit.0 != limit {
      lastLimit = (limit, UInt64(clamping: limit.nanosecondsClamped))
    }
    let (sum, isOver) = loop.now.nanoseconds.addingReportingOverflow(lastLimit.nanoseconds)
    return isOver ? .distantFuture : Instant(nanoseconds: sum)
  }

  private func failLater(_ finish: RequestTable.Completion, _ code: ErrorCode) {
    loop.atTurnEnd { finish.body(.failed(Failure(code)), [UInt8]().span) }
  }

  /// Gives the peer credit for a frame that was received with `Consumption.later`.
  public func release(_ header: FrameHeader) { grant(header.length + FrameHeader.bytes) }

  /// Tells the peer why and closes. Requests under way fail with `linkLost`.
  public func close(_ code: ErrorCode, _ message: String? = nil) {
    guard phase != .ended else { return }
    let goodbye = Goodbye(code, message)
    write(goodbye, correlation: 0, flags: [])
    if ending == nil {
      ending = LinkEnd(code: code, message: goodbye.message, isPeers: false)
    }
    stream.closeAfterWriting()
    finish()
  }

  private func refuse() -> SendResult {
    credit.refused()
    return .refused
  }

  private func write<M: WireMessage>(_ message: M, correlation: UInt32, flags: FrameFlags) {
    if !flags.contains(.mayIgnore) { sentFrames &+= 1 }
    let written = stream.sendMeasured { bytes in
      var writer = ByteWriter()
      swap(&writer.bytes, &bytes)
      writer.frame(message, correlation: correlation, flags: flags, checksums: checksums)
      swap(&writer.bytes, &bytes)
    }
    if !M.kind.isControl { credit.sent(written) }
  }

  // MARK: receiving

  public func streamReceived(_ stream: Stream, _ bytes: borrowing Span<UInt8>) -> Int {
    lastHeard = loop.now
    do throws(FrameError) {
      return try reader.read(bytes) { header, body throws(FrameError) in
        try self.received(header, body)
        return self.phase != .ended
      }
    } catch {
      close(.badFrame, "\(error)")
      return bytes.count
    }
  }

  private func received(_ header: FrameHeader, _ body: borrowing Span<UInt8>) throws(FrameError) {
    if !header.flags.contains(.mayIgnore) { receivedFrames &+= 1 }
    guard phase == .open else { return try receivedBeforeOpen(header, body) }
    switch header.kind {
    case .heartbeat: compare(try Heartbeat(body: body))
    case .credit:
      if credit.granted(Int(try Credit(body: body).bytes)) { owner?.linkRelieved(self) }
    case .goodbye:
      let goodbye = try Goodbye(body: body)
      ending = LinkEnd(code: goodbye.code, message: goodbye.message, isPeers: true)
      end(nil)
    case .hello, .proof: close(.unexpectedKind)
    default:
      let size = header.length + FrameHeader.bytes
      if header.flags.contains(.reply) {
        requests.take(header.correlation)?.body(.replied(header.kind), body)
        return grant(size)
      }
      if header.kind == .publication || header.kind == .publish && header.correlation == 0 {
        receivedPublications &+= 1
      }
      guard let owner else { return }
      if try owner.linkReceived(self, header, body) == .now { grant(size) }
    }
  }

  private func receivedBeforeOpen(_ header: FrameHeader, _ body: borrowing Span<UInt8>)
    throws(FrameError)
  {
    switch header.kind {
    case .hello: carryOut(handshake.received(.receivedHello(try Hello(body: body))))
    case .proof: carryOut(handshake.received(.receivedProof(try Proof(body: body).mac)))
    case .goodbye:
      let goodbye = try Goodbye(body: body)
      ending = LinkEnd(code: goodbye.code, message: goodbye.message, isPeers: true)
      end(nil)
    default: close(.notAuthenticated, "a frame before the hello")
    }
  }

  private func carryOut(_ actions: [LinkHandshake.Action]) {
    for action in actions {
      switch action {
      case .send(let hello): write(hello, correlation: 0, flags: [])
      case .prove(let mac): write(Proof(mac: mac), correlation: 0, flags: [])
      case .opened(let peer, _):
        self.peer = peer
        phase = .open
        owner?.linkOpened(self)
      case .refuse(let code, let message): close(code, message)
      }
    }
  }

  private func compare(_ heartbeat: Heartbeat) {
    // A stream that loses what it has taken is none; both ends begin anew, and make up for it as
    // after any other loss of a link.
    guard heartbeat.sent == receivedPublications,
      heartbeat.frames == 0 || heartbeat.frames == receivedFrames &- 1
    else { return close(.badFrame, "frames that were sent did not arrive") }
    if heartbeat.dropped != knownDropped {
      knownDropped = heartbeat.dropped
      owner?.linkMissedPublications(self)
    }
  }

  private func grant(_ bytes: Int) {
    guard let granted = credit.consumed(bytes), phase == .open else { return }
    write(Credit(bytes: UInt32(clamping: granted)), correlation: 0, flags: [])
  }

  // MARK: time

  private func scheduleHeartbeat() {
    heartbeatTimer = loop.after(Self.heartbeat) { [self] in beat() }
  }

  private func beat() {
    guard phase != .ended else { return }
    // From the start, so that a byte now and then holds nothing open.
    if phase == .handshaking, loop.now.since(startedAt) > Self.handshakeMax {
      return close(.silent, "no handshake within \(Self.handshakeMax)")
    }
    if phase == .open {
      if loop.now.since(lastHeard) > Self.silenceMax { return close(.silent) }
      write(
        Heartbeat(sent: sentPublications, dropped: droppedPublications, frames: sentFrames),
        correlation: 0, flags: [])
    }
    scheduleHeartbeat()
  }

  private func scheduleSweep() {
    guard sweepTimer == nil else { return }
    sweepTimer = loop.after(.milliseconds(100)) { [self] in sweep() }
  }

  private func sweep() {
    sweepTimer = nil
    for completion in requests.takeExpired(loop.now) {
      completion.body(.failed(Failure(.deadlineExceeded)), [UInt8]().span)
    }
    if !requests.isEmpty { scheduleSweep() }
  }

  // MARK: the end

  /// Room in the socket is no credit: what was refused was refused for want of credit.
  public func streamDrained(_ stream: Stream) {}

  public func streamEnded(_ stream: Stream, _ end: StreamEnd) {
    self.end(LinkEnd(code: .linkLost, message: "the connection ended: \(end)", isPeers: true))
  }

  private func end(_ reason: LinkEnd?) {
    if ending == nil { ending = reason }
    stream.close()
    finish()
  }

  private func finish() {
    guard phase != .ended else { return }
    phase = .ended
    if let heartbeatTimer { loop.cancel(heartbeatTimer) }
    if let sweepTimer { loop.cancel(sweepTimer) }
    // Told at the end of the turn, so that nobody is called from inside his own call.
    loop.atTurnEnd { [self] in
      for completion in requests.takeAll() {
        completion.body(.failed(Failure(.linkLost)), [UInt8]().span)
      }
      let end =
        ending ?? LinkEnd(code: .linkLost, message: ErrorCode.linkLost.reason, isPeers: false)
      owner?.linkEnded(self, end)
      owner = nil
    }
  }
}

@available(*, unavailable)
extension Link: Sendable {}
