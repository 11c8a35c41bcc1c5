/// The Socket.IO side of one Engine.IO session: a value without sockets and without a clock.
///
///     a namespace:  absent ──CONNECT──▶ asked ──accept──▶ connected ──DISCONNECT either way──▶ absent
///                                         └──refuse──▶ absent
///     all of it:    open ──peer's fault, connectTimeout, close, end of the session──▶ closed
///
/// Packets of the client come out as actions; who sends asks this value, which knows what may be
/// sent. What goes to many at once may be sent past it, as frames, to whoever `isConnected`.
/// Moments are monotonic, in nanoseconds; after each call the caller looks at `deadline`.
///
/// A namespace that this side has left is remembered until the client connects to it again: what
/// the client sent before it knew is passed over, where the reference server closes the connection.
///
/// Source: socketio/socket.io `docs/socket.io-protocol/v5-current.md`; behaviour beyond it as in
/// `packages/socket.io`.
public struct SocketConnection: Sendable {
  /// A namespace that the client asked for.
  struct Member: Sendable {
    var namespace: SocketNamespace
    /// Tells one stay in the namespace from another; nil until it is accepted.
    var stay: UInt64?
  }

  let settings: SocketSettings
  var decoder: SocketDecoder
  /// Few: `namespacesMax`.
  var members: [Member] = []
  /// Left by this side; as many at the most.
  var left: [SocketNamespace] = []
  var asks = AskTable()
  var answers = AnswerTable()
  private var stays: UInt64 = 0
  /// Goes on from one stay to the next: a client may acknowledge what it was asked in the last one.
  private var nextAsk: UInt64 = 0
  /// Nil once a namespace was connected.
  var connectDeadline: UInt64?
  /// Nil while no attachment is owed.
  var attachmentDeadline: UInt64?
  public internal(set) var isClosed = false

  public init(settings: SocketSettings = SocketSettings(), now: UInt64) {
    self.settings = settings
    decoder = SocketDecoder(limits: settings.packets)
    connectDeadline = now.later(settings.connectTimeout)
  }

  public func isConnected(_ namespace: SocketNamespace) -> Bool {
    members.contains { $0.namespace == namespace && $0.stay != nil }
  }

  /// The namespaces the client is in, in the order in which it asked.
  public var namespaces: [SocketNamespace] {
    members.compactMap { $0.stay == nil ? nil : $0.namespace }
  }

  /// What is held of a packet whose attachments have not all come.
  public var heldBytes: Int { decoder.heldBytes }

  /// When `deadlineReached` wants to be called next; nil when nothing is waited for.
  public var deadline: UInt64? {
    if isClosed { return nil }
    return [connectDeadline, attachmentDeadline, asks.deadline, answers.deadline]
      .compactMap(\.self).min()
  }

  /// Lets a client in that asked; false when it no longer does.
  ///
  /// - Parameters:
  ///   - sid: the client's public id in this namespace; not the session's.
  ///   - pid: the secret by which it can come back; nil where it can't.
  public mutating func accept(
    _ namespace: SocketNamespace, sid: String, pid: String? = nil, _ actions: inout [SocketAction]
  ) -> Bool {
    guard !isClosed, let index = asked(namespace) else { return false }
    stays += 1
    members[index].stay = stays
    connectDeadline = nil
    actions.append(.send(.connected(namespace, sid: sid, pid: pid)))
    return true
  }

  /// Turns a client away that asked; it may ask again. `data` is JSON.
  public mutating func refuse(
    _ namespace: SocketNamespace, message: String, data: [UInt8]? = nil,
    _ actions: inout [SocketAction]
  ) {
    guard !isClosed, let index = asked(namespace) else { return }
    members.remove(at: index)
    actions.append(.send(.refused(namespace, message: message, data: data)))
  }

  /// Puts a client out of a namespace for good: clients don't come back by themselves.
  public mutating func disconnect(
    _ namespace: SocketNamespace, _ actions: inout [SocketAction]
  ) {
    guard !isClosed, isConnected(namespace) else { return }
    actions.append(.send(SocketFrames(.disconnect(namespace))))
    leave(namespace, .serverNamespaceDisconnect, &actions)
    if left.count >= settings.namespacesMax { left.removeFirst() }
    left.append(namespace)
  }

