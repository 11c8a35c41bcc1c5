internal import Bytes

// What happens to a session's exchanges and sockets, and what its client says.

/// What a polling request's body is, by its content type.
public enum EngineBodyKind: Sendable {
  case text
  /// `application/octet-stream`, which version 4 has no meaning for.
  case octetStream
}

extension EngineSession {
  /// A GET of the session: it waits for something to be sent. `.refuse` when it may not.
  public mutating func pollBegan(_ id: EngineCarrierID, _ actions: inout [EngineAction]) {
    guard closeReason == nil, case .polling(var polling) = carrier else {
      actions.append(.refuse(id, refusalOfPolling))
      return
    }
    guard polling.poll == nil else {
      // Two polls at a time: the reference server takes neither's side.
      actions.append(.refuse(id, .badRequest))
      end(.transportError, &actions)
      return
    }
    polling.poll = id
    carrier = .polling(polling)
    if case .closing = state { return closeOverPoll(&actions) }
    flush(&actions)
    releasePoll(&actions)
  }

  /// A poll that waits has to be answered now, with nothing where there is nothing. Others are no news.
  public mutating func pollHurried(_ id: EngineCarrierID, _ actions: inout [EngineAction]) {
    guard closeReason == nil, case .polling(var polling) = carrier, polling.poll == id else { return }
    flush(&actions)
    guard case .polling(let left) = carrier, left.poll == id else { return }
    polling.poll = nil
    carrier = .polling(polling)
    answer(id, CollectionOfOne(.control(.noop)), &actions)
  }

  /// A POST of the session, before its body; at most one at a time.
  public mutating func dataBegan(
    _ id: EngineCarrierID, _ kind: EngineBodyKind, _ actions: inout [EngineAction]
  ) {
    guard closeReason == nil, case .polling(var polling) = carrier else {
      actions.append(.refuse(id, refusalOfPolling))
      return
    }
    guard polling.data == nil, kind == .text else {
      actions.append(.refuse(id, .badRequest))
      end(.transportError, &actions)
      return
    }
    polling.data = id
    carrier = .polling(polling)
  }

  /// The whole body of the POST that began, `maxHttpBufferSize` at most.
  public mutating func dataEnded(
    _ id: EngineCarrierID, _ body: borrowing Span<UInt8>, now: UInt64,
    _ actions: inout [EngineAction]
  ) {
    guard case .polling(var polling) = carrier, polling.data == id else { return }
    do throws(EngineError) {
      var reader = try EnginePayloadReader(body, limits: settings.payloadLimits)
      while state == .open, let packet = try reader.next(body) {
        takePolled(packet, now: now, &actions)
      }
    } catch .payloadTooBig {
      return dataTooBig(id, &actions)
    } catch {
      return end(.parseError, &actions)
    }
    guard case .polling(let left) = carrier, left.data == id else { return }
    polling = left
    polling.data = nil
    carrier = .polling(polling)
    actions.append(.acceptData(id))
  }

  /// The body is larger than may be; the rest is not wanted. The session goes on, as in the
  /// reference server.
  public mutating func dataTooBig(_ id: EngineCarrierID, _ actions: inout [EngineAction]) {
    guard case .polling(var polling) = carrier, polling.data == id else { return }
    polling.data = nil
    carrier = .polling(polling)
    actions.append(.refuseBody(id))
  }

  /// A WebSocket with the session's id, its handshake done. `.closeSocket` when the session can't
  /// or need not move to one: it isn't disturbed by that.
  public mutating func socketBegan(
    _ id: EngineCarrierID, now: UInt64, _ actions: inout [EngineAction]
  ) {
    guard state == .open, settings.canUpgrade(from: transport),
      case .polling(var polling) = carrier, polling.candidate == nil
    else {
      actions.append(.closeSocket(id))
      return
    }
    polling.candidate = .silent(id, deadline: now.later(settings.upgradeTimeout))
    carrier = .polling(polling)
  }

  /// One text message of a WebSocket; that WebSocket's reader has checked its UTF-8 and its size.
  public mutating func socketReceived(
    text span: borrowing Span<UInt8>, from id: EngineCarrierID, now: UInt64,
    _ actions: inout [EngineAction]
  ) {
    if case .webSocket(id) = carrier {
      guard state == .open else { return }
      do throws(EngineError) {
        take(try EnginePacket(text: span), now: now, &actions)
      } catch {
        end(.parseError, &actions)
      }
    } else if case .polling(let polling) = carrier, polling.candidate?.id == id {
      takeProbe(try? EnginePacket(text: span), now: now, &actions)
    }
  }

  /// One binary message of a WebSocket.
  public mutating func socketReceived(
    binary bytes: [UInt8], from id: EngineCarrierID, now: UInt64,
    _ actions: inout [EngineAction]
  ) {
    if case .webSocket(id) = carrier {
      if state == .open { actions.append(.received(.binary(bytes))) }
    } else if case .polling(let polling) = carrier, polling.candidate?.id == id {
      takeProbe(.binary(bytes), now: now, &actions)
    }
  }

  /// How an exchange or socket was lost.
  public enum Loss: Sendable {
    /// The client closed it, or it broke off.
    case closed
    /// The client broke the rules of HTTP or of the WebSocket protocol.
    case failed
  }

