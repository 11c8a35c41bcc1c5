internal import Bytes
internal import ChannelKit
internal import Wire

/// What a client is told besides publications. Pure; each carrier gives it its own form.
enum ServerMessage {
  /// S003-09: the first of all, where the door welcomes.
  case connection(
    message: String, channels: [PendingWelcome.Channel], session: String, client: String)
  case ack(id: MessageID, position: Position?, reply: Payload?)
  case error(id: MessageID?, Refusal, channel: String?)
  /// So many publications of the channel did not reach this client; nil when nobody knows.
  case gap(ChannelName, dropped: UInt64?)
  case unrecoverable(Unrecoverable)
  /// `since` is where the client stands, as its door takes it; nil where it has no place, or more is on
  /// its way.
  case reconnect(afterMs: Int, since: String?)
  case pong(id: MessageID?, timeMs: Int64)
  /// Who the client is now, and until when in seconds of Unix time.
  case signedIn(id: MessageID?, client: String, user: String?, expires: Int64?)
  /// The client's right, or the one to a channel, ends at that time unless it is refreshed.
  case expiring(ChannelName?, at: Int64)
  /// How well the connection carries heartbeats.
  case quality(ConnectionQuality)
  /// Who is there now.
  case presence(ChannelName, [ControlMessage.Person], total: Int)
  /// One who came, went or changed; `json` is made once for all who are told.
  case member(PresenceObserver.News, ChannelName, json: [UInt8])

  struct Unrecoverable: Equatable {
    var channel: ChannelName
    var reason: ControlMessage.UnrecoverableReason
    var epoch: Epoch?
    var floor: Offset
    var head: Offset
  }

  /// The channel in whose order the message has a place, after what was published before it.
  var orderedChannel: ChannelName? {
    switch self {
    case .gap(let channel, _): channel
    case .unrecoverable(let lost): lost.channel
    default: nil
    }
  }

  /// What is so now and not what was asked for: it may come by the thousand.
  var isState: Bool {
    switch self {
    case .presence, .member: true
    default: false
    }
  }

  /// What the message's `type` says.
  var type: String {
    switch self {
    case .connection: "connection"
    case .ack: "ack"
    case .error: "error"
    case .gap: "gap"
    case .unrecoverable: "unrecoverable"
    case .reconnect: "reconnect"
    case .pong: "pong"
    case .signedIn: "connected"
    case .expiring: "expiring"
    case .quality: "quality"
    case .presence: "presence"
    case .member(.joined, _, _): "join"
    case .member(.left, _, _): "leave"
    case .member(.updated, _, _): "update"
    }
  }

  /// One JSON object with a `type`.
  var json: [UInt8] {
    switch self {
    case .connection(let message, let channels, let session, let client):
      ControlMessage.connection(
        message: message, channels: channels, session: session, client: client)
    case .ack(let id, let position, let reply):
      ControlMessage.ack(id: id, position: position, reply: reply)
    case .error(let id, let refusal, let channel):
      ControlMessage.error(id: id, refusal, channel: channel)
    case .gap(let channel, let dropped):
      ControlMessage.gap(channel: channel.text, dropped: dropped)
    case .unrecoverable(let lost):
      ControlMessage.unrecoverable(
        channel: lost.channel.text, reason: lost.reason, epoch: lost.epoch, floor: lost.floor,
        head: lost.head)
    case .reconnect(let afterMs, let since):
      ControlMessage.reconnect(afterMs: afterMs, since: since)
    case .pong(let id, let timeMs): ControlMessage.pong(id: id, timeMs: timeMs)
    case .signedIn(let id, let client, let user, let expires):
      ControlMessage.signedIn(id: id, client: client, user: user, expires: expires)
    case .expiring(let channel, let end): ControlMessage.expiring(channel: channel?.text, at: end)
    case .quality(let quality): ControlMessage.quality(quality)
    case .presence(let channel, let people, let total):
      ControlMessage.presence(channel: channel.text, people, total: total)
    case .member(_, _, let json): json
    }
  }
}
