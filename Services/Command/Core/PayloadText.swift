internal import Bytes
internal import JSON

extension Payload {
  /// The payload as a person reads it: text as it is, JSON on one line, bytes as `base64:…`.
  var displayBytes: [UInt8] {
    switch kind {
    case .json: oneLine(json: bytes)
    case .text, .uncheckedText: bytes
    case .binary, .jsonWithParts: [UInt8]("base64:\(base64(bytes))".utf8)
    }
  }
}

/// JSON text on one line: as it is, or compact where it has line ends.
func oneLine(json text: [UInt8]) -> [UInt8] {
  guard text.contains(10) || text.contains(13) else { return text }
  return (try? JSONValue.parse(text.span))?.jsonBytes ?? text
}

/// The channel of that name, or a sentence that says what names are made of.
func channelName(_ text: String) throws(UsageError) -> ChannelName {
  guard let name = ChannelName(text) else {
    throw UsageError(
      "`\(text)` is no channel: 1 to \(ChannelName.bytesMax) of letters, digits and _ : . @ # , = -"
    )
  }
  return name
}
