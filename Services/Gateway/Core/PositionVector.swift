internal import Bytes

/// Where a client stands in several channels, as one text for a URL or an event id. Pure.
///
/// Shape: base64url of `CHANNEL=EPOCH:OFFSET;…`. A channel's name has neither `;` nor, at its end,
/// `=`; so the last `=` before the position divides the two.
enum PositionVector {
  static func encode(_ positions: [(ChannelName, Position)]) -> String {
    let parts = positions.map { "\($0.0.text)=\($0.1)" }
    return base64URL([UInt8](parts.joined(separator: ";").utf8))
  }

  /// Nil for what is no vector.
  static func decode(_ text: String) -> [ChannelName: Position]? {
    guard let bytes = bytes(base64: text), let plain = String(validating: bytes.span) else {
      return nil
    }
    var positions: [ChannelName: Position] = [:]
    for part in plain.split(separator: ";") {
      guard let divide = part.lastIndex(of: "="), let name = ChannelName(String(part[..<divide])),
        let position = Position(String(part[part.index(after: divide)...]))
      else { return nil }
      positions[name] = position
    }
    return positions
  }
}
