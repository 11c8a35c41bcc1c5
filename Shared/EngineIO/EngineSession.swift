/// One Engine.IO v4 session, as its server sees it: a value without sockets and without a clock.
///
///     polling ──WebSocket with the sid──▶ polling + candidate ──2probe──▶ probed ──5──▶ webSocket
///        │              ▲                        │                          │
///        │              └── anything else, or upgradeTimeout: the candidate is closed
///        └─ close ──▶ closing ── next poll, or closeTimeout ──▶ closed
///     any ── peer's fault, ping timeout, overflow, terminate ──▶ closed
///
/// The caller owns the sockets and exchanges and tells what happens to them; every call appends to
/// `actions` what is to be done, in order. After each call the caller looks at `deadline`, and calls
/// `deadlineReached` when that moment has come. Moments are monotonic, in nanoseconds.
///
/// What is sent over a WebSocket goes out at once: how much waits there is the caller's to bound.
/// What waits for a poll waits here (`EngineSettings.queuedBytesMax`).
///
/// Source: socketio/socket.io `docs/engine.io-protocol/v4-current.md`; behaviour beyond it as in
/// `packages/engine.io`.
public struct EngineSession: Sendable {
  enum Candidate: Hashable, Sendable {
    /// A WebSocket that has said nothing yet.
    case silent(EngineCarrierID, deadline: UInt64)
    /// It was answered `3probe`; only `5` may follow.
    case probed(EngineCarrierID, deadline: UInt64)

    var id: EngineCarrierID {
      switch self {
      case .silent(let id, _), .probed(let id, _): id
      }
    }
    var deadline: UInt64 {
      switch self {
      case .silent(_, let deadline), .probed(_, let deadline): deadline
      }
    }
  }

  /// The exchanges of a polling client: at most one that waits, one that brings.
  struct Polling: Hashable, Sendable {
    var poll: EngineCarrierID?
    var data: EngineCarrierID?
    var candidate: Candidate?
  }

  enum Carrier: Hashable, Sendable {
    case polling(Polling)
    case webSocket(EngineCarrierID)
  }

  enum State: Hashable, Sendable {
    case open
    /// An orderly close waits for a poll, or for the end of an upgrade.
    case closing(deadline: UInt64)
    case closed(EngineCloseReason)
  }

  enum Heartbeat: Hashable, Sendable {
    case pingDue(UInt64)
    case pongDue(UInt64)

    var deadline: UInt64 {
      switch self {
      case .pingDue(let moment), .pongDue(let moment): moment
      }
    }
  }

  public let id: EngineSessionID
  let settings: EngineSettings
  var carrier: Carrier
  var state = State.open
  var heartbeat: Heartbeat
  var queue: EngineQueue

  /// Opens a session; the handshake is the first action.
  ///
  /// - Parameter first: the GET that asked for it, or the WebSocket.
  public init(
    id: EngineSessionID, over transport: EngineTransport, first: EngineCarrierID,
    settings: EngineSettings = EngineSettings(), now: UInt64, _ actions: inout [EngineAction]
  ) {
    self.id = id
    self.settings = settings
    heartbeat = .pingDue(now.later(settings.pingInterval))
    queue = EngineQueue(
      packetsMax: settings.queuedPacketsMax, bytesMax: settings.queuedBytesMax)
    let handshake = settings.handshake(id, over: transport)
    switch transport {
    case .polling:
      carrier = .polling(Polling())
      var payload: [UInt8] = []
      EnginePayload.append(CollectionOfOne(handshake), to: &payload)
      actions.append(.answerPoll(first, payload: payload))
    case .webSocket:
      carrier = .webSocket(first)
      actions.append(.send(first, handshake))
    }
  }

  /// What the session is carried by now; requests for another are `.badRequest`.
  public var transport: EngineTransport {
    if case .webSocket = carrier { .webSocket } else { .polling }
  }

  public var isOpen: Bool { state == .open }

  /// Why it ended; nil before that.
  public var closeReason: EngineCloseReason? {
    if case .closed(let reason) = state { reason } else { nil }
  }

  /// The WebSocket that frames may be written to without asking, while the session is open on one:
  /// for what goes to many, encoded once. Nil while anything has to wait.
  public var directSocket: EngineCarrierID? {
    guard case .webSocket(let id) = carrier, state == .open else { return nil }
    return id
  }

  /// Whether what is sent now leaves now. What is volatile is dropped where it doesn't.
  public var isWritable: Bool {
    guard state == .open else { return false }
    switch carrier {
    case .webSocket: return true
    case .polling(let polling):
      return polling.poll != nil && queue.count < settings.packetsPerPollMax
    }
  }

