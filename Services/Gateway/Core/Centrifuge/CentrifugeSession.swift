internal import Bytes
internal import Centrifuge
internal import ChannelKit
internal import Config
internal import Identity
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// What moves the frames of a Centrifuge client: a socket, or an answer without end.
protocol CentrifugeTransport: AnyObject {
  /// Appends one frame as it goes on the wire.
  func append(_ frame: [UInt8], to output: inout [UInt8])
  /// What a client has to know that speaks by other requests; nil for one that speaks here.
  var emulation: (node: String, session: String)? { get }
  /// The client has answered a ping.
  func receivedPong()
  /// Ends the connection; nothing is sent behind it.
  func close(_ why: CentrifugeDisconnect)
}

/// The Centrifuge client protocol on top of a client's session: commands in, replies and pushes out.
///
/// Decides nothing of what a client may do or gets; `ClientSession` does. It gives commands to the
/// session, and what the session tells its client the form of this protocol.
///
///     new ──connect──▶ opening ──(its server-side channels are answered, or 2 s)──▶ open ──▶ closing
///      └──(no `connect` in time)──▶ closing
///
/// Publications pass it by, encoded once for all; but those that come before the answer to
/// `connect` wait behind it, and those of a subscription's first step are part of its answer.
/// Loop-confined.
final class CentrifugeSession: Carrier {
  let session: ClientSession
  let form: CentrifugeForm
  let compression: SocketCompression?
  let stream: Stream
  private(set) var transport: (any CentrifugeTransport)?
  private(set) var isClosing = false
  /// `connect` has been accepted.
  var isConnected = false
  /// While the answer to `connect` waits for server-side channels.
  var opening: Opening?
  /// Subscriptions under way. At most as many as a client may have channels.
  var pending: [ChannelName: PendingSubscription] = [:]
  /// Channels that the client did not ask for itself.
  var serverSide: Set<ChannelName> = []
  /// Channels whose refresh has not been answered.
  var refreshing: [UInt32: ChannelName] = [:]
  /// Histories and presences that are being read.
  var reads = 0
  /// Replies to the commands of one frame, which leave as one.
  private var batch: [UInt8] = []
  private var isBatching = false

  /// What is kept until `connect` is answered.
  final class Opening {
    let id: UInt32
    var reply: CentrifugeReply.Connect
    var awaited: Set<ChannelName> = []
    /// Frames behind the answer, as they go on the wire.
    var early: [UInt8] = []
    var wantsDrained = false
    var timer: TimerID?

    init(_ id: UInt32, _ reply: CentrifugeReply.Connect) {
      self.id = id
      self.reply = reply
    }
  }

  init(
    _ session: ClientSession, _ form: CentrifugeForm, _ stream: Stream,
    _ compression: SocketCompression?
  ) {
    self.session = session
    self.form = form
    self.stream = stream
    self.compression = compression
  }

  var gateway: GatewayLoop { session.gateway }
  var encoding: CentrifugeEncoding { form.encoding }

  /// The client is heard from now on.
  func start(_ transport: any CentrifugeTransport) {
    self.transport = transport
    session.awaitSignIn(self)
  }

  func ended() {
    isClosing = true
    if let timer = opening?.timer { gateway.loop.cancel(timer) }
    opening = nil
    pending = [:]
    transport = nil
    session.ended()
  }

  /// What waits for the client besides what its session and its stream hold.
  var heldBytes: Int {
    let gathered = pending.values.reduce(0) { sum, given in
      given.publications.reduce(sum) { $0 + $1.data.count }
    }
    return gathered + batch.count + (opening?.early.count ?? 0)
  }

  // MARK: the way to the client

  var hookDoor: HookDoor {
    let transport =
      switch form.framing {
      case .frame: "websocket"
      case .event: "sse"
      case .line: "http_stream"
      }
    let isBinary = encoding == .protobuf
    return HookDoor(
      transport: form.isUnidirectional ? "uni_\(transport)" : transport,
      name: isBinary ? "protobuf" : "json", encoding: isBinary ? "binary" : "json")
  }

  var directStream: Stream? { stream }
  func limitUnsent() { stream.limitUnsent() }
  var queuedBytes: Int { stream.queuedBytes + (opening?.early.count ?? 0) }
  var isBlocked: Bool { stream.isBlocked }
  var hearsClient: Bool { !form.isUnidirectional }

