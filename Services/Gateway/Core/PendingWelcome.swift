internal import Bytes

/// What the `connection` message will say, while the channels of the address are being opened. Pure.
///
/// It is due once each of them has been answered, be it by a subscription or by a refusal. It is the
/// first of all, so channels that are open sooner than others wait for it with what they have.
struct PendingWelcome {
  typealias Channel = (name: String, subscribers: Int, position: Position?)

  private(set) var waiting: Int32 = 0
  private var isTogether = false
  private(set) var channels: [Channel] = []

  /// Whether the message is due at once.
  mutating func expect(_ count: Int) -> Bool {
    waiting = Int32(clamping: count)
    isTogether = count > 1
    return count == 0
  }

  /// Whether nothing of any of the channels may come yet.
  var holdsBack: Bool { isTogether && waiting > 0 }

  /// The message has kept the channels waiting for too long: they begin without it.
  mutating func releases() { isTogether = false }

  /// One of the channels has been answered; nil for a refusal. Whether the message is due now.
  mutating func answered(_ channel: Channel?) -> Bool {
    guard waiting > 0 else { return false }
    if let channel { channels.append(channel) }
    waiting -= 1
    return waiting == 0
  }

  mutating func take() -> [Channel] {
    let taken = channels
    channels = []
    return taken
  }
}
