internal import Bytes

// What the client says, and what becomes of its session.

extension SocketConnection {
  /// A text message of the session: UTF-8, without Engine.IO's digit.
  public mutating func received(
    text span: borrowing Span<UInt8>, now: UInt64, _ actions: inout [SocketAction]
  ) {
    guard !isClosed else { return }
    do throws(SocketError) {
      take(try decoder.text(span), now: now, &actions)
    } catch {
      fail(error, .forcedClose, &actions)
    }
  }

  /// A binary message of the session.
  public mutating func received(
    binary bytes: [UInt8], now: UInt64, _ actions: inout [SocketAction]
  ) {
    guard !isClosed else { return }
    do throws(SocketError) {
      take(try decoder.binary(bytes), now: now, &actions)
    } catch {
      fail(error, .forcedClose, &actions)
    }
  }

  /// The session has ended; there is nothing left to close.
  public mutating func sessionEnded(
    _ reason: SocketDisconnectReason, _ actions: inout [SocketAction]
  ) {
    end(reason, &actions) { _ in }
  }

  /// The moment `deadline` named has come. Called early it does nothing.
  public mutating func deadlineReached(now: UInt64, _ actions: inout [SocketAction]) {
    guard !isClosed else { return }
    if let connectDeadline, connectDeadline <= now {
      return fail(.connectTimeout, .forcedServerClose, &actions)
    }
    if let attachmentDeadline, attachmentDeadline <= now {
      return fail(.attachmentTimeout, .forcedClose, &actions)
    }
    for (namespace, id) in asks.takeDue(now: now) {
      actions.append(.unacknowledged(namespace, id))
    }
    answers.dropDue(now: now)
  }

  private mutating func take(
    _ packet: SocketPacket?, now: UInt64, _ actions: inout [SocketAction]
  ) {
    attachmentDeadline = decoder.isCollecting ? now.later(settings.attachmentTimeout) : nil
    guard let packet else { return }
    switch packet {
    case .connect(let namespace, let auth): takeConnect(namespace, auth, &actions)
    case .connectError: fail(.unexpectedPacket, .forcedServerClose, &actions)
    case .disconnect, .event, .ack:
      guard let stay = stay(in: packet.namespace) else {
        if left.contains(packet.namespace) { return }
        return fail(.unexpectedPacket, .forcedServerClose, &actions)
      }
      take(packet, stay: stay, now: now, &actions)
    }
  }

  /// A packet of a client that is in its namespace.
  private mutating func take(
    _ packet: SocketPacket, stay: UInt64, now: UInt64, _ actions: inout [SocketAction]
  ) {
    switch packet {
    case .disconnect(let namespace):
      leave(namespace, .clientNamespaceDisconnect, &actions)
    case .event(let namespace, let event, let id):
      guard let id else { return actions.append(.event(namespace, event, nil)) }
      guard answers.count < settings.unansweredMax else {
        return fail(.tooManyUnanswered, .forcedServerClose, &actions)
      }
      guard answers.add(id, stay: stay, deadline: now.later(settings.answerTimeout)) else {
        return fail(.ackIDInUse, .forcedServerClose, &actions)
      }
      let answer = SocketAnswer(namespace: namespace, id: id, stay: stay)
      actions.append(.event(namespace, event, answer))
    case .ack(let namespace, let id, let arguments):
      // One that nobody waits for came too late, or for nothing; neither does harm.
      if asks.take(id, stay: stay) { actions.append(.acknowledged(namespace, id, arguments)) }
    case .connect, .connectError: break
    }
  }

  private mutating func takeConnect(
    _ namespace: SocketNamespace, _ auth: [UInt8]?, _ actions: inout [SocketAction]
  ) {
    guard !members.contains(where: { $0.namespace == namespace }) else {
      return fail(.unexpectedPacket, .forcedServerClose, &actions)
    }
    guard members.count < settings.namespacesMax else {
      let refusal = SocketFrames.refused(namespace, message: "Too many namespaces", data: nil)
      return actions.append(.send(refusal))
    }
    left.removeAll { $0 == namespace }
    members.append(Member(namespace: namespace))
    actions.append(.connectRequested(namespace, auth: auth))
  }

  func stay(in namespace: SocketNamespace) -> UInt64? {
    members.first { $0.namespace == namespace }?.stay
  }

  private mutating func fail(
    _ error: SocketError, _ reason: SocketDisconnectReason, _ actions: inout [SocketAction]
  ) {
    end(reason, &actions) { $0.append(.close(error)) }
  }
}
