internal import Bytes
internal import ChannelKit
internal import Identity
internal import Loop
internal import Observe
internal import Platform
internal import Wire

/// One client's interest in one channel on this loop.
///
///     waiting ──(channel is live)──▶ live ──(its client is too slow)──▶ parked
///        └────(since)──▶ replaying ──(seam reached)──▶ live               │
///                            ◀──────────(its client has room)────────────┘
///
/// Loop-confined; held by the client's session and by its channel.
final class Subscription {
  /// Small, as there may be many: what few need for a while is kept apart.
  enum State {
    /// For the channel to be live.
    case waiting(Since)
    /// What was missed is being read; the offset is the last one delivered.
    indirect case replaying(Replay)
    /// In the channel's list at this index.
    case live(index: Int)
    /// Its client could not take what was published: it goes on from there when it can.
    indirect case parked(Replay)
    case ended
  }

  enum Watching {
    case no
    /// Nothing can be shown yet.
    case awaited
    case shown
    /// The client did not take what it was told, and has to be shown all anew.
    case behind
  }

  struct Replay {
    /// Nil until the first page tells it.
    var epoch: Epoch?
    /// The last offset the client was sent.
    var delivered: Offset
    /// What is no longer kept is no loss.
    var takesWhatIsKept = false
    /// A page is under way, or is waited for.
    var isReading = false
    /// Whether there is such a position is asked first.
    var isChecking = false
    /// What the client knows of the epoch, until a page names it.
    var tag: EpochTag?
    /// Pages in a row that could not be read.
    var failures = 0
    /// It had been live, and goes on from where its client stopped keeping up.
    var isResumed = false
    /// Ahead of this loop, which has still to see what was delivered already.
    var awaitsChannel = false
    /// Its client may not read the history any more, and is told so once the channel is live.
    var isForbidden = false

    /// Whether it is of that epoch, which it takes for its own if so.
    mutating func isOf(_ epoch: Epoch) -> Bool {
      if let tag, tag == EpochTag(epoch) {
        self.epoch = epoch
        self.tag = nil
      }
      return self.epoch == epoch
    }
  }

  let session: ClientSession
  /// The carrier's, at hand for what happens for each delivery; nil where the carrier has to do
  /// something with each publication.
  private let stream: Stream?
  var directStream: Stream? { stream }
  let channel: LocalChannel
  /// Kept apart: few have one, and there may be many subscriptions.
  private var extras: Extras?
  private final class Extras {
    var grant: SubscriptionGrant?
    var tailoring: Tailoring?
    var answer: Payload?
    var override: SubscriptionOverride?

    var isEmpty: Bool { grant == nil && tailoring == nil && answer == nil && override == nil }
  }
  /// What a plugin wants others to be shown of the client here, JSON; empty: what its grant says.
  var info: [UInt8] = []
  /// Its place in the client's outbox, while something waits there.
  var flow: OutboundLanes.Flow?
  /// Left out since the client was last told: of an answer that is full, or while it was parked what
  /// stands in no history.
  var dropped: UInt64 = 0
  /// What the door needs to find its own things again.
  var messageID: MessageID?
  var state: State
  /// Since when its client gets less than all at once.
  var behindSince: Instant?
  /// The window of the compression that it shares with others; nil where it shares none.
  private(set) var sharedWindowBits: Int?
  let encoding: Encoding
  /// Its client is told of the channel's members.
  var watching = Watching.no
  /// Presence has been told that its client is here.
  var isPresent = false
  /// Its client came with a position and may not read the history: it goes on from now.
  var isCutOffFromHistory = false
  /// Its client has been told that this token ends soon.
  var isWarned = false
  /// It stands in the ledger of channels that bound their subscribers.
  var isCounted = false
  /// Its client's `connection` message waits for it.
  var isWelcomed = false
  /// Its client has been told where it goes on from.
  private(set) var hasBegun = false

  init(_ session: ClientSession, _ channel: LocalChannel, _ encoding: Encoding, since: Since) {
    self.session = session
    // What the rule doesn't want compressed goes past the connection's context as well.
    let compression = channel.policy.isCompressed ? session.carrier?.compression : nil
    sharedWindowBits = compression?.sharedWindowBits
    let isCarriedPlain = compression == nil || sharedWindowBits != nil
    stream = isCarriedPlain ? session.carrier?.directStream : nil
    self.channel = channel
    self.encoding = encoding
    state = .waiting(since)
  }

  /// The token that it was made with, where one was needed.
  var grant: SubscriptionGrant? {
    get { extras?.grant }
    set { if newValue != nil || extras != nil { withExtras { $0.grant = newValue } } }
  }

  /// Nil where it gets what others get.
  var tailoring: Tailoring? {
    get { extras?.tailoring }
    set { if newValue != nil || extras != nil { withExtras { $0.tailoring = newValue } } }
  }

  /// What its client is told with the answer: by the channel's type, a token or a back end.
  var answer: Payload? {
    get { extras?.answer }
    set { if newValue != nil || extras != nil { withExtras { $0.answer = newValue } } }
  }

  /// What a back end has different for its client.
  var override: SubscriptionOverride {
    get { extras?.override ?? SubscriptionOverride() }
    set { withExtras { $0.override = newValue.isEmpty ? nil : newValue } }
  }

