import EngineIO

/// One input as a polling payload, with limits that short inputs can reach; and, cut at 0xFF, as
/// what happens to a session, first byte by first byte.
func fuzzEngineIO(_ input: [UInt8]) {
  readPayload(input)
  live(input.split(separator: 0xFF, omittingEmptySubsequences: false).map(Array.init))
}

private func readPayload(_ input: [UInt8]) {
  let limits = EnginePayload.Limits(bytesMax: 600, packetsMax: 9)
  let (packets, isWhole) = read(input, limits)
  require(packets.count <= limits.packetsMax, "more packets than may be")
  guard isWhole, !packets.isEmpty else { return }
  let frames = packets.map(\.frame)
  var written: [UInt8] = []
  EnginePayload.append(frames, to: &written)
  require(frames.allSatisfy(EnginePayload.canCarry), "a packet that a payload can't carry")
  let bytes = frames.map(\.pollingBytes).reduce(frames.count - 1, +)
  require(written.count == bytes, "\(written.count) bytes, not \(bytes)")
  require(read(written, EnginePayload.Limits()).packets == packets, "not the same again")
}

private func read(
  _ payload: [UInt8], _ limits: EnginePayload.Limits
) -> (packets: [EnginePacket], isWhole: Bool) {
  var packets: [EnginePacket] = []
  do {
    var reader = try EnginePayloadReader(payload.span, limits: limits)
    while let packet = try reader.next(payload.span) { packets.append(packet) }
    return (packets, true)
  } catch {
    return (packets, false)
  }
}

/// Every exchange is answered once, every socket closed, nothing waits beyond its bounds.
private func live(_ moves: [[UInt8]]) {
  var life = Life()
  for move in moves { life.take(move) }
  life.finish()
}

private struct Life {
  private var session: EngineSession
  private var actions: [EngineAction] = []
  private var open: Set<EngineCarrierID> = [EngineCarrierID(0)]
  private var now: UInt64 = 1
  private var next: UInt64 = 0
  private var socket = EngineCarrierID(0)
  private var data = EngineCarrierID(0)

  init() {
    var settings = EngineSettings()
    settings.queuedPacketsMax = 6
    settings.queuedBytesMax = 100
    settings.packetsPerPollMax = 3
    settings.maxHttpBufferSize = 60
    guard let id = EngineSessionID("s") else { fatalError("a name that is allowed") }
    session = EngineSession(
      id: id, over: .polling, first: EngineCarrierID(0), settings: settings, now: now, &actions)
    settle()
  }

  private mutating func fresh() -> EngineCarrierID {
    next += 1
    open.insert(EngineCarrierID(next))
    return EngineCarrierID(next)
  }

  mutating func take(_ move: [UInt8]) {
    let rest = Array(move.dropFirst())
    switch (move.first ?? 0) % 12 {
    case 0: session.pollBegan(fresh(), &actions)
    case 1:
      data = fresh()
      session.dataBegan(data, rest.first == 0 ? .octetStream : .text, &actions)
    case 2: session.dataEnded(data, rest.span, now: now, &actions)
    case 3:
      socket = fresh()
      session.socketBegan(socket, now: now, &actions)
    case 4: session.socketReceived(text: rest.span, from: socket, now: now, &actions)
    case 5: session.socketReceived(binary: rest, from: socket, now: now, &actions)
    case 6: _ = try? session.send(.binary(rest), &actions)
    case 7: _ = try? session.send(.text([0x34] + rest), &actions)
    case 8: session.flush(&actions)
    case 9:
      now += UInt64(rest.first ?? 255) * 1_000_000_000
      session.deadlineReached(now: now, &actions)
    case 10:
      let id = EngineCarrierID(UInt64(rest.first ?? 0))
      if open.remove(id) != nil {
        session.lost(id, as: rest.count > 1 ? .failed : .closed, &actions)
      }
    default: session.close(now: now, &actions)
    }
    settle()
  }

  mutating func finish() {
    session.terminate(.forcedClose, &actions)
    settle()
    require(open.isEmpty, "\(open.count) exchanges and sockets are left")
    require(session.deadline == nil, "a deadline after the end")
  }

  private mutating func settle() {
    for action in actions {
      switch action {
      case .answerPoll(let id, _), .acceptData(let id), .refuse(let id, _), .refuseBody(let id):
        require(open.remove(id) != nil, "answered twice")
      case .closeSocket(let id): open.remove(id)
      case .send(let id, _): require(open.contains(id), "a frame on a socket that is gone")
      case .received, .upgraded, .closed: break
      }
    }
    actions = []
    require(session.queuedBytes <= 100 && session.queuedPackets <= 6, "too much waits")
    require((session.deadline == nil) == (session.closeReason != nil), "a wrong deadline")
  }
}
