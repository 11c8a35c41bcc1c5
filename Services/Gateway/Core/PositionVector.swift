internal import Bytes

/// Where a client stands in several channels, as one text for a URL or an event id. Pure.
///
/// Shape: base64url of `CHANNEL=EPOCH:OFFSET;…`, or with `empty` as the position where a history is
/// empty as yet, or `start`; `~TAG` stands for an epoch of which no more is known. A channel's name has no `;`, and a position no `=`; so the last `=` divides the
/// two. A client that makes one itself may leave out the base64url.
enum PositionVector {
  typealias Place = Subscription.Since

  /// Channels that have no place in a history are left out.
  static func encode(_ places: [(ChannelName, Place)]) -> String {
    var plain: [UInt8] = []
    for (name, place) in places { append(name.text.utf8, place, to: &plain) }
    return base64URL(plain)
  }

  /// The vector of one channel, whose name is UTF-8.
  static func encode(_ name: some Collection<UInt8>, _ position: Position) -> String {
    var plain: [UInt8] = []
    append(name, .position(position), to: &plain)
    return base64URL(plain)
  }

  /// The most that a vector of these channels may be, with the epochs that we make.
  static func bytesMax(_ names: [ChannelName]) -> Int {
    let plain = names.reduce(0) { $0 + $1.text.utf8.count + "=;:".utf8.count + 22 + 20 }
    return (plain * 4 + 2) / 3
  }

  /// Behind what stands in `plain`; nothing for a channel without a place.
  static func append(
    _ name: some Collection<UInt8>, _ place: Place, to plain: inout [UInt8]
  ) {
    if case .now = place { return }
    if !plain.isEmpty { plain.append(UInt8(ascii: ";")) }
    plain.append(contentsOf: name)
    plain.append(UInt8(ascii: "="))
    place.append(to: &plain)
  }

  /// Nil for what is no vector.
  static func decode(_ text: String) -> [ChannelName: Place]? {
    // No base64 has a colon, or text behind its padding.
    let isPlain =
      text.utf8.contains(UInt8(ascii: ":")) || text.hasSuffix("=start") || text.hasSuffix("=empty")
    if isPlain { return parse(text) }
    guard let bytes = bytes(base64: text), let plain = String(validating: bytes.span) else {
      return nil
    }
    return parse(plain)
  }

  /// Of the text without base64url.
  static func parse(_ plain: String) -> [ChannelName: Place]? {
    var places: [ChannelName: Place] = [:]
    for part in plain.split(separator: ";") {
      guard let divide = part.lastIndex(of: "="), let name = ChannelName(String(part[..<divide])),
        let place = Place(String(part[part.index(after: divide)...])), place != .now
      else { return nil }
      places[name] = place
    }
    return places
  }
}

extension Subscription.Since {
  /// Where each of `names` begins: `start`, `now`, for one channel `EPOCH:OFFSET`, a vector, or the id of an
  /// event.
  /// Nil for anything else; nothing means that every channel begins now.
  static func of(_ text: String?, _ names: [ChannelName]) -> [ChannelName: Self]? {
    guard let text, !text.isEmpty, text != "now" else { return [:] }
    if text == "start" || names.count == 1, let simple = Self(text) {
      return Dictionary(uniqueKeysWithValues: names.map { ($0, simple) })
    }
    return StreamPlaces.isShort(text) ? StreamPlaces.decode(text, names) : PositionVector.decode(text)
  }
}