  /// An exchange that was not answered yet, or a socket, is gone. Others are no news.
  public mutating func lost(
    _ id: EngineCarrierID, as loss: Loss = .closed, _ actions: inout [EngineAction]
  ) {
    guard closeReason == nil else { return }
    switch carrier {
    case .webSocket(let current):
      if current == id { end(loss == .closed ? .transportClose : .transportError, &actions) }
    case .polling(var polling):
      if polling.candidate?.id == id {
        polling.candidate = nil
        carrier = .polling(polling)
      } else if polling.poll == id || polling.data == id {
        if polling.poll == id { polling.poll = nil } else { polling.data = nil }
        carrier = .polling(polling)
        end(.transportError, &actions)
      }
    }
  }

  /// The moment `deadline` named has come. Called early it does nothing.
  public mutating func deadlineReached(now: UInt64, _ actions: inout [EngineAction]) {
    if case .polling(var polling) = carrier, let candidate = polling.candidate,
      candidate.deadline <= now
    {
      polling.candidate = nil
      carrier = .polling(polling)
      actions.append(.closeSocket(candidate.id))
    }
    if case .closing(let deadline) = state, deadline <= now {
      return end(.forcedClose, &actions)
    }
    guard closeReason == nil, heartbeat.deadline <= now else { return }
    switch heartbeat {
    case .pongDue: end(.pingTimeout, &actions)
    case .pingDue: ping(now: now, &actions)
    }
  }

  /// After an upgrade a poll is of the wrong transport; after the end nobody knows the session.
  private var refusalOfPolling: EngineRefusal {
    closeReason == nil ? .badRequest : .unknownSession
  }

  private mutating func ping(now: UInt64, _ actions: inout [EngineAction]) {
    heartbeat = .pongDue(now.later(settings.pingTimeout))
    // Who is closing hears no ping; its deadline is near anyway.
    guard (try? send(.control(.ping), &actions)) != nil else { return }
    flush(&actions)
  }

  /// A waiting poll keeps a probed client from going on: it is let go with a noop.
  private mutating func releasePoll(_ actions: inout [EngineAction]) {
    guard case .polling(var polling) = carrier, case .probed = polling.candidate,
      let poll = polling.poll
    else { return }
    polling.poll = nil
    carrier = .polling(polling)
    answer(poll, CollectionOfOne(.control(.noop)), &actions)
  }

  private mutating func takePolled(
    _ packet: EnginePacket, now: UInt64, _ actions: inout [EngineAction]
  ) {
    guard case .control(.close, _) = packet else { return take(packet, now: now, &actions) }
    // The POST that says it is answered as any other; a poll that waits ends with a noop.
    guard case .polling(var polling) = carrier else { return }
    if let data = polling.data { actions.append(.acceptData(data)) }
    polling.data = nil
    carrier = .polling(polling)
    end(.transportClose, pollGets: .noop, &actions)
  }

  /// A packet on what carries the session.
  private mutating func take(
    _ packet: EnginePacket, now: UInt64, _ actions: inout [EngineAction]
  ) {
    switch packet {
    case .text(let contents): actions.append(.received(.text(contents)))
    case .binary(let contents): actions.append(.received(.binary(contents)))
    case .control(.pong, _): heartbeat = .pingDue(now.later(settings.pingInterval))
    // In version 4 only the server asks.
    case .control(.ping, _): end(.transportError, &actions)
    case .control(.close, _): end(.transportClose, &actions)
    // They have no meaning here; the reference server passes over them too.
    case .control: break
    }
  }

  /// What a WebSocket says before it carries the session; nil is what can't be read.
  private mutating func takeProbe(
    _ packet: EnginePacket?, now: UInt64, _ actions: inout [EngineAction]
  ) {
    guard case .polling(var polling) = carrier, let candidate = polling.candidate else { return }
    switch (candidate, packet) {
    case (.silent(let id, let deadline), .control(.ping, Array("probe".utf8))):
      polling.candidate = .probed(id, deadline: deadline)
      carrier = .polling(polling)
      actions.append(.send(id, .control(.pong, "probe")))
      releasePoll(&actions)
    case (.probed(let id, _), .control(.upgrade, _)):
      upgrade(to: id, polling, now: now, &actions)
    default:
      polling.candidate = nil
      carrier = .polling(polling)
      actions.append(.closeSocket(candidate.id))
    }
  }

  private mutating func upgrade(
    to id: EngineCarrierID, _ polling: Polling, now: UInt64, _ actions: inout [EngineAction]
  ) {
    if let poll = polling.poll { answer(poll, CollectionOfOne(.control(.noop)), &actions) }
    if let data = polling.data { actions.append(.refuse(data, .badRequest)) }
    carrier = .webSocket(id)
    actions.append(.upgraded(id))
    // A ping that went out over polling may be answered here, and gets the time for it anew.
    if case .pongDue = heartbeat { heartbeat = .pongDue(now.later(settings.pingTimeout)) }
    for frame in queue.take(.max) { actions.append(.send(id, frame)) }
    if case .closing = state { end(.forcedClose, &actions) }
  }
}
