internal import Bytes
internal import ChannelKit
internal import HTTPCodec
internal import JSON
internal import Loop

/// A long poll as the carrier of a session: one answer with what there is after a position, or with
/// what comes first, or with nothing in time.
///
/// The answer's position is exactly behind what the answer holds, in every channel with a history:
/// the next poll goes on from there, without a gap and without a repetition. Loop-confined.
final class PollSession: Carrier {
  private let gateway: GatewayLoop
  private let session: ClientSession
  private let timeout: Duration
  /// Answers with the present position and waits for nothing.
  private let asksForPosition: Bool
  /// Nil once it has been answered.
  private var exchange: HTTPExchange?
  private var places: [(name: ChannelName, place: Subscription.Since)]
  private var unsettled: Set<ChannelName>
  /// Envelopes, one a line.
  private var lines: [UInt8] = []
  private var messages: [[UInt8]] = []
  /// A message that the client must not wait for.
  private var hasNews = false
  private var lastRefusal: Refusal?
  private var isAnswerDue = false
  private var timer: TimerID?
  private var graceTimer: TimerID?

  /// How long an answer waits for channels that can't be opened now, once there is something to say.
  private static let openingMax = Duration.seconds(2)

  init(
    _ exchange: HTTPExchange, _ session: ClientSession,
    _ channels: [(ChannelName, Subscription.Since)], asksForPosition: Bool, _ timeout: Duration
  ) {
    self.exchange = exchange
    self.session = session
    self.asksForPosition = asksForPosition
    self.timeout = timeout
    gateway = session.gateway
    places = channels.map { (name: $0.0, place: $0.1) }
    unsettled = Set(channels.map(\.0))
  }

  func start(_ channels: [(ChannelName, Subscription.Since)]) {
    exchange?.abandoned = { [self] in finish() }
    exchange?.hurried = { [self] in
      if gateway.isDraining { messages.append(ServerMessage.reconnect(afterMs: ServerMessage.comeBackMs, since: nil).json) }
      answer()
    }
    exchange?.session = session
    // Each poll asks for its channels anew, as a client of a socket does by a message.
    if let refusal = session.takeSeat() ?? session.asksTooOften(subscribes: true) {
      return respond(.error(refusal))
    }
    let longest = asksForPosition ? Self.openingMax : timeout
    timer = gateway.loop.after(longest) { [self] in expire() }
    session.open(self, channels)
  }

  // MARK: what the client gets

  var directStream: Stream? { nil }
  var isBlocked: Bool { false }
  var isClosing: Bool { exchange == nil }
  var queuedBytes: Int { lines.count }
  var takesPages: Bool { !isAnswerDue }
  var isOneAnswer: Bool { true }
  /// There will be no more room than there is: what does not fit comes with the next poll.
  func tellWhenEmpty() {
    guard exchange != nil, !isAnswerDue else { return }
    isAnswerDue = true
    gateway.loop.atTurnEnd { [self] in answer() }
  }

  func deliver(_ publications: EncodedPublications, of subscription: Subscription) {
    guard exchange != nil else { return }
    lines.append(contentsOf: publications.bytes)
    gateway.memory.grew(by: publications.bytes.count)
    if let last = publications.marks.last(where: { $0.position != nil })?.position {
      stand(at: .position(last), in: subscription.channel.name)
    }
    answerSoon()
  }

  func send(_ bytes: [UInt8], _ start: Int, _ end: Int) {}
  var hookDoor: HookDoor { HookDoor(transport: "poll", name: "sapphire") }

  func begins(_ subscription: Subscription, after position: Subscription.Since) {
    stand(at: position, in: subscription.channel.name)
    unsettled.remove(subscription.channel.name)
    answerSoon()
  }

  func tell(_ message: ServerMessage) {
    guard exchange != nil else { return }
    switch message {
    case .error(_, let refusal, let channel):
      lastRefusal = refusal
      // What is refused from the beginning keeps nobody else waiting; what ends later is news.
      if let name = channel.flatMap({ ChannelName($0) }), unsettled.remove(name) == nil {
        hasNews = true
      }
    case .unrecoverable(let lost):
      stand(at: lost.goesOnFrom, in: lost.channel)
      hasNews = true
    case .gap: hasNews = true
    default: return
    }
    messages.append(message.json)
    answerSoon()
  }

