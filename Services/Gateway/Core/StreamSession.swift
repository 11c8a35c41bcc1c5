internal import Bytes
internal import ChannelKit
internal import Config
internal import HTTPCodec
internal import Loop
internal import Observe
internal import Platform

/// An HTTP answer without end as the carrier of a session: an event stream, or JSON lines.
///
/// The answer's head says from which position it goes on, so it waits until every channel has
/// begun or been refused, for a while; what the client is told meanwhile is kept behind it.
///
///     waiting ──(all begun, or 2 s)──▶ streaming ──▶ closing
///        └──(all refused for good)──▶ answered with the refusal's status
///
/// Loop-confined.
final class StreamSession: Carrier, EndlessAnswer {
  enum Form { case events, lines }

  private let gateway: GatewayLoop
  private let connection: Connection
  let session: ClientSession
  var onlySession: ClientSession? { session }
  private let form: Form
  /// The channels asked for, and where the client stands in each.
  private var places: StreamPlaces
  /// The same, before anything that was sent.
  private var origin: StreamPlaces
  /// The client said by their names where it stands in its channels, and is answered so.
  private let isAnsweredByNames: Bool
  /// Those of which it isn't known yet where they begin.
  private var unsettled: Set<ChannelName>
  /// The request, until its answer has begun.
  private var exchange: HTTPExchange?
  /// What stands behind the head.
  private var early: [UInt8] = []
  private var wantsDrained = false
  private(set) var isClosing = false
  private var lastRefusal: Refusal?
  private var taking: TakingWatch
  private var listener: ListenerWatch
  private var openingTimer: TimerID?

  private var stream: Stream { connection.stream }

  /// How long the head waits for channels that can't be opened now.
  private static let openingMax = Duration.seconds(2)

  init(
    _ exchange: HTTPExchange, _ connection: Connection, _ session: ClientSession, _ form: Form,
    _ channels: [(ChannelName, Subscription.Since)], isAnsweredByNames: Bool
  ) {
    self.exchange = exchange
    self.connection = connection
    self.session = session
    self.form = form
    gateway = connection.gateway
    places = StreamPlaces(channels)
    origin = places
    self.isAnsweredByNames = isAnsweredByNames
    unsettled = Set(channels.map(\.0))
    listener = ListenerWatch(gateway.loop.now)
    taking = TakingWatch(gateway.loop.now)
    // What is published before the answer has begun goes behind its head.
    stream.withholds = true
  }

  func start(_ channels: [(ChannelName, Subscription.Since)]) {
    exchange?.abandoned = { [self] in ended() }
    exchange?.hurried = { [self] in
      beginAnswer()
      session.drain()
    }
    openingTimer = gateway.loop.after(Self.openingMax) { [self] in beginAnswer() }
    session.open(self, channels)
  }

  // MARK: the head

  /// Begins the answer, with the position that precedes everything in it.
  private func beginAnswer() {
    guard !isClosing, let exchange = takeExchange() else { return }
    var answer = StreamDoors.answer(exchange.route)
    let id = isAnsweredByNames ? origin.byNames : origin.idText ?? ""
    if !id.isEmpty { answer.fields.append(("Last-Event-ID", id)) }
    guard exchange.handOver(to: self, answer) else {
      exchange.abort()
      return ended()
    }
  }

  /// The request, if it is still to be answered; from now on it isn't.
  private func takeExchange() -> HTTPExchange? {
    guard let taken = exchange else { return nil }
    exchange = nil
    taken.abandoned = nil
    taken.hurried = nil
    if let openingTimer { gateway.loop.cancel(openingTimer) }
    openingTimer = nil
    return taken
  }

  func takes(_ connection: Connection) { connection.become(self) }

  /// The connection is this session's: `head` goes out, then what has waited for it.
  func begin(_ head: [UInt8]) {
    stream.send(head)
    if form == .events {
      // A client that comes back does so with some spread, and with this position at least.
      var preamble: [UInt8] = []
      EventStream.append(
        id: origin.idText, retryMs: Int.random(in: 1000...3000), to: &preamble)
      stream.send(preamble)
    }
    stream.send(early)
    early = []
    origin = StreamPlaces([])
    stream.withholds = false
    if wantsDrained { stream.tellWhenEmpty() }
    if gateway.isDraining { session.drain() }
  }

  private func write(_ body: (inout [UInt8]) -> Void) {
    if exchange == nil { stream.send(body) } else { body(&early) }
  }

  func begins(_ subscription: Subscription, after position: Subscription.Since) {
    let name = subscription.channel.name
    places.stand(at: position, in: name)
    origin.stand(at: position, in: name)
    unsettled.remove(name)
    if exchange != nil {
      if unsettled.isEmpty { beginAnswer() }
    } else if form == .events, let id = places.idText {
      write { EventStream.append(id: id, retryMs: nil, to: &$0) }
    }
  }

  /// A channel was refused: whoever comes back asks for it anew.
  private func settleRefused(_ channel: String?, _ refusal: Refusal) {
    lastRefusal = refusal
    guard let channel, let name = ChannelName(channel) else { return }
    unsettled.remove(name)
    if unsettled.isEmpty, !session.subscriptions.isEmpty { beginAnswer() }
  }

