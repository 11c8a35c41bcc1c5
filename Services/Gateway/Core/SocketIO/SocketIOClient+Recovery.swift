internal import Bytes
internal import ChannelKit
internal import EngineIO
internal import Identity
internal import JSON
internal import Loop
internal import Observe
internal import Platform
internal import SocketIO
internal import WebSocketCodec
internal import Wire

/// How a client of the main namespace comes back to where it was.
///
/// All that is needed comes with it: its secret, and its position in each of its channels, which
/// stands behind what it was sent last. It is subscribed anew, by what it may do now; what it missed
/// comes from the histories. On the wire that stands before the CONNECT's answer, as the reference
/// server has it, as far as `Comeback.earlyBytesMax`; the rest comes right behind it.
extension SocketIOClient {
  var offersRecovery: Bool { gateway.settings.engine.recovers && engine.wantsRecovery }

  // MARK: coming back

  /// Lets a client into the main namespace, to where it was if it can be.
  func enterRecoverable(_ identity: Identity?, _ auth: [UInt8]?) throws(Refusal) {
    let said = auth.flatMap { SocketRecovery(auth: $0) }
    let claim = said.flatMap {
      RecoveryClaim(
        $0, of: identity?.user, channelsMax: gateway.settings.channelsPerConnectionMax)
    }
    guard let claim, let places = claim.places else {
      if let claim {
        if !gateway.recoveries.replace(by: self, claim.pid) { _ = gateway.recoveries.order(claim.pid) }
        gateway.recoveries.remove(self, claim.pid)
        gateway.metrics.engine.recovery.returned[.unplaced].add()
      }
      return try enter(identity, RecoveryPID(of: identity?.user, stale: said?.offset))
    }
    let comeback = Comeback(identity, auth, said?.offset ?? "", Set(places.keys))
    try comeBack(claim.pid, places, comeback)
  }

  private func comeBack(
    _ pid: RecoveryPID, _ places: [ChannelName: Subscription.Since], _ comeback: Comeback
  ) throws(Refusal) {
    let isKnown = gateway.recoveries.replace(by: self, pid)
    let standing = RecoverableSession(pid, SocketPlaces(places), comeback)
    let session: ClientSession
    do throws(Refusal) {
      session = try begin(comeback.identity, standing)
    } catch {
      gateway.recoveries.remove(self, pid)
      throw error
    }
    standing.comeback?.timer = gateway.loop.after(patience) { [weak self] in
      self?.recovery?.comeback?.timer = nil
      self?.failComeback(.late)
    }
    if isKnown || !fenceElsewhere(standing) {
      gateway.identityFeed.stands { [weak standing] place in standing?.arrival = .after(place) }
    }
    let tokens = Self.tokens(comeback.auth)
    for (name, since) in places where standing.comeback?.failure == nil {
      let token = tokens?[name.text]?.string
      if !session.comeBack(to: name, since, token: token) { failComeback(.lost) }
    }
    endComebackIfWhole()
  }

  /// Ends its connection on other gateways. The client is not told that it is back before that is on disk:
  /// who then moves on finds it before what the next gateway orders. False where nothing is ordered.
  private func fenceElsewhere(_ standing: RecoverableSession) -> Bool {
    standing.comeback?.isFencing = true
    let isOrdered = gateway.recoveries.order(standing.pid) { [weak self, weak standing] result in
      guard let self, let standing else { return }
      standing.comeback?.isFencing = false
      switch result {
      case .success(let place): standing.arrival = .after(place)
      case .failure: if recovery === standing { failComeback(.unfenced) }
      }
      if recovery === standing { endComebackIfWhole() }
    }
    if !isOrdered { standing.comeback?.isFencing = false }
    return isOrdered
  }

  /// `tokens` of a CONNECT, `{CHANNEL: TOKEN}`: for channels that a client may be in by their tokens.
  private static func tokens(_ auth: [UInt8]?) -> JSONValue? {
    guard let auth, let value = try? JSONValue.parse(auth.span) else { return nil }
    return value["tokens"]
  }

  /// Less than what a CONNECT may take.
  private var patience: Duration {
    min(Comeback.patience, gateway.settings.engine.socket.connectTimeout / 2)
  }

  private func endComebackIfWhole() {
    if let comeback = recovery?.comeback, comeback.isWhole { endComeback() }
  }