  private func stand(at place: Subscription.Since, in channel: ChannelName) {
    if let index = places.firstIndex(where: { $0.name == channel }) { places[index].place = place }
  }

  // MARK: the answer

  func channelsAnswered() {
    guard session.subscriptions.isEmpty, let lastRefusal else { return }
    end(.refused(lastRefusal))
  }

  /// Once every channel has had its say, so that a busy one does not keep the others out, and at
  /// the turn's end, so that all of a turn comes together.
  private func answerSoon() {
    guard asksForPosition || !lines.isEmpty || hasNews, !isAnswerDue else { return }
    if unsettled.isEmpty {
      isAnswerDue = true
      gateway.loop.atTurnEnd { [self] in answer() }
    } else if graceTimer == nil, !asksForPosition {
      graceTimer = gateway.loop.after(Self.openingMax) { [self] in answer() }
    }
  }

  private func expire() {
    timer = nil
    answer()
  }

  /// Whether the answer would say nothing of any channel: none is open yet, and of none with a history
  /// the client has a place. Without one it would not know what it misses until it asks again.
  private var knowsNothing: Bool {
    unsettled.count == places.count
      && places.contains { name, place in
        place == .now && (gateway.settings.policy(name)?.history ?? .none) != .none
      }
      && !places.contains { $0.place != .now }
  }

  /// Names the channels that could not be opened in time: the others' answer does not wait for them.
  private func nameUnsettled() {
    for place in places where unsettled.contains(place.name) {
      messages.append(
        ServerMessage.error(id: nil, .unavailable, channel: place.name.text).json)
    }
  }

  private func answer() {
    guard exchange != nil else { return }
    // What there is, is not lost: the client asks again from where it was.
    guard !knowsNothing else { return respond(.error(.unavailable)) }
    if lines.isEmpty, session.subscriptions.isEmpty, let lastRefusal {
      return respond(.error(lastRefusal))
    }
    nameUnsettled()
    for subscription in session.subscriptions where subscription.dropped > 0 {
      // With a history the next poll gets them.
      if subscription.channel.policy.history == .none { subscription.relieved() }
    }
    var writer = JSONWriter(reserving: lines.count + 256)
    writer.beginObject()
    writer.key("publications")
    writer.raw(list)
    let vector = PositionVector.encode(places.map { ($0.name, $0.place) })
    writer.field("position", vector.isEmpty ? "now" : vector)
    if !messages.isEmpty {
      writer.key("messages")
      writer.beginArray()
      for message in messages { writer.raw(message) }
      writer.endArray()
    }
    writer.endObject()
    var response = Response(.ok, "application/json", writer.bytes)
    response.fields.append(("Cache-Control", "no-store"))
    respond(response)
  }

  /// The lines as a JSON array.
  private var list: [UInt8] {
    var list: [UInt8] = [UInt8(ascii: "[")]
    list.reserveCapacity(lines.count + 2)
    for byte in lines.dropLast() { list.append(byte == 10 ? UInt8(ascii: ",") : byte) }
    list.append(UInt8(ascii: "]"))
    return list
  }

  private func respond(_ response: Response) {
    guard let exchange else { return }
    finish()
    exchange.respond(response)
  }

  // MARK: the end

  func end(_ reason: SessionEnd) {
    switch reason {
    case .refused(let refusal), .unavailable(let refusal): respond(.error(refusal))
    // What there is, is answered; the rest comes with the next poll.
    case .slowConsumer, .draining: answer()
    }
  }

  private func finish() {
    guard let exchange else { return }
    self.exchange = nil
    exchange.abandoned = nil
    exchange.hurried = nil
    for timer in [timer, graceTimer] {
      if let timer { gateway.loop.cancel(timer) }
    }
    session.ended()
  }
}
