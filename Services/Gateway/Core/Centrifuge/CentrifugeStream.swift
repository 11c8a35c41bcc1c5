internal import Bytes
internal import Centrifuge
internal import Config
internal import Loop
internal import Platform

/// An HTTP answer without end that carries the Centrifuge protocol: events, lines, or Protobuf.
///
/// What the client says comes by `POST /emulation`, on whatever connection; a client that only
/// listens says nothing. Loop-confined.
final class CentrifugeStream: CentrifugeTransport, EndlessAnswer {
  private let connection: Connection
  private let centrifuge: CentrifugeSession
  private let form: CentrifugeForm
  /// The name by which the client's commands find this stream; nil where it says nothing.
  let name: SessionToken?
  private var keepAlive: SocketKeepAlive
  private var taking: TakingWatch
  private var listener: ListenerWatch

  private var stream: Stream { connection.stream }
  private var gateway: GatewayLoop { connection.gateway }
  var session: ClientSession { centrifuge.session }
  var onlySession: ClientSession? { session }

  init(_ connection: Connection, _ session: ClientSession, _ form: CentrifugeForm) {
    self.connection = connection
    self.form = form
    centrifuge = CentrifugeSession(session, form, connection.stream, nil)
    name = form.isUnidirectional ? nil : SessionToken()
    let now = connection.gateway.loop.now
    keepAlive = SocketKeepAlive(now)
    taking = TakingWatch(now)
    listener = ListenerWatch(now)
  }

  // MARK: the beginning

  func takes(_ connection: Connection) { connection.become(self) }
  func begin(_ head: [UInt8]) { stream.send(head) }

  /// The answer has begun: carries out what the request asked for.
  func start(_ commands: [UInt8]) {
    if let name { gateway.emulated.add(name, self) }
    centrifuge.start(self)
    received(commands)
    if gateway.isDraining { session.drain() }
  }

  var emulation: (node: String, session: String)? {
    name.map { (EmulatedStreams.node(gateway), $0.text) }
  }

  // MARK: both ways

  func append(_ frame: [UInt8], to output: inout [UInt8]) { form.append(line: frame, to: &output) }

  /// Commands that have found their way here.
  func received(_ commands: [UInt8]) { centrifuge.received(commands) }

  func receivedPong() {
    if let answer = keepAlive.receivedPong(gateway.loop.now) {
      gateway.metrics.heartbeats.record(answer, keepAlive.meter)
    }
  }

  func drained() { session.drained() }

  // MARK: the end

  func close(_ why: CentrifugeDisconnect) {
    stream.withholds = false
    var bytes: [UInt8] = []
    append(form.encode(CentrifugeReply(why.push)), to: &bytes)
    stream.send(bytes)
    stream.closeAfterWriting()
  }

  func sweep(_ now: Instant) {
    if taking.hasStalled(
      stream.queuedBytes, given: session.committedBytes, now, within: gateway.settings.idleMax)
    {
      gateway.metrics.limits.reached(.httpIdleTimeout)
      return stream.abort()
    }
    guard centrifuge.isConnected, !centrifuge.isClosing else { return }
    if form.isUnidirectional { sweepListener(now) } else { sweepSpeaker(now) }
  }

  private func sweepSpeaker(_ now: Instant) {
    switch keepAlive.sweep(
      now, every: gateway.settings.pingEvery, within: gateway.settings.pongMax,
      isBlocked: stream.isBlocked, progress: { stream.progress() })
    {
    case .nothing, .late: break
    case .ping: centrifuge.ping()
    case .close:
      gateway.metrics.limits.reached(.pongTimeout)
      centrifuge.disconnect(.noPong)
    }
  }

  private func sweepListener(_ now: Instant) {
    switch listener.sweep(
      stream, now, every: gateway.settings.pingEvery, within: gateway.settings.pongMax)
    {
    case .nothing: break
    case .gone:
      gateway.metrics.limits.reached(.pongTimeout)
      stream.abort()
    case .beat:
      centrifuge.ping()
      listener.sent(stream, now)
    }
  }

  var heldBytes: Int { session.waitingBytes + centrifuge.heldBytes }

  func letGoForMemory() {
    session.cutOff()
    session.forgetWaiting()
  }

  /// The client has closed its side, and may still read. One that is gone answers with a reset.
  func peerFinished() -> Bool {
    guard !centrifuge.isClosing else { return stream.queuedBytes > 0 }
    if stream.queuedBytes == 0, centrifuge.isConnected { centrifuge.ping() }
    return true
  }

  func drain() { session.drain() }

  func ended() {
    if let name { gateway.emulated.remove(name) }
    centrifuge.ended()
  }
}