  /// Ends it at the turn's end: whoever says so may be in the middle of a channel's work.
  private func endComeback() {
    guard let comeback = recovery?.comeback, !comeback.isEnding else { return }
    recovery?.comeback?.isEnding = true
    gateway.loop.atTurnEnd { [self] in
      guard let recovery, let comeback = recovery.comeback else { return }
      if let timer = comeback.timer { gateway.loop.cancel(timer) }
      if let failure = comeback.failure { beginAnew(recovery, comeback, failure) } else {
        succeed(recovery, comeback)
      }
    }
  }

  func failComeback(_ failure: Comeback.Failure) {
    guard recovery?.comeback != nil else { return }
    if recovery?.comeback?.failure == nil { recovery?.comeback?.failure = failure }
    endComeback()
  }

  private func succeed(_ recovery: RecoverableSession, _ comeback: Comeback) {
    guard let session, engine.isOpen else { return abandonComeback() }
    recovery.comeback = nil
    gateway.metrics.engine.recovery.returned[.recovered].add()
    let early = comeback.early
    for chunk in comeback.missed[..<early] { write(chunk.bytes, isFinal: chunk.isFinal) }
    let sid = ClientID(number: session.clientNumber).text
    perform { _ = $0.accept(.main, sid: sid, pid: recovery.pid.text, &$1) }
    for chunk in comeback.missed[early...] { write(chunk.bytes, isFinal: chunk.isFinal) }
    for note in comeback.notes { tell(note) }
    // What follows has not come to everybody who is here from the beginning.
    openJoined(session) { recovery.places.contains($0) }
    greet(.main, comeback.auth)
  }

  private func beginAnew(
    _ recovery: RecoverableSession, _ comeback: Comeback, _ failure: Comeback.Failure
  ) {
    gateway.metrics.engine.recovery.returned[failure].add()
    abandonComeback(.left)
    do throws(Refusal) {
      try enter(
        comeback.identity, RecoveryPID(of: comeback.identity?.user, stale: comeback.offset))
    } catch { return refuse(.main, error) }
    greet(.main, comeback.auth)
  }

  /// Lets the session go that was to be brought back, if there is one.
  func abandonComeback(_ what: MemberEvent.What = .lost) {
    guard let recovery, let comeback = recovery.comeback else { return }
    if let timer = comeback.timer { gateway.loop.cancel(timer) }
    session?.leaves(what)
    leaveMain()
  }

  /// The client has come back on another connection: nothing more is said on this one.
  func fence() {
    guard recovery?.comeback == nil else {
      abandonComeback()
      return engine.close()
    }
    guard !isOver else { return }
    isOver = true
    perform { $0.disconnect(.main, &$1) }
    if connection.namespaces.isEmpty { perform { $0.close(.forcedServerClose, &$1) } }
  }

  // MARK: where it stands

  /// What everybody is subscribed to keeps nobody from coming back, though it has no history.
  private func counts(_ channel: LocalChannel) -> Bool {
    channel.policy.history != .none
      || !gateway.settings.engine.joinedByAll.contains(channel.name)
  }

  func admits(_ subscription: Subscription) {
    guard let recovery, recovery.comeback == nil else { return compressAlone() }
    let channel = subscription.channel
    guard counts(channel), case .waiting(let since) = subscription.state else { return }
    let isKept = channel.policy.history != .none
    let place = since == .now || !isKept ? channel.place : since
    if recovery.places.stand(at: isKept ? place : .now, in: channel.name) { placesChanged() }
    compressAlone()
  }

  /// What is rewritten for this client can't be compressed for several.
  private func compressAlone() {
    guard let recovery, recovery.places.count > 1, let session else { return }
    for subscription in session.subscriptions where subscription.sharedWindowBits != nil {
      subscription.channel.changeGroup(of: subscription) { subscription.sharesNoWindow() }
    }
  }

  func left(_ subscription: Subscription) {
    guard let recovery else { return }
    guard recovery.comeback == nil else { return failComeback(.lost) }
    if recovery.places.leave(subscription.channel.name) { placesChanged() }
  }

  func begins(_ subscription: Subscription, after position: Subscription.Since) {
    guard let recovery, counts(subscription.channel) else { return }
    guard recovery.places.stand(at: position, in: subscription.channel.name) else { return }
    if recovery.comeback == nil { placesChanged() }
  }

  func isFenced(by place: Position?) -> Bool { recovery?.isFenced(by: place) ?? false }

  func historyBegins(_ epoch: Epoch, of subscription: Subscription) {
    recovery?.places.advance(
      to: Position(epoch: epoch, offset: .zero), in: subscription.channel.name)
  }