  func tellWhenEmpty() {
    if let opening { opening.wantsDrained = true } else { stream.tellWhenEmpty() }
  }

  /// The connection keeps a context: what others share is compressed for it alone.
  func deliver(_ publications: EncodedPublications, of subscription: Subscription) {
    guard let compressor = compression?.compressor, opening == nil else {
      return send(publications.bytes, 0, publications.bytes.count)
    }
    stream.send { compressor.append(frames: publications.bytes.span, into: &$0) }
  }

  func send(_ bytes: [UInt8], _ start: Int, _ end: Int) {
    guard !isClosing else { return }
    guard let opening else { return stream.sendShared(bytes, from: start, to: end) }
    opening.early.append(copying: bytes.span.extracting(start..<end))
  }

  /// An answer, or a push that is no channel's own: it overtakes what waits.
  func say(_ reply: CentrifugeReply) {
    guard !isClosing else { return }
    let frame = form.encode(reply)
    if isBatching { return encoding.append(frame, to: &batch) }
    send(control: framed(frame))
  }

  /// Nothing overtakes the answer to `connect`.
  private func send(control bytes: [UInt8]) {
    if let opening { opening.early.append(contentsOf: bytes) } else { session.send(control: bytes) }
  }

  /// The same, in its place among what was said and published before.
  func sayInOrder(_ reply: CentrifugeReply) {
    guard !isClosing else { return }
    flushBatch()
    let bytes = framed(form.encode(reply))
    send(bytes, 0, bytes.count)
  }

  private func framed(_ frame: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    transport?.append(frame, to: &bytes)
    return bytes
  }

  /// Answers go out as one frame until `endBatch`.
  func beginBatch() { isBatching = true }

  func endBatch() {
    isBatching = false
    flushBatch()
  }

  /// What was gathered leaves now, since something follows that doesn't come this way.
  func flushBatch() {
    guard !batch.isEmpty, !isClosing else { return }
    let bytes = framed(batch)
    batch = []
    send(control: bytes)
  }

  func fail(_ id: UInt32, _ failure: CentrifugeReply.Failure) {
    say(CentrifugeReply(id: id, .failure(failure)))
  }

  func fail(_ id: UInt32, _ code: CentrifugeErrorCode) { fail(id, code.failure) }
  func fail(_ id: UInt32, _ refusal: Refusal) { fail(id, refusal.centrifugeFailure) }

  // MARK: what the session tells

  func tell(_ message: ServerMessage) {
    guard !isClosing else { return }
    switch message {
    case .ack(let id, _, _): if let tag = CentrifugeTag(id) { acknowledged(tag) }
    case .error(let id, let refusal, let channel):
      refused(CentrifugeTag(id), refusal, channel.flatMap { ChannelName($0) })
    case .signedIn(let id, _, _, _):
      say(CentrifugeTag(id).map { CentrifugeReply(id: $0.id, .refresh(refreshed)) } ?? extended)
    case .unrecoverable(let lost): lostPlace(lost)
    // What the client goes by as complete is not: it comes back, and finds that out.
    case .gap(let channel, _): if isPositioned(channel) { disconnect(.insufficientState) }
    case .member(let news, let channel, _): memberChanged(news, channel)
    // They ask for who is there. What one that took nothing has missed of that, it can't be told.
    case .presence(let channel, _, _):
      let isAgain = session.subscriptions.contains {
        $0.channel.name == channel && $0.watching == .behind
      }
      if isAgain { disconnect(.insufficientState) }
    // These clients know from the answer to `connect` when to refresh, and measure nothing.
    case .connection, .reconnect, .pong, .expiring, .quality: break
    }
  }

  private func acknowledged(_ tag: CentrifugeTag) {
    switch tag.kind {
    // Answered once its first step is over.
    case .subscribe, .refresh: break
    case .unsubscribe: say(CentrifugeReply(id: tag.id, .unsubscribe))
    case .publish: say(CentrifugeReply(id: tag.id, .publish))
    case .subRefresh:
      var result = CentrifugeReply.SubRefresh()
      let channel = refreshing.removeValue(forKey: tag.id)
      if let channel, !session.isKeptByHook(in: channel),
        let end = session.subscriptions.first(where: { $0.channel.name == channel })?.grantEnd
      {
        (result.expires, result.ttlSeconds) = (true, timeToLive(end))
      }
      say(CentrifugeReply(id: tag.id, .subRefresh(result)))
    }
  }

