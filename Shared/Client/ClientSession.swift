public import Bytes
internal import JSON
public import Platform

/// How the client stands with its server.
public enum ConnectionState: Hashable, Sendable {
  case connecting
  case connected
  /// Waiting to connect again, as the `attempt`-th try in a row, counted from 1.
  case waiting(Duration, attempt: Int, reason: String)
  /// It will not connect again.
  case closed(ClosedBecause)
}

/// Why a client will not connect again.
public enum ClosedBecause: Hashable, Sendable, CustomStringConvertible {
  case closedHere
  /// The server answered the opening with this status.
  case refused(status: Int)
  /// The server closed the connection with a code that is final.
  case closedByServer(code: UInt16, reason: String)
  /// The server can't be asked at all.
  case unsendable(String)

  public var description: String {
    switch self {
    case .closedHere: "closed here"
    case .refused(let status): "the server answered with status \(status)"
    case .closedByServer(let code, let reason):
      "the server closed the connection (\(code))\(reason.isEmpty ? "" : ": \(reason)")"
    case .unsendable(let reason): reason
    }
  }
}

/// Why a publication was not taken.
public enum EmitFailure: Error, Hashable, Sendable, CustomStringConvertible {
  case refused(ServerRefusal)
  /// Too much waits for the server already.
  case queueFull
  /// Json with parts can't be published here.
  case notCarried
  /// The client was closed; whether the server has it is not known.
  case closed

  public var description: String {
    switch self {
    case .refused(let refusal): refusal.description
    case .queueFull: "too many publications wait for the server"
    case .notCarried: "this kind of payload can't be published here"
    case .closed: "the client was closed before the server answered"
    }
  }
}

/// A publication that was handed over, until the server has answered.
public struct EmitID: Hashable, Sendable {
  public let number: UInt64
}

/// What a client learns, in the order in which it happened.
public enum ClientEvent: Sendable, Equatable {
  case state(ConnectionState)
  case subscribed(ChannelName)
  case publication(Publication)
  /// A `join`, `update`, `leave` or `presence` message, as JSON text.
  case presence(ChannelName?, type: String, json: [UInt8])
  /// So many publications of the channel did not reach this client; nil when nobody knows.
  case gap(ChannelName, dropped: Int64?)
  /// The position asked for is gone; what follows is live.
  case unrecoverable(ChannelName, reason: String)
  /// The server refuses this subscription; it is given up.
  case subscriptionRefused(ChannelName, ServerRefusal)
  case emitted(EmitID, Position?)
  case emitFailed(EmitID, EmitFailure)
  /// A refusal that answers nothing in particular.
  case refusal(ServerRefusal)
}

/// Decides what a client with one many-channel socket does. Pure: no socket, clock or randomness.
///
///     idle ─ open ─▶ connecting ─ connected ─▶ online ─ lost ─▶ waiting ─ delay over ─▶ connecting
///                       │ failed                                   ▲
///                       └──────────────────────────────────────────┘
///     any ─ close, or a refusal for good ─▶ closed
///
/// Subscriptions outlive connections and resume behind the last publication that was delivered;
/// what is delivered twice by the server is dropped. Publications wait in one bounded queue until
/// they are acknowledged and are sent again after a loss, in order, under the same idempotency key.
public struct ClientSession {
  public enum Action: Equatable {
    case connect(path: String)
    case send([UInt8])
    /// A WebSocket ping, to hear whether the server still is there.
    case ping
    case disconnect
    case tell(ClientEvent)
  }

  private enum State: Equatable {
    case idle
    case connecting
    case online(since: Instant, heard: Instant, pinged: Bool)
    case waiting(until: Instant)
    case closed
  }

  private struct Subscription {
    var requested: Since?
    /// Where to resume; set by the server's first answer and moved by each publication.
    var resume: Position?
    var delivered: Position?
    /// The server gave it up and may take it again: when it is asked for anew.
    var askAgainAt: Instant?
    /// How often in a row that was so.
    var givenUp = 0
  }

  private struct Emit {
    let id: EmitID
    let message: [UInt8]
    var isSent: Bool
  }