  func begun(_ subscription: Subscription) {
    guard recovery?.comeback?.awaited.remove(subscription.channel.name) != nil else { return }
    endComebackIfWhole()
  }

  /// Whoever is brought back has missed nothing that is older than the configuration allows.
  func gathers(_ arrival: Arrival, of subscription: Subscription) -> Bool {
    guard recovery?.comeback != nil, arrival.position != nil,
      let most = gateway.settings.engine.recoveryMax
    else { return false }
    if gateway.loop.wallMilliseconds - arrival.timeMs > most.nanosecondsClamped / 1_000_000 {
      failComeback(.lost)
    }
    return false
  }

  /// BUDGET: how long a client is given to see a publication, which says its position, before an
  /// event of its own does.
  private static let quiet: UInt64 = 5_000_000_000

  /// A client that comes back brings the last string that it saw. One that has none yet may wait.
  private func placesChanged() {
    guard let recovery else { return }
    guard !recovery.holdsPosition else { return tellPlaces() }
    if recovery.tellAt == nil { recovery.tellAt = gateway.loop.now.nanoseconds &+ Self.quiet }
  }

  func quietIsOver(_ now: UInt64) {
    guard let recovery, let at = recovery.tellAt, at <= now else { return }
    recovery.tellAt = nil
    if !recovery.holdsPosition, recovery.comeback == nil { tellPlaces() }
  }

  /// The event `recovery`, which is about its last argument.
  private func tellPlaces() {
    guard let recovery, !isClosing, var writer = try? SocketBodyWriter(event: "recovery") else {
      return
    }
    recovery.holdsPosition = true
    recovery.tellAt = nil
    writer.json.string(recovery.places.text)
    let body = writer.finish()
    perform { try? $0.emit(body, in: .main, &$1) }
  }

  // MARK: what it is sent

  /// A message that is no publication, while the client is not there yet. False where it is there.
  func notes(_ message: ServerMessage) -> Bool {
    guard recovery?.comeback != nil else { return false }
    switch message {
    case .error, .unrecoverable: failComeback(.lost)
    default: if recovery?.comeback?.keep(message) == false { failComeback(.lost) }
    }
    return true
  }

  func deliver(
    _ publications: EncodedPublications, of subscription: Subscription,
    _ recovery: RecoverableSession
  ) {
    var isUnplaced = false
    let bytes = place(publications, of: subscription, recovery, &isUnplaced)
    let isPlain = subscription.sharedWindowBits == nil && subscription.channel.policy.isCompressed
    guard recovery.comeback == nil else {
      guard recovery.comeback?.failure == nil else { return }
      gateway.memory.grew(by: bytes.count)
      if recovery.comeback?.keep(bytes, isFinal: !isPlain) == false { failComeback(.lost) }
      return
    }
    write(bytes, isFinal: !isPlain)
    if isUnplaced { tellPlaces() }
  }

  /// What is sent, with the client's own position where it differs from what the encoding says.
  private func place(
    _ publications: EncodedPublications, of subscription: Subscription,
    _ recovery: RecoverableSession, _ isUnplaced: inout Bool
  ) -> [UInt8] {
    let name = subscription.channel.name
    let isAlone = recovery.places.isAlone(name)
    if isAlone, let last = publications.marks.last?.position {
      recovery.holdsPosition = true
      recovery.places.advance(to: last, in: name)
      return publications.bytes
    }
    // Without a place in the history only a string that is spoken as an event has one behind it.
    guard !isAlone || subscription.encoding == .recoverableEvent else { return publications.bytes }
    var output: [UInt8] = []
    output.reserveCapacity(publications.bytes.count + publications.marks.count * 64)
    var start = 0
    for mark in publications.marks {
      if let position = mark.position {
        recovery.holdsPosition = true
        recovery.places.advance(to: position, in: name)
      }
      let frames = publications.bytes.span.extracting(start..<mark.end)
      if !RecoveryVector.replace(in: frames, by: recovery.places.text, into: &output) {
        output.append(copying: frames)
        isUnplaced = true
      }
      start = mark.end
    }
    return output
  }

  /// Frames of ours, which the client's own compression takes where it has one.
  private func write(_ bytes: [UInt8], isFinal: Bool) {
    if !isFinal, let direct, let compressor = direct.compression?.compressor {
      return direct.stream.send { compressor.append(frames: bytes.span, into: &$0) }
    }
    if let stream = direct?.stream ?? engine.stream { return stream.sendShared(bytes) }
    for frame in FramedMessages(bytes) { engine.send(frame) }
  }
}
