import Bytes
import JSON
import SocketIO

/// One input, cut at 0xFF: a packet's text and its attachments, or a connection's messages.
func fuzzSocketIO(_ input: [UInt8]) {
  let pieces = input.split(separator: 0xFF, omittingEmptySubsequences: false).map(Array.init)
  decodeOne(pieces)
  converse(pieces)
}

/// What is accepted is JSON, is within its limits, and is written and read again as itself.
private func decodeOne(_ pieces: [[UInt8]]) {
  var limits = SocketLimits()
  limits.packetBytesMax = 500
  limits.argumentsMax = 8
  limits.maxAttachments = 4
  guard let packet = decode(pieces, limits) else { return }
  let frames = SocketFrames(packet)
  let again = decode([Array(frames.text.dropFirst())] + frames.attachments, SocketLimits())
  require(again == packet, "not the same again")
  switch packet {
  case .event(_, let event, _): check(event.arguments, limits)
  case .ack(_, _, let arguments): check(arguments, limits)
  case .connect(_, let auth):
    if let auth {
      require((try? JSON.validate(auth.span)) == .object, "no object")
      _ = SocketRecovery(auth: auth)
    }
  case .connectError(_, let json): require((try? JSON.validate(json.span)) != nil, "no JSON")
  case .disconnect: break
  }
}

private func decode(_ pieces: [[UInt8]], _ limits: SocketLimits) -> SocketPacket? {
  var decoder = SocketDecoder(limits: limits)
  let text = pieces.first ?? []
  var packet: SocketPacket?
  do {
    packet = try decoder.text(text.span)
    for piece in pieces.dropFirst() where decoder.isCollecting {
      packet = try decoder.binary(piece)
      require(decoder.heldBytes <= limits.packetBytesMax, "too much is held")
    }
  } catch {
    return nil
  }
  return packet
}

private func check(_ arguments: SocketArguments, _ limits: SocketLimits) {
  require((try? JSON.validate(arguments.json.span)) == .array, "no array")
  require(arguments.count <= limits.argumentsMax, "more arguments than may be")
  require(arguments.attachments.count <= limits.maxAttachments, "more attachments than may be")
  var writer = SocketBodyWriter()
  for index in 0..<arguments.count {
    guard let value = arguments.value(at: index) else { return require(false, "no argument") }
    check(value)
    guard (try? writer.value(value)) != nil else { return require(false, "parts don't fit") }
  }
  let frames = writer.finish().frames(id: SocketAckID(0))
  guard
    case .ack(_, _, let again) = decode(
      [Array(frames.text.dropFirst())] + frames.attachments, SocketLimits())
  else { return require(false, "what was written can't be read") }
  require(again.count == arguments.count, "another number of arguments")
  for index in 0..<arguments.count {
    require(again.value(at: index) == arguments.value(at: index), "another argument")
  }
}

private func check(_ value: SocketValue) {
  switch value {
  case .json(let bytes): require((try? JSON.validate(bytes.span)) != nil, "no JSON")
  case .text(let bytes): require(String(validating: bytes.span) != nil, "no text")
  case .binary: break
  case .jsonWithParts(let bytes, let parts):
    require((try? JSON.validate(bytes.span)) != nil && !parts.isEmpty, "no JSON with parts")
  }
}

/// Packets one after the other; attachments as the first letter says.
private func converse(_ pieces: [[UInt8]]) {
  var settings = SocketSettings()
  settings.namespacesMax = 3
  settings.unansweredMax = 4
  var connection = SocketConnection(settings: settings, now: 1)
  var open: [SocketAnswer] = []
  var now: UInt64 = 1
  for piece in pieces {
    var actions: [SocketAction] = []
    if piece.first == UInt8(ascii: "b") {
      connection.received(binary: Array(piece.dropFirst()), now: now, &actions)
    } else {
      connection.received(text: piece.span, now: now, &actions)
    }
    for action in actions {
      if case .connectRequested(let namespace, _) = action {
        require(connection.accept(namespace, sid: "s", &actions), "not let in")
      }
      if case .event(let namespace, _, let answer) = action {
        require(connection.isConnected(namespace) || connection.isClosed, "out of nowhere")
        if let answer { open.append(answer) }
      }
    }
    if piece.count % 3 == 0, let answer = open.popLast() {
      _ = connection.answer(answer, with: SocketBodyWriter().finish(), &actions)
      require(!connection.answer(answer, with: SocketBodyWriter().finish(), &actions), "twice")
    }
    now += 1_000_000_000
    connection.deadlineReached(now: now, &actions)
    require(connection.namespaces.count <= 3, "too many namespaces")
    require(!connection.isClosed || connection.deadline == nil, "a deadline after the end")
  }
}