  private var state = State.idle
  private var subscriptions: [ChannelName: Subscription] = [:]
  /// Channels in the order they were asked for, so that a reconnect repeats it.
  private var order: [ChannelName] = []
  /// Requests of this connection that wait for an answer: subscriptions by id.
  private var asked: [String: ChannelName] = [:]
  private var emits: [Emit] = []
  private var emitBytes = 0
  private var nextNumber: UInt64 = 1
  private var attempts = 0
  private var serverDelay: Duration?
  private var session: String?
  private let wantsPresence: Bool
  private let keyPrefix: String

  /// BUDGET: publications that wait for the server; one more is refused with `.queueFull`.
  public static let emitsMax = 4096
  public static let emitBytesMax = 8 << 20
  /// A connection that lasted this long starts the delays over (S002-07).
  static let steadyAfter = Duration.seconds(10)
  /// After this much silence the server is asked, after twice as much it is given up.
  static let silenceMax = Duration.seconds(15)
  static let delays: [Duration] = [
    .seconds(1), .seconds(2), .seconds(4), .seconds(8), .seconds(16), .seconds(30),
  ]

  /// - Parameter keyPrefix: begins every idempotency key; unguessable and new for each client.
  public init(wantsPresence: Bool, keyPrefix: String) {
    self.wantsPresence = wantsPresence
    self.keyPrefix = keyPrefix
  }

  public var isClosed: Bool { state == .closed }
  public var channels: [ChannelName] { order }
  public var waitingEmits: Int { emits.count }

  /// Where a channel's delivery stands.
  public func position(of channel: ChannelName) -> Position? { subscriptions[channel]?.resume }

  /// When `deadlineReached` is due next.
  public var nextDeadline: Instant? {
    switch state {
    case .idle, .connecting, .closed: nil
    case .waiting(let until): until
    case .online(_, let heard, let pinged):
      min(silenceDeadline(heard, pinged), nextAsking ?? .distantFuture)
    }
  }

  private func silenceDeadline(_ heard: Instant, _ pinged: Bool) -> Instant {
    heard + (pinged ? Self.silenceMax * 2 : Self.silenceMax)
  }

  private var nextAsking: Instant? { subscriptions.values.compactMap(\.askAgainAt).min() }

  // MARK: what the user wants

  public mutating func open() -> [Action] {
    guard state == .idle else { return [] }
    return connect()
  }

  /// Subscribing to a channel twice is subscribing once; `since` of the first counts.
  public mutating func subscribe(_ channel: ChannelName, since: Since?) -> [Action] {
    guard state != .closed, subscriptions[channel] == nil else { return [] }
    var subscription = Subscription(requested: since)
    if case .position(let position) = since { subscription.resume = position }
    subscriptions[channel] = subscription
    order.append(channel)
    return isOnline ? [ask(channel)] : []
  }

  public mutating func unsubscribe(_ channel: ChannelName) -> [Action] {
    guard subscriptions.removeValue(forKey: channel) != nil else { return [] }
    order.removeAll { $0 == channel }
    return isOnline ? [.send(ClientMessage.unsubscribe(id: takeID(), channel))] : []
  }

  /// Queues a publication and sends it if the server is there.
  ///
  /// - Parameter key: the idempotency key; one of ours where nil.
  public mutating func emit(_ channel: ChannelName, _ payload: Payload, key: String?)
    throws(EmitFailure) -> (id: EmitID, actions: [Action])
  {
    guard state != .closed else { throw .closed }
    let id = EmitID(number: nextNumber)
    let text = takeID()
    guard
      let message = ClientMessage.publish(
        id: text, channel, payload, key: key ?? "\(keyPrefix)-\(text)")
    else { throw .notCarried }
    guard emits.count < Self.emitsMax, emitBytes + message.count <= Self.emitBytesMax else {
      throw .queueFull
    }
    emits.append(Emit(id: id, message: message, isSent: isOnline))
    emitBytes += message.count
    return (id, isOnline ? [.send(message)] : [])
  }

  public mutating func close() -> [Action] { end(.closedHere) }