  /// What waits for the client here.
  public var queuedPackets: Int { queue.count }
  public var queuedBytes: Int { queue.bytes }

  /// When `deadlineReached` wants to be called next; nil once the session has ended.
  public var deadline: UInt64? {
    var earliest: UInt64
    switch state {
    case .closed: return nil
    case .closing(let deadline): earliest = min(deadline, heartbeat.deadline)
    case .open: earliest = heartbeat.deadline
    }
    if case .polling(let polling) = carrier, let candidate = polling.candidate {
      earliest = min(earliest, candidate.deadline)
    }
    return earliest
  }
}

/// Why a message was not taken.
public enum EngineSendError: Error, Hashable, Sendable {
  case notOpen
  /// Text with the byte 0x1E has no form in a polling payload; nothing was sent.
  case notCarried
  /// The queue is full, and the session was ended with `.queueOverflow`.
  case overflow
}

extension EngineSession {
  /// Sends one message's frame: at once on a WebSocket, else into the queue until `flush`.
  ///
  /// - Errors: see `EngineSendError`; the session goes on except after `.overflow`.
  public mutating func send(
    _ frame: EngineFrame, _ actions: inout [EngineAction]
  ) throws(EngineSendError) {
    guard state == .open else { throw .notOpen }
    switch carrier {
    case .webSocket(let id): actions.append(.send(id, frame))
    case .polling:
      guard EnginePayload.canCarry(frame) else { throw .notCarried }
      guard queue.append(frame) else {
        end(.queueOverflow, &actions)
        throw .overflow
      }
    }
  }

  /// Sends `frames`, which belong together, if they leave now; false where they were dropped.
  public mutating func sendVolatile(
    _ frames: [EngineFrame], _ actions: inout [EngineAction]
  ) throws(EngineSendError) -> Bool {
    guard isWritable else { return false }
    for frame in frames { try send(frame, &actions) }
    return true
  }

  /// Answers a waiting poll with what has been sent; once at the end of a turn, so that what is
  /// sent together travels together.
  public mutating func flush(_ actions: inout [EngineAction]) {
    guard state == .open, !queue.isEmpty, case .polling(var polling) = carrier,
      let poll = polling.poll
    else { return }
    answer(
      poll, queue.take(settings.packetsPerPollMax, bytesMax: settings.bytesPerPollMax), &actions)
    polling.poll = nil
    carrier = .polling(polling)
  }

  /// Closes in order: what was sent still reaches the client. On a WebSocket that is at once, else
  /// with the poll that takes the last of it.
  public mutating func close(now: UInt64, _ actions: inout [EngineAction]) {
    guard state == .open else { return }
    state = .closing(deadline: now.later(settings.closeTimeout))
    switch carrier {
    case .webSocket: end(.forcedClose, &actions)
    case .polling: closeOverPoll(&actions)
    }
  }

  /// Closes at once; what waits is dropped.
  public mutating func terminate(_ reason: EngineCloseReason, _ actions: inout [EngineAction]) {
    if case .closed = state { return }
    queue.removeAll()
    end(reason, &actions)
  }

  /// Answers the poll that waits, if there is one, and ends a closing session with the last.
  mutating func closeOverPoll(_ actions: inout [EngineAction]) {
    guard case .polling(var polling) = carrier, let poll = polling.poll else { return }
    polling.poll = nil
    carrier = .polling(polling)
    let frames = queue.take(
      settings.packetsPerPollMax - 1, bytesMax: settings.bytesPerPollMax)
    guard queue.isEmpty else { return answer(poll, frames, &actions) }
    answer(poll, Array(frames) + [.control(.close)], &actions)
    end(.forcedClose, &actions)
  }

  func answer(
    _ poll: EngineCarrierID, _ frames: some Sequence<EngineFrame>,
    _ actions: inout [EngineAction]
  ) {
    var payload: [UInt8] = []
    EnginePayload.append(frames, to: &payload)
    actions.append(.answerPoll(poll, payload: payload))
  }

  /// Ends the session: every exchange is answered, every socket closed, `.closed` comes last.
  mutating func end(
    _ reason: EngineCloseReason, pollGets last: EnginePacketType = .close,
    _ actions: inout [EngineAction]
  ) {
    switch carrier {
    case .webSocket(let id): actions.append(.closeSocket(id))
    case .polling(let polling):
      if let poll = polling.poll { answer(poll, CollectionOfOne(.control(last)), &actions) }
      if let data = polling.data { actions.append(.refuse(data, .badRequest)) }
      if let candidate = polling.candidate { actions.append(.closeSocket(candidate.id)) }
      carrier = .polling(Polling())
    }
    queue.removeAll()
    state = .closed(reason)
    actions.append(.closed(reason))
  }
}
