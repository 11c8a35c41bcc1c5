internal import Bytes

extension Subscription {
  /// Where a client begins in a channel, or stands.
  enum Since: Equatable {
    case now
    /// Everything that the history still holds.
    case start
    /// Everything: the history was empty when the client looked last.
    case empty
    indirect case position(Position)
    /// A position of which only the epoch's tag is known.
    indirect case abbreviated(EpochTag, Offset)
  }
}

extension Subscription.Since {
  /// `start`, `empty`, or `EPOCH:OFFSET`, or with the epoch's tag `~TAG:OFFSET`; nothing means from now
  /// on. Nil for anything else.
  init?(_ text: String?) {
    guard let text, !text.isEmpty else {
      self = .now
      return
    }
    if text == "start" {
      self = .start
    } else if text == "empty" {
      self = .empty
    } else if let position = Position(text) {
      self = .position(position)
    } else if text.utf8.first == StreamPlaces.mark, let divide = text.firstIndex(of: ":"),
      let tag = EpochTag(text[..<divide].dropFirst()), let offset = UInt64(text[text.index(after: divide)...])
    {
      self = .abbreviated(tag, Offset(offset))
    } else {
      return nil
    }
  }
  /// As `init` reads it; nothing for `now`.
  func append(to text: inout [UInt8]) {
    switch self {
    case .now: break
    case .start: text.append(contentsOf: "start".utf8)
    case .empty: text.append(contentsOf: "empty".utf8)
    case .position(let position):
      position.epoch.append(to: &text)
      text.append(UInt8(ascii: ":"))
      Decimal.append(position.offset.value, to: &text)
    case .abbreviated(let tag, let offset):
      text.append(StreamPlaces.mark)
      tag.append(to: &text)
      text.append(UInt8(ascii: ":"))
      Decimal.append(offset.value, to: &text)
    }
  }

  /// The same; nil for `now`.
  var text: String? {
    var text: [UInt8] = []
    append(to: &text)
    return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
  }
}