  private func refused(_ tag: CentrifugeTag?, _ refusal: Refusal, _ channel: ChannelName?) {
    if let tag, tag.kind != .subscribe {
      if tag.kind == .subRefresh { refreshing[tag.id] = nil }
      return fail(tag.id, refusal)
    }
    if let channel, let given = pending.removeValue(forKey: channel) {
      if let id = given.id { fail(id, refusal.centrifugeSubscribeFailure) }
      return answered(channel, nil)
    }
    if let tag { return fail(tag.id, refusal.centrifugeSubscribeFailure) }
    // What is about the connection is said by how it closes.
    guard let channel, refusal != .presenceDenied else { return }
    sayInOrder(CentrifugeReply(refusal.centrifugeUnsubscribe.push(channel: channel.text)))
  }

  private func lostPlace(_ lost: ServerMessage.Unrecoverable) {
    if pending[lost.channel] != nil {
      pending[lost.channel]?.isLost = true
    } else if lost.reason == .epochChanged, !serverSide.contains(lost.channel) {
      resubscribe(lost.channel)
    } else if isPositioned(lost.channel) {
      disconnect(.insufficientState)
    }
  }

  /// The client subscribes anew, and is told then that what it missed is gone. It asks with a
  /// position of the history that was before, whatever it gets until the turn is over.
  private func resubscribe(_ channel: ChannelName) {
    sayInOrder(
      CentrifugeReply(CentrifugeUnsubscribeCode.insufficientState.push(channel: channel.text)))
    gateway.loop.atTurnEnd { [self] in session.unsubscribe(channel) }
  }

  private func isPositioned(_ channel: ChannelName) -> Bool {
    session.subscriptions.contains { $0.channel.name == channel && isPositioned($0) }
  }

  /// Every channel with a history is, for those who may read it.
  func isRecoverable(_ subscription: Subscription) -> Bool {
    hasPlace(subscription) && !subscription.override.forgetsPlace
  }

  /// Whether its client is told of a hole in what it gets.
  func isPositioned(_ subscription: Subscription) -> Bool {
    hasPlace(subscription) && !subscription.override.isUnpositioned
  }

  private func hasPlace(_ subscription: Subscription) -> Bool {
    subscription.channel.policy.history != .none && !subscription.isCutOffFromHistory
      && session.may(.history, subscription)
  }

  private func memberChanged(_ news: PresenceObserver.News, _ channel: ChannelName) {
    let own = ClientID(number: session.clientNumber).text
    switch news {
    case .joined(let member):
      let info = CentrifugeClientInfo(ControlMessage.Person(member))
      // That has been told with the subscription.
      guard info.client != own else { return }
      say(CentrifugeReply(CentrifugePush(channel: channel.text, .join(info))))
    case .left(let member):
      let info = CentrifugeClientInfo(ControlMessage.Person(member))
      say(CentrifugeReply(CentrifugePush(channel: channel.text, .leave(info))))
    case .updated: break
    }
  }

  // MARK: the end

  func channelsAnswered() {}

  func end(_ reason: SessionEnd) {
    switch reason {
    case .refused(let refusal):
      let isLate = refusal == .signInFirst && isConnected
      disconnect(isLate ? .invalidToken : refusal.centrifugeDisconnect)
    case .unavailable: disconnect(.serverError)
    case .slowConsumer: disconnect(.slow)
    case .draining: disconnect(.shutdown, behindAll: true)
    }
  }

  /// The client is going by itself, or the socket fails: nothing more is said.
  func leaves() { isClosing = true }

  func ping() { session.send(control: framed(encoding.ping)) }

  /// - Parameter behindAll: whether publications that wait come before it, and not only answers.
  func disconnect(_ why: CentrifugeDisconnect, behindAll: Bool = false) {
    guard !isClosing else { return }
    session.commitLast(all: behindAll)
    flushBatch()
    isClosing = true
    transport?.close(why)
  }
}

extension CentrifugeClientInfo {
  init(_ person: ControlMessage.Person) {
    self.init(
      user: person.user, client: person.client, connInfo: person.info.connection,
      chanInfo: person.info.channel)
  }
}