  func channelsAnswered() {
    guard session.subscriptions.isEmpty, let lastRefusal else { return }
    end(.refused(lastRefusal))
  }

  // MARK: what the client is sent

  func limitUnsent() { stream.limitUnsent() }
  /// The events of one channel are the same for all its clients, ids included; those of several
  /// channels have each client's own.
  var directStream: Stream? { session.door.encoding == .eventPart ? nil : stream }
  var queuedBytes: Int { stream.queuedBytes + early.count }
  var isBlocked: Bool { stream.isBlocked }

  func tellWhenEmpty() {
    if exchange == nil { return stream.tellWhenEmpty() }
    // Nothing of it can be taken before the answer has begun.
    wantsDrained = true
    gateway.loop.atTurnEnd { [self] in beginAnswer() }
  }

  /// Whoever is left without a channel has to come back for it.
  var hearsClient: Bool { false }

  var hookDoor: HookDoor {
    HookDoor(transport: form == .events ? "sse" : "http_stream", name: "sapphire")
  }

  func drained() { session.drained() }

  func deliver(_ publications: EncodedPublications, of subscription: Subscription) {
    guard !isClosing else { return }
    let name = subscription.channel.name
    write { output in
      var start = 0
      for mark in publications.marks {
        if let position = mark.position {
          places.stand(at: position, in: name)
          EventStream.appendID(places.id, to: &output)
        }
        output.append(contentsOf: publications.bytes[start..<mark.end])
        start = mark.end
      }
    }
  }

  func send(_ bytes: [UInt8], _ start: Int, _ end: Int) {
    guard !isClosing else { return }
    guard exchange == nil else { return early.append(copying: bytes.span.extracting(start..<end)) }
    stream.sendShared(bytes, from: start, to: end)
  }

  func tell(_ message: ServerMessage) {
    guard !isClosing else { return }
    var id: String?
    var retryMs: Int?
    switch message {
    case .unrecoverable(let lost):
      places.stand(at: lost.goesOnFrom, in: lost.channel)
      id = places.idText
    case .reconnect(let afterMs, _): retryMs = afterMs
    default: break
    }
    let json = message.json
    write { output in
      switch form {
      case .events:
        EventStream.append(
          id: id, name: message.type, retryMs: retryMs, data: json, to: &output)
      case .lines: JSONLines.append(json, to: &output)
      }
    }
    if case .error(_, let refusal, let channel) = message { settleRefused(channel, refusal) }
  }

  // MARK: the end

  func end(_ reason: SessionEnd) {
    guard !isClosing else { return }
    switch reason {
    case .refused(let refusal), .unavailable(let refusal):
      if exchange != nil, form == .lines || refusal.isFinal { return answer(refusal) }
    case .slowConsumer: tell(.error(id: nil, .slowConsumer, channel: nil))
    case .draining: break
    }
    // An event source comes back by itself only after an answer that has begun.
    beginAnswer()
    guard !isClosing else { return }
    if case .draining = reason { session.commitLast(all: true) }
    isClosing = true
    stream.closeAfterWriting()
  }

  private func answer(_ refusal: Refusal) {
    guard let exchange = takeExchange() else { return }
    ended()
    exchange.respond(.error(refusal))
  }

  func sweep(_ now: Instant) {
    if taking.hasStalled(
      stream.queuedBytes, given: session.committedBytes, now, within: gateway.settings.idleMax)
    {
      gateway.metrics.limits.reached(.httpIdleTimeout)
      return stream.abort()
    }
    switch listener.sweep(
      stream, now, every: gateway.settings.pingEvery, within: gateway.settings.pongMax)
    {
    case .nothing: break
    case .gone:
      gateway.metrics.limits.reached(.pongTimeout)
      stream.abort()
    case .beat:
      guard !isClosing else { return }
      stream.send(form == .events ? EventStream.heartbeat : JSONLines.heartbeat)
      listener.sent(stream, now)
    }
  }

  var heldBytes: Int { session.waitingBytes + early.count }

  func letGoForMemory() {
    session.cutOff()
    session.forgetWaiting()
  }

  /// The client has closed its side, and may still read: it has said all it had to. One that is gone
  /// answers a heartbeat with a reset, so that it is found at once.
  func peerFinished() -> Bool {
    guard !isClosing else { return stream.queuedBytes > 0 }
    if stream.queuedBytes == 0 {
      stream.send(form == .events ? EventStream.heartbeat : JSONLines.heartbeat)
    }
    return true
  }

  func drain() { session.drain() }

  func ended() {
    isClosing = true
    _ = takeExchange()
    early = []
    session.ended()
  }
}

extension ServerMessage.Unrecoverable {
  /// Where the client stands that was told so.
  var goesOnFrom: Subscription.Since {
    guard let epoch else { return reason == .noHistory || reason == .notPermitted ? .now : .empty }
    return .position(Position(epoch: epoch, offset: reason == .trimmed ? floor : head))
  }
}

extension Refusal {
  /// Asking again will not help.
  var isFinal: Bool {
    (400..<500).contains(status.rawValue) && status != .tooManyRequests
      && status != .requestTimeout
  }
}