  private func withExtras(_ body: (Extras) -> Void) {
    let extras = extras ?? Extras()
    body(extras)
    self.extras = extras.isEmpty ? nil : extras
  }

  /// What others are shown of its client in the channel.
  var shownInfo: ShownInfo {
    ShownInfo(
      connection: session.context.info, channel: info.isEmpty ? extras?.grant?.info ?? [] : info)
  }

  /// Its publications get something of its client's own: they are compressed for it alone. Only
  /// in `LocalChannel.changeGroup`.
  func sharesNoWindow() { sharedWindowBits = nil }

  /// When that ends, in seconds of Unix time.
  var grantEnd: Int64? { extras?.grant?.expiresAt }

  /// Its channel is not open yet.
  var isWaiting: Bool { if case .waiting = state { true } else { false } }

  var isLive: Bool { if case .live = state { true } else { false } }
  /// Its publications go to the client's stream as they are.
  var isDirect: Bool { stream != nil }

  /// What the client gets from here on follows `position`.
  func begins(after position: Since) {
    session.begins(self, after: position)
    hasBegun = true
  }

  /// What the first step has for the client has been handed over; what follows comes by itself.
  func begun() { session.carrier?.begun(self) }

  // MARK: publications

  /// Hands over publications in the subscription's encoding, in the flush step.
  func deliver(_ publications: borrowing EncodedPublications) {
    guard let stream else { return handOver(publications) }
    guard stream.isClear else { return queue(publications, stream) }
    let sent = stream.offer(publications.bytes)
    if sent < publications.bytes.count { session.hold(copy publications, from: sent, of: self) }
  }

  /// Behind what this turn had for the client already; what doesn't fit there waits in a lane.
  private func queue(_ publications: borrowing EncodedPublications, _ stream: Stream) {
    guard !session.hasOutbox, !stream.withholds, !stream.isBlocked,
      stream.queuedBytes + publications.bytes.count <= Stream.windowBytes
    else { return session.hold(copy publications, from: 0, of: self) }
    stream.sendShared(publications.bytes)
  }

  private func handOver(_ publications: borrowing EncodedPublications) {
    guard let carrier = session.carrier else { return }
    let queued = carrier.queuedBytes
    if carrier.isOneAnswer {
      if dropped > 0 || queued > 0 && queued + publications.bytes.count > session.queueBytesMax {
        return overflow(publications.count)
      }
    } else if session.hasOutbox || carrier.isBlocked
      || queued + publications.bytes.count > Stream.windowBytes
    {
      return session.hold(copy publications, from: 0, of: self)
    }
    carrier.deliver(copy publications, of: self)
  }

  /// A publication for this client alone: of its replay, a snapshot or an answer.
  func send(
    _ payload: Payload, position: Position?, timeMs: Int64, publisher: Publisher = Publisher(),
    tags: ArrivalTags? = nil
  ) {
    if let tailoring {
      let arrival = Arrival(
        position: position, timeMs: timeMs, publisher: publisher, payload: payload, tags: tags)
      return send(tailored: arrival, tailoring)
    }
    func encode(_ bytes: inout [UInt8]) {
      encoding.append(
        payload, position: position, timeMs: timeMs, publisher: publisher, tags: tags,
        prefix: channel.envelopePrefix, to: &bytes)
    }
    if encoding.centrifuge != nil || encoding.isRecoverable {
      let arrival = Arrival(
        position: position, timeMs: timeMs, publisher: publisher, payload: payload, tags: tags)
      if session.carrier?.gathers(arrival, of: self) == true { return }
    }
    if let stream, !session.holdsBack, !stream.withholds { return stream.send(encode) }
    var bytes: [UInt8] = []
    encode(&bytes)
    sendAlone(bytes, position)
  }

  /// Whether the carrier has it, and it doesn't wait where it may be left out yet.
  @discardableResult
  func sendAlone(_ bytes: [UInt8], _ position: Position?) -> Bool {
    let mark = EncodedPublications.Mark(end: bytes.count, position: position)
    return send(
      alone: EncodedPublications(
        bytes: bytes, count: 1, marks: [mark], first: position, last: position))
  }

  /// The same for publications that stand in the history one behind the other.
  @discardableResult
  func send(alone publications: EncodedPublications) -> Bool {
    if session.holdsBack {
      session.hold(alone: publications, of: self)
      return false
    }
    if isDirect {
      session.carrier?.send(publications.bytes, 0, publications.bytes.count)
    } else {
      session.carrier?.deliver(publications, of: self)
    }
    return true
  }

  /// Whether publications of a history may go to the client several together: those of a socket or stream
  /// to which their bytes are given as they are, each known by its end.
  var takesTogether: Bool {
    isDirect && tailoring == nil && encoding.centrifuge == nil && !encoding.isRecoverable
      && !encoding.hasMarks
  }

  /// The answer is full: a history has the rest for the next one.
  private func overflow(_ count: Int) {
    channel.gateway.metrics.dropped.add(UInt64(count))
    channel.gateway.metrics.limits.clientQueueBytes.add(UInt64(count))
    if channel.policy.isDurable { return session.cutOff() }
    if dropped == 0 { session.carrier?.tellWhenEmpty() }
    dropped &+= UInt64(count)
  }

  /// Tells the client what the answer lacks.
  func relieved() {
    guard dropped > 0 else { return }
    session.tell(.gap(channel.name, dropped: dropped))
    dropped = 0
  }
}
