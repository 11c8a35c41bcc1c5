internal import Bytes
internal import ChannelKit
internal import Loop

/// The `connection` message, which is the first of all.
extension ClientSession {
  /// Whether the subscription begins now. Those that the message names begin together, as it waits for
  /// each of them and nothing of any may come before it.
  func mayBegin(_ subscription: Subscription) -> Bool {
    guard subscription.isWelcomed, pendingWelcome.holdsBack else { return true }
    beginTogether()
    return false
  }

  private func beginTogether() {
    let named = subscriptions.filter(\.isWelcomed)
    guard named.count == pendingWelcome.waiting,
      named.allSatisfy({ $0.isWaiting && $0.channel.phase == .live })
    else { return }
    for subscription in named { admitted(subscription) }
    for subscription in named { subscription.channel.start(subscription) }
  }

  /// BUDGET: how long channels that are open wait for one that can't be opened now.
  private static let welcomeMax = Duration.seconds(2)

  /// A service that is away holds up its own channels alone: after a while the others begin without
  /// the message, which then comes when all have been answered.
  func boundWelcome() {
    gateway.loop.after(Self.welcomeMax) { [weak self] in
      guard let self, pendingWelcome.holdsBack else { return }
      pendingWelcome.releases()
      for subscription in subscriptions where subscription.isWelcomed {
        subscription.channel.advance(subscription)
      }
    }
  }

  /// A channel of the address has its answer, nil if it was refused.
  func answered(_ channel: PendingWelcome.Channel?) {
    if pendingWelcome.answered(channel) { return welcome() }
    if channel == nil, pendingWelcome.holdsBack { beginTogether() }
  }

  func welcome() {
    let welcomed = pendingWelcome.take()
    let message =
      if case .oneChannel(let name) = door.style {
        "✨ Connected to channel '\(name.text)' ✨"
      } else {
        "✨ Connected to \(welcomed.count) channels ✨"
      }
    tell(
      .connection(
        message: message, channels: welcomed, session: session.text,
        client: ClientID(number: clientNumber).text))
  }
}
