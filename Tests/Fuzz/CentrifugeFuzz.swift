import Bytes
import Centrifuge

private enum AnyMessage: Equatable {
  case command(CentrifugeCommand)
  case reply(CentrifugeReply)
  case emulation(CentrifugeEmulation)

  func encode(_ encoding: CentrifugeEncoding) -> [UInt8] {
    switch self {
    case .command(let command): encoding.encode(command)
    case .reply(let reply): encoding.encode(reply)
    case .emulation(let emulation): emulation.encode(encoding)
    }
  }

  /// The messages of a frame of this kind, as far as it can be read.
  func others(_ encoding: CentrifugeEncoding, _ frame: [UInt8]) -> [AnyMessage] {
    switch self {
    case .command: readCommands(encoding, frame)
    case .reply: readReplies(encoding, frame)
    case .emulation: readEmulation(encoding, frame)
    }
  }
}

/// Lines of JSON: what can be read says the same when it is written again, in both encodings.
func fuzzCentrifugeJSON(_ input: [UInt8]) {
  for message in readAll(.json, input) {
    // A payload doesn't keep line breaks between its tokens.
    if input.contains(13) { continue }
    requireSame(message, .json)
    requireSame(message, .protobuf)
  }
}

/// Delimited messages of Protobuf: what can be read says the same when it is written again. JSON
/// can't say all of it: payloads may be any bytes.
func fuzzCentrifugeProtobuf(_ input: [UInt8]) {
  for message in readAll(.protobuf, input) { requireSame(message, .protobuf) }
  var reader = ProtobufReader(input.span)
  while let tag = try? reader.next(input.span) {
    guard (try? reader.skip(tag, input.span)) != nil else { break }
    require(reader.offset <= input.count, "a field past the end")
  }
}

private func requireSame(_ message: AnyMessage, _ encoding: CentrifugeEncoding) {
  let again = message.others(encoding, message.encode(encoding))
  require(again == [message], "\(message) became \(again) in \(encoding)")
}

private func readAll(_ encoding: CentrifugeEncoding, _ input: [UInt8]) -> [AnyMessage] {
  readCommands(encoding, input) + readReplies(encoding, input) + readEmulation(encoding, input)
}

private func readCommands(_ encoding: CentrifugeEncoding, _ frame: [UInt8]) -> [AnyMessage] {
  var reader = CentrifugeCommandReader(encoding)
  var messages: [AnyMessage] = []
  while let command = try? reader.next(frame.span) { messages.append(.command(command)) }
  return messages
}

private func readReplies(_ encoding: CentrifugeEncoding, _ frame: [UInt8]) -> [AnyMessage] {
  var reader = CentrifugeReplyReader(encoding, limits: .init())
  var messages: [AnyMessage] = []
  while let reply = try? reader.next(frame.span) { messages.append(.reply(reply)) }
  return messages
}

private func readEmulation(_ encoding: CentrifugeEncoding, _ body: [UInt8]) -> [AnyMessage] {
  guard let emulation = try? CentrifugeEmulation.decode(encoding, body.span) else { return [] }
  // Commands of Protobuf have no place in a string.
  guard encoding == .protobuf || String(validating: emulation.data, as: UTF8.self) != nil else {
    return []
  }
  return [.emulation(emulation)]
}