  // MARK: what the connection tells

  /// The WebSocket stands.
  public mutating func connected(now: Instant) -> [Action] {
    guard state == .connecting else { return [.disconnect] }
    state = .online(since: now, heard: now, pinged: false)
    var actions: [Action] = [.tell(.state(.connected))]
    for channel in order { actions.append(ask(channel)) }
    for index in emits.indices {
      emits[index].isSent = true
      actions.append(.send(emits[index].message))
    }
    return actions
  }

  /// The server is not reached, or was lost. `random` is even in 0 ..< 1.
  public mutating func lost(reason: String, now: Instant, random: Double) -> [Action] {
    switch state {
    case .idle, .waiting, .closed: return []
    case .connecting: break
    case .online(let since, _, _): if now >= since + Self.steadyAfter { attempts = 0 }
    }
    asked.removeAll()
    let delay = nextDelay(random)
    attempts += 1
    state = .waiting(until: now + delay)
    return [.tell(.state(.waiting(delay, attempt: attempts, reason: reason)))]
  }

  /// The server will never take this client: trying again would be no use.
  public mutating func refusedForGood(_ reason: ClosedBecause) -> [Action] { end(reason) }

  /// Anything came from the server, a pong included.
  public mutating func heard(now: Instant) {
    if case .online(let since, _, _) = state {
      state = .online(since: since, heard: now, pinged: false)
    }
  }

  /// A text message came.
  public mutating func received(_ text: [UInt8]) -> [Action] {
    guard isOnline, let message = ServerMessage(text) else { return [] }
    switch message {
    case .publication(let publication): return received(publication)
    case .connection(let told):
      if let told { session = told }
      return []
    case .ack(let id, let position): return acknowledged(id, position)
    case .refusal(let id, let channel, let refusal): return refused(id, channel, refusal)
    case .presence(let channel, let type, let value):
      return [.tell(.presence(channel, type: type, json: value.jsonBytes))]
    case .gap(let channel, let dropped): return [.tell(.gap(channel, dropped: dropped))]
    case .unrecoverable(let channel, let reason, let position):
      subscriptions[channel]?.resume = position
      subscriptions[channel]?.delivered = nil
      subscriptions[channel]?.requested = nil
      return [.tell(.unrecoverable(channel, reason: reason))]
    case .reconnect(let afterMs):
      serverDelay = .milliseconds(min(max(afterMs, 0), 60_000))
      return []
    case .pong, .unknown: return []
    }
  }

  /// The clock has reached `nextDeadline`.
  public mutating func deadlineReached(now: Instant, random: Double) -> [Action] {
    guard let deadline = nextDeadline, deadline <= now else { return [] }
    switch state {
    case .waiting: return connect()
    case .online(_, let heard, let pinged) where now < silenceDeadline(heard, pinged):
      return askAgain(now)
    case .online(let since, let heard, false):
      state = .online(since: since, heard: heard, pinged: true)
      return [.ping]
    case .online:
      return [.disconnect] + lost(reason: "the server is silent", now: now, random: random)
    case .idle, .connecting, .closed: return []
    }
  }

  // MARK: -

  private var isOnline: Bool { if case .online = state { true } else { false } }

