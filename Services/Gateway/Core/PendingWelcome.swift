internal import Bytes

/// What the `connection` message will say, while the channels of the address are being opened. Pure.
///
/// It is due once each of them has been answered, be it by a subscription or by a refusal.
struct PendingWelcome {
  typealias Channel = (name: String, subscribers: Int, position: Position?)

  private var waiting = 0
  private(set) var channels: [Channel] = []

  /// Whether the message is due at once.
  mutating func expect(_ count: Int) -> Bool {
    waiting = count
    return count == 0
  }

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
