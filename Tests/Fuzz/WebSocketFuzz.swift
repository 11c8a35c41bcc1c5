import WebSocketCodec

private enum Event: Equatable {
  case event(WebSocketEvent)
  case failed(WebSocketError)
}

/// A stream of frames, read as a server and as a client, with limits that short inputs can reach.
func fuzzWebSocket(_ input: [UInt8]) {
  for role in [WebSocketRole.server, .client] {
    let events = requireSplitInvariance(input) { read($0, role) }
    require(read([write(events, for: role)], role) == events.filter(isEvent), "not the same again")
  }
}

private func read(_ segments: [[UInt8]], _ role: WebSocketRole) -> [Event] {
  let limits = WebSocketLimits(messageBytesMax: 600, fragmentsMax: 5)
  var reader = WebSocketReader(role: role, limits: limits)
  var events: [Event] = []
  do {
    for segment in segments {
      var offset = 0
      while let event = try reader.next(segment.span, from: &offset) {
        check(event)
        events.append(.event(event))
      }
      require(offset == segment.count, "bytes were left without an event")
      require(reader.heldBytes <= limits.messageBytesMax + 125, "too much is held")
    }
  } catch {
    require(error.closeCode.isValidOnWire, "an error without a close code")
    events.append(.failed(error))
  }
  return events
}

private func check(_ event: WebSocketEvent) {
  switch event {
  case .message(let kind, let bytes):
    require(bytes.count <= 600, "a message over the limit")
    if kind == .text {
      require(String(validating: bytes, as: UTF8.self) != nil, "text that is not UTF-8")
    }
  case .ping(let bytes), .pong(let bytes):
    require(bytes.count <= WebSocketFrame.controlBytesMax, "a control frame over the limit")
  case .close(let code, let reason):
    require(code?.isValidOnWire ?? true, "a close code that may not be sent")
    require(reason.utf8.count <= WebSocketFrame.reasonBytesMax, "a reason over the limit")
  }
}

private func isEvent(_ event: Event) -> Bool {
  if case .event = event { true } else { false }
}

/// The events as the other end would write them, without fragments.
private func write(_ events: [Event], for role: WebSocketRole) -> [UInt8] {
  let mask: UInt32? = role == .server ? 0xA1B2_C3D4 : nil
  var output: [UInt8] = []
  for case .event(let event) in events {
    switch event {
    case .message(let kind, let bytes):
      WebSocketFrame.append(kind, bytes, mask: mask, into: &output)
    case .ping(let bytes): WebSocketFrame.append(.ping, bytes.span, mask: mask, into: &output)
    case .pong(let bytes): WebSocketFrame.append(.pong, bytes.span, mask: mask, into: &output)
    case .close(let code, let reason):
      WebSocketFrame.close(code, reason: reason, mask: mask, into: &output)
    }
  }
  return output
}