  private mutating func connect() -> [Action] {
    state = .connecting
    var query: [String] = []
    if wantsPresence { query.append("presence=1") }
    if let session, session.utf8.allSatisfy(Self.isPlain) { query.append("session=\(session)") }
    let path = query.isEmpty ? "/ws" : "/ws?" + query.joined(separator: "&")
    return [.tell(.state(.connecting)), .connect(path: path)]
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case 48...57, 65...90, 97...122, 45, 46, 95: true
    default: false
    }
  }

  private mutating func takeID() -> String {
    defer { nextNumber &+= 1 }
    return String(nextNumber)
  }

  private mutating func ask(_ channel: ChannelName) -> Action {
    let subscription = subscriptions[channel]
    let since = subscription?.resume.map { Since.position($0) } ?? subscription?.requested
    let id = takeID()
    asked[id] = channel
    subscriptions[channel]?.askAgainAt = nil
    return .send(ClientMessage.subscribe(id: id, channel, since: since))
  }

  /// The ladder with jitter of its upper half, or what the server asked for.
  private mutating func nextDelay(_ random: Double) -> Duration {
    if let told = serverDelay {
      serverDelay = nil
      return told
    }
    let step = Self.delays[min(attempts, Self.delays.count - 1)]
    return step * (0.5 + 0.5 * min(max(random, 0), 1))
  }

  private mutating func received(_ publication: Publication) -> [Action] {
    guard let subscription = subscriptions[publication.channel] else { return [] }
    if let position = publication.position {
      // After a resume the server may begin a little early.
      if let last = subscription.delivered ?? subscription.resume, last.epoch == position.epoch,
        position.offset <= last.offset
      {
        return []
      }
      subscriptions[publication.channel]?.resume = position
      subscriptions[publication.channel]?.delivered = position
    }
    if subscription.givenUp > 0 { subscriptions[publication.channel]?.givenUp = 0 }
    return [.tell(.publication(publication))]
  }

  private mutating func acknowledged(_ id: String, _ position: Position?) -> [Action] {
    if let channel = asked.removeValue(forKey: id) {
      if let subscription = subscriptions[channel], subscription.requested == nil,
        subscription.resume == nil
      {
        subscriptions[channel]?.resume = position
      }
      return [.tell(.subscribed(channel))]
    }
    guard let emit = takeEmit(id) else { return [] }
    return [.tell(.emitted(emit, position))]
  }

  /// Those that the server gave up and that are due.
  private mutating func askAgain(_ now: Instant) -> [Action] {
    let due = order.filter { subscriptions[$0]?.askAgainAt.map { $0 <= now } ?? false }
    return due.map { ask($0) }
  }

  /// The server has given up a subscription that stood: it is asked for anew where that may help,
  /// so that nobody waits for what never comes.
  private mutating func gaveUp(_ channel: ChannelName, _ refusal: ServerRefusal) -> [Action] {
    guard refusal.isTemporary, case .online(_, let heard, _) = state else {
      return giveUp(channel, refusal)
    }
    let count = subscriptions[channel]?.givenUp ?? 0
    subscriptions[channel]?.givenUp = count + 1
    subscriptions[channel]?.askAgainAt = heard + Self.delays[min(count, Self.delays.count - 1)]
    return [.tell(.refusal(refusal))]
  }

  private mutating func giveUp(_ channel: ChannelName, _ refusal: ServerRefusal) -> [Action] {
    subscriptions[channel] = nil
    order.removeAll { $0 == channel }
    return [.tell(.subscriptionRefused(channel, refusal))]
  }

  private mutating func refused(
    _ id: String?, _ channel: ChannelName?, _ refusal: ServerRefusal
  ) -> [Action] {
    guard let id else {
      guard let channel, subscriptions[channel] != nil else { return [.tell(.refusal(refusal))] }
      return gaveUp(channel, refusal)
    }
    if let channel = asked.removeValue(forKey: id) {
      // One that had stood and was given up for a while is asked for again.
      let hasStood = subscriptions[channel]?.givenUp ?? 0 > 0
      return hasStood ? gaveUp(channel, refusal) : giveUp(channel, refusal)
    }
    guard let emit = takeEmit(id) else { return [.tell(.refusal(refusal))] }
    return [.tell(.emitFailed(emit, .refused(refusal)))]
  }

  /// Answers come mostly in order, so the search ends at the front.
  private mutating func takeEmit(_ id: String) -> EmitID? {
    guard let number = UInt64(id), let index = emits.firstIndex(where: { $0.id.number == number })
    else { return nil }
    let emit = emits.remove(at: index)
    emitBytes -= emit.message.count
    return emit.id
  }

  private mutating func end(_ reason: ClosedBecause) -> [Action] {
    guard state != .closed else { return [] }
    state = .closed
    let failed = emits.map { Action.tell(.emitFailed($0.id, .closed)) }
    emits = []
    emitBytes = 0
    return [.disconnect] + failed + [.tell(.state(.closed(reason)))]
  }
}
