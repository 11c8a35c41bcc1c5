internal import Bytes
internal import ChannelKit
internal import JSON
internal import Observe
internal import Wire

/// What a socket is told besides publications: JSON text messages with a `type`. Pure.
///
/// An envelope has no `type`, so the two can't be taken for each other.
enum ControlMessage {
  /// S003-09: the first frame of an events socket, and of every socket with envelopes.
  static func connection(
    message: String, channels: [(name: String, subscribers: Int, position: Position?)],
    session: String, client: String
  ) -> [UInt8] {
    var writer = begin("connection")
    writer.field("message", message)
    writer.field("client", client)
    writer.field("session", session)
    if channels.count == 1, let only = channels.first {
      writer.field("channel", only.name)
      writer.field("subscribers", Int64(only.subscribers))
      append(only.position, to: &writer)
    } else {
      writer.key("channels")
      writer.beginArray()
      for channel in channels {
        writer.beginObject()
        writer.field("channel", channel.name)
        writer.field("subscribers", Int64(channel.subscribers))
        append(channel.position, to: &writer)
        writer.endObject()
      }
      writer.endArray()
    }
    return end(&writer)
  }

  static func ack(id: MessageID, position: Position?, reply: Payload? = nil) -> [UInt8] {
    var writer = begin("ack")
    id.append(to: &writer)
    append(position, to: &writer)
    if let reply { try? PayloadJSON.appendMember(reply, to: &writer) }
    return end(&writer)
  }

  static func error(id: MessageID?, _ refusal: Refusal, channel: String? = nil) -> [UInt8] {
    var writer = begin("error")
    id?.append(to: &writer)
    if let channel { writer.field("channel", channel) }
    writer.field("code", Int64(refusal.code))
    writer.field("name", refusal.name)
    writer.field("message", refusal.message)
    if refusal.retryAfterMs > 0 {
      writer.field("retry_after_ms", Int64(refusal.retryAfterMs))
    }
    return end(&writer)
  }

  /// So many publications of the channel did not reach this client; nil when nobody knows.
  static func gap(channel: String, dropped: UInt64?) -> [UInt8] {
    var writer = begin("gap")
    writer.field("channel", channel)
    writer.key("dropped")
    if let dropped { writer.uint(dropped) } else { writer.null() }
    return end(&writer)
  }

  enum UnrecoverableReason: String, MetricLabel {
    static let labelName = "reason"
    case epochChanged = "epoch_changed"
    case trimmed
    case ahead
    case corrupt
    case noHistory = "no_history"
    case notPermitted = "not_permitted"
  }

  static func unrecoverable(
    channel: String, reason: UnrecoverableReason, epoch: Epoch?, floor: Offset, head: Offset
  ) -> [UInt8] {
    var writer = begin("unrecoverable")
    writer.field("channel", channel)
    writer.field("reason", reason.rawValue)
    if let epoch { writer.field("epoch", epoch.text) }
    writer.field("floor", floor.value)
    writer.field("head", head.value)
    return end(&writer)
  }

  static func reconnect(afterMs: Int, since: String?) -> [UInt8] {
    var writer = begin("reconnect")
    writer.field("after_ms", Int64(afterMs))
    if let since { writer.field("since", since) }
    return end(&writer)
  }

  static func pong(id: MessageID?, timeMs: Int64) -> [UInt8] {
    var writer = begin("pong")
    id?.append(to: &writer)
    writer.field("time", timeMs)
    return end(&writer)
  }

  static func signedIn(id: MessageID?, client: String, user: String?, expires: Int64?) -> [UInt8] {
    var writer = begin("connected")
    id?.append(to: &writer)
    writer.field("client", client)
    if let user { writer.field("user", user) }
    if let expires { writer.field("expires", expires) }
    return end(&writer)
  }

  static func expiring(channel: String?, at end: Int64) -> [UInt8] {
    var writer = begin("expiring")
    if let channel { writer.field("channel", channel) }
    writer.field("expires", end)
    return self.end(&writer)
  }

  static func quality(_ quality: ConnectionQuality) -> [UInt8] {
    var writer = begin("quality")
    writer.field("score", Int64(quality.score))
    writer.field("grade", quality.grade.rawValue)
    writer.key("round_trip_ms")
    writer.double((quality.roundTripMs * 1_000).rounded() / 1_000)
    writer.key("jitter_ms")
    writer.double((quality.jitterMs * 1_000).rounded() / 1_000)
    writer.key("loss")
    writer.double((quality.loss * 1_000).rounded() / 1_000)
    writer.field("reconnects", Int64(quality.reconnects))
    return end(&writer)
  }

  struct Person: Equatable {
    var client: String
    var user: String
    var info: ShownInfo

    func append(to writer: inout JSONWriter) {
      writer.field("client", client)
      if !user.isEmpty { writer.field("user", user) }
      let shown = info.shown
      if !shown.isEmpty {
        writer.key("info")
        writer.raw(shown)
      }
    }
  }

  /// One who came, went, or says something else of itself now.
  static func news(_ news: PresenceObserver.News, channel: String) -> [UInt8] {
    switch news {
    case .joined(let member): joined(channel: channel, Person(member))
    case .left(let member): left(channel: channel, Person(member))
    case .updated(let member): updated(channel: channel, Person(member))
    }
  }

  static func joined(channel: String, _ person: Person) -> [UInt8] {
    change("join", channel, person)
  }

  static func left(channel: String, _ person: Person) -> [UInt8] {
    change("leave", channel, person)
  }

  static func updated(channel: String, _ person: Person) -> [UInt8] {
    change("update", channel, person)
  }

  /// Who is there now, before the joins and leaves that follow.
  static func presence(channel: String, _ people: [Person], total: Int) -> [UInt8] {
    var writer = begin("presence")
    writer.field("channel", channel)
    writer.field("total", Int64(total))
    writer.key("members")
    writer.beginArray()
    for person in people {
      writer.beginObject()
      person.append(to: &writer)
      writer.endObject()
    }
    writer.endArray()
    return end(&writer)
  }

  private static func change(_ type: String, _ channel: String, _ person: Person) -> [UInt8] {
    var writer = begin(type)
    writer.field("channel", channel)
    person.append(to: &writer)
    return end(&writer)
  }

  static func append(_ position: Position?, to writer: inout JSONWriter) {
    guard let position else { return }
    writer.field("epoch", position.epoch.text)
    writer.field("offset", position.offset.value)
  }

  private static func begin(_ type: String) -> JSONWriter {
    var writer = JSONWriter(reserving: 160)
    writer.beginObject()
    writer.field("type", type)
    return writer
  }

  private static func end(_ writer: inout JSONWriter) -> [UInt8] {
    writer.endObject()
    return writer.bytes
  }
}

extension ControlMessage.Person {
  init(_ member: Member) {
    let user =
      switch member.key {
      case .user(let name): name
      case .session(let name): OwnMember.user(ofSession: name)
      case .client: ""
      }
    self.init(
      client: ClientID(number: member.client).text, user: user,
      info: ShownInfo(stored: member.info))
  }
}

/// What a client called its message, to be said back in the answer.
enum MessageID: Equatable, Sendable {
  case number(Int64)
  case text(String)

  func append(to writer: inout JSONWriter) {
    switch self {
    case .number(let number): writer.field("id", number)
    case .text(let text): writer.field("id", text)
    }
  }
}
