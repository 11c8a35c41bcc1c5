public import ChannelKit

/// Follow mode (S001-31): a channel for each user whose camera others may follow.
///
/// The user whose name ends the channel's name leads: `follow:alpha:ada` is ada's. Whoever subscribes
/// follows, and nobody else gets the leader's `camera.move`. Both have to want it: a follower
/// subscribes, and no camera moves before the leader says `follow.start`. Either ends it: a follower
/// by unsubscribing, the leader by `follow.stop`, or by `follow.dismiss` for one of them. Presence
/// shows who follows.
///
/// What the leader allows is state, and takes a place in the history; where the camera is does not,
/// so it costs nothing where nobody follows. Each publication of state says all of it, so that a
/// trimmed history does.
public struct FollowChannel: ChannelType {
  public static let name = "follow"
  public static let state = StateUse.folded
  public static let history = HistoryRequirement.kept

  /// How soon a follower's subscription ends that the leader has ended. Nothing reaches one whom
  /// `follow.stop` ended meanwhile.
  static let lookAgain = Duration.seconds(1)

  private let leader: String
  private let dismissedMax: Int
  private var standing = FollowStanding()

  public init(channel: ChannelName, options: inout ChannelOptions) throws(ChannelOptionsError) {
    leader = channel.text.split(separator: ":").last.map(String.init) ?? ""
    dismissedMax = try options.int("maxDismissed", in: 1...1_000) ?? 100
  }

  /// Lets in whoever was not dismissed; who comes before the start waits for it. A follower's timer
  /// is named after the stops so far: by that it finds that there was another.
  public func admit(_ client: ClientContext, _ effects: inout Effects) throws(ChannelError) {
    if leads(client) { return effects.track(info: FollowMessage.info("leads", leader)) }
    if isDismissed(client) { throw Self.ended }
    effects.track(info: FollowMessage.info("follows", leader))
    effects.after(Self.lookAgain, TimerToken(standing.stops))
  }

  public func due(_ timer: TimerToken, for client: ClientContext, _ effects: inout Effects) {
    guard timer.value == standing.stops, !isDismissed(client) else {
      return effects.close(Self.ended)
    }
    effects.after(Self.lookAgain, timer)
  }

  public func decide(
    _ event: ChannelEvent, from client: ClientContext, _ effects: inout Effects
  ) throws(ChannelError) {
    guard leads(client) || client.isAPI else {
      throw .notPermitted("only the user whom this channel is named after leads here")
    }
    let message = try FollowMessage(reading: event.payload)
    switch message.action {
    case .move:
      guard standing.isLed else { throw .notPermitted("nobody may follow before follow.start") }
      effects.publish(
        PublishEffect(
          event.payload, to: .others, persistence: .ephemeral, priority: .low))
    case .start:
      let next = FollowStanding(isLed: true, stops: standing.stops)
      publish(next, message.action, &effects)
    case .stop:
      publish(FollowStanding(stops: standing.stops &+ 1), message.action, &effects)
    case .dismiss:
      publish(try standing(dismissing: message.user), message.action, &effects)
    }
  }

  public mutating func apply(_ publication: Publication) {
    if let said = FollowMessage.standing(in: publication.payload) { standing = said }
  }

  /// What the leader allows, if anything.
  public func snapshot() -> [Payload] {
    standing.isLed ? [FollowMessage.payload(.start, leader, standing)] : []
  }

  private func publish(
    _ next: FollowStanding, _ action: FollowMessage.Action, _ effects: inout Effects
  ) {
    effects.publish(FollowMessage.payload(action, leader, next), expecting: .unchanged)
  }

  private func leads(_ client: ClientContext) -> Bool { client.user == UserID(leader) }

  private func isDismissed(_ client: ClientContext) -> Bool {
    (client.user?.text ?? client.id?.text).map(standing.dismisses) ?? false
  }

  private static let ended = ChannelError.notPermitted("this user does not let you follow")

  private func standing(dismissing user: String?) throws(ChannelError) -> FollowStanding {
    guard standing.isLed else { throw .notPermitted("nobody follows before follow.start") }
    guard let user else { throw .invalidPayload("user is missing: whom to dismiss") }
    guard !standing.dismisses(user) else { throw .alreadyExists("this user is dismissed") }
    guard standing.dismissed.count < dismissedMax else {
      throw .limitReached("at most \(dismissedMax) are dismissed at once; stop and start again")
    }
    var next = standing
    next.dismissed.append(user)
    return next
  }
}
