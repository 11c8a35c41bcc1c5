internal import Loop

/// The pages of one service's histories that this loop's clients are brought to now with.
///
/// Whoever does not take what it was sent reads nothing more meanwhile, however many channels it
/// has, and the clients have their pages in turn. Loop-confined.
final class ReplayReads {
  /// BUDGET: pages under way at once on a loop. What stands before other answers on the link is so
  /// many pages of at most `ClientSession.pageBytes`.
  static let underWayMax = 8

  private var order = ReadingOrder<ObjectIdentifier, Subscription>(most: underWayMax)

  /// Has `subscription` read its next page when its turn has come and its client has room.
  func wants(_ subscription: Subscription) {
    order.add(subscription, of: ObjectIdentifier(subscription.session)) { other in
      other.channel.policy.lane.rawValue > subscription.channel.policy.lane.rawValue
    }
    run()
  }

  /// The client has taken what it was sent.
  func drained(_ session: ClientSession) {
    guard !order.isEmpty else { return }
    order.roomCame(ObjectIdentifier(session))
    run()
  }

  func ended(_ session: ClientSession) {
    if !order.isEmpty { order.forget(ObjectIdentifier(session)) }
  }

  private func run() {
    while let subscription = order.next(Self.judge) {
      subscription.channel.readPage(subscription) { [self] in
        order.finished(ObjectIdentifier(subscription.session))
        run()
      }
    }
  }

  private static func judge(_ subscription: Subscription) -> ReadingOrder<
    ObjectIdentifier, Subscription
  >.Verdict {
    guard case .replaying = subscription.state else { return .forget }
    return subscription.session.hasRoomForPage(subscription) ? .read : .wait
  }
}
