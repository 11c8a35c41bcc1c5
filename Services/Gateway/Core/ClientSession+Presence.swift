internal import Bytes
internal import ChannelKit
internal import Identity
internal import Wire

/// Where a client shows itself, and as whom.
extension ClientSession {
  func join(_ subscription: Subscription) {
    subscription.isPresent = true
    gateway.presence.happened(joining(subscription))
  }

  /// Shows `info` of the client to the channel's others.
  func track(_ channel: LocalChannel, _ info: [UInt8]) {
    guard channel.policy.hasPresence, let subscription = subscription(of: channel),
      !subscription.override.isHidden
    else { return }
    subscription.info = info
    join(subscription)
  }

  func leave(_ subscription: Subscription, _ what: MemberEvent.What) {
    guard subscription.isPresent else { return }
    subscription.isPresent = false
    gateway.presence.happened(
      MemberEvent(what, subscription.channel.name, client: clientNumber))
  }

  /// Who this client is in a channel. Only one that knows its session can resume it.
  private func joining(_ subscription: Subscription) -> MemberEvent {
    let isNamed = sessionToken != nil || door.welcomes
    var user = context.user?.text ?? ""
    var name = isNamed ? session.publicName : ""
    if subscription.channel.policy.countsConnections, !user.isEmpty {
      let own = isNamed ? name : ClientID(number: clientNumber).text
      if let ownName = OwnMember.name(user: user, own: own) { (user, name) = ("", ownName) }
    }
    return MemberEvent(
      .joined, subscription.channel.name, client: clientNumber, user: user, session: name,
      info: subscription.shownInfo.stored)
  }

  /// Adds where this client is, as joins.
  func reportPresence(_ events: inout [MemberEvent]) {
    for subscription in subscriptions where subscription.isPresent {
      events.append(joining(subscription))
    }
  }
}