  /// Puts a client out of all namespaces for good, and closes.
  public mutating func disconnectAll(_ actions: inout [SocketAction]) {
    for namespace in namespaces { disconnect(namespace, &actions) }
    close(.forcedServerClose, &actions)
  }

  /// Closes; clients come back by themselves.
  public mutating func close(
    _ reason: SocketDisconnectReason, _ actions: inout [SocketAction]
  ) {
    end(reason, &actions) { $0.append(.close(nil)) }
  }

  private func asked(_ namespace: SocketNamespace) -> Int? {
    members.firstIndex { $0.namespace == namespace && $0.stay == nil }
  }

  /// Forgets a namespace the client was in.
  mutating func leave(
    _ namespace: SocketNamespace, _ reason: SocketDisconnectReason,
    _ actions: inout [SocketAction]
  ) {
    guard let index = members.firstIndex(where: { $0.namespace == namespace }) else { return }
    let member = members.remove(at: index)
    guard let stay = member.stay else { return }
    for (namespace, id) in asks.takeAll(stay: stay) {
      actions.append(.unacknowledged(namespace, id))
    }
    answers.dropAll(stay: stay)
    actions.append(.disconnected(namespace, reason))
  }

  /// Ends everything once; `last` says what else is to be done about it.
  mutating func end(
    _ reason: SocketDisconnectReason, _ actions: inout [SocketAction],
    last: (inout [SocketAction]) -> Void
  ) {
    guard !isClosed else { return }
    for namespace in members.map(\.namespace) { leave(namespace, reason, &actions) }
    isClosed = true
    decoder = SocketDecoder(limits: settings.packets)
    left = []
    last(&actions)
  }
}

/// Why nothing was sent.
public enum SocketSendError: Error, Hashable, Sendable {
  case notConnected
  /// As many acknowledgements are waited for as may be.
  case tooManyAsks
}

extension SocketConnection {
  /// Sends an event that wants no acknowledgement.
  public func emit(
    _ body: SocketBody, in namespace: SocketNamespace, appending last: String? = nil,
    _ actions: inout [SocketAction]
  ) throws(SocketSendError) {
    guard !isClosed, isConnected(namespace) else { throw .notConnected }
    actions.append(.send(body.frames(in: namespace, appending: last)))
  }

  /// Sends an event and waits for its acknowledgement, which comes out as `.acknowledged` or
  /// `.unacknowledged` with the id given back here: exactly one of them, once.
  public mutating func ask(
    _ body: SocketBody, in namespace: SocketNamespace, within timeout: Duration, now: UInt64,
    _ actions: inout [SocketAction]
  ) throws(SocketSendError) -> SocketAckID {
    guard !isClosed, let stay = stay(in: namespace) else { throw .notConnected }
    guard asks.count < settings.asksMax, let id = SocketAckID(nextAsk) else {
      throw .tooManyAsks
    }
    nextAsk += 1
    asks.add(id, in: namespace, stay: stay, deadline: now.later(timeout))
    actions.append(.send(body.frames(in: namespace, id: id)))
    return id
  }

  /// Acknowledges an event by its id alone, for whoever answers within the client's present stay in
  /// the namespace.
  public mutating func answer(
    _ id: SocketAckID, in namespace: SocketNamespace, with body: SocketBody,
    _ actions: inout [SocketAction]
  ) -> Bool {
    guard let stay = stay(in: namespace) else { return false }
    return answer(SocketAnswer(namespace: namespace, id: id, stay: stay), with: body, &actions)
  }

  /// Acknowledges an event of the client; false when it was done before, or nobody waits any more.
  public mutating func answer(
    _ answer: SocketAnswer, with body: SocketBody, _ actions: inout [SocketAction]
  ) -> Bool {
    guard !isClosed, answers.take(answer.id, stay: answer.stay) else { return false }
    actions.append(.send(body.frames(in: answer.namespace, id: answer.id)))
    return true
  }
}
